"""What a BERT represents: hidden states as sparse sums of transformer factors."""

__version__ = "0.1.0"
