"""Scale: many rows, many devices, and training that is killed and resumed."""
