"""Maps by derivatives of an activation with respect to the tokens' embeddings.

The derivative goes through solver and encoder: that of the codes is the derivative of
the solution itself (`sparse_coding.implicit`), not of the steps that found it.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.analysis import probe as probe_lib
from tfvis_jax.analysis import target as target_lib
from tfvis_jax.models import one_position
from tfvis_jax.training import inference

# Points on the path of integrated gradients.
_STEPS = 32
# Derivatives hold on to what every layer computed.
_SMALLER = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Integrated:
    """A map by integrated gradients.

    Attributes:
      weights: [n], adding up to α less α of the baseline, but for ``error``.
      baseline: α with every token replaced.
      error: |Σ weights − (α − baseline)| / α: what the sum over points misses.
    """

    weights: np.ndarray
    baseline: float
    error: float


def gradient_times_input(
    probe: probe_lib.Probe, targets: Sequence[target_lib.Target]
) -> list[np.ndarray]:
    """Returns ⟨∂α/∂e, e⟩ for the word embedding e of each token, [n] for each target.

    Shrikumar, Greenside, Shcherbina & Kundaje, arXiv:1605.01713, 2016.
    """
    paths = [
        _Path(target, np.ones_like(target.token_ids), np.ones(1)) for target in targets
    ]
    # From zero to the embeddings: the point is their end, the direction they.
    found = _along(probe, paths, from_baseline=False)
    return [
        weights[0, target.places]
        for (_, weights), target in zip(found, targets, strict=True)
    ]


def integrated_gradients(
    probe: probe_lib.Probe,
    targets: Sequence[target_lib.Target],
    *,
    replacement: int,
) -> list[Integrated]:
    """Integrates the gradient from the window with every token replaced to the window.

    Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017; by
    the midpoint rule. α is continuous along the path, with corners where a factor
    enters or leaves the code, so that weights add up to the change of α.

    Args:
      probe: the model at the layer in question.
      targets: tokens; α must be above 0.
      replacement: id of the token of the baseline.
    """
    points = (np.arange(_STEPS) + 0.5) / _STEPS
    paths, ends = [], []
    for target in targets:
        none = target.replaced(
            np.zeros((1, len(target.places)), bool), by=replacement
        )
        paths.append(_Path(target, none[0], points))
        token_ids = np.concatenate([target.token_ids[None], none])
        ends.append(
            probe_lib.Variants(token_ids, np.ones_like(token_ids, bool), target)
        )
    found = _along(probe, paths, from_baseline=True)
    results = []
    for target, (_, weights), (alpha, baseline) in zip(
        targets, found, probe.activations(ends), strict=True
    ):
        mean = weights.mean(axis=0)[target.places]
        error = abs(float(mean.sum()) - (alpha - baseline)) / alpha
        results.append(Integrated(mean, baseline=float(baseline), error=float(error)))
    return results


class _Path(NamedTuple):
    """Points on the way from a baseline, 0, to a window, 1."""

    target: target_lib.Target
    baseline_ids: np.ndarray  # [length]
    points: np.ndarray  # [points]


def _along(probe, paths, *, from_baseline):
    """Returns α [points] and contributions [points, length] of each path."""
    results = [None] * len(paths)
    solver = dataclasses.replace(
        probe.solver, tolerance=probe_lib.DERIVATIVE_TOLERANCE
    )
    lengths = [len(path.target.token_ids) for path in paths]
    for chosen in probe_lib.of_one_length(lengths):
        length = probe.padded_length(lengths[chosen[0]])
        rows = [_rows(paths[i], length) for i in chosen]
        size = max(1, probe.rows_at_once(length) // _SMALLER)
        alphas, weights = [], []
        joined = [np.concatenate(arrays) for arrays in zip(*rows, strict=True)]
        for part, n in probe_lib.parts(joined, size):
            alpha, weight = _contributions(
                probe.setup.pretrained.encoder,
                *part,
                probe.dictionary,
                probe.scale,
                layer=probe.layer,
                solver=solver,
                from_baseline=from_baseline,
            )
            alphas.append(np.asarray(alpha[:n], np.float64))
            weights.append(np.asarray(weight[:n], np.float64))
        ends = np.cumsum([len(paths[i].points) for i in chosen])[:-1]
        for i, alpha, weight in zip(
            chosen,
            np.split(np.concatenate(alphas), ends),
            np.split(np.concatenate(weights), ends),
            strict=True,
        ):
            results[i] = alpha, weight
    return results


def _rows(path, length):
    """Returns arrays with one row for each point: the arguments of a contribution."""
    target, n = path.target, len(path.points)
    padding = (0, length - len(target.token_ids))

    def repeat(array):
        return np.tile(np.pad(array, padding), (n, 1))

    return (
        repeat(target.token_ids),
        repeat(path.baseline_ids),
        path.points.astype(np.float32),
        repeat(np.ones_like(target.is_text)),
        np.full(n, target.position, np.int32),
        np.full(n, target.factor, np.int32),
    )


@functools.partial(jax.jit, static_argnames=("layer", "solver", "from_baseline"))
def _contributions(
    encoder,
    token_ids,
    baseline_ids,
    point,
    attention,
    position,
    factor,
    dictionary,
    scale,
    *,
    layer,
    solver,
    from_baseline,
):
    """Returns α and ⟨∂α/∂e, e − e₀⟩ at points of the way from e₀ to e.

    Args:
      token_ids: [rows, length] int32, of e.
      baseline_ids: [rows, length] int32, of e₀, which is 0 without ``from_baseline``.
      point: [rows], of the way.
      attention: [rows, length] bool.
      position, factor: [rows] int32.

    Returns:
      [rows] and [rows, length].
    """
    words = one_position.word_embeddings(encoder, token_ids)
    direction = words
    if from_baseline:
        direction = words - one_position.word_embeddings(encoder, baseline_ids)
    start = words - (1 - point)[:, None, None] * direction

    def activations(words):
        x = one_position.hidden_state(encoder, words, attention, position, layer=layer)
        codes = inference.infer(x / scale, dictionary, solver=solver).codes
        return jnp.take_along_axis(codes, factor[:, None], axis=1)[:, 0]

    # Rows do not depend on each other: one sum has all their derivatives.
    alpha, pull = jax.vjp(activations, start)
    [gradient] = pull(jnp.ones_like(alpha))
    return alpha, jnp.sum(gradient * direction, axis=2)
