"""The paper's claims and what a dictionary depends on, measured."""
