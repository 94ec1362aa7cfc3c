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
from tfvis_jax.saliency import on_devices, questions, variants
from tfvis_jax.saliency import target as target_lib

METHODS = ("gradient_times_input", "integrated_gradients")
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


def weights(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    methods: Sequence[str],
    *,
    replacement: int,
) -> dict[str, list[np.ndarray]]:
    """Returns the maps of methods in joint batches, [n] for each target.

    Args:
      probe: the model at one layer.
      targets: tokens to explain.
      methods: of `METHODS`.
      replacement: token id of the baseline of integrated gradients.
    """
    paths = [
        _path(method, target, replacement=replacement)
        for method in methods
        for target in targets
    ]
    found = [
        contributions.mean(axis=0)[path.target.places]
        for path, contributions in zip(paths, _along(probe, paths), strict=True)
    ]
    n = len(targets)
    return {
        method: found[place * n : (place + 1) * n]
        for place, method in enumerate(methods)
    }


def gradient_times_input(
    probe: variants.Probe, targets: Sequence[target_lib.Target]
) -> list[np.ndarray]:
    """Returns ⟨∂α/∂e, e⟩ for the word embedding e of each token, [n] for each target.

    Shrikumar, Greenside, Shcherbina & Kundaje, arXiv:1605.01713, 2016.
    """
    return weights(probe, targets, METHODS[:1], replacement=0)[METHODS[0]]


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
    found = weights(probe, targets, METHODS[1:], replacement=replacement)[METHODS[1]]
    ends = questions.answer(probe, ends_question(targets, replacement=replacement))
    return [integrated(each, *end) for each, end in zip(found, ends, strict=True)]


def ends_question(
    targets: Sequence[target_lib.Target], *, replacement: int
) -> questions.Question[list[tuple[float, float]]]:
    """Asks for α of each window, and with every token replaced."""
    found = yield [
        variants.replacing(
            target,
            np.repeat([[True], [False]], len(target.places), axis=1),
            by=replacement,
        )
        for target in targets
    ]
    return [(float(whole), float(none)) for whole, none in found]


def integrated(weights: np.ndarray, whole: float, baseline: float) -> Integrated:
    """Returns integrated gradients with their error.

    Args:
      weights: [n], the mean along the path.
      whole: α at the end of the path.
      baseline: α at its start.
    """
    error = abs(float(weights.sum()) - (whole - baseline)) / whole
    return Integrated(weights, baseline=baseline, error=error)


class _Path(NamedTuple):
    """Points on the straight path from a baseline, at 0, to a window, at 1."""

    target: target_lib.Target
    baseline_ids: np.ndarray  # [length]
    points: np.ndarray  # [points]
    from_baseline: bool  # The baseline is 0 if False.


def _path(method: str, target: target_lib.Target, *, replacement: int) -> _Path:
    if method == METHODS[0]:
        # From zero to the embeddings e; the only point is the end, so that the
        # direction of the path is e itself.
        return _Path(target, np.ones_like(target.token_ids), np.ones(1), False)
    none = target.replaced(np.zeros((1, len(target.places)), bool), by=replacement)
    return _Path(target, none[0], (np.arange(_STEPS) + 0.5) / _STEPS, True)


def _along(probe: variants.Probe, paths: Sequence[_Path]) -> list[np.ndarray]:
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
        found = _contributions(probe, joined, factor)
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
        np.full(n, path.from_baseline, np.float32),
        repeat(np.ones_like(target.is_text)),
        np.full(n, target.position, np.int32),
    )


def _contributions(
    probe: variants.Probe, rows: Sequence[np.ndarray], factor: np.ndarray
) -> np.ndarray:
    """Returns ⟨∂α/∂e, e − e₀⟩, [rows, length], by the chain rule through α(x(e))."""
    # In three steps, x(e), ∂α/∂x and their product, because the solver in the middle
    # has batches of its own. The encoder is computed twice, which saves memory.
    size = max(1, probe.rows_at_once(rows[0].shape[1]) // _SMALLER)
    encoder, layer = probe.setup.pretrained.encoder, probe.layer
    x = np.concatenate(
        [
            np.asarray(_hidden_states(encoder, *part, probe.scaling, layer=layer))[:n]
            for part, n in on_devices.parts(rows, size)
        ]
    )
    outer = probe.derivatives(x, factor.astype(np.int32))
    return np.concatenate(
        [
            np.asarray(_pull_back(encoder, *part, probe.scaling, layer=layer))[:n]
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
    """Returns e₀ + point·(e − e₀) and e − e₀; e₀ is 0 where from_baseline is 0."""
    words = one_position.word_embeddings(encoder, token_ids)
    baseline = one_position.word_embeddings(encoder, baseline_ids)
    # A number, not a static bool, so that both methods share programs and batches.
    direction = words - from_baseline[:, None, None] * baseline
    return words - (1 - point)[:, None, None] * direction, direction


@functools.partial(jax.jit, static_argnames=("layer",))
def _hidden_states(
    encoder: encoder_lib.Encoder,
    token_ids: jax.Array,
    baseline_ids: jax.Array,
    point: jax.Array,
    from_baseline: jax.Array,
    attention: jax.Array,
    position: jax.Array,
    scaling: whitening_lib.Scaling,
    *,
    layer: int,
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
    from_baseline: jax.Array,
    attention: jax.Array,
    position: jax.Array,
    outer: jax.Array,
    scaling: whitening_lib.Scaling,
    *,
    layer: int,
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
