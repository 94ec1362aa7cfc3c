"""The pages of a run: a static site, its data and the server that shows it."""
