"""`tfvis encode`: a sentence of your own as sums of factors."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import rich.text
from absl import flags
from rich import cells

from tfvis_jax.cli import command, devices, shared_flags, terminal
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.notebook import sentence

FLAGS = command.new_flags()
_TOP = flags.DEFINE_integer(
    "top", 5, "Factors shown for each token.", lower_bound=1, flag_values=FLAGS
)
_LAYERS = flags.DEFINE_list(
    "layers", [], "Layers to show, such as 0,4. (default: all)", flag_values=FLAGS
)
_JSON = shared_flags.json(FLAGS, "Print JSON with every active factor.")


def main(arguments: Sequence[str]) -> None:
    """Prints the factors of every token of a sentence, layer by layer."""
    if len(arguments) != 2:
        raise command.UsageError(
            f"Expected RUN and one sentence in quotes, got {len(arguments)} arguments."
        )
    run = run_lib.load_run(arguments[0])
    layers = _chosen_layers(run.trained.layers)
    devices.announce()
    encoded = run.encode(arguments[1])
    if _JSON.value:
        print(json.dumps(_as_json(encoded, layers), ensure_ascii=False))
        return
    for layer in layers:
        print("\n".join(_table(encoded, layer, top=_TOP.value)))
    terminal.console().print(rich.text.Text(str(encoded.solve)))
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


def _table(encoded: sentence.EncodedSentence, layer: int, *, top: int) -> list[str]:
    index = encoded.layers.index(layer)
    # Cells of the terminal: ideographs take two, accents none.
    width = max(map(cells.cell_len, encoded.tokens))
    lines = [
        f"layer {layer}",
        f"  {'token':<{width}}  L0  residual      gap  strongest factors α·Φ",
    ]
    for place, token in enumerate(encoded.tokens):
        best = encoded.strongest(layer, place, n=top)
        terms = " + ".join(f"{alpha:.3f}·Φ{factor}" for factor, alpha in best)
        lines.append(
            f"  {cells.set_cell_size(token, width)} {encoded.l0[index, place]:3d}  "
            f"{encoded.relative_residual[index, place]:8.1%}  "
            f"{encoded.gap[index, place]:7.1e}  {terms}"
        )
    return lines


def _as_json(
    encoded: sentence.EncodedSentence, layers: tuple[int, ...]
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
            "gap": float(encoded.gap[index, place]),
        }

    return {
        "text": encoded.text,
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
        "activations; last, how the codes were found. Put a sentence that begins with "
        "a dash after --."
    ),
    flags=FLAGS,
    run=main,
)
