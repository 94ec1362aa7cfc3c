"""A factor in words: terms, vocabulary, labels."""
