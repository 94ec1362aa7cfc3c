"""How a factor's activation falls as a text departs from its pattern."""
