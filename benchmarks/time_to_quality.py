"""Measures how soon a dictionary is good: held-out error against time of learning.

    tfvis demo runs/demo
    python -m benchmarks.time_to_quality --layer=4
    python -m benchmarks.time_to_quality --activations=rows.npy --out=quality.json

Sparse coding and sparse autoencoders learn from the same rows, each from the beginning
for every number of rows seen, so that the schedule of its steps fits that number. Then
each is calibrated to the same L0 and measured on rows held out, as in
`experiments.compare_dictionaries`. Time is that of learning alone: first factors, first
λ and all steps, in processor seconds (of all threads) and on the clock. Compilation
and calibration are timed apart. An autoencoder has the best of its learning rates, and
the time of that one training.
"""

import dataclasses
import pathlib
from typing import Any

from absl import flags

from benchmarks import inputs
from benchmarks.dictionaries import quality_curves, quality_report
from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax.comparison import data, sparse_coding
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run",
    "runs/demo",
    "Finished run whose hidden states are used.",
    flag_values=FLAGS,
)
_ACTIVATIONS = flags.DEFINE_string(
    "activations",
    None,
    "Rows of your own instead of a run's: a .npy file of [rows, d_model], not the "
    "folder that `tfvis hidden_states` writes.",
    flag_values=FLAGS,
)
_HELD_OUT = flags.DEFINE_string(
    "held_out",
    None,
    "Rows to measure on; by default the last tenth of --activations.",
    flag_values=FLAGS,
)
_HELD_OUT_ROWS = flags.DEFINE_integer(
    "held_out_rows", 4096, "Rows to measure on.", lower_bound=2, flag_values=FLAGS
)
_LAYER = flags.DEFINE_integer(
    "layer", None, "Layer of the run; all by default.", flag_values=FLAGS
)
_ROWS = flags.DEFINE_integer(
    "rows", 60_000, "Rows to learn from.", lower_bound=2, flag_values=FLAGS
)
_ROWS_SEEN = flags.DEFINE_list(
    "rows_seen",
    ["7500", "15000", "30000", "60000", "120000", "300000"],
    "How many rows all steps of a training see; more than --rows are several passes, "
    "rounded down.",
    flag_values=FLAGS,
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors", 1024, "Factors in each dictionary.", flag_values=FLAGS
)
_L0 = flags.DEFINE_integer(
    "l0", 32, "Mean number of active factors to compare at.", flag_values=FLAGS
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Random seeds.", flag_values=FLAGS)
_METHODS = flags.DEFINE_list(
    "methods",
    list(quality_curves.DEFAULT),
    f"What learns, of {', '.join(quality_curves.METHODS)}.",
    flag_values=FLAGS,
)
_RATES = flags.DEFINE_list(
    "learning_rates",
    ["3e-3"],
    "Learning rates to try for autoencoders.",
    flag_values=FLAGS,
)
_UPDATE = flags.DEFINE_enum(
    "update",
    sparse_coding.Learning.update,
    config_lib.UPDATES,
    "Direction of sparse coding's dictionary step.",
    flag_values=FLAGS,
)
_STEP_SIZE = flags.DEFINE_float(
    "step_size",
    sparse_coding.Learning.step_size,
    "Size of that step at first; it falls to a tenth.",
    lower_bound=1e-9,
    flag_values=FLAGS,
)
_ROWS_PER_STEP = flags.DEFINE_integer(
    "rows_per_step",
    sparse_coding.Learning.rows_per_step,
    "Rows of that step.",
    lower_bound=1,
    flag_values=FLAGS,
)
_TOLERANCE = flags.DEFINE_float(
    "tolerance",
    sparse_coding.Learning.tolerance,
    "Duality gap of the codes of a step.",
    lower_bound=1e-6,
    upper_bound=0.5,
    flag_values=FLAGS,
)
_SURPLUS = flags.DEFINE_integer(
    "surplus",
    sparse_coding.Learning.surplus,
    "How many more factors than --l0 the codes of a step have.",
    lower_bound=0,
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out",
    None,
    "JSON to write, with the table (.md) and the plot (.png) beside it; by default in "
    "the folder `benchmarks` of the run.",
    flag_values=FLAGS,
)


def main() -> None:
    """Learns, measures, prints a table, writes JSON, Markdown and a plot."""
    out = _out_path()
    config = quality_curves.CurveConfig(
        methods=tuple(_METHODS.value),
        rows_seen=tuple(inputs.numbers("rows_seen", _ROWS_SEEN.value, kind=int)),
        seeds=script.numbers("seeds", _SEEDS.value, int),
        learning_rates=tuple(inputs.numbers("learning_rates", _RATES.value)),
        n_factors=_N_FACTORS.value,
        target_l0=_L0.value,
        learning=sparse_coding.Learning(
            update=_UPDATE.value,
            step_size=_STEP_SIZE.value,
            rows_per_step=_ROWS_PER_STEP.value,
            tolerance=_TOLERANCE.value,
            surplus=_SURPLUS.value,
        ),
    )
    rows = _load()
    held_out = rows.held_out[: _HELD_OUT_ROWS.value]
    document: dict[str, Any] = environment.describe("benchmarks.time_to_quality") | {
        "problem": {
            "source": rows.source,
            "d_model": rows.x.shape[1],
            "n_factors": config.n_factors,
            "n_rows": len(rows.x),
            "n_held_out_rows": len(held_out),
            "target_l0": config.target_l0,
            "learning_rates": list(config.learning_rates),
            "learning": dataclasses.asdict(config.learning),
        },
        "rows": [],
    }
    text = ""
    for row in quality_curves.rows(rows.x, held_out, config, progress=outputs.say):
        document["rows"].append(row)
        document["summary"] = quality_report.summary(document["rows"])
        # Written as it grows: what is there is kept where the rest is stopped.
        text = quality_report.table(document)
        outputs.write(out, document, text, draw=quality_report.draw, announce=False)
    print(text)
    outputs.write(out, document, text, draw=quality_report.draw)


def _out_path() -> pathlib.Path:
    if _OUT.value is None and _ACTIVATIONS.value is not None:
        raise InputError("Expected --out FILE.json with --activations.")
    folder = pathlib.Path(_RUN.value) / "benchmarks"
    path = pathlib.Path(_OUT.value or folder / "time_to_quality.json")
    if path.suffix != ".json":
        raise InputError(f"Expected --out to end in .json, got {path}.")
    return path


def _load() -> Any:
    if _ACTIVATIONS.value is not None:
        return data.from_files(
            _ACTIVATIONS.value, _HELD_OUT.value, num_rows=_ROWS.value
        )
    return data.from_run(
        pathlib.Path(_RUN.value), num_rows=_ROWS.value, layer=_LAYER.value
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
