"""Activations of factors at single tokens, for many altered windows at once.

Every map is made of such activations. Of a window only the token's own hidden state is
computed, and only at the layer in question (`models.one_position`); of all windows of
about one length together, whichever example they belong to.

Codes are solved on the factors that can be in use. A working set proposes them and a
duality gap over *all* factors accepts the result (`sparse_coding.working_set`), so that
no factor is ruled out by a guess. The tolerance is the only approximation.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.models import one_position
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.saliency import target as target_lib
from tfvis_jax.sparse_coding import encode, implicit

# Largest relative duality gap, that of `sentence`: both show the same α.
TOLERANCE = 1e-5
# What float32 can certify; derivatives are off by the square root of a gap.
DERIVATIVE_TOLERANCE = 1e-6
_MAX_STEPS = 2000
# Tokens that go through the encoder together: as many as a CPU's caches like, or as an
# accelerator needs to be busy. And rows that are solved together.
_TOKENS = {"cpu": 2048}
_TOKENS_ON_ACCELERATOR = 65536
_ROWS = 256


class Variants(NamedTuple):
    """Altered forms of one window.

    Attributes:
      token_ids: [variants, length] int32.
      attention: [variants, length] bool, the tokens that are seen; the target always.
      target: whose position and factor are asked for.
    """

    token_ids: np.ndarray
    attention: np.ndarray
    target: target_lib.Target


def replacing(target: target_lib.Target, kept: np.ndarray, *, by: int) -> Variants:
    """Returns variants in which tokens are replaced.

    Args:
      target: the token in its window.
      kept: [variants, n] bool, over `target.places`.
      by: token id that replaces the others.
    """
    token_ids = target.replaced(kept, by=by)
    return Variants(token_ids, np.ones_like(token_ids, bool), target)


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """The model and the factors, at one layer; made by `open_probe`."""

    setup: setup.Setup
    dictionary: jax.Array  # [n_factors, d_model]
    scale: jax.Array  # scalar, of the layer
    layer: int
    solver: config_lib.SolverConfig

    def activations(self, requests: Sequence[Variants]) -> list[np.ndarray]:
        """Returns α of each variant, [variants] float64 for each request.

        Raises:
          InputError: hidden states that are not finite.
        """
        found = [np.zeros(0)] * len(requests)
        for chosen in of_one_length([r.token_ids.shape[1] for r in requests]):
            joined = [self._padded(requests[i]) for i in chosen]
            alpha = self._solve(*(np.concatenate(a) for a in zip(*joined, strict=True)))
            ends = np.cumsum([len(requests[i].token_ids) for i in chosen])
            for i, part in zip(chosen, np.split(alpha, ends[:-1]), strict=True):
                found[i] = part
        return found

    def _padded(self, request):
        n_variants, length = request.token_ids.shape
        padding = ((0, 0), (0, self.padded_length(length) - length))
        return (
            np.pad(request.token_ids, padding),
            np.pad(request.attention, padding),
            np.full(n_variants, request.target.position, np.int32),
            np.full(n_variants, request.target.factor, np.int32),
        )

    def padded_length(self, length: int) -> int:
        """Returns the length that a window of this length is compiled for."""
        step = target_lib.LENGTH_STEP
        return min(
            -(-length // step) * step, self.setup.pretrained.config.max_positions
        )

    def rows_at_once(self, length: int) -> int:
        """Returns how many windows of a length go through the encoder together."""
        tokens = _TOKENS.get(jax.default_backend(), _TOKENS_ON_ACCELERATOR)
        return max(1, tokens // length)

    def _solve(self, token_ids, attention, position, factor):
        size = self.rows_at_once(token_ids.shape[1])
        x = [
            (
                _hidden_states(
                    self.setup.pretrained.encoder, *part, self.scale, layer=self.layer
                ),
                n,
            )
            for part, n in parts((token_ids, attention, position), size)
        ]
        # To the host only now, so that the device is never kept waiting.
        x = np.concatenate([np.asarray(rows)[:n] for rows, n in x])
        return self.solve(x, factor)

    def solve(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Returns α of hidden states.

        Args:
          x: [rows, d_model], scaled.
          factor: [rows] int32.

        Returns:
          [rows] float64.

        Raises:
          InputError: hidden states that are not finite.
        """
        found = []
        for (rows, factors), n in parts((x, factor), _ROWS):
            codes = self._codes(rows, tolerance=TOLERANCE)
            alpha = np.asarray(codes)[np.arange(n), factors[:n]]
            found.append(alpha.astype(np.float64))
        return np.concatenate(found)

    def derivatives(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Returns ∂α/∂x of the solution, [rows, d_model]; else as `solve`."""
        found = []
        for (rows, factors), n in parts((x, factor), _ROWS):
            codes = self._codes(rows, tolerance=DERIVATIVE_TOLERANCE)
            gradient = _derivatives(
                codes, rows, factors, self.dictionary, self.solver.l1_penalty
            )
            found.append(np.asarray(gradient)[:n])
        return np.concatenate(found)

    def _codes(self, x, *, tolerance):
        codes, gap = _codes(
            x, self.dictionary, np.float32(tolerance), solver=self.solver
        )
        if not np.isfinite(np.asarray(gap)).all():
            raise InputError(
                f"Hidden states of layer {self.layer} are not finite (NaN or "
                "infinity). Another --dtype or model may help."
            )
        return codes


def open_probe(
    opened: setup.Setup, trained: dictionary_file.TrainedDictionary, *, layer: int
) -> Probe:
    """Prepares a layer.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      layer: one of the dictionary's.

    Raises:
      InputError: the dictionary has no such layer; says which it has.
    """
    if layer not in trained.layers:
        raise InputError(f"Expected a layer of {trained.layers}, got {layer}.")
    solver = dataclasses.replace(
        trained.solver(opened.config.solver), max_steps=_MAX_STEPS
    )
    return Probe(
        setup=opened,
        dictionary=jnp.asarray(trained.factors),
        scale=jnp.asarray(trained.layer_scale[trained.layers.index(layer)]),
        layer=layer,
        solver=solver,
    )


def of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yields the numbers of windows that are padded to one length."""
    step = target_lib.LENGTH_STEP
    padded = [-(-length // step) for length in lengths]
    for length in sorted(set(padded)):
        yield [i for i, other in enumerate(padded) if other == length]


def parts(
    arrays: Sequence[np.ndarray], size: int
) -> Iterator[tuple[list[np.ndarray], int]]:
    """Yields parts of ``size`` rows of arrays, the last filled up, and what counts."""
    for start in range(0, len(arrays[0]), size):
        found = [array[start : start + size] for array in arrays]
        n = len(found[0])
        yield (
            [
                # What fills up repeats a row: any row that can be computed will do.
                np.pad(part, [(0, size - n)] + [(0, 0)] * (part.ndim - 1), mode="edge")
                for part in found
            ],
            n,
        )


@functools.partial(jax.jit, static_argnames=("layer",))
def _hidden_states(encoder, token_ids, attention, position, scale, *, layer):
    words = one_position.word_embeddings(encoder, token_ids)
    x = one_position.hidden_state(encoder, words, attention, position, layer=layer)
    return x / scale


@functools.partial(jax.jit, static_argnames=("solver",))
def _codes(x, dictionary, tolerance, *, solver):
    # The tolerance is traced: values and derivatives share one compilation.
    encoding = encode(
        x,
        dictionary,
        l1_penalty=solver.l1_penalty,
        solver=solver.solver,
        tolerance=tolerance,
        max_steps=solver.max_steps,
    )
    return encoding.codes, encoding.gap


@jax.jit
def _derivatives(codes, x, factor, dictionary, l1_penalty):
    def activations(x):
        solution = implicit.differentiable(codes, x, dictionary, l1_penalty=l1_penalty)
        return jnp.take_along_axis(solution, factor[:, None], axis=1)[:, 0]

    # Rows do not depend on each other: one sum has all their derivatives.
    alpha, pull = jax.vjp(activations, x)
    [gradient] = pull(jnp.ones_like(alpha))
    return gradient
