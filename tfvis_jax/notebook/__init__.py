"""Runs, factors and sentences for notebooks."""
