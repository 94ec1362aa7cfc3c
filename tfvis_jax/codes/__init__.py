"""Codes of any text with a trained dictionary, as sparse arrays with tables of tokens.

`tfvis_jax.load_run(path).encode_texts` and `tfvis codes` are built on it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvis_jax.codes.encoded_texts import DocumentTable, EncodedTexts, encode_texts
    from tfvis_jax.codes.reading import load
    from tfvis_jax.codes.tables import TokenTable

# Where each name lives, as above: a notebook that opens a run imports none of them.
_HOME_OF = {
    "DocumentTable": "encoded_texts",
    "EncodedTexts": "encoded_texts",
    "TokenTable": "tables",
    "encode_texts": "encoded_texts",
    "load": "reading",
}

__all__ = ["DocumentTable", "EncodedTexts", "TokenTable", "encode_texts", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
