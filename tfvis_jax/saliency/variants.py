"""Compute activations of factors at single tokens, for many altered windows at once.

Every saliency map is made of such activations. For each window, only the hidden state
of the target token at one layer is computed (`models.one_position`). Windows of similar
length are batched together, whichever target they belong to.

The codes are those of the full lasso: a working set proposes the factors in use, and a
duality gap over *all* factors certifies the result (`sparse_coding.working_set`). The
tolerance is the only approximation. Codes of an imported encoder are exact.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.saliency import on_devices as on_devices_lib
from tfvis_jax.saliency import target as target_lib

# Largest relative duality gap; as in `notebook.sentence`, so both show the same α.
TOLERANCE = 1e-5
# The smallest gap that float32 certifies: errors of derivatives go with √gap.
DERIVATIVE_TOLERANCE = 1e-6
_MAX_STEPS = 2000
# Tokens per encoder batch of a device: few enough for the caches of a CPU, many enough
# to keep an accelerator busy.
_TOKENS = {"cpu": 1024}
_TOKENS_ON_ACCELERATOR = 65536
# Rows per solver batch of a device.
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
    target: target_lib.Place
    position_ids: np.ndarray | None = None


def replacing(target: target_lib.Place, kept: np.ndarray, *, by: int) -> Variants:
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
      trained: the dictionary.
      on_devices: the model and how codes are found, where they are computed.
      scaling: of the layer alone, ``layer_scale`` [1] and the whitening.
      layer: layer of the hidden states.
    """

    setup: setup.Setup
    trained: trained_dictionary.TrainedDictionary
    on_devices: on_devices_lib.OnDevices
    scaling: whitening_lib.Scaling
    layer: int

    def at(self, layer: int) -> "Probe":
        """Returns the probe of another layer of the dictionary."""
        scaling = _scaling(self.trained, layer)
        return dataclasses.replace(self, scaling=scaling, layer=layer)

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
        [found] = stream([(self, requests)], tolerance=tolerance)
        return found

    def encode(self, requests: Sequence[Variants]) -> "_Encoded":
        """Starts to compute the hidden states of requests."""
        rows = []
        # Padding is masked, so it changes no α; batching by length keeps it short.
        for chosen in of_one_length([r.token_ids.shape[1] for r in requests]):
            joined = [self._padded(requests[i]) for i in chosen]
            *window, factor = (np.concatenate(a) for a in zip(*joined, strict=True))
            x = self.on_devices.hidden_states(
                window,
                size=self.rows_at_once(window[0].shape[1]),
                scaling=self.scaling,
                layer=self.layer,
            )
            rows.append((chosen, x, factor))
        return _Encoded(self, requests, rows)

    def _padded(self, request: Variants) -> tuple[np.ndarray, ...]:
        """Returns the arrays of `encode`, padded to the compiled length."""
        n_variants, length = request.token_ids.shape
        position_ids = request.position_ids
        if position_ids is None:
            position_ids = np.broadcast_to(
                np.arange(length, dtype=np.int32), (n_variants, length)
            )
        position = np.argmax(position_ids == request.target.position, axis=1)
        arrays = request.token_ids, request.attention, position_ids
        missing = self.padded_length(length) - length
        if missing:
            arrays = (np.pad(array, ((0, 0), (0, missing))) for array in arrays)
        factor = np.full(n_variants, request.target.factor, np.int32)
        return (*arrays, position.astype(np.int32), factor)

    def padded_length(self, length: int) -> int:
        """Returns the length to which windows of this length are padded."""
        step = target_lib.LENGTH_STEP
        return min(
            -(-length // step) * step, self.setup.pretrained.config.max_positions
        )

    def rows_at_once(self, length: int) -> int:
        """Returns the number of windows of a length that a device encodes at once."""
        tokens = _TOKENS.get(jax.default_backend(), _TOKENS_ON_ACCELERATOR)
        return max(1, tokens // length)

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
        return self.start_solving(x, factor, tolerance=tolerance).fetch()

    def start_solving(
        self, x: np.ndarray, factor: np.ndarray, *, tolerance: float
    ) -> on_devices_lib.Rows:
        """Starts what `solve` does."""
        self._check(x)
        return self.on_devices.activations(x, factor, size=_ROWS, tolerance=tolerance)

    def derivatives(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Returns ∂α/∂x at the solution, [rows, d_model]; arguments as in `solve`."""
        self._check(x)
        return self.on_devices.derivatives(
            x, factor, size=_ROWS, tolerance=DERIVATIVE_TOLERANCE
        ).fetch()

    def _check(self, x: np.ndarray) -> None:
        if not np.isfinite(x).all():
            raise InputError(
                f"Hidden states of layer {self.layer} are not finite (NaN or "
                "infinity). Another --dtype or model may help."
            )


def stream(
    work: Iterable[tuple[Probe, Sequence[Variants]]], *, tolerance: float = TOLERANCE
) -> Iterator[list[np.ndarray]]:
    """Computes the activations of many groups of requests, one after another.

    While the devices compute a group, the next is taken from ``work``, and results of
    the ones before are fetched.

    Args:
      work: probes and what to compute with each.
      tolerance: largest relative duality gap of a code.

    Yields:
      α of each variant of a group, as `Probe.activations` returns it.

    Raises:
      InputError: if hidden states are not finite.
    """
    encoded: list[_Encoded] = []
    solved: list[_Solved] = []
    for probe, requests in work:
        started = probe.encode(requests)
        # What was encoded is solved behind it.
        ready, solved = solved, [each.solve(tolerance) for each in encoded]
        encoded = [started]
        yield from (each.fetch() for each in ready)
    yield from (each.fetch() for each in solved)
    yield from (each.solve(tolerance).fetch() for each in encoded)


class _Encoded(NamedTuple):
    """Requests whose hidden states are being computed."""

    probe: Probe
    requests: Sequence[Variants]
    # Of one length each: indices of requests, hidden states, factors asked for.
    rows: list[tuple[list[int], on_devices_lib.Rows, np.ndarray]]

    def solve(self, tolerance: float) -> "_Solved":
        found = []
        for chosen, rows, factor in self.rows:
            x, which = rows.fetch(), np.arange(len(factor))
            if self.probe.layer == 0:
                # No context changes a row here, so that most are equal.
                asked, which = np.unique(
                    np.column_stack([x, factor.astype(x.dtype)]),
                    axis=0,
                    return_inverse=True,
                )
                x, factor = asked[:, :-1], asked[:, -1].astype(np.int32)
            alpha = self.probe.start_solving(x, factor, tolerance=tolerance)
            found.append((chosen, alpha, which.reshape(-1)))
        return _Solved(self.requests, found)


class _Solved(NamedTuple):
    """Requests whose activations are being computed."""

    requests: Sequence[Variants]
    # Indices of requests, activations, and where among these those of each variant are.
    rows: list[tuple[list[int], on_devices_lib.Rows, np.ndarray]]

    def fetch(self) -> list[np.ndarray]:
        found = [np.zeros(0)] * len(self.requests)
        for chosen, rows, which in self.rows:
            alpha = rows.fetch().astype(np.float64)[which]
            ends = np.cumsum([len(self.requests[i].token_ids) for i in chosen])
            for i, part in zip(chosen, np.split(alpha, ends[:-1]), strict=True):
                found[i] = part
        return found


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
        trained=trained,
        on_devices=on_devices_lib.place(
            opened.pretrained.encoder, trained.coder(solver)
        ),
        scaling=_scaling(trained, layer),
        layer=layer,
    )


def _scaling(
    trained: trained_dictionary.TrainedDictionary, layer: int
) -> whitening_lib.Scaling:
    return trained.of_layers([layer]).scaling


def of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yields the indices of windows that are padded to the same length."""
    step = target_lib.LENGTH_STEP
    padded = [-(-length // step) for length in lengths]
    for length in sorted(set(padded)):
        yield [i for i, other in enumerate(padded) if other == length]
