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

Tokens joined are the text: the window, or 64 tokens of a longer one round the token
that fires. Their activations are those of the stored examples, in half precision.
``quantile`` is "top", "q1" (the strongest quarter) to "q4", or "negative". `labels`
reads what comes back.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from tfvis_jax import files
from tfvis_jax.examples import results
from tfvis_jax.runs import encoding

SCHEMA = "tfvis-prompts/1"
QUANTILES = 4
# Windows that negative examples are drawn from.
_POOL = 128
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
    run: results.Results,
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
      InputError: no such layer, a single factor that does not fire, or a path at which
        something else stands.
    """
    files.check_replaceable(path, schema=SCHEMA)
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
    run: results.Results,
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
    layer_of = {factor: _layer_of(run, factor, layer=layer) for factor in factors}
    rng = np.random.default_rng(seed)
    n_windows = len(run.windows)
    pool = rng.choice(n_windows, min(_POOL, n_windows), replace=False)
    silent = _silent(run, set(layer_of.values()), pool) if counts.negative else {}
    for factor, at in layer_of.items():
        index = run.trained.layers.index(at)
        quiet = [w for w in pool.tolist() if silent and silent[at, w][factor]]
        zero = np.zeros(run.examples.context_length)
        yield {
            "name": f"layer{at}_factor{factor}",
            "layer": at,
            "factor": factor,
            "density": _rounded(run.examples.density[index, factor]),
            "max_activation": _rounded(run.examples.activation[index, factor, 0]),
            "examples": [
                *_firing(run, index, factor, counts=counts, seed=seed),
                *(
                    _example(run, "negative", w, 0, zero)
                    for w in quiet[: counts.negative]
                ),
            ],
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
        layer = run.peak_layer(factor)
    run.check_fires(factor, layer=layer)
    return layer


def _firing(run, index, factor, *, counts, seed) -> Iterator[dict[str, Any]]:
    """Yields the examples in which a factor fires."""
    found = run.examples
    n = found.context_activation.shape[2]
    top = _in_windows(
        found.window[index, factor, :n],
        found.position[index, factor, :n],
        found.activation[index, factor, :n],
        found.context_activation[index, factor],
    )[: counts.top]
    drawn = _in_windows(
        found.random_window[index, factor],
        found.random_position[index, factor],
        found.random_activation[index, factor],
        found.random_context_activation[index, factor],
    )
    # The strength of a context is its largest activation, not that of the token drawn.
    drawn.sort(key=lambda context: -context[2].max())
    used = {window for window, _, _ in top}
    drawn = [context for context in drawn if context[0] not in used]
    kinds = {"top": top}
    rng = np.random.default_rng([seed, factor])
    for number, part in enumerate(np.array_split(np.arange(len(drawn)), QUANTILES)):
        chosen = rng.choice(part, min(counts.per_quantile, len(part)), replace=False)
        # In the order of their strength.
        kinds[f"q{number + 1}"] = [drawn[place] for place in np.sort(chosen)]
    for kind, contexts in kinds.items():
        for window, position, activation in contexts:
            start = int(found.context_start(position))
            yield _example(run, kind, window, start, activation)


def _in_windows(window, position, activation, contexts):
    """Returns (window, position, α of its context), the first of each window."""
    first: dict[int, tuple[int, int, np.ndarray]] = {}
    for place in np.flatnonzero(np.asarray(activation) > 0).tolist():
        at = int(window[place])
        if at not in first:
            first[at] = (at, int(position[place]), np.asarray(contexts[place]))
    return list(first.values())


def _silent(run, layers, pool) -> dict[tuple[int, int], np.ndarray]:
    """Returns which factors do not fire at a layer in a window, [n_factors] bool."""
    opened, trained = run.opened, run.trained
    dictionary = jnp.asarray(trained.factors)
    solver = trained.solver(opened.config.solver)
    found = {}
    for batch, states in encoding.scaled_windows(opened, trained, run.windows, pool):
        for layer in sorted(layers):
            at = states[trained.layers.index(layer)]
            rows = encoding.encode_layer(at, batch.row_mask, dictionary, solver=solver)
            fires = np.asarray(rows.codes > 0).reshape(*batch.row_mask.shape, -1)
            for place, window in enumerate(batch.window_ids.tolist()):
                if window >= 0:
                    found[layer, window] = ~fires[place].any(axis=0)
    return found


def _example(run, kind, window, start, activation) -> dict[str, Any]:
    windows = run.windows
    stop = start + len(activation)
    is_text = windows.row_mask(np.array([window]))[0, start:stop]
    tokens = windows.spaced_texts(window)[start:stop]
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
