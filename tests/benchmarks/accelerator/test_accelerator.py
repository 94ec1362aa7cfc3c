"""The script for accelerators: all of it on a CPU, what it needs, what stops it."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import scripts

from benchmarks.accelerator import __main__ as accelerator
from benchmarks.accelerator import ledger, oracle, report, tasks, trace

ROOT = pathlib.Path(__file__).parents[3]
# What a machine has with jax, flax, optax and numpy, and what those depend on.
_BARE = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = (
    lambda name, *rest: None if name in {missing} else found(name, *rest)
)
import benchmarks.accelerator.__main__
"""


def test_all_is_measured_with_small_sizes(tmp_path, capsys):
    scripts.run(accelerator, small=True, out=tmp_path)
    document = json.loads((tmp_path / "accelerator.json").read_text())
    rows = document["rows"]
    assert [row["status"] for row in rows] == ["ok"] * len(rows)
    # A CPU has no products in parts.
    assert {row["group"] for row in rows} == set(report._TABLES) - {tasks.SPLIT}
    assert not document["left_out"]
    compared = [row for row in rows if row["group"] == tasks.PARITY]
    assert all(row["passed"] and 0 <= row["error"] <= row["limit"] for row in compared)
    # Factors fire, so that the codes that are compared are not zeros.
    assert all(row["l0"] > 1 for row in compared if "l0" in row)
    printed = capsys.readouterr().out
    assert (tmp_path / "accelerator.md").read_text() == printed
    assert printed.count("passed") == len(compared) and "FAILED" not in printed
    assert (tmp_path / "trace.xplane.pb").stat().st_size > 0
    (traced,) = [row for row in rows if row["group"] == tasks.TRACE]
    assert (
        traced["operations"] and sum(o["share"] for o in traced["operations"]) <= 1.001
    )
    assert 0 < traced["busy_s"] <= traced["span_s"]


def test_it_starts_where_little_is_installed():
    missing = {
        *("jaxtyping", "safetensors", "transformers", "tokenizers", "msgspec", "grain"),
        *("torch", "sklearn", "matplotlib", "starlette", "huggingface_hub"),
        *("mwparserfromhell", "zstandard", "rjsmin", "rcssmin"),
    }
    program = _BARE.format(missing=missing)
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr


def test_a_cpu_is_refused_without_small(tmp_path):
    with pytest.raises(SystemExit, match="Expected an accelerator"):
        scripts.run(accelerator, out=tmp_path)


def test_time_without_operations_is_not_busy():
    def operation(start, end):
        return trace.Operation("name", "module", start, end)

    # Two that overlap, one within another, and a wait of five.
    found = [operation(20, 25), operation(3, 10), operation(8, 15), operation(4, 5)]
    assert trace.busy_and_span(found) == (17, 22)


def _ledger(tmp_path, **changes):
    document = {
        "hardware": {"device": "cpu", "num_devices": 1},
        "versions": {"jax": "0"},
        "sizes": "small",
    }
    return ledger.Ledger(
        tmp_path / "a.json", document | changes, render=lambda document: "text"
    )


def _task(name, measure):
    return tasks.Task(tasks.STEPS, {"name": name}, measure)


def _fail(message):
    raise RuntimeError(message)


def test_a_fault_is_a_row_and_not_the_end(tmp_path):
    book = _ledger(tmp_path)
    book.run(
        [
            _task("large", lambda: _fail("RESOURCE_EXHAUSTED: Out of memory")),
            _task("broken", lambda: _fail("no such kernel")),
            _task("good", lambda: {"value": 3}),
        ],
        seconds=100,
    )
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [row["status"] for row in rows] == [
        "out of memory",
        "RuntimeError: no such kernel",
        "ok",
    ]
    assert book.failures() == ["steps, a row: RuntimeError: no such kernel"]


def test_rows_are_on_disk_when_it_is_interrupted_and_kept_by_the_next(tmp_path):
    calls = []

    def count():
        calls.append(1)
        return {"value": len(calls)}

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _ledger(tmp_path).run([_task("a", count), _task("b", stop)], seconds=100)
    assert [
        r["name"] for r in json.loads((tmp_path / "a.json").read_text())["rows"]
    ] == ["a"]
    book = _ledger(tmp_path)
    book.run([_task("a", count), _task("b", count)], seconds=100)
    assert [row["value"] for row in book.document["rows"]] == [1, 2]
    with pytest.raises(Exception, match="other versions"):
        _ledger(tmp_path, versions={"jax": "1"})


def test_what_there_is_no_time_for_is_named(tmp_path):
    book = _ledger(tmp_path)
    book.run([_task("a", lambda: {})], seconds=0)
    assert book.document["rows"] == [] and book.document["left_out"] == ["steps: a"]


def test_the_oracle_solves_what_can_be_solved_by_hand():
    rng = np.random.default_rng(0)
    # Orthonormal factors: codes are the shrunk correlations.
    dictionary = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    x = rng.normal(size=(5, 6))
    found = oracle.solve(x, dictionary, penalty=0.3, start=np.zeros((5, 6)))
    np.testing.assert_allclose(
        found.codes, np.maximum(x @ dictionary.T - 0.3, 0), atol=1e-12
    )
    assert np.all(np.abs(found.gap) < 1e-9)
