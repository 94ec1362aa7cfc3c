"""How programs are compiled for tests: cheaply, and once for all their processes.

Two thirds of the tests' time would be compilation, of programs that run once on a few
rows. The flags leave out LLVM's optimisations; others are those of the commands. The
caller's XLA_FLAGS come last and win: `make test-optimised` tests programs as users run
them.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator

import jax

from tfvis_jax import xla_flags

_CHEAP = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_parallel_codegen_split_count=1",
)

_CACHE = {
    "jax_compilation_cache_dir": str,
    "jax_persistent_cache_min_compile_time_secs": float,
    "jax_persistent_cache_min_entry_size_bytes": int,
}


@contextlib.contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Warnings of the block fail, but JAX's of a program that is half written.

    Several processes share the compiled programs, and none locks them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", "Error reading persistent compilation cache entry"
        )
        yield


def set_up() -> None:
    """Sets the environment of this process and of those that it starts.

    To be called before JAX compiles anything. pytest's workers, which inherit the
    environment, call it once more and find everything set.
    """
    given = os.environ.get("XLA_FLAGS", "").split()
    os.environ["XLA_FLAGS"] = " ".join(
        [*(flag for flag in _CHEAP if flag not in given), *given]
    )
    xla_flags.add()
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Fresh in each session, so that a program is never that of older code.
        folder = tempfile.mkdtemp(prefix="tfvis-tests-compiled-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    # JAX has read its part of the environment when it was imported.
    for name, kind in _CACHE.items():
        jax.config.update(name, kind(os.environ[name.upper()]))
