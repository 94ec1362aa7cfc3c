"""Compiled programs kept between commands, in the user's cache folder."""

import os
import pathlib

import jax

_LARGEST = 512 * 1024**2
_SHORTEST = 0.2  # Seconds of compilation that are worth a file.


def keep_programs() -> None:
    """Makes JAX keep compiled programs in ``~/.cache/tfvis``, at most 512 MB.

    A setting of the user's wins: ``JAX_COMPILATION_CACHE_DIR`` names another folder,
    ``JAX_ENABLE_COMPILATION_CACHE=0`` keeps nothing.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    jax.config.update("jax_compilation_cache_dir", str(cache / "tfvis" / "compiled"))
    jax.config.update("jax_compilation_cache_max_size", _LARGEST)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST)
