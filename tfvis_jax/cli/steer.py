"""`tfvis steer`: what a factor does to a text once it is added or taken out."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import rich.box
import rich.table
import rich.text
from absl import flags

from tfvis_jax import pipeline, sites
from tfvis_jax.cli import command, devices, run_argument, shared_flags, terminal
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.notebook import steered
from tfvis_jax.pipeline import progress as progress_lib

FLAGS = command.new_flags(compiles=True)
_FACTOR = shared_flags.factor(FLAGS)
_LAYER = shared_flags.layer(FLAGS, "Layer at which it is changed")
_BY = flags.DEFINE_float(
    "by",
    None,
    "Added to the factor's activation α at every token that is changed.",
    flag_values=FLAGS,
)
_ABLATE = flags.DEFINE_bool(
    "ablate", False, "Take the factor out instead.", flag_values=FLAGS
)
_TOKENS = flags.DEFINE_list(
    "tokens",
    [],
    "What is changed: words of the text, or numbers of tokens from 0. (default: all)",
    flag_values=FLAGS,
)
_MASK = flags.DEFINE_list(
    "mask",
    [],
    "Words or numbers of tokens that are hidden, so that a masked language model "
    "predicts them.",
    flag_values=FLAGS,
)
_BESIDE = flags.DEFINE_multi_string(
    "beside",
    [],
    "A sentence to compare the text's embedding with, for a model without a language "
    "model head; may be repeated.",
    flag_values=FLAGS,
)
_CONTROLS = flags.DEFINE_integer(
    "controls",
    20,
    "Other factors that are changed as much, for comparison.",
    lower_bound=0,
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the other factors.", lower_bound=0, flag_values=FLAGS
)
_JSON = shared_flags.json(FLAGS, "Print JSON.")


def main(arguments: Sequence[str]) -> None:
    """Prints predictions, or similarities, before and after."""
    if len(arguments) != 2:
        raise command.UsageError(
            f"Expected RUN and one text in quotes, got {len(arguments)} arguments."
        )
    if _FACTOR.value is None:
        raise command.UsageError("Expected --factor=NUMBER.")
    if (_BY.value is None) != _ABLATE.value:
        raise command.UsageError("Expected either --by=AMOUNT or --ablate.")
    run = run_lib.load_run(run_argument.folder(arguments[0]))
    run.check_factor(_FACTOR.value)
    layer = run.peak_layer(_FACTOR.value) if _LAYER.value is None else _LAYER.value
    devices.use_all_cores()
    with pipeline.bars() as progress:
        stages = progress_lib.Stages(progress)
        with stages.stage("model"):
            _ = run.opened
        with stages.stage("sentence"):
            found = run.steer(
                arguments[1],
                factor=_FACTOR.value,
                layer=layer,
                by=_BY.value,
                ablate=_ABLATE.value,
                tokens=_places(_TOKENS.value) or None,
                masked=_places(_MASK.value),
                beside=_BESIDE.value,
                n_controls=_CONTROLS.value,
                seed=_SEED.value,
            )
    if _JSON.value:
        print(json.dumps(_as_json(found), ensure_ascii=False))
        return
    name = "" if run.unnamed else run.name(found.factor)
    console = terminal.console()
    rows = sites.WORDS[run.trained.site]
    for line in _report(found, terminal.printable(name), rows=rows):
        console.print(line)


def _places(given: Sequence[str]) -> list[int | str]:
    return [int(each) if each.isdecimal() else each for each in given]


def _report(found: steered.SteeredText, name: str, *, rows: str) -> list[Any]:
    what = "taken out of" if not (found.added > 0).any() else "added to"
    title = f"Φ{found.factor}{f' “{name}”' if name else ''} {what} layer {found.layer}"
    heads, lines = found.rows()
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number == 0 else "right")
    for line in lines:
        table.add_row(*(rich.text.Text(terminal.printable(cell)) for cell in line))
    moved = found.relative_size[found.added != 0]
    notes = [
        f"{len(moved)} of {len(found.tokens)} tokens were moved, by {moved.mean():.1%} "
        f"of their {rows} on average."
    ]
    if len(found.controls):
        effect, others = found.effects()
        less = float(np.mean(others < effect))
        notes.append(
            f"The column of other factors is for comparison: {len(found.controls)}, "
            "drawn at random, moved the same tokens as far. This factor changed more "
            f"than {less:.0%} of them."
        )
    return [
        rich.text.Text(title, style="bold"),
        table,
        *map(rich.text.Text, notes),
    ]


def _as_json(found: steered.SteeredText) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.tolist()
        if dataclasses.is_dataclass(value):
            return {name: plain(each) for name, each in vars(value).items()}
        return value

    return plain(found)


COMMAND = command.Command(
    name="steer",
    usage='RUN "A TEXT" --factor=N (--by=AMOUNT | --ablate) [--layer=L] …',
    description=(
        "Adds a factor to the hidden states of a text, or takes it out, and lets the "
        "layers above run on. With a language model head: the most probable words at "
        "each token before and after, and how far the prediction moved (KL divergence "
        "in nats). Without: cosines of the text's embedding with the text as it was "
        "and with other sentences. Beside them stand other factors, drawn at random, "
        "that move each token as far."
    ),
    flags=FLAGS,
    run=main,
)
