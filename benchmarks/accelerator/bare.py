"""Lets the library run where nothing is installed but jax, flax, optax and numpy.

What is measured needs two more packages by name alone: jaxtyping in annotations, and
safetensors in the module that opens weights, which are random here. Where one of them
is missing, a stand-in takes its place in this process.
"""

import importlib.util
import sys
import types
from typing import Any


class _Shaped:
    """``Float[Array, "batch d_model"]`` is the type of the array."""

    def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
        return item[0]


def prepare() -> None:
    """Puts stand-ins where the packages are missing."""
    if _is_missing("jaxtyping"):
        module = types.ModuleType("jaxtyping")
        vars(module).update(Float=_Shaped, Shaped=_Shaped)
        sys.modules["jaxtyping"] = module
    if _is_missing("safetensors"):
        module = types.ModuleType("safetensors")
        # Named in annotations and in handlers of what no file here can raise.
        vars(module).update(safe_open=object, SafetensorError=OSError)
        sys.modules["safetensors"] = module


def _is_missing(name: str) -> bool:
    return name not in sys.modules and importlib.util.find_spec(name) is None
