"""Codes of any text with a trained dictionary, as sparse arrays with tables of tokens.

`tfvis_jax.load_run(path).encode_texts` and `tfvis codes` are built on it.
"""

from tfvis_jax.codes.encoded_texts import DocumentTable, EncodedTexts, encode_texts
from tfvis_jax.codes.reading import load
from tfvis_jax.codes.tables import TokenTable

__all__ = ["DocumentTable", "EncodedTexts", "TokenTable", "encode_texts", "load"]
