"""What a measurement was made on: hardware, versions, date, and how fast it can be."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import shlex
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp

import tfvis_jax

# Name in the JSON, name of the distribution.
_DISTRIBUTIONS = {
    "jax": "jax",
    "jaxlib": "jaxlib",
    "numpy": "numpy",
    "torch": "torch",
    "spams": "spams-bin",
    "sklearn": "scikit-learn",
}
_PEAK_SIZE, _PEAK_PRODUCTS = 8192, 16


def describe(script: str) -> dict[str, Any]:
    """Returns the header of a benchmark's JSON.

    Args:
      script: module that is run, such as ``benchmarks.solvers.speed``.
    """
    devices = jax.devices()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", script, *sys.argv[1:]]),
        "hardware": {
            "cpu": cpu_model(),
            "cores": num_cores(),
            "memory_gb": round(
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1
            ),
            # Above 0.5 something else was running when the measurement began.
            "load_average": round(os.getloadavg()[0], 2),
            "device": devices[0].device_kind,
            "num_devices": len(devices),
            "bf16_matmul_tflops": matmul_peak(),
        },
        "versions": {
            "tfvis_jax": tfvis_jax.__version__,
            "python": platform.python_version(),
            **{name: _version(package) for name, package in _DISTRIBUTIONS.items()},
        },
    }


def num_cores() -> int:
    """Returns how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Linux alone knows.
        return os.cpu_count() or 1


def cpu_model() -> str:
    """Returns the processor's name, and whether it has AVX-512."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    name = fields.get("model name") or platform.machine()
    return f"{name} (AVX-512)" if "avx512f" in fields.get("flags", "") else name


def matmul_peak() -> float | None:
    """Measures TFLOP/s of large bfloat16 products; None where there is no accelerator.

    Solvers are compared with this and not with a data sheet's figure.
    """
    if jax.default_backend() == "cpu":
        return None
    keys = jax.random.split(jax.random.key(0))
    shape = (_PEAK_SIZE, _PEAK_SIZE)
    left, right = (jax.random.normal(key, shape, jnp.bfloat16) for key in keys)
    # Scaled, so that a chain of products stays finite.
    right = right / jnp.sqrt(jnp.bfloat16(_PEAK_SIZE))

    @jax.jit
    def chain(left: jax.Array, right: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(
            0, _PEAK_PRODUCTS, lambda _, product: product @ right, left
        )

    jax.block_until_ready(chain(left, right))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(chain(left, right))
        seconds.append(time.perf_counter() - start)
    return 2 * _PEAK_SIZE**3 * _PEAK_PRODUCTS / min(seconds) / 1e12


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
