"""Whether a factor is a word, a pattern or of long range."""
