"""All cores of a CPU: each gets a JAX device of its own."""

import contextlib
import os
import re
from typing import Any, cast

import jax

from tfvis_jax.reporting import environment

# A batch of 64 windows, the default, has as many parts to share.
_MOST = 8
# The encoder is copied to every device: BERT-large has 1.3 GiB of weights.
_MEMORY_EACH = 4 * 2**30
# One that waits for other devices, and one that computes.
_THREADS_EACH = 2


def use_all() -> None:
    """Makes JAX see one device a core; call before a device is used.

    JAX splits the operations of one device over all cores as well, but those of the
    solver are too small for it. ``JAX_NUM_CPU_DEVICES``, or a number of devices set by
    any other means, stays. GPUs and TPUs are not touched.
    """
    number = _asked()
    if number is None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        number = num_devices(cores=environment.num_cores(), memory=memory)
        # JAX refuses where another part of the process has used a device.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", number)
    give_threads(number)


def give_threads(number: int) -> None:
    """Gives XLA so many threads that devices of a CPU never all wait for each other.

    A device that waits for the others in a sum over all of them keeps a thread. With
    one thread a device, as XLA has by default, a second program in flight can take the
    last one, and all wait until XLA ends the process. `PJRT_NPROC` or `NPROC`, by which
    XLA is told the number, stay as they are set.

    Args:
      number: of devices.
    """
    if number > 1 and "NPROC" not in os.environ:
        threads = max(_THREADS_EACH * number, environment.num_cores())
        os.environ.setdefault("PJRT_NPROC", str(threads))


def _asked() -> int | None:
    """Returns the number of devices that the user has set."""
    # Not among the types of `jax.config`.
    if (number := cast(Any, jax.config).jax_num_cpu_devices) >= 0:
        return number
    found = re.search(r"device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    return None if found is None else int(found[1])


def num_devices(*, cores: int, memory: int) -> int:
    """Returns how many devices share a CPU: a power of two, which divides batches.

    Args:
      cores: that this process may use.
      memory: of the machine, in bytes.
    """
    most = max(1, min(cores, memory // _MEMORY_EACH, _MOST))
    return 1 << (most.bit_length() - 1)
