"""How XLA compiles for a CPU."""

import importlib.metadata
import os

# Short sums, of which the solver is full, are split into parts in memory; a loop is
# faster, and as exact.
_FLAGS = {"--xla_disable_hlo_passes": "tree_reduction_rewriter"}
# The older of two ways to emit loops is as fast, and compiles in two thirds of the
# time. XLA ends the process at a flag that it does not know.
_BEFORE_0_11 = {"--xla_cpu_use_fusion_emitters": "false"}


def add() -> None:
    """Adds what makes programs for a CPU faster to ``XLA_FLAGS``.

    Call it before JAX uses a device: XLA reads the variable once. Flags that are there
    already stay. Programs for GPUs and TPUs are the same.
    """
    flags = dict(_FLAGS)
    major, minor = importlib.metadata.version("jaxlib").split(".")[:2]
    if (int(major), int(minor)) < (0, 11):
        flags |= _BEFORE_0_11
    given = os.environ.get("XLA_FLAGS", "").strip()
    if given and not given.startswith("-"):
        # The name of a file of flags.
        return
    names = {flag.partition("=")[0] for flag in given.split()}
    added = [f"{name}={value}" for name, value in flags.items() if name not in names]
    os.environ["XLA_FLAGS"] = " ".join([given, *added]).strip()
