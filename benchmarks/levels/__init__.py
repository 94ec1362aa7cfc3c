"""Levels of factors against labels that were made from text alone."""
