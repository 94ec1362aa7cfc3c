"""Compute saliency maps from derivatives of α with respect to the word embeddings.

The derivative goes through the encoder and the lasso. The lasso is differentiated
implicitly, at its solution (`sparse_coding.implicit`), not through the solver's steps.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import encoder as encoder_lib
from tfvis_jax.models import one_position
from tfvis_jax.saliency import on_devices, variants
from tfvis_jax.saliency import target as target_lib

# Number of points on the path of integrated gradients.
_STEPS = 32
# Batches are smaller by this factor: reverse mode keeps every layer's intermediates.
_SMALLER = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Integrated:
    """A saliency map by integrated gradients.

    Attributes:
      weights: [n]; they sum to α − ``baseline``, up to ``error``.
      baseline: α with every token replaced.
      error: |Σ weights − (α − baseline)| / α, the error of the numerical integration.
    """

    weights: np.ndarray
    baseline: float
    error: float


def gradient_times_input(
    probe: variants.Probe, targets: Sequence[target_lib.Target]
) -> list[np.ndarray]:
    """Returns ⟨∂α/∂e, e⟩ for the word embedding e of each token, [n] for each target.

    Shrikumar, Greenside, Shcherbina & Kundaje, arXiv:1605.01713, 2016.
    """
    paths = [
        _Path(target, np.ones_like(target.token_ids), np.ones(1)) for target in targets
    ]
    # The path leads from zero to the embeddings e; its only point is its end, so that
    # the direction of the path is e itself.
    found = _along(probe, paths, from_baseline=False)
    return [
        weights[0, target.places]
        for weights, target in zip(found, targets, strict=True)
    ]


def integrated_gradients(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    *,
    replacement: int,
) -> list[Integrated]:
    """Returns integrated gradients, by the midpoint rule.

    The path leads from the window with every token replaced to the window itself. α is
    continuous along it, with kinks where a factor enters or leaves the code, so the
    weights sum to the change of α.

    Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017.

    Args:
      probe: the model at one layer.
      targets: tokens to explain; α must be above 0.
      replacement: token id of the baseline.
    """
    points = (np.arange(_STEPS) + 0.5) / _STEPS
    paths, ends = [], []
    for target in targets:
        none = target.replaced(np.zeros((1, len(target.places)), bool), by=replacement)
        paths.append(_Path(target, none[0], points))
        token_ids = np.concatenate([target.token_ids[None], none])
        # α at both ends of the path, to measure the integration error.
        ends.append(variants.Variants(token_ids, np.ones_like(token_ids, bool), target))
    found = _along(probe, paths, from_baseline=True)
    results = []
    for target, weights, (alpha, baseline) in zip(
        targets, found, probe.activations(ends), strict=True
    ):
        mean = weights.mean(axis=0)[target.places]
        error = abs(float(mean.sum()) - (alpha - baseline)) / alpha
        results.append(Integrated(mean, baseline=float(baseline), error=float(error)))
    return results


class _Path(NamedTuple):
    """Points on the straight path from a baseline, at 0, to a window, at 1."""

    target: target_lib.Target
    baseline_ids: np.ndarray  # [length]
    points: np.ndarray  # [points]


def _along(
    probe: variants.Probe, paths: Sequence[_Path], *, from_baseline: bool
) -> list[np.ndarray]:
    """Returns the contributions [points, length] along each path."""
    results = [np.zeros((0, 0))] * len(paths)
    lengths = [len(path.target.token_ids) for path in paths]
    for chosen in variants.of_one_length(lengths):
        length = probe.padded_length(lengths[chosen[0]])
        rows = [_rows(paths[i], length) for i in chosen]
        joined = [np.concatenate(arrays) for arrays in zip(*rows, strict=True)]
        factor = np.concatenate(
            [np.full(len(paths[i].points), paths[i].target.factor) for i in chosen]
        )
        found = _contributions(probe, joined, factor, from_baseline=from_baseline)
        ends = np.cumsum([len(paths[i].points) for i in chosen])[:-1]
        for i, part in zip(chosen, np.split(found, ends), strict=True):
            results[i] = part
    return results


def _rows(path: _Path, length: int) -> tuple[np.ndarray, ...]:
    """Returns the array arguments of `_hidden_states`, one row per point."""
    target, n = path.target, len(path.points)
    padding = (0, length - len(target.token_ids))

    def repeat(array: np.ndarray) -> np.ndarray:
        return np.tile(np.pad(array, padding), (n, 1))

    return (
        repeat(target.token_ids),
        repeat(path.baseline_ids),
        path.points.astype(np.float32),
        repeat(np.ones_like(target.is_text)),
        np.full(n, target.position, np.int32),
    )


def _contributions(
    probe: variants.Probe,
    rows: Sequence[np.ndarray],
    factor: np.ndarray,
    *,
    from_baseline: bool,
) -> np.ndarray:
    """Returns ⟨∂α/∂e, e − e₀⟩, [rows, length], by the chain rule through α(x(e))."""
    # In three steps, x(e), ∂α/∂x and their product, because the solver in the middle
    # has batches of its own. The encoder is computed twice, which saves memory.
    size = max(1, probe.rows_at_once(rows[0].shape[1]) // _SMALLER)
    # from_baseline is a number, not a static bool, so both methods share a program.
    fixed = {"layer": probe.layer, "from_baseline": np.float32(from_baseline)}
    encoder = probe.setup.pretrained.encoder
    x = np.concatenate(
        [
            np.asarray(_hidden_states(encoder, *part, probe.scaling, **fixed))[:n]
            for part, n in on_devices.parts(rows, size)
        ]
    )
    outer = probe.derivatives(x, factor.astype(np.int32))
    return np.concatenate(
        [
            np.asarray(_pull_back(encoder, *part, probe.scaling, **fixed))[:n]
            for part, n in on_devices.parts((*rows, outer), size)
        ]
    ).astype(np.float64)


def _start_and_direction(
    encoder: encoder_lib.Encoder,
    token_ids: jax.Array,
    baseline_ids: jax.Array,
    point: jax.Array,
    from_baseline: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Returns e₀ + point·(e − e₀) and e − e₀; e₀ is 0 if from_baseline is 0."""
    words = one_position.word_embeddings(encoder, token_ids)
    baseline = one_position.word_embeddings(encoder, baseline_ids)
    direction = words - from_baseline * baseline
    return words - (1 - point)[:, None, None] * direction, direction


@functools.partial(jax.jit, static_argnames=("layer",))
def _hidden_states(
    encoder: encoder_lib.Encoder,
    token_ids: jax.Array,
    baseline_ids: jax.Array,
    point: jax.Array,
    attention: jax.Array,
    position: jax.Array,
    scaling: whitening_lib.Scaling,
    *,
    layer: int,
    from_baseline: jax.Array,
) -> jax.Array:
    """Returns the whitened, scaled x at points of a path, [rows, d_model]."""
    words, _ = _start_and_direction(
        encoder, token_ids, baseline_ids, point, from_baseline
    )
    x = one_position.hidden_state(encoder, words, attention, position, layer=layer)
    return whitening_lib.standardise(x[None], *scaling)[0]


@functools.partial(jax.jit, static_argnames=("layer",))
def _pull_back(
    encoder: encoder_lib.Encoder,
    token_ids: jax.Array,
    baseline_ids: jax.Array,
    point: jax.Array,
    attention: jax.Array,
    position: jax.Array,
    outer: jax.Array,
    scaling: whitening_lib.Scaling,
    *,
    layer: int,
    from_baseline: jax.Array,
) -> jax.Array:
    """Pulls ∂α/∂x back to ⟨∂α/∂e, direction⟩, [rows, length]."""
    words, direction = _start_and_direction(
        encoder, token_ids, baseline_ids, point, from_baseline
    )

    def hidden_states(words: jax.Array) -> jax.Array:
        x = one_position.hidden_state(encoder, words, attention, position, layer=layer)
        return whitening_lib.standardise(x[None], *scaling)[0]

    _, pull = jax.vjp(hidden_states, words)
    [gradient] = pull(outer)
    return jnp.sum(gradient * direction, axis=2)
