"""Training: the loop of a run, its checkpoints, metrics and held-out error."""
