"""Patterns of sentences that are matched mechanically, and the factors of each."""
