"""How near the encoders are to those of transformers."""
