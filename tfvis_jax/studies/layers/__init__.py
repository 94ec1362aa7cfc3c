"""What depth does to factors."""
