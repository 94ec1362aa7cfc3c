"""Material for tools that label factors: windows with the activation of every token.

As pipelines of automatic interpretation expect it: of each factor its strongest
windows, windows of every quarter of its activations, and windows in which it does not
fire. As a file, schema `tfvis-prompts/1`, one factor a line:

    {"schema": "tfvis-prompts/1", "model": …, "l1_penalty": …, "factors": [
    {"name": "layer6_factor12", "layer": 6, "factor": 12, "density": …,
     "max_activation": …, "examples": [
       {"quantile": "top", "tokens": ["The", " bank"], "activations": [0, 0.41],
        "max_activation": 0.41, "document": "Finance", "window": 31}, …]},
    …]}

Tokens joined are the text. ``quantile`` is "top", "q1" (the strongest quarter) to "q4",
or "negative". `labels` reads what comes back.
"""

import collections
import dataclasses
import json
import pathlib
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from tfvis_jax import files
from tfvis_jax.analysis import example_target
from tfvis_jax.training import encoding

if typing.TYPE_CHECKING:  # A run imports this file.
    from tfvis_jax.analysis import run as run_lib

SCHEMA = "tfvis-prompts/1"
QUANTILES = 4
# Windows that negative examples are drawn from, and factors that are done together:
# what bounds the memory.
_POOL = 128
_TOGETHER = 1024
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many windows of each kind a factor gets, at most.

    Attributes:
      top: strongest ones.
      per_quantile: of each quarter.
      negative: in which it does not fire.
    """

    top: int = 10
    per_quantile: int = 5
    negative: int = 10


def write(
    path: pathlib.Path,
    run: "run_lib.Run",
    factors: Sequence[int],
    *,
    layer: int | None = None,
    counts: Counts | None = None,
    progress: Callable[[int, int], None],
) -> int:
    """Writes the file, atomically; returns how many factors are in it.

    Args:
      path: of the file.
      run: with its examples.
      factors: to be written; dead ones are left out.
      layer: whose activations are shown; where each factor peaks if None.
      counts: windows of each kind.
      progress: called with (factors written, factors in all).

    Raises:
      InputError: no such layer, or a single factor that does not fire.
    """
    alive = _alive(run, factors, layer=layer)
    head = {
        "schema": SCHEMA,
        "model": run.trained.model,
        "l1_penalty": run.trained.l1_penalty,
    }
    with files.write_atomically(path) as file:
        file.write(json.dumps(head)[:-1].encode() + b', "factors": [')
        found = records(run, alive, layer=layer, counts=counts)
        for done, record in enumerate(found, start=1):
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            file.write((",\n" if done > 1 else "\n").encode())
            # A token may hold half of a letter that UTF-8 cannot.
            file.write(text.encode("utf-8", "replace"))
            progress(done, len(alive))
        file.write(b"\n]}\n")
    return len(alive)


def records(
    run: "run_lib.Run",
    factors: Sequence[int],
    *,
    layer: int | None = None,
    counts: Counts | None = None,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yields what the file holds of each factor, in order.

    Args:
      run, layer, counts: as in `write`.
      factors: that fire at the layer.
      seed: decides which windows stand for a quarter and which are negative.
    """
    counts = counts or Counts()
    rng = np.random.default_rng(seed)
    n_windows = len(run.windows)
    pool = rng.choice(n_windows, min(_POOL, n_windows), replace=False)
    for start in range(0, len(factors), _TOGETHER):
        chosen = {
            factor: _choose(run, factor, layer=layer, counts=counts, seed=seed)
            for factor in factors[start : start + _TOGETHER]
        }
        activations, silent = _encode(run, chosen, pool=pool)
        for factor, (at, kinds) in chosen.items():
            negative = [w for w in pool.tolist() if silent[at, w][factor]]
            shown = [
                _example(run, window, kind, activations[factor, window])
                for kind, windows in kinds.items()
                for window in windows
            ] + [
                _example(run, w, "negative", np.zeros(run.windows.window_length))
                for w in negative[: counts.negative]
            ]
            index = run.trained.layers.index(at)
            yield {
                "name": f"layer{at}_factor{factor}",
                "layer": at,
                "factor": factor,
                "density": _rounded(run.examples.density[index, factor]),
                "max_activation": _rounded(run.examples.activation[index, factor, 0]),
                "examples": shown,
            }


def _alive(run, factors, *, layer) -> list[int]:
    if len(factors) == 1:
        # Whoever asks for one wants to know why there is nothing to show.
        _layer_of(run, factors[0], layer=layer)
        return list(factors)
    firing = run.examples.firing
    if layer is not None:
        run.check_layer(layer)
        firing = firing[[run.trained.layers.index(layer)]]
    return [factor for factor in factors if firing[:, factor].any()]


def _layer_of(run, factor, *, layer) -> int:
    if layer is None:
        layer = example_target.peak_layer(run, factor=factor)
    example_target.check_fires(run, factor=factor, layer=layer)
    return layer


def _choose(run, factor, *, layer, counts, seed):
    """Returns the layer, and the windows of each kind but the negative one."""
    layer = _layer_of(run, factor, layer=layer)
    index, found = run.trained.layers.index(layer), run.examples
    kept = found.activation[index, factor] > 0
    strongest = list(dict.fromkeys(found.window[index, factor][kept].tolist()))
    top = strongest[: counts.top]
    rest = [w for w in _sampled(found, index, factor) if w not in set(top)]
    rng = np.random.default_rng([seed, factor])
    kinds = {"top": top}
    for number, part in enumerate(np.array_split(rest, QUANTILES), start=1):
        n = min(counts.per_quantile, len(part))
        # In the order of their activations.
        places = np.sort(rng.choice(len(part), n, replace=False))
        kinds[f"q{number}"] = [int(part[place]) for place in places]
    return layer, kinds


def _sampled(found, index, factor) -> list[int]:
    """Returns windows drawn from all tokens that fire a factor, strongest first.

    The strength of a window is its largest activation, not that of the token drawn.
    """
    strength = found.random_context_activation[index, factor].max(axis=1)
    window = found.random_window[index, factor]
    order = np.argsort(-strength, kind="stable")
    order = order[found.random_activation[index, factor][order] > 0]
    return list(dict.fromkeys(window[order].tolist()))


def _encode(run, chosen, *, pool):
    """Returns activations of (factor, window), and who is silent at (layer, window)."""
    opened, trained = run.opened, run.trained
    wanted: dict = collections.defaultdict(lambda: collections.defaultdict(list))
    for factor, (layer, kinds) in chosen.items():
        for window in {w for windows in kinds.values() for w in windows}:
            wanted[layer][window].append(factor)
    windows = np.unique([*pool, *(w for at in wanted.values() for w in at)])
    dictionary, solver = (
        jnp.asarray(trained.factors),
        trained.solver(opened.config.solver),
    )
    in_pool, activations, silent = set(pool.tolist()), {}, {}
    for batch, states in encoding.scaled_windows(opened, trained, run.windows, windows):
        for layer, of_window in wanted.items():
            rows = encoding.encode_layer(
                states[trained.layers.index(layer)],
                batch.row_mask,
                dictionary,
                solver=solver,
            )
            codes = np.asarray(rows.codes).reshape(*batch.row_mask.shape, -1)
            for place, window in enumerate(batch.window_ids.tolist()):
                for factor in of_window.get(window, ()):
                    activations[factor, window] = codes[place, :, factor].copy()
                if window in in_pool:
                    silent[layer, window] = ~codes[place].any(axis=0)
    return activations, silent


def _example(run, window, kind, activation) -> dict[str, Any]:
    windows = run.windows
    is_text = windows.row_mask(np.array([window]))[0]
    tokens = windows.spaced_texts(window)
    activation = activation[is_text]
    return {
        "quantile": kind,
        "tokens": [tokens[place] for place in np.flatnonzero(is_text)],
        "activations": [_rounded(value) for value in activation],
        "max_activation": _rounded(activation.max(initial=0)),
        "document": windows.document_name(window),
        "window": int(window),
    }


def _rounded(value) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
