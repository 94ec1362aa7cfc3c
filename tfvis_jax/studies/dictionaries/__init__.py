"""What a dictionary depends on: seed, text, size, windows."""
