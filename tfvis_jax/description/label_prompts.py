"""Export prompts for tools that label factors: windows with every token's activation.

Automatic interpretation pipelines expect, for each factor, its top-activating windows,
windows from every quartile of its activations, and windows in which it does not fire.
The file, schema `tfvis-prompts/1`, has one factor per line:

    {"schema": "tfvis-prompts/1", "model": …, "l1_penalty": …, "factors": [
    {"name": "layer6_factor12", "layer": 6, "factor": 12, "density": …,
     "max_activation": …, "words": ["bank", "banks"], "examples": [
       {"quantile": "top", "tokens": ["The", " bank"], "activations": [0, 0.41],
        "max_activation": 0.41, "document": "Finance", "window": 31}, …]},
    …]}

The tokens join to the text of the window, or of 64 tokens of a longer window around the
firing token. Activations are those of the stored examples, in half precision.
``quantile`` is "top", "q1" (the strongest quartile) to "q4", or "negative". `labels`
reads the labels that such tools return.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.description import factor_words
from tfvis_jax.examples import results as results_lib
from tfvis_jax.examples import stored
from tfvis_jax.runs import encoding

SCHEMA = "tfvis-prompts/1"
QUANTILES = 4
# Number of windows from which negative examples are drawn.
_POOL = 128
_WORDS = 8
# Significant digits of the activations in the file.
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class WindowCounts:
    """The maximum number of windows of each kind per factor.

    Attributes:
      top: top-activating windows.
      per_quantile: windows from each quartile.
      negative: windows in which the factor does not fire.
    """

    top: int = 10
    per_quantile: int = 5
    negative: int = 10


def write(
    path: pathlib.Path,
    results: results_lib.Results,
    factors: Sequence[int],
    *,
    layer: int | None = None,
    counts: WindowCounts | None = None,
    progress: Callable[[int, int], None],
) -> int:
    """Writes the file atomically.

    Args:
      path: path of the file.
      results: results of the run, with examples.
      factors: factors to write; dead factors are skipped.
      layer: layer of the activations; the layer where each factor peaks if None.
      counts: number of windows of each kind.
      progress: called with (factors written, factors in total).

    Returns:
      The number of factors in the file.

    Raises:
      InputError: if there is no such layer, if the only factor is dead or does not fire
        at the layer, or if ``path`` holds another file.
    """
    files.check_replaceable(path, schema=SCHEMA)
    alive = _alive(results, factors, layer=layer)
    head = {
        "schema": SCHEMA,
        "model": results.trained.model,
        "l1_penalty": results.trained.l1_penalty,
    }
    # Written factor by factor: all records together may not fit in memory.
    with files.write_atomically(path) as file:
        file.write(json.dumps(head)[:-1].encode() + b', "factors": [')
        found = records(results, alive, layer=layer, counts=counts)
        for done, record in enumerate(found, start=1):
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            file.write((",\n" if done > 1 else "\n").encode())
            # A token may hold part of a character, a lone surrogate that UTF-8 refuses.
            file.write(text.encode("utf-8", "replace"))
            progress(done, len(alive))
        file.write(b"\n]}\n")
    return len(alive)


def records(
    results: results_lib.Results,
    factors: Sequence[int],
    *,
    layer: int | None = None,
    counts: WindowCounts | None = None,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yields the record of each factor, in order.

    Args:
      results: results of the run, with examples.
      factors: factors that fire at the layer.
      layer: as in `write`.
      counts: as in `write`.
      seed: random seed for the windows of the quartiles and the negative windows.
    """
    counts = counts or WindowCounts()
    layer_of = {factor: _layer_of(results, factor, layer=layer) for factor in factors}
    rng = np.random.default_rng(seed)
    n_windows = len(results.windows)
    # One pool for all factors: their negative windows are encoded together.
    pool = rng.choice(n_windows, min(_POOL, n_windows), replace=False)
    examples = results.examples
    words = factor_words.FactorWords(results)
    is_off = {}
    if counts.negative:
        is_off = _not_firing(results, set(layer_of.values()), pool)
    for factor, at in layer_of.items():
        index = results.trained.layers.index(at)
        negative = [w for w in pool.tolist() if is_off and is_off[at, w][factor]]
        zero = np.zeros(examples.context_length)
        yield {
            "name": f"layer{at}_factor{factor}",
            "layer": at,
            "factor": factor,
            "density": _rounded(examples.density[index, factor]),
            "max_activation": _rounded(examples.largest(index, factor)),
            "words": [word.text for word in words.at(index, factor, n=_WORDS)],
            "examples": [
                *_firing(results, index, factor, counts=counts, seed=seed),
                *(
                    _example(results, "negative", w, 0, zero)
                    for w in negative[: counts.negative]
                ),
            ],
        }


def _alive(
    results: results_lib.Results, factors: Sequence[int], *, layer: int | None
) -> list[int]:
    if len(factors) == 1:
        # A user who asks for one factor wants to know why it has no examples.
        _layer_of(results, factors[0], layer=layer)
        return list(factors)
    firing = results.examples.firing
    if layer is not None:
        results.check_layer(layer)
        firing = firing[[results.trained.layers.index(layer)]]
    return [factor for factor in factors if firing[:, factor].any()]


def _layer_of(results: results_lib.Results, factor: int, *, layer: int | None) -> int:
    if layer is None:
        layer = results.peak_layer(factor)
    results.check_fires(factor, layer=layer)
    return layer


def _firing(
    results: results_lib.Results,
    index: int,
    factor: int,
    *,
    counts: WindowCounts,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yields the examples in which a factor fires."""
    found = results.examples
    n = found.context_activation.shape[2]
    top = _in_windows(
        found.top(index, factor, stop=n), found.top_contexts(index, factor)
    )[: counts.top]
    drawn = _in_windows(found.drawn(index, factor), found.drawn_contexts(index, factor))
    # Contexts are ranked by their largest activation, not by that of the token drawn.
    drawn.sort(key=lambda context: -context[2].max())
    used = {window for window, _, _ in top}
    drawn = [context for context in drawn if context[0] not in used]
    kinds = {"top": top}
    # Seeded by factor, so that its windows do not depend on the other factors.
    rng = np.random.default_rng([seed, factor])
    for number, part in enumerate(np.array_split(np.arange(len(drawn)), QUANTILES)):
        chosen = rng.choice(part, min(counts.per_quantile, len(part)), replace=False)
        # Strongest first, also within a quartile.
        kinds[f"q{number + 1}"] = [drawn[place] for place in np.sort(chosen)]
    for kind, contexts in kinds.items():
        for window, position, activation in contexts:
            start = int(found.context_start(position))
            yield _example(results, kind, window, start, activation)


def _in_windows(
    places: stored.Places, contexts: np.ndarray
) -> list[tuple[int, int, np.ndarray]]:
    """Returns (window, position, α of its context) of the first token per window."""
    first: dict[int, tuple[int, int, np.ndarray]] = {}
    for window, position, context in zip(
        places.window.tolist(), places.position.tolist(), contexts, strict=False
    ):
        if window not in first:
            first[window] = (window, position, context)
    return list(first.values())


def _not_firing(
    results: results_lib.Results, layers: set[int], pool: np.ndarray
) -> dict[tuple[int, int], np.ndarray]:
    """Returns, by (layer, window), which factors do not fire, [n_factors] bool."""
    opened, trained, windows = results.opened, results.trained, results.windows
    coder = trained.coder(opened.config.solver)
    found = {}
    for batch, states in encoding.scaled_windows(opened, trained, windows, pool):
        for layer in sorted(layers):
            at = states[trained.layers.index(layer)]
            rows = encoding.encode_layer(at, batch.row_mask, coder)
            fires = np.asarray(rows.codes > 0).reshape(*batch.row_mask.shape, -1)
            for place, window in enumerate(batch.window_ids.tolist()):
                # Negative numbers are padding of the last batch.
                if window >= 0:
                    found[layer, window] = ~fires[place].any(axis=0)
    return found


def _example(
    results: results_lib.Results,
    kind: str,
    window: int,
    start: int,
    activation: np.ndarray,
) -> dict[str, Any]:
    """Returns an example: the text tokens from ``start`` on, with their activations."""
    windows = results.windows
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


def _rounded(value: float) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
