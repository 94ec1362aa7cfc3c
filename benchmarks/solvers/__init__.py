"""Solvers beside each other and beside other software: speed, gap, scaling."""
