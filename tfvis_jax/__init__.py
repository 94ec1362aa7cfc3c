"""What a BERT represents: hidden states as sparse sums of transformer factors.

import tfvis_jax

run = tfvis_jax.load_run("runs/demo")
run.factor(30).examples(layer=4)
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Loaded when first used, so that `import tfvis_jax.config` starts no device.
_PUBLIC = {
    "load_run": "tfvis_jax.notebook.run",
    "train": "tfvis_jax.pipeline",
    "InputError": "tfvis_jax.errors",
}

__all__ = ["InputError", "__version__", "load_run", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
