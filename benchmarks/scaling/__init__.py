"""Training on many devices, and training that is killed."""
