"""All cores of a CPU: each gets a JAX device of its own."""

import contextlib
import os
from typing import Any, cast

import jax

from tfvis_jax.reporting import environment

# A batch of 64 windows, the default, has as many parts to share.
_MOST = 8
# The encoder is copied to every device: BERT-large has 1.3 GiB of weights.
_MEMORY_EACH = 4 * 2**30


def use_all() -> None:
    """Makes JAX see one device a core; call before a device is used.

    JAX splits the operations of one device over all cores as well, but those of the
    solver are too small for it. ``JAX_NUM_CPU_DEVICES``, or a number of devices set by
    any other means, stays. GPUs and TPUs are not touched.
    """
    # Not among the types of `jax.config`.
    config = cast(Any, jax.config)
    is_set = config.jax_num_cpu_devices >= 0
    if is_set or "device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    number = num_devices(cores=environment.num_cores(), memory=memory)
    # JAX refuses where another part of the process has used a device.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", number)


def num_devices(*, cores: int, memory: int) -> int:
    """Returns how many devices share a CPU: a power of two, which divides batches.

    Args:
      cores: that this process may use.
      memory: of the machine, in bytes.
    """
    most = max(1, min(cores, memory // _MEMORY_EACH, _MOST))
    return 1 << (most.bit_length() - 1)
