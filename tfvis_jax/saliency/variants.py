"""Compute activations of factors at single tokens, for many altered windows at once.

Every saliency map is made of such activations. For each window, only the hidden state
of the target token at one layer is computed (`models.one_position`). Windows of similar
length are batched together, whichever target they belong to.

The codes are those of the full lasso: a working set proposes the factors in use, and a
duality gap over *all* factors certifies the result (`sparse_coding.working_set`). The
tolerance is the only approximation. Codes of an imported encoder are exact.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import encoder as encoder_lib
from tfvis_jax.models import one_position
from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.runs import setup, trained_dictionary
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
      position_ids: [variants, length] int32, position in the window of each token; its
        place in the row if None. It differs where hidden tokens were left out.
    """

    token_ids: np.ndarray
    attention: np.ndarray
    target: target_lib.Target
    position_ids: np.ndarray | None = None


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
      coder: how codes are found.
      scaling: of the layer alone, ``layer_scale`` [1] and the whitening.
      layer: layer of the hidden states.
    """

    setup: setup.Setup
    coder: coder_lib.Coder
    scaling: whitening_lib.Scaling
    layer: int

    def activations(
        self, requests: Sequence[Variants], *, tolerance: float = TOLERANCE
    ) -> list[np.ndarray]:
        """Returns α of each variant, [variants] float64 for each request.

        Args:
          requests: altered windows.
          tolerance: largest relative duality gap of a code.

        Raises:
          InputError: if hidden states are not finite.
        """
        found = [np.zeros(0)] * len(requests)
        # Padding is masked, so it changes no α; batching by length keeps it short.
        for chosen in of_one_length([r.token_ids.shape[1] for r in requests]):
            joined = [self._padded(requests[i]) for i in chosen]
            arrays = [np.concatenate(a) for a in zip(*joined, strict=True)]
            alpha = self._solve(*arrays, tolerance=tolerance)
            ends = np.cumsum([len(requests[i].token_ids) for i in chosen])
            for i, part in zip(chosen, np.split(alpha, ends[:-1]), strict=True):
                found[i] = part
        return found

    def _padded(self, request: Variants) -> tuple[np.ndarray, ...]:
        """Returns the arguments of `_solve`, padded to the compiled length."""
        n_variants, length = request.token_ids.shape
        padding = ((0, 0), (0, self.padded_length(length) - length))
        position_ids = request.position_ids
        if position_ids is None:
            position_ids = np.broadcast_to(
                np.arange(length, dtype=np.int32), (n_variants, length)
            )
        return (
            np.pad(request.token_ids, padding),
            np.pad(request.attention, padding),
            np.pad(position_ids, padding),
            np.argmax(position_ids == request.target.position, axis=1).astype(np.int32),
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
        position_ids: np.ndarray,
        position: np.ndarray,
        factor: np.ndarray,
        *,
        tolerance: float,
    ) -> np.ndarray:
        """Returns α of the variants, [variants]."""
        size = self.rows_at_once(token_ids.shape[1])
        x = [
            (
                _hidden_states(
                    self.setup.pretrained.encoder,
                    *map(jnp.asarray, part),
                    scaling=self.scaling,
                    layer=self.layer,
                ),
                n,
            )
            for part, n in parts((token_ids, attention, position_ids, position), size)
        ]
        # Copied to the host only after all batches are dispatched, so that the device
        # never waits.
        x = np.concatenate([np.asarray(rows)[:n] for rows, n in x])
        if self.layer == 0:
            # No context changes a row here, so that most are equal.
            asked, which = np.unique(
                np.column_stack([x, factor.astype(x.dtype)]),
                axis=0,
                return_inverse=True,
            )
            alpha = self.solve(
                asked[:, :-1], asked[:, -1].astype(np.int32), tolerance=tolerance
            )
            return alpha[which.reshape(-1)]
        return self.solve(x, factor, tolerance=tolerance)

    def solve(
        self, x: np.ndarray, factor: np.ndarray, *, tolerance: float = TOLERANCE
    ) -> np.ndarray:
        """Returns α of one factor for each hidden state.

        Args:
          x: [rows, d_model], scaled hidden states.
          factor: [rows] int32, the factor asked for.
          tolerance: largest relative duality gap of a code.

        Returns:
          [rows] float64.

        Raises:
          InputError: if hidden states are not finite.
        """
        found = []
        for (rows, factors), n in parts((x, factor), _ROWS):
            codes = self._codes(rows, tolerance=tolerance)
            alpha = np.asarray(codes)[np.arange(n), factors[:n]]
            found.append(alpha.astype(np.float64))
        return np.concatenate(found)

    def derivatives(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Returns ∂α/∂x at the solution, [rows, d_model]; arguments as in `solve`."""
        found = []
        for (rows, factors), n in parts((x, factor), _ROWS):
            codes = self._codes(rows, tolerance=DERIVATIVE_TOLERANCE)
            gradient = _derivatives(codes, rows, factors, self.coder)
            found.append(np.asarray(gradient)[:n])
        return np.concatenate(found)

    def _codes(self, x: np.ndarray, *, tolerance: float) -> jax.Array:
        """Returns codes [rows, n_factors]; raises InputError if x is not finite."""
        if not np.isfinite(x).all():
            raise InputError(
                f"Hidden states of layer {self.layer} are not finite (NaN or "
                "infinity). Another --dtype or model may help."
            )
        # The tolerance is traced, so that values and derivatives share one compilation.
        return _codes(x, self.coder, np.float32(tolerance))


def open_probe(
    opened: setup.Setup, trained: trained_dictionary.TrainedDictionary, *, layer: int
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
        opened.config.solver,
        max_steps=_MAX_STEPS,
        # An eigen-decomposition for every batch of rows would cost more than it saves.
        exact_lipschitz=False,
    )
    return Probe(
        setup=opened,
        coder=trained.coder(solver),
        scaling=trained.of_layers([layer]).scaling,
        layer=layer,
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


def _hidden_states(
    encoder: encoder_lib.Encoder,
    token_ids: jax.Array,
    attention: jax.Array,
    position_ids: jax.Array,
    position: jax.Array,
    *,
    scaling: whitening_lib.Scaling,
    layer: int,
) -> jax.Array:
    """Returns the whitened, scaled x of each target token, [rows, d_model]."""
    # Not jitted as a whole: its steps are, and are compiled once for all layers.
    words = _word_embeddings(encoder, token_ids)
    x = one_position.hidden_state(
        encoder, words, attention, position, layer=layer, position_ids=position_ids
    )
    return _standardised(x, scaling)


@jax.jit
def _standardised(x: jax.Array, scaling: whitening_lib.Scaling) -> jax.Array:
    return whitening_lib.standardise(x[None], *scaling)[0]


_word_embeddings = jax.jit(one_position.word_embeddings)


@jax.jit
def _codes(x: jax.Array, coder: coder_lib.Coder, tolerance: jax.Array) -> jax.Array:
    return coder.infer(x, tolerance=tolerance).codes


@jax.jit
def _derivatives(
    codes: jax.Array,
    x: jax.Array,
    factor: jax.Array,
    coder: coder_lib.Coder,
) -> jax.Array:
    """Returns ∂α/∂x at a solution, [rows, d_model]."""
    solver = coder.solver

    def activations(x: jax.Array) -> jax.Array:
        if coder.encoder is not None:
            solution = coder.encoder.codes(x)
        else:
            # Derivatives depend on the support alone, not on the size of the codes.
            solution = (1 + solver.l2_penalty) * implicit.differentiable(
                codes,
                x,
                coder.dictionary,
                l1_penalty=solver.l1_penalty,
                l2_penalty=solver.l2_penalty,
            )
        return jnp.take_along_axis(solution, factor[:, None], axis=1)[:, 0]

    # Rows are independent, so one backward pass yields the derivatives of all of them.
    alpha, pull = jax.vjp(activations, x)
    [gradient] = pull(jnp.ones_like(alpha))
    return gradient
