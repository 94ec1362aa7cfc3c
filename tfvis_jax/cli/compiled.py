"""Compiled programs are kept between commands, so that the second call is quick."""

import os
import pathlib
import sys

import jax

from tfvis_jax import kept_programs
from tfvis_jax.cli import program_cache
from tfvis_jax.errors import InputError

OFF = "off"
_SHORTEST = 0.1  # Seconds of compilation that are worth a file.


def keep_programs(choice: str | None) -> None:
    """Makes JAX keep compiled programs, of the oldest no more than fit into 512 MB.

    A folder that cannot be written keeps nothing, and a note says so.

    Args:
      choice: A folder, "off", or None for the user's own, unless the user has set
        ``JAX_COMPILATION_CACHE_DIR`` or ``JAX_ENABLE_COMPILATION_CACHE``.

    Raises:
      InputError: The chosen folder is a file.
    """
    kept_programs.keep_in(None)
    if choice == OFF:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if choice is None and "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    path = program_cache.of_this_version()
    if choice is not None:
        path = pathlib.Path(choice).expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise InputError(
                f"Expected --compilation_cache={OFF} or a folder, got the file {path}."
            )
    problem = program_cache.prepare(path)
    if problem is not None:
        print(
            f"note: Compiled programs cannot be kept ({problem}), so each command "
            "compiles again. --compilation_cache=FOLDER names another folder.",
            file=sys.stderr,
        )
        return
    if choice is None:
        program_cache.forget_old(path)
    if jax.config.values["jax_enable_compilation_cache"]:
        kept_programs.keep_in(path / "traced")
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_compilation_cache_max_size", program_cache.LARGEST)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST)
