"""Commands use every core of a CPU, unless the user has said how many devices."""

import os
import subprocess
import sys

import pytest

from tfvis_jax.cli import cores

_GIB = 2**30
_PROGRAM = """
import os

import jax
from tfvis_jax.cli import cores

cores.num_devices = lambda **_: 4
cores.environment.num_cores = lambda: 4
cores.use_all()
print(jax.device_count(), jax.local_device_count(), os.environ.get("PJRT_NPROC"))
cores.use_all()  # Too late to change anything.
"""


@pytest.mark.parametrize(
    ("n_cores", "memory", "expected"),
    [
        (1, 64, 1),
        (2, 64, 2),
        (3, 64, 2),
        (6, 64, 4),
        (64, 512, 8),
        (8, 17, 4),
        (8, 4, 1),
        (4, 2, 1),
    ],
)
def test_devices_are_a_power_of_two_within_cores_and_memory(n_cores, memory, expected):
    assert cores.num_devices(cores=n_cores, memory=memory * _GIB) == expected


@pytest.mark.parametrize(
    ("variables", "expected", "threads"),
    [
        ({}, 4, 8),
        ({"JAX_NUM_CPU_DEVICES": "3"}, 3, 6),
        ({"JAX_NUM_CPU_DEVICES": "1"}, 1, None),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}, 2, 4),
        ({"PJRT_NPROC": "5"}, 4, 5),
        ({"NPROC": "5"}, 4, None),
    ],
)
def test_what_the_user_has_set_stays(variables, expected, threads):
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "PJRT_NPROC", "NPROC")
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=kept | {"JAX_PLATFORMS": "cpu"} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(expected)] * 2 + [str(threads)]
