"""Programs are traced once, by one process, and found again only where they fit."""

import functools
import json
import os
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import kept_programs, sharding


class Found(NamedTuple):
    product: jax.Array
    total: jax.Array


@pytest.fixture
def folder(tmp_path):
    kept_programs.keep_in(tmp_path / "traced")
    yield tmp_path / "traced"
    kept_programs.keep_in(None)


def _function(traced, name="products"):
    @functools.partial(kept_programs.Kept, name=name, result=Found._make)
    @jax.jit
    def products(tree, scale):
        traced.append(name)
        return Found(tree["a"] @ tree["b"] * scale, jnp.sum(tree["a"]))

    return products


def _arguments(n=3):
    tree = {"a": np.arange(2 * n, dtype=np.float32).reshape(2, n)}
    return tree | {"b": np.ones((n, 4), np.float32)}, np.float32(2)


def _files(folder):
    return sorted(folder.glob("*.stablehlo"))


def test_the_second_process_traces_nothing_and_finds_the_same(folder):
    arguments, traced = _arguments(), []
    plain = _function([]).function(*arguments)
    for _ in range(2):
        # What another process would have: a function that has not run.
        found = _function(traced)(*arguments)
        assert isinstance(found, Found)
        jax.tree.map(np.testing.assert_array_equal, found, plain)
    assert traced == ["products"]
    assert folder.stat().st_mode & 0o077 == 0


def test_other_shapes_and_settings_have_programs_of_their_own(folder):
    traced = []
    _function(traced)(*_arguments())
    _function(traced)(*_arguments(5))
    with jax.enable_x64(False):
        _function(traced)(*_arguments())
    assert len(_files(folder)) == len(traced) == 2
    _function(traced, name="others")(*_arguments())
    before = jax.config.jax_default_matmul_precision
    jax.config.update("jax_default_matmul_precision", "bfloat16")
    try:
        _function(traced)(*_arguments())
    finally:
        jax.config.update("jax_default_matmul_precision", before)
    assert len(_files(folder)) == len(traced) == 4


def test_other_code_is_traced_again(folder, monkeypatch):
    traced = []
    _function(traced)(*_arguments())
    monkeypatch.setattr(kept_programs, "_source", lambda: "edited")
    _function(traced)(*_arguments())
    assert len(_files(folder)) == len(traced) == 2


@pytest.mark.parametrize("content", [b"", b"x" * 500, None])
def test_a_damaged_file_is_written_anew(folder, content):
    traced = []
    whole = _function(traced)(*_arguments())
    [path] = _files(folder)
    written = path.read_bytes()
    path.write_bytes(written[:-7] if content is None else content)
    for _ in range(2):
        again = _function(traced)(*_arguments())
        jax.tree.map(np.testing.assert_array_equal, again, whole)
    assert len(traced) == 2


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path):
    (tmp_path / "file").touch()
    kept_programs.keep_in(tmp_path / "file" / "traced")
    found = _function([])(*_arguments())
    kept_programs.keep_in(None)
    np.testing.assert_array_equal(found.total, 15)


def test_a_static_value_that_has_no_name_is_not_kept(folder):
    other = jax.tree_util.Partial(lambda x: x + 1, np.float32(1))
    program = kept_programs.Kept(jax.jit(lambda f: (f(),)), name="call")
    assert program(other) == (2,)
    assert not _files(folder)


def test_under_a_trace_it_is_the_function(folder):
    products = _function([])
    tree, scale = _arguments()
    gradient = jax.grad(lambda s: jnp.sum(products(tree, s).product))(scale)
    np.testing.assert_allclose(gradient, np.sum(tree["a"] @ tree["b"]))
    assert not _files(folder)


@pytest.mark.parametrize("n_devices", [1, 2])
def test_programs_of_several_devices(folder, n_devices):
    mesh = sharding.side_by_side(jax.local_devices()[:n_devices])
    rows = np.arange(n_devices * 6, dtype=np.float32).reshape(n_devices, 2, 3)
    shared = sharding.place_copies(mesh, np.arange(3, dtype=np.float32))
    apart = sharding.place_apart(mesh, rows)

    def work(weights, rows):
        return rows @ weights, rows

    for _ in range(2):
        on_each = sharding.on_each(mesh, work, n_shared=1)
        found = kept_programs.Kept(on_each, name="on_each")(shared, apart)
        expected = on_each(shared, apart)
        jax.tree.map(np.testing.assert_array_equal, found, expected)
        # Their layout is known to what takes them next.
        for one, other in zip(found, expected, strict=True):
            assert jax.typeof(one) == jax.typeof(other)
    assert len(_files(folder)) == 1


def test_old_files_are_forgotten(folder):
    _function([])(*_arguments())
    [first] = _files(folder)
    os.utime(first, (0, 0))
    _function([])(*_arguments(5))
    assert first not in _files(folder)
    assert len(_files(folder)) == 1


_PROGRAM = """
import sys, jax
from tfvis_jax import cli

def note(event, duration, **about):
    if event.endswith("jaxpr_trace_duration"):
        print("traced", about.get("fun_name"))

jax.monitoring.register_event_duration_secs_listener(note)
sys.exit(cli.main(sys.argv[1:]))
"""


def _said(*command):
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, command)],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "2"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_command_asks_for_a_program_once(toy_run, tmp_path):
    command = ("encode", toy_run, "the bank", "--json")
    said = [_said(*command, f"--compilation_cache={tmp_path}") for _ in range(2)]
    assert "traced flat\n" in said[0]
    assert "traced flat\n" not in said[1]
    kept = [line for line in said[0].splitlines() if line.startswith("{")]
    assert kept == [line for line in said[1].splitlines() if line.startswith("{")]


def test_all_of_an_evaluation_shares_its_programs(toy_run, tmp_path):
    figures = []
    for number, cache in enumerate(("off", tmp_path / "kept", tmp_path / "kept")):
        out = tmp_path / f"{number}.json"
        command = ("evaluate", toy_run, "--loss_windows=3", f"--out={out}")
        said = _said(*command, f"--compilation_cache={cache}")
        assert ("traced flat\n" in said) == (number == 1)
        found = json.loads(out.read_text())
        figures.append([found[name] for name in ("codes", "gap", "loss")])
    assert figures[0] == figures[1] == figures[2]
    # Of held-out text and, with fewer windows, of the loss.
    kept = [path.name for path in _files(tmp_path / "kept" / "traced")]
    for name in ("encode_layer_on_each", "refit_on_each"):
        assert sum(each.startswith(f"{name}-") for each in kept) == 1
