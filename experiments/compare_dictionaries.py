"""Compares dictionaries on the same hidden states: held-out error against L0.

    python -m experiments.compare_dictionaries --run runs/demo --out compare.json
    python -m experiments.compare_dictionaries --activations rows.npy \
        --n_factors 1024 --l0 16,32,64 --out compare.json
    python -m experiments.compare_dictionaries --run runs/demo --quick --out quick.json

Sparse coding, five kinds of sparse autoencoders, PCA, and dictionaries that learn
nothing get the same rows, equally often, and the same number of factors. With --run the
held-out rows are those of its held-out documents, the model's own loss under each
reconstruction is measured too, and so is sparse coding of the same text's hidden states
in a model with random weights. JSON, a Markdown table and a plot are written after
every row: what was stopped goes on where it was, when the same command is given again.
"""

import dataclasses
import itertools
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from absl import app, flags

from experiments import comparison_data, comparison_output, script
from tfvis_jax import files
from tfvis_jax.comparison import methods as methods_lib
from tfvis_jax.comparison import train_sae
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs

# Sparse coding of an untrained model's hidden states.
_RANDOM_ENCODER = "random_encoder"

_RUN = flags.DEFINE_string("run", None, "Finished run whose hidden states are used.")
_ACTIVATIONS = flags.DEFINE_string(
    "activations",
    None,
    "Rows of your own instead of a run's: a .npy file of [rows, d_model], not the "
    "folder that `tfvis activations` writes.",
)
_HELD_OUT = flags.DEFINE_string(
    "held_out", None, "Rows to measure on; by default the last tenth of --activations."
)
_ROWS = flags.DEFINE_integer("rows", 60_000, "Rows to learn from.", lower_bound=2)
_LAYER = flags.DEFINE_integer("layer", None, "Of the run; all by default.")
_N_FACTORS = flags.DEFINE_integer("n_factors", 1024, "In each dictionary.")
_L0 = flags.DEFINE_list("l0", ["16", "32", "64"], "Mean numbers of active factors.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Every method is trained with each.")
_PASSES = flags.DEFINE_integer("passes", 10, "Times that each row is learnt from.")
_METHODS = flags.DEFINE_list(
    "methods",
    None,
    f"What to compare: {', '.join(methods_lib.METHODS)}, or {_RANDOM_ENCODER}, which "
    "needs --run; all by default.",
)
_RATES = flags.DEFINE_list(
    "learning_rates", [str(r) for r in train_sae.LEARNING_RATES], "Of autoencoders."
)
_LOSS_WINDOWS = flags.DEFINE_integer(
    "loss_windows", 64, "Windows to measure the model's loss on; 0 leaves it out."
)
_QUICK = flags.DEFINE_bool(
    "quick", False, "A small comparison, some minutes: other flags keep their values."
)
_OUT = flags.DEFINE_string("out", None, "JSON file to write.", required=True)

_SMALL = {
    "rows": 8192,
    "n_factors": 256,
    "l0": ["8", "16"],
    "passes": 3,
    "learning_rates": ["3e-3"],
    "loss_windows": 16,
}


@script.main
def main() -> None:
    """Fits, measures, prints a table, writes JSON, Markdown and a plot."""
    document = _compare(pathlib.Path(_OUT.value))
    text = comparison_output.table(document)
    print(text)
    outputs.write(pathlib.Path(_OUT.value), document, text, draw=comparison_output.draw)


def _compare(out: pathlib.Path) -> dict[str, Any]:
    if out.suffix != ".json":
        raise InputError(f"Expected --out to end in .json, got {out}.")
    methods = _METHODS.value or [
        *methods_lib.METHODS,
        *([_RANDOM_ENCODER] if _RUN.value else []),
    ]
    if _RANDOM_ENCODER in methods and not _RUN.value:
        raise InputError(f"Expected --run with {_RANDOM_ENCODER}: it needs a model.")
    fitted = tuple(name for name in methods if name != _RANDOM_ENCODER)
    config = methods_lib.ComparisonConfig(
        # An untrained model's hidden states are fitted by sparse coding.
        methods=fitted or ("sparse_coding",),
        n_factors=_setting(_N_FACTORS),
        target_l0=_numbers("l0", _setting(_L0), int),
        seeds=_numbers("seeds", _SEEDS.value, int),
        num_passes=_setting(_PASSES),
        learning_rates=_numbers("learning_rates", _setting(_RATES), float),
    )
    data = _load()
    document = environment.describe("experiments.compare_dictionaries") | {
        "source": data.source,
        "config": dataclasses.asdict(config),
        "n_rows": len(data.x),
        "n_held_out_rows": len(data.held_out),
        "loss_windows": _setting(_LOSS_WINDOWS) if data.loss else None,
        "rows": [],
    }
    document["rows"] = _rows_there(out, document)
    wanted = itertools.product(methods, config.target_l0, config.seeds)
    total = len(set(wanted) - {_key(row) for row in document["rows"]})
    start = time.monotonic()
    rows = _measured(data, config, methods, done=document["rows"])
    for done, row in enumerate(rows, start=1):
        document["rows"] = [
            other for other in document["rows"] if _key(other) != _key(row)
        ] + [row]
        spent = time.monotonic() - start
        left = max(0, spent / done * (total - done))
        outputs.say(
            f"  FVU {row['fvu']:.4f} at L0 {row['l0']:.1f}, {row['alive']:.1%} alive, "
            f"{row['seconds']:.0f} s. {done} of {total} rows after "
            f"{spent / 60:.1f} minutes, perhaps {left / 60:.0f} to go"
        )
        text = comparison_output.table(document)
        outputs.write(out, document, text, draw=comparison_output.draw, announce=False)
    return document


def _measured(data, config, methods, *, done) -> Iterator[dict[str, Any]]:
    """Yields rows of the table."""
    if set(methods) == {_RANDOM_ENCODER}:
        candidates = iter(())
    else:
        candidates = methods_lib.candidates(
            data.x, config, done=done, progress=outputs.say
        )
    for candidate in candidates:
        row = methods_lib.measure(candidate, data.held_out)
        found = data.loss(candidate) if data.loss else None
        row["loss_recovered"] = found and _plain(found.all)
        row["loss_recovered_per_layer"] = found and [
            _plain(share) for share in found.per_layer
        ]
        yield row
    if _RANDOM_ENCODER not in methods:
        return
    there = [
        row | {"method": "sparse_coding"}
        for row in done
        if row["method"] == _RANDOM_ENCODER
    ]
    config = dataclasses.replace(config, methods=("sparse_coding",))
    untrained = _load(untrained=True)
    for candidate in methods_lib.candidates(
        untrained.x,
        config,
        done=there,
        progress=lambda what: outputs.say(f"untrained model: {what}"),
    ):
        yield methods_lib.measure(candidate, untrained.held_out) | {
            "method": _RANDOM_ENCODER,
            "loss_recovered": None,
            "loss_recovered_per_layer": None,
        }


def _rows_there(out: pathlib.Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of a comparison that was stopped."""
    if not out.is_file():
        return []
    older = files.read_json(out)
    if _settings(older) != _settings(document):
        raise InputError(
            f"{out} holds a comparison of other rows or settings; name another --out, "
            "or remove it."
        )
    outputs.say(f"{len(older['rows'])} rows are in {out} already")
    return older["rows"]


def _settings(document):
    """What decides a row of the table; others may have been asked for with it."""
    names = ("source", "n_rows", "n_held_out_rows", "loss_windows")
    config = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in document.get("config", {}).items()
        if name not in ("methods", "seeds")
    }
    return [document.get(name) for name in names], config


def _key(row):
    return row["method"], row["target_l0"], row["seed"]


def _setting(flag: flags.FlagHolder) -> Any:
    """Returns the value given, or that of a quick comparison, or the default."""
    if _QUICK.value and flags.FLAGS[flag.name].using_default_value:
        return _SMALL[flag.name]
    return flag.value


def _load(**changes: bool) -> comparison_data.Data:
    if (_RUN.value is None) == (_ACTIVATIONS.value is None):
        raise InputError("Expected either --run or --activations.")
    if _RUN.value is None:
        return comparison_data.from_files(
            _ACTIVATIONS.value, _HELD_OUT.value, num_rows=_setting(_ROWS)
        )
    return comparison_data.from_run(
        pathlib.Path(_RUN.value),
        num_rows=_setting(_ROWS),
        layer=_LAYER.value,
        loss_windows=_setting(_LOSS_WINDOWS),
        **changes,
    )


def _numbers(name: str, texts: list[str], kind: type) -> tuple:
    try:
        return tuple(kind(text) for text in texts)
    except ValueError as error:
        raise InputError(f"Expected --{name} as numbers, got {texts}.") from error


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value != value else value


if __name__ == "__main__":
    app.run(main)
