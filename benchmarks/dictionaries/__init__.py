"""Dictionaries: what learning costs and what it recovers."""
