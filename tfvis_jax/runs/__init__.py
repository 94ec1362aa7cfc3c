"""A run on disk: directory, model, settings and dictionary, and encoding with it."""
