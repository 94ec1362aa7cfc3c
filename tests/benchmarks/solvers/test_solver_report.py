"""Tables say what the JSON says."""

from benchmarks.solvers import report

HARDWARE = {
    "cpu": "A CPU",
    "cores": 2,
    "load_average": 0.1,
    "device": "cpu",
    "num_devices": 2,
}


def _row(solver, rows_per_s, gap, **changes):
    row = {
        "solver": solver,
        "batch": 100,
        "rows_per_s": rows_per_s,
        "seconds": [100 / rows_per_s, 200 / rows_per_s],
        "gap_mean": gap,
        "gap_max": 10 * gap,
        "steps_mean": None,
        "l0": 30.0,
        "error": 0.25,
        "compile_s": 0.0,
        "peak_memory_mb": None,
        "l1_penalty": 0.1,
        "tolerance": None,
        "k": None,
        "mapping": None,
        "num_devices": None,
        "precision": None,
    }
    return row | changes


def _ours(solver, rows_per_s, gap, **changes):
    ours = {"mapping": "jit", "num_devices": 1, "tolerance": gap, "compile_s": 1.0}
    return _row(solver, rows_per_s, gap, **ours | changes)


def _document(rows, **hardware):
    return {
        "date": "2026-01-02T03:04:05+00:00",
        "hardware": HARDWARE | hardware,
        "versions": {"jax": "1.2", "torch": None},
        "problem": {"source": "rows", "d_model": 8, "n_factors": 2048},
        "rows": rows,
    }


def test_ratios_count_at_the_same_gap():
    document = _document(
        [
            _ours("spectral", 9000, 1e-3),
            _ours("spectral", 800, 1e-5),
            _ours("auto", 1200, 2e-5, mapping="shard_map", num_devices=2),
            _ours("omp", 5000, 1e-6, k=30),
            _row("published, torch, 500 steps", 200, 1e-4),
            _row("published, torch, 1000 steps", 100, 1e-5),
            _row("SPAMS lasso (LARS)", 400, 1e-3),
            _row("scikit-learn lasso_lars", 20, 1e-6),
            _row("scikit-learn lasso_cd", 50, 1e-4),
        ]
    )
    lines = report.results(document).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:4] == ["2026-01-02", "2 cores of A CPU", "jax 1.2", "8 × 2,048"]
    assert cells[6] == "auto, shard_map × 2, tolerance 2e-05"
    assert cells[7:] == ["1,200", "2e-05 / 2e-04", "12.0", "3.0", "24.0"]


def test_a_column_for_an_accelerator_only_where_there_is_one():
    cpu = _document([_ours("spectral", 1000, 1e-5)])
    assert "bf16" not in report.speed(cpu)
    gpu = _document(
        [_ours("spectral", 1000, 1e-5, peak_fraction=0.41), _row("SPAMS", 1, 1e-5)],
        device="A GPU",
        num_devices=4,
    )
    text = report.speed(gpu)
    assert "of bf16 peak" in text and "41%" in text
    assert "4 × A GPU, 2 cores of A CPU" in text


def test_slowest_run_and_unknown_values():
    text = report.speed(_document([_row("SPAMS", 1000, 1e-5)]))
    line = next(line for line in text.splitlines() if line.startswith("| SPAMS"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        *("SPAMS", "–", "1,000", "500", "1e-05 / 1e-04", "–", "30.0", "0.250"),
        *("–", "–"),
    ]
