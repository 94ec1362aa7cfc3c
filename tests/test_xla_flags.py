"""Commands compile for a CPU as is fastest, and leave what the user has chosen."""

import importlib.metadata
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

from experiments import script
from tfvis_jax import cli, xla_flags

_PROGRAM = """
import jax
from tfvis_jax import xla_flags

xla_flags.add()
rows = jax.numpy.ones((64, 1000))
counts = jax.jit(lambda x: (x > x[:, :1]).sum(axis=1))
print(counts.lower(rows).compile().as_text())
"""


def _compiled(**variables):
    kept = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    # XLA, not this package, decides whether it knows the flags.
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=kept | {"JAX_PLATFORMS": "cpu"} | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_xla_knows_the_flags_and_sums_in_one_loop():
    assert "reduce-window" not in _compiled()
    assert "reduce-window" in _compiled(XLA_FLAGS="--xla_disable_hlo_passes=none")


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("0.10.2", ["--xla_cpu_use_fusion_emitters", "--xla_disable_hlo_passes"]),
        ("0.11.0", ["--xla_disable_hlo_passes"]),
        ("1.0.0.dev3", ["--xla_disable_hlo_passes"]),
    ],
)
def test_versions_that_do_not_know_a_flag_do_not_get_it(monkeypatch, version, names):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    monkeypatch.delenv("XLA_FLAGS")
    xla_flags.add()
    flags = os.environ["XLA_FLAGS"].split()
    assert sorted(flag.partition("=")[0] for flag in flags) == names


@pytest.mark.parametrize("given", ["/a/file/of/flags", " flags.txt"])
def test_a_file_of_flags_stays(monkeypatch, given):
    monkeypatch.setenv("XLA_FLAGS", given)
    xla_flags.add()
    assert os.environ["XLA_FLAGS"] == given


def test_commands_and_scripts_add_them(monkeypatch, tmp_path):
    monkeypatch.delenv("XLA_FLAGS")
    # There is no such run, which is found after JAX could have been used.
    assert cli.main(["encode", str(tmp_path / "none"), "a text"]) != 0
    assert "--xla_disable_hlo_passes" in os.environ["XLA_FLAGS"]
    monkeypatch.setenv("XLA_FLAGS", "")
    seen = []
    values = flags.FlagValues()
    script.run(lambda: seen.append(os.environ["XLA_FLAGS"]), values, ["script"])
    assert "--xla_disable_hlo_passes" in seen[0]


def test_flags_of_the_user_stay_and_none_comes_twice(monkeypatch):
    own = "--xla_cpu_use_fusion_emitters=true --xla_dump_to='a  folder'"
    monkeypatch.setenv("XLA_FLAGS", own)
    xla_flags.add()
    flags = os.environ["XLA_FLAGS"]
    assert flags == f"{own} --xla_disable_hlo_passes=tree_reduction_rewriter"
    xla_flags.add()
    assert os.environ["XLA_FLAGS"] == flags


def test_long_sums_are_as_exact_as_short_ones():
    # Tests are compiled with the flags.
    assert "--xla_disable_hlo_passes" in os.environ["XLA_FLAGS"]
    rows = np.random.default_rng(0).normal(size=(57344, 384)).astype(np.float32)
    expected = np.sum(rows.astype(np.float64) ** 2, axis=1)
    for axis, value in ((None, expected.sum()), (1, expected)):
        found = jax.jit(lambda x, axis=axis: jnp.sum(x**2, axis=axis))(rows)
        np.testing.assert_allclose(found, value, rtol=1e-6)
