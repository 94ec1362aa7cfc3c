"""Where in the corpus each factor fires: the pass that finds it, and reading it."""
