"""The row of the pass for examples."""

import numpy as np
import toy_runs

from benchmarks.saliency import examples_pass
from tfvis_jax.runs import trained_dictionary


def test_the_row_has_what_is_promised(toy_bert_folder, toy_corpus, tmp_path):
    settings = toy_runs.settings(toy_bert_folder, toy_corpus, windows_per_batch=64)
    opened, windows = toy_runs.open_run(tmp_path / "run", settings)
    factors = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
    trained = trained_dictionary.TrainedDictionary(
        factors=factors / np.linalg.norm(factors, axis=1, keepdims=True),
        layer_scale=np.float32([2, 5, 5]),
        layers=opened.layers,
        model=settings.model,
        l1_penalty=0.25,
    )
    row = examples_pass.measure(opened, trained, windows, n=10, num_batches=2)
    assert {"rows_per_s", "peak_memory_mb"} <= set(row)
    assert row["task"] == "examples" and row["batches"] == 2
    assert row["rows"] == 3 * int(windows.num_rows(np.arange(128)).sum())
    assert row["seconds"] > row["seconds_of_the_end"] > 0
    assert row["baseline_seconds"] > 0 and row["baseline_cpu_seconds"] > 0
