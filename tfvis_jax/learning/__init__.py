"""Learning a dictionary from rows: first state, step, loop; no model and no run."""
