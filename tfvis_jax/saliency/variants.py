"""Compute activations of factors at single tokens, for many altered windows at once.

Every saliency map is made of such activations. For each window, only the hidden state
of the target token at one layer is computed (`models.one_position`). Windows of similar
length are batched together, whichever target they belong to.

The codes are those of the full lasso: a working set proposes the factors in use, and a
duality gap over *all* factors certifies the result (`sparse_coding.working_set`). The
tolerance is the only approximation.
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
from tfvis_jax.learning import inference
from tfvis_jax.models import bert, one_position
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.saliency import target as target_lib
from tfvis_jax.sparse_coding import implicit

# Largest relative duality gap; as in `notebook.sentence`, so both show the same α.
TOLERANCE = 1e-5
# The smallest gap that float32 certifies: errors of derivatives go with √gap.
DERIVATIVE_TOLERANCE = 1e-6
_MAX_STEPS = 2000
# Tokens per encoder batch: few enough for the caches of a CPU, many enough to keep an
# accelerator busy.
_TOKENS = {"cpu": 2048}
_TOKENS_ON_ACCELERATOR = 65536
# Rows per solver batch.
_ROWS = 256


class Variants(NamedTuple):
    """Altered copies of one window.

    Attributes:
      token_ids: [variants, length] int32.
      attention: [variants, length] bool, True for visible tokens; the target token
        always is.
      target: gives the token and the factor whose α is computed.
    """

    token_ids: np.ndarray
    attention: np.ndarray
    target: target_lib.Target


def replacing(target: target_lib.Target, kept: np.ndarray, *, by: int) -> Variants:
    """Returns variants with some tokens replaced and all tokens visible.

    Args:
      target: the token in its window.
      kept: [variants, n] bool over `target.places`, True where a token is kept.
      by: id of the token that replaces the others.
    """
    token_ids = target.replaced(kept, by=by)
    return Variants(token_ids, np.ones_like(token_ids, bool), target)


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """The model and the dictionary at one layer; create it with `open_probe`.

    Attributes:
      setup: model, tokeniser and settings of the run.
      dictionary: [n_factors, d_model].
      scale: scalar, the layer's entry of ``layer_scale``.
      layer: layer of the hidden states.
      solver: settings of the lasso solver.
    """

    setup: setup.Setup
    dictionary: jax.Array
    scale: jax.Array
    layer: int
    solver: config_lib.SolverConfig

    def activations(self, requests: Sequence[Variants]) -> list[np.ndarray]:
        """Returns α of each variant, [variants] float64 for each request.

        Raises:
          InputError: if hidden states are not finite.
        """
        found = [np.zeros(0)] * len(requests)
        # Padding is masked, so it changes no α; batching by length keeps it short.
        for chosen in of_one_length([r.token_ids.shape[1] for r in requests]):
            joined = [self._padded(requests[i]) for i in chosen]
            alpha = self._solve(*(np.concatenate(a) for a in zip(*joined, strict=True)))
            ends = np.cumsum([len(requests[i].token_ids) for i in chosen])
            for i, part in zip(chosen, np.split(alpha, ends[:-1]), strict=True):
                found[i] = part
        return found

    def _padded(self, request: Variants) -> tuple[np.ndarray, ...]:
        """Returns the arguments of `_solve`, padded to the compiled length."""
        n_variants, length = request.token_ids.shape
        padding = ((0, 0), (0, self.padded_length(length) - length))
        return (
            np.pad(request.token_ids, padding),
            np.pad(request.attention, padding),
            np.full(n_variants, request.target.position, np.int32),
            np.full(n_variants, request.target.factor, np.int32),
        )

    def padded_length(self, length: int) -> int:
        """Returns the length to which windows of this length are padded."""
        step = target_lib.LENGTH_STEP
        return min(
            -(-length // step) * step, self.setup.pretrained.config.max_positions
        )

    def rows_at_once(self, length: int) -> int:
        """Returns the number of windows of a length in an encoder batch."""
        tokens = _TOKENS.get(jax.default_backend(), _TOKENS_ON_ACCELERATOR)
        return max(1, tokens // length)

    def _solve(
        self,
        token_ids: np.ndarray,
        attention: np.ndarray,
        position: np.ndarray,
        factor: np.ndarray,
    ) -> np.ndarray:
        """Returns α of the variants, [variants]."""
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
        # Copied to the host only after all batches are dispatched, so that the device
        # never waits.
        x = np.concatenate([np.asarray(rows)[:n] for rows, n in x])
        return self.solve(x, factor)

    def solve(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Returns α of one factor for each hidden state.

        Args:
          x: [rows, d_model], scaled hidden states.
          factor: [rows] int32, the factor asked for.

        Returns:
          [rows] float64.

        Raises:
          InputError: if hidden states are not finite.
        """
        found = []
        for (rows, factors), n in parts((x, factor), _ROWS):
            codes = self._codes(rows, tolerance=TOLERANCE)
            alpha = np.asarray(codes)[np.arange(n), factors[:n]]
            found.append(alpha.astype(np.float64))
        return np.concatenate(found)

    def derivatives(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Returns ∂α/∂x at the solution, [rows, d_model]; arguments as in `solve`."""
        found = []
        for (rows, factors), n in parts((x, factor), _ROWS):
            codes = self._codes(rows, tolerance=DERIVATIVE_TOLERANCE)
            gradient = _derivatives(
                codes, rows, factors, self.dictionary, self.solver.l1_penalty
            )
            found.append(np.asarray(gradient)[:n])
        return np.concatenate(found)

    def _codes(self, x: np.ndarray, *, tolerance: float) -> jax.Array:
        """Returns codes [rows, n_factors]; raises InputError if x is not finite."""
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
    """Prepares the probe of one layer.

    Args:
      opened: model and settings of the run.
      trained: dictionary of the run.
      layer: layer of the dictionary.

    Raises:
      InputError: if the dictionary has no such layer.
    """
    if layer not in trained.layers:
        raise InputError(f"Expected a layer of {trained.layers}, got {layer}.")
    # The tolerances here are tighter than in training and need more steps.
    solver = dataclasses.replace(
        trained.solver(opened.config.solver),
        max_steps=_MAX_STEPS,
        # An eigen-decomposition for every batch of rows would cost more than it saves.
        exact_lipschitz=False,
    )
    return Probe(
        setup=opened,
        dictionary=jnp.asarray(trained.factors),
        scale=jnp.asarray(trained.layer_scale[trained.layers.index(layer)]),
        layer=layer,
        solver=solver,
    )


def of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yields the indices of windows that are padded to the same length."""
    step = target_lib.LENGTH_STEP
    padded = [-(-length // step) for length in lengths]
    for length in sorted(set(padded)):
        yield [i for i, other in enumerate(padded) if other == length]


def parts(
    arrays: Sequence[np.ndarray], size: int
) -> Iterator[tuple[list[np.ndarray], int]]:
    """Splits arrays into parts of ``size`` rows, so that one shape is compiled.

    Yields:
      The parts, the last one padded, and the number of rows that are not padding.
    """
    for start in range(0, len(arrays[0]), size):
        found = [array[start : start + size] for array in arrays]
        n = len(found[0])
        yield (
            [
                # Padding repeats the last row, which is valid for every array.
                np.pad(part, [(0, size - n)] + [(0, 0)] * (part.ndim - 1), mode="edge")
                for part in found
            ],
            n,
        )


@functools.partial(jax.jit, static_argnames=("layer",))
def _hidden_states(
    encoder: bert.Bert,
    token_ids: jax.Array,
    attention: jax.Array,
    position: jax.Array,
    scale: jax.Array,
    *,
    layer: int,
) -> jax.Array:
    """Returns the scaled hidden state x of each target token, [rows, d_model]."""
    words = one_position.word_embeddings(encoder, token_ids)
    x = one_position.hidden_state(encoder, words, attention, position, layer=layer)
    return x / scale


@functools.partial(jax.jit, static_argnames=("solver",))
def _codes(
    x: jax.Array,
    dictionary: jax.Array,
    tolerance: jax.Array,
    *,
    solver: config_lib.SolverConfig,
) -> tuple[jax.Array, jax.Array]:
    """Returns codes and duality gaps."""
    # The tolerance is traced, so that values and derivatives share one compilation.
    encoding = inference.infer(x, dictionary, solver=solver, tolerance=tolerance)
    return encoding.codes, encoding.gap


@jax.jit
def _derivatives(
    codes: jax.Array,
    x: jax.Array,
    factor: jax.Array,
    dictionary: jax.Array,
    l1_penalty: float,
) -> jax.Array:
    """Returns ∂α/∂x at a solution, [rows, d_model]."""

    def activations(x: jax.Array) -> jax.Array:
        solution = implicit.differentiable(codes, x, dictionary, l1_penalty=l1_penalty)
        return jnp.take_along_axis(solution, factor[:, None], axis=1)[:, 0]

    # Rows are independent, so one backward pass yields the derivatives of all of them.
    alpha, pull = jax.vjp(activations, x)
    [gradient] = pull(jnp.ones_like(alpha))
    return gradient
