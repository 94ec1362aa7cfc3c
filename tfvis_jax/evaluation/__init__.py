"""How good a dictionary is on text that it has not seen."""
