"""The senses of a word, told by factors and by their controls."""
