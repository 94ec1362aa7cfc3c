"""The cost curves and warm starts run from end to end; λ is found for an L0."""

import json

import pytest
import scripts

from benchmarks.solvers import curves, scaling, warm_start
from tfvis_jax import errors


@pytest.fixture
def small_flags(problem_files, tmp_path):
    return {
        **problem_files,
        "out": str(tmp_path / "scaling.json"),
        "solvers": ["spectral"],
        "batches": ["16", "32"],
        "factors": ["80"],
        "factor_rows": 16,
        "l0": 4.0,
        "warm_l0": ["3"],
        "rows_per_step": 20,
        "repeats": 1,
    }


def test_curves_and_warm_starts_from_files_to_plot(small_flags, tmp_path, capsys):
    scripts.run(scaling, **small_flags)
    document = json.loads((tmp_path / "scaling.json").read_text())
    rows, factors = document["rows_curve"], document["factors_curve"]
    assert [row["batch"] for row in rows] == [16, 32]
    assert [row["n_factors"] for row in factors] == [80]
    for row in rows + factors:
        assert row["gap_max"] <= curves.TOLERANCE * 1.01
        # λ was found on these very rows where all of them fit.
        assert row["l0"] == pytest.approx(4, rel=0.4)
        assert 2 < row["codes_per_row"] < 40
    # One after another: long steps and short ones, each at two tolerances.
    warm = document["warm_start"]
    assert [(row["step_size"], row["tolerance"]) for row in warm] == [
        (pytest.approx(size), tolerance)
        for size in (0.2, 0.02)
        for tolerance in (1e-3, 1e-4)
    ]
    for row in warm:
        assert 0 < row["steps_warm"] < row["steps_cold"]
        assert row["steps_ratio"] == row["steps_warm"] / row["steps_cold"]
        assert row["gap_warm"] <= row["tolerance"]
    # The dictionary moves more in a long step.
    assert warm[0]["moved"] > warm[2]["moved"] > 0
    table = (tmp_path / "scaling.md").read_text()
    assert capsys.readouterr().out == table
    # A power needs more than one size.
    assert table.count("Time grows with the power: spectral") == 1
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batches": ["16", "1000"]}, "--batches between 2 and the 400 rows"),
        ({"batches": ["1"]}, "--batches between 2"),
        ({"batches": ["1.5"]}, "--batches as positive numbers"),
        ({"l0": 100.0}, "Expected `target_l0` within reach"),
        ({"factors": ["500"]}, "Expected 500 rows to make factors of"),
        ({"solvers": ["newton"]}, "Expected --solvers of auto"),
    ],
)
def test_mistakes_are_answered_by_a_sentence(small_flags, changes, message):
    with pytest.raises(SystemExit) as stopped:
        scripts.run(scaling, **small_flags | changes)
    assert message in str(stopped.value)


def test_too_few_rows_to_train_on(small_problem):
    rows, factors = small_problem
    with pytest.raises(errors.InputError, match="Expected 1100 rows to train on"):
        warm_start.measure(
            rows,
            factors,
            solvers=["spectral"],
            l0s=[3],
            rows_per_step=100,
            repeats=1,
            progress=lambda text: None,
        )
