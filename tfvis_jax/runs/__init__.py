"""A run on disk: its directory, model, settings, dictionary, and encoding with it."""
