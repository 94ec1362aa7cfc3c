"""The comparison of solvers runs from end to end; its figures mean what they say."""

import json

import jax
import numpy as np
import pytest
import scripts

from benchmarks import problem
from benchmarks.solvers import candidates, competitor_processes, speed, timing
from tfvis_jax.sparse_coding import encode

PROMISED = {
    *("solver", "device", "dtype", "batch", "rows_per_s", "gap_mean", "gap_max"),
    *("steps_mean", "l0", "compile_s", "peak_memory_mb"),
}
SETTING = {"l1_penalty", "tolerance", "k", "mapping", "num_devices", "precision"}


def test_two_penalties_from_files_to_table_json_and_plot(
    problem_files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(competitor_processes, "_LIBRARIES", ("spams", "no_such"))
    out = tmp_path / "new" / "speed.json"
    scripts.run(
        speed,
        **problem_files,
        l1_penalty=["0.1", "0.2"],
        tolerances=["1e-3", "1e-2"],
        solvers=["ista", "auto"],
        rows=50,
        repeats=2,
        out=str(out),
    )
    printed, said = capsys.readouterr()
    assert "no_such is not installed" in said
    document = json.loads(out.read_text())
    assert document["hardware"]["cores"] >= 1
    assert document["versions"]["jax"] == jax.__version__
    assert document["problem"]["n_factors"] == 40
    for row in document["rows"]:
        assert set(row) == PROMISED | SETTING | {"error", "seconds"}
        assert len(row["seconds"]) == 2
        assert row["rows_per_s"] == pytest.approx(row["batch"] / min(row["seconds"]))
        if row["tolerance"] is not None:
            assert row["gap_mean"] <= row["gap_max"] <= row["tolerance"] * 1.01
            assert row["peak_memory_mb"] > 0
    first, second = (
        [row for row in document["rows"] if row["l1_penalty"] == value]
        for value in (0.1, 0.2)
    )
    assert len(first) == len(second)
    assert first[0]["l0"] > second[0]["l0"] > 0
    # ISTA at the loosest tolerance only; `auto` in every way, over one and all devices.
    assert [row["tolerance"] for row in first if row["solver"] == "ista"] == [1e-2]
    ways = {(r["mapping"], r["num_devices"]) for r in first if r["solver"] == "auto"}
    assert ways == {(name, n) for name in ("jit", "pmap", "shard_map") for n in (1, 8)}
    # Eight devices cannot share 50 rows equally.
    assert {row["batch"] for row in first if row["num_devices"] == 8} == {48}
    table = out.with_suffix(".md").read_text()
    assert printed == table
    assert table.count("| ista ") == 2
    assert "auto, pmap × 8" in table
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mapping", ["jit", "pmap", "shard_map"])
def test_mappings_give_the_same_codes(mapping, small_problem):
    rows, factors = small_problem
    x = rows[:16]
    program = candidates.compile_program(
        "spectral", batch=16, d_model=16, n_factors=40, mapping=mapping, num_devices=8
    )
    solved = program.candidate(x, factors, l1_penalty=0.1, tolerance=1e-4).solve()
    expected = encode(
        x, factors, l1_penalty=0.1, tolerance=1e-4, solver="spectral", max_steps=3000
    )
    # Devices stop together or alone, so that a row may take a block of steps more.
    np.testing.assert_allclose(solved.codes, expected.codes, atol=1e-2)
    assert solved.num_steps.shape == (16,)


def test_the_certificate_judges_what_a_candidate_returns(small_problem):
    x, factors = small_problem
    zeros = timing.TimedSolver(
        solver="nothing",
        batch=20,
        setting={},
        solve=lambda: timing.Solved(np.zeros((20, 40), np.float32), None, 0.5, None),
        device="cpu",
        step_flop=1e9,
    )
    (row,) = timing.measure(
        [zeros], x, factors, l1_penalty=0.1, repeats=3, progress=lambda text: None
    )
    assert row["l0"] == 0
    assert row["error"] == pytest.approx(1, rel=1e-5)
    assert row["gap_mean"] > 0.1
    assert row["rows_per_s"] == 40
    assert row["steps_mean"] is None
    assert "peak_fraction" not in row


def test_fraction_of_a_devices_peak(small_problem):
    x, factors = small_problem
    steps = np.full(20, 5, np.int32)
    dense = timing.TimedSolver(
        solver="dense",
        batch=20,
        setting={},
        solve=lambda: timing.Solved(np.zeros((20, 40), np.float32), steps, 0.5, 1.0),
        device="an accelerator",
        step_flop=2e9,
    )
    (row,) = timing.measure(
        [dense],
        x,
        factors,
        l1_penalty=0.1,
        repeats=1,
        progress=lambda text: None,
        peak_tflops=1.0,
    )
    # 20 rows of 5 steps of 2 GFLOP in half a second, of 1 TFLOP/s.
    assert row["peak_fraction"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"dictionary": None}, "--activations and --dictionary together"),
        ({"l1_penalty": None}, "Expected --l1_penalty or --target_l0"),
        ({"target_l0": ["500"]}, "Expected `target_l0` within reach"),
        ({"l1_penalty": ["0.1", "no"]}, "--l1_penalty as positive numbers"),
        ({"l1_penalty": ["-1"]}, "--l1_penalty as positive numbers"),
        ({"tolerances": ["nan"]}, "--tolerances as positive numbers"),
        ({"tolerances": []}, "--tolerances as positive numbers"),
        ({"solvers": ["newton"]}, "Expected --solvers of auto"),
        ({"out": None}, "Expected --out FILE.json"),
        ({"out": "speed.txt"}, "to end in .json"),
        ({"activations": "nowhere.npy"}, "nowhere.npy is not there"),
        ({"rows": 7}, "a row for each of 8 devices"),
    ],
)
def test_mistakes_are_answered_by_a_sentence(problem_files, tmp_path, changes, message):
    flags = {"out": str(tmp_path / "o.json"), "l1_penalty": ["0.1"], **problem_files}
    with pytest.raises(SystemExit) as stopped:
        scripts.run(speed, **flags | changes)
    assert message in str(stopped.value)
    assert str(stopped.value).startswith("speed: ")


def test_penalties_for_numbers_of_factors_in_use(small_problem):
    x, factors = small_problem
    small = problem.BenchmarkProblem(x=x, dictionary=factors, samples=x[:0], source="")
    speed.FLAGS(["speed", "--target_l0=3,6"])
    penalties = speed._penalties(small)
    for l1_penalty, l0 in zip(penalties, (3, 6), strict=True):
        codes = encode(x[:256], factors, l1_penalty=l1_penalty).codes
        # λ is sought on codes of a looser tolerance, to 1 %.
        assert np.mean(np.sum(codes != 0, axis=1)) == pytest.approx(l0, rel=0.1)


def test_without_a_run_the_way_to_one_is_shown(tmp_path):
    run = tmp_path / "runs" / "demo"
    with pytest.raises(SystemExit) as stopped:
        scripts.run(speed, run=str(run))
    assert f"`tfvis demo {run}` makes one" in str(stopped.value)
    # Nothing may lie in the way of the run that is made next.
    assert not run.exists()
