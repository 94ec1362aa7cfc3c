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
every row: the same command resumes what was stopped.
"""

import functools
import pathlib
from typing import Any

from absl import flags

from experiments import script
from tfvis_jax.comparison import compare, data, methods, report, train_sae
from tfvis_jax.errors import InputError
from tfvis_jax.interop import foreign, saelens
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "Finished run whose hidden states are used.", flag_values=FLAGS
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
_ROWS = flags.DEFINE_integer(
    "rows", 60_000, "Rows to learn from.", lower_bound=2, flag_values=FLAGS
)
_LAYER = flags.DEFINE_integer(
    "layer", None, "Layer of the run; all by default.", flag_values=FLAGS
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors", 1024, "Factors in each dictionary.", flag_values=FLAGS
)
_L0 = flags.DEFINE_list(
    "l0", ["16", "32", "64"], "Mean numbers of active factors.", flag_values=FLAGS
)
_SEEDS = flags.DEFINE_list(
    "seeds",
    ["0"],
    "Random seeds; every method is trained with each.",
    flag_values=FLAGS,
)
_PASSES = flags.DEFINE_integer("passes", 10, "Passes over the rows.", flag_values=FLAGS)
_METHODS = flags.DEFINE_list(
    "methods",
    None,
    f"Methods: {', '.join(methods.METHODS)}, or {methods.RANDOM_ENCODER}, "
    "which needs --run; all by default.",
    flag_values=FLAGS,
)
_RATES = flags.DEFINE_list(
    "learning_rates",
    [str(rate) for rate in train_sae.LEARNING_RATES],
    "Learning rates to try for autoencoders.",
    flag_values=FLAGS,
)
_LOSS_WINDOWS = flags.DEFINE_integer(
    "loss_windows",
    64,
    "Windows to measure the model's loss on; 0 leaves it out.",
    flag_values=FLAGS,
)
_SAELENS = flags.DEFINE_list(
    "saelens",
    [],
    "Folders of sparse autoencoders of SAELens, to measure beside the others as they "
    "are; they need --run, and decide --layer.",
    flag_values=FLAGS,
)
_QUICK = flags.DEFINE_bool(
    "quick",
    False,
    "A small comparison, some minutes: other flags keep their values.",
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)

_SMALL = {
    "rows": 8192,
    "n_factors": 256,
    "l0": ["8", "16"],
    "passes": 3,
    "learning_rates": ["3e-3"],
    "loss_windows": 16,
}


def main() -> None:
    """Fits, measures, prints a table, writes JSON, Markdown and a plot."""
    out = pathlib.Path(_OUT.value)
    every = (*methods.METHODS, *([methods.RANDOM_ENCODER] if _RUN.value else []))
    config = methods.ComparisonConfig(
        methods=every if _METHODS.value is None else tuple(_METHODS.value),
        n_factors=_setting(_N_FACTORS),
        target_l0=script.numbers("l0", _setting(_L0), int),
        seeds=script.numbers("seeds", _SEEDS.value, int),
        num_passes=_setting(_PASSES),
        learning_rates=script.numbers("learning_rates", _setting(_RATES)),
    )
    imported = {
        pathlib.Path(name).resolve().name: saelens.read(name) for name in _SAELENS.value
    }
    load = functools.partial(_load, layer=_layer(imported))
    document = compare.compare(
        load(),
        config,
        out=out,
        header=environment.describe("experiments.compare_dictionaries"),
        untrained=functools.partial(load, untrained=True) if _RUN.value else None,
        imported=imported,
        progress=outputs.say,
    )
    text = report.table(document)
    print(text)
    outputs.write(out, document, text, draw=report.draw)


def _setting(flag: flags.FlagHolder) -> Any:
    """Returns the value given, or that of a quick comparison, or the default."""
    if _QUICK.value and FLAGS[flag.name].using_default_value:
        return _SMALL[flag.name]
    return flag.value


def _layer(imported: dict[str, foreign.ForeignEncoder]) -> int | None:
    """Returns the layer whose rows are compared; all of the run if None."""
    if len(imported) < len(_SAELENS.value):
        raise InputError("Expected folders of different names in --saelens.")
    places = (read.place for read in imported.values())
    known = {place.layer for place in places if place is not None}
    if _LAYER.value is not None:
        known.add(_LAYER.value)
    if len(known) > 1:
        raise InputError(
            f"Expected autoencoders of one layer, that of --layer, got {sorted(known)}."
        )
    return next(iter(known), None)


def _load(*, layer: int | None, untrained: bool = False) -> data.Data:
    if (_RUN.value is None) == (_ACTIVATIONS.value is None):
        raise InputError("Expected either --run or --activations.")
    if _ACTIVATIONS.value is not None:
        return data.from_files(
            _ACTIVATIONS.value, _HELD_OUT.value, num_rows=_setting(_ROWS)
        )
    return data.from_run(
        pathlib.Path(_RUN.value or ""),
        num_rows=_setting(_ROWS),
        layer=layer,
        loss_windows=_setting(_LOSS_WINDOWS),
        untrained=untrained,
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
