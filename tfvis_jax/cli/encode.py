"""`tfvis encode`: a sentence of your own as sums of factors."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import rich.text
from absl import flags
from rich import cells

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, shared_flags, terminal
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.notebook import sentence
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.report import encoder_words

_LONGEST_NAME = 40
_WORDS = 8
# Lines for a sentence whose layers are not chosen: a screen or two.
_LINES = 60
# Of each layer: its number and the heads of the columns.
_HEAD = 2

FLAGS = command.new_flags(compiles=True)
_TOP = flags.DEFINE_integer(
    "top", 5, "Factors shown for each token.", lower_bound=1, flag_values=FLAGS
)
_LAYERS = flags.DEFINE_list(
    "layers",
    [],
    "Layers to show, such as 0,4. (default: as many as fit)",
    flag_values=FLAGS,
)
flags.DEFINE_alias("layer", "layers", flag_values=FLAGS)
_JSON = shared_flags.json(FLAGS, "Print JSON with every active factor.")


def main(arguments: Sequence[str]) -> None:
    """Prints the factors of every token of a sentence, layer by layer."""
    if len(arguments) != 2:
        raise command.UsageError(
            f"Expected RUN and one sentence in quotes, got {len(arguments)} arguments."
        )
    run = run_lib.load_run(run_argument.folder(arguments[0]))
    layers = _chosen_layers(run.trained.layers)
    devices.use_all_cores()
    with pipeline.bars() as progress:
        stages = progress_lib.Stages(progress)
        with stages.stage("model"):
            _ = run.opened
        with stages.stage("sentence") as show:
            encoded = run.encode(arguments[1], progress=show)
    if _JSON.value:
        print(json.dumps(_as_json(run, encoded, layers), ensure_ascii=False))
        return
    for line in _shown(encoded, layers):
        print(line)
    if run.unnamed:
        pipeline.note(f"Factors are numbers without words. {run.unnamed}")
    encoder = run.trained.encoder_settings
    found = str(encoded.solve) if encoder is None else encoder_words(encoder)
    terminal.console().print(rich.text.Text(found))
    if encoded.notice:
        terminal.console().print(rich.text.Text(terminal.printable(encoded.notice)))


def _chosen_layers(available: tuple[int, ...]) -> tuple[int, ...]:
    if not _LAYERS.value:
        return available
    chosen = tuple(shared_flags.numbers("layers", _LAYERS.value))
    if not set(chosen) <= set(available):
        raise command.UsageError(
            f"Expected --layers out of {list(available)}, got {_LAYERS.value}."
        )
    return chosen


def _shown(encoded: sentence.EncodedSentence, layers: tuple[int, ...]) -> list[str]:
    """Returns the lines of all layers; of some if these are too many and not chosen."""

    def lines(layers: Sequence[int], *, wraps: bool = True) -> list[str]:
        tables = (
            _table(encoded, layer, top=_TOP.value, width=terminal.width(), wraps=wraps)
            for layer in layers
        )
        return [line for table in tables for line in table]

    whole = lines(layers)
    if _LAYERS.value or len(whole) <= _LINES:
        return whole
    few = _spread(layers, n=_LINES // (len(encoded.tokens) + _HEAD))
    wrapped = lines(few)
    shown = wrapped if FLAGS["top"].present else lines(few, wraps=False)
    if len(few) == len(layers) and len(shown) == len(wrapped):
        return whole
    cut = ", and of each token what fits in a line" if len(shown) < len(wrapped) else ""
    chosen = f"--layers={','.join(map(str, layers))}"
    said = f"Shown: {len(few)} of {len(layers)} layers{cut}. {chosen} shows all, "
    return [*shown, f"{said}--json every factor."]


def _spread(layers: tuple[int, ...], *, n: int) -> list[int]:
    """Returns n layers from the first to the last; the last if n is 1 or less."""
    if n <= 1:
        return [layers[-1]]
    places = np.linspace(0, len(layers) - 1, min(n, len(layers))).round().astype(int)
    return [layers[place] for place in places]


def _table(
    encoded: sentence.EncodedSentence,
    layer: int,
    *,
    top: int,
    width: int | None,
    wraps: bool,
) -> list[str]:
    """Returns the lines of a layer, no wider than a width if there is one.

    A token whose factors are wider is wrapped, or else cut.
    """
    index = encoded.layers.index(layer)
    # Cells of the terminal: ideographs take two, accents none.
    widest = max(map(cells.cell_len, encoded.tokens))
    # Codes of an encoder have no gap.
    gap = f"{'gap':>7}  " if encoded.solve else ""
    lines = [
        f"layer {layer}",
        f"  {'token':<{widest}}  L0  residual  {gap}strongest factors α·Φ",
    ]
    for place, token in enumerate(encoded.tokens):
        best = encoded.strongest(layer, place, n=top)
        terms = [_term(factor, alpha, encoded.name(factor)) for factor, alpha in best]
        wrapped = _joined(
            f"  {cells.set_cell_size(token, widest)} {encoded.l0[index, place]:3d}  "
            f"{encoded.relative_residual[index, place]:8.1%}  "
            + (f"{encoded.gap[index, place]:7.1e}  " if encoded.solve else ""),
            terms,
            width=width,
        )
        lines += wrapped if wraps else wrapped[:1]
    return lines


def _term(factor: int, alpha: float, name: str) -> str:
    term = f"{alpha:.3f}·Φ{factor}"
    short = textwrap.shorten(terminal.printable(name), _LONGEST_NAME, placeholder=" …")
    return f"{term} “{short}”" if short else term


def _joined(head: str, terms: Sequence[str], *, width: int | None) -> list[str]:
    """Returns a sum in lines: a term that does not fit begins a new one."""
    lines, indent = [head], " " * cells.cell_len(head)
    for number, term in enumerate(terms):
        plus = " + " if number else ""
        if width and number and cells.cell_len(lines[-1] + plus + term) > width:
            lines.append(f"{indent}+ {term}")
        else:
            lines[-1] += plus + term
    return lines


def _as_json(
    run: run_lib.Run,
    encoded: sentence.EncodedSentence,
    layers: tuple[int, ...],
) -> dict[str, Any]:
    def token(index: int, place: int) -> dict[str, Any]:
        codes = encoded.codes[index, place]
        active = np.flatnonzero(codes)
        return {
            "token": encoded.tokens[place],
            "start": encoded.spans[place][0],
            "end": encoded.spans[place][1],
            "factors": active.tolist(),
            "activations": codes[active].tolist(),
            "l0": len(active),
            "relative_residual": float(encoded.relative_residual[index, place]),
        } | ({"gap": float(encoded.gap[index, place])} if encoded.solve else {})

    shown = [encoded.layers.index(layer) for layer in layers]
    active = np.flatnonzero(encoded.codes[shown].any(axis=(0, 1))).tolist()
    return {
        "text": encoded.text,
        "words": {
            str(factor): [word.text for word in run.words.of(factor, n=_WORDS)]
            for factor in ([] if run.unnamed else active)
        },
        "labels": {
            str(factor): run.labels[factor].text
            for factor in active
            if factor in run.labels
        },
        "unknown": list(encoded.unknown),
        "layers": [
            {
                "layer": layer,
                "tokens": [
                    token(encoded.layers.index(layer), place)
                    for place in range(len(encoded.tokens))
                ],
            }
            for layer in layers
        ],
    }


COMMAND = command.Command(
    name="encode",
    usage='RUN "A SENTENCE" [--flags]',
    description=(
        "Prints, for every layer and token: the number of active factors (L0), the "
        "norm of the residual relative to that of the hidden state "
        "(residual), the duality gap of the code, and the strongest factors with their "
        "activations, each with its label or the words that fire it; last, how the "
        "codes were found. Put a sentence that begins with "
        "a dash after --."
    ),
    flags=FLAGS,
    run=main,
)
