"""What factors mean: examples, importance, levels."""
