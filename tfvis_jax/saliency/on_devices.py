"""Hidden states at one position, and codes, of many rows on all devices of a process.

Every device has rows of its own and runs the same few programs: the steps of
`models.one_position`, compiled once for each length of a window whichever layer is
asked for, and the solver, once. Calls return when work is dispatched, so the caller
prepares the next while the devices compute.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import kept_programs, sharding
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import encoder as encoder_lib
from tfvis_jax.models import one_position
from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.sparse_coding import implicit

_Program = Callable[..., Any]


class _Programs(NamedTuple):
    """Each from [devices, rows, ...] to the same."""

    start: _Program
    advance: _Program
    finish: _Program
    embedding: _Program
    solve: _Program
    differentiate: _Program


@dataclasses.dataclass(frozen=True, eq=False)
class OnDevices:
    """Model and dictionary, copied to every device; create it with `place`."""

    mesh: jax.sharding.Mesh
    encoder: encoder_lib.Encoder
    coder: coder_lib.Coder

    def hidden_states(
        self,
        arrays: Sequence[np.ndarray],
        *,
        size: int,
        scaling: whitening_lib.Scaling,
        layer: int,
    ) -> "Rows":
        """Starts to compute the whitened, scaled hidden states at one position.

        Args:
          arrays: [n, length] token ids, attention and position ids, and [n] position.
          size: windows that a device takes at once.
          scaling: of the layer alone.
          layer: which hidden state.

        Returns:
          [n, d_model], once they are fetched.
        """
        programs = _programs(self.mesh, self.encoder.site)
        found = []
        for (*window, position), n in self._shares(arrays, size):
            hidden, seen = programs.start(self.encoder, *window)
            for number in range(1, layer):
                hidden = programs.advance(self.encoder.layer(number), hidden, seen)
            if layer == 0:
                x = programs.embedding(scaling, hidden, position)
            else:
                last = self.encoder.layer(layer)
                x = programs.finish(last, scaling, hidden, seen, position)
            found.append((x, n))
        return Rows(found)

    def activations(
        self, x: np.ndarray, factor: np.ndarray, *, size: int, tolerance: float
    ) -> "Rows":
        """Starts to compute α of one factor for each row.

        Args:
          x: [n, d_model].
          factor: [n] int32.
          size: rows that a device solves at once.
          tolerance: largest relative duality gap of a code.

        Returns:
          [n], once they are fetched.
        """
        solve = _programs(self.mesh, self.encoder.site).solve
        return Rows(
            (solve(self.coder, np.float32(tolerance), *part)[1], n)
            for part, n in self._shares((x, factor), size, mode="constant")
        )

    def derivatives(
        self, x: np.ndarray, factor: np.ndarray, *, size: int, tolerance: float
    ) -> "Rows":
        """Starts to compute ∂α/∂x; arguments as in `activations`.

        Returns:
          [n, d_model], once they are fetched.
        """
        programs = _programs(self.mesh, self.encoder.site)
        found = []
        for part, n in self._shares((x, factor), size, mode="constant"):
            codes, _ = programs.solve(self.coder, np.float32(tolerance), *part)
            found.append((programs.differentiate(self.coder, codes, *part), n))
        return Rows(found)

    def _shares(
        self,
        arrays: Sequence[np.ndarray],
        size: int,
        *,
        mode: Literal["edge", "constant"] = "edge",
    ) -> Iterator[tuple[list[jax.Array], int]]:
        """Yields [devices, size, ...] arrays and the number of rows that are real."""
        devices = self.mesh.size
        for part, n in parts(arrays, devices * size, mode=mode):
            yield (
                [
                    sharding.place_apart(
                        self.mesh, array.reshape(devices, size, *array.shape[1:])
                    )
                    for array in part
                ],
                n,
            )


class Rows:
    """Rows that are being computed."""

    def __init__(self, parts: Any):
        self._parts = list(parts)

    def fetch(self) -> np.ndarray:
        """Waits for them, and returns them in their order."""
        arrays = [
            np.asarray(rows).reshape(-1, *rows.shape[2:])[:n] for rows, n in self._parts
        ]
        return np.concatenate(arrays)


def place(encoder: encoder_lib.Encoder, coder: coder_lib.Coder) -> OnDevices:
    """Copies a model and a dictionary to every device of this process."""
    mesh = sharding.side_by_side(jax.local_devices())
    return OnDevices(mesh, *sharding.place_copies(mesh, (encoder, coder)))


def parts(
    arrays: Sequence[np.ndarray],
    size: int,
    *,
    mode: Literal["edge", "constant"] = "edge",
) -> Iterator[tuple[list[np.ndarray], int]]:
    """Splits arrays into parts of ``size`` rows, so that one shape is compiled.

    Args:
      arrays: of as many rows each.
      size: rows of a part.
      mode: what the last part is padded with: "edge" repeats the last row, which is
        valid for every array; "constant" are zeros, which take a solver no steps.

    Yields:
      The parts, the last one padded, and the number of rows that are not padding.
    """
    for start in range(0, len(arrays[0]), size):
        found = [array[start : start + size] for array in arrays]
        n = len(found[0])
        yield (
            [
                np.pad(part, [(0, size - n)] + [(0, 0)] * (part.ndim - 1), mode=mode)
                for part in found
            ],
            n,
        )


# Cached, because these are closures, and jit compiles each new function object.
@functools.lru_cache(maxsize=4)
def _programs(mesh: jax.sharding.Mesh, site: str) -> _Programs:
    def start(
        encoder: encoder_lib.Encoder,
        token_ids: jax.Array,
        attention: jax.Array,
        position_ids: jax.Array,
    ) -> tuple[jax.Array, Any]:
        words = one_position.word_embeddings(encoder, token_ids)
        return one_position.start(encoder, words, attention, position_ids)

    def finish(
        last: Any,
        scaling: whitening_lib.Scaling,
        hidden: jax.Array,
        seen: Any,
        position: jax.Array,
    ) -> jax.Array:
        x = one_position.finish(last, hidden, seen, position, site=site)
        return _standardised(x, scaling)

    def embedding(
        scaling: whitening_lib.Scaling, hidden: jax.Array, position: jax.Array
    ) -> jax.Array:
        return _standardised(one_position.at_position(hidden, position), scaling)

    return _Programs(
        start=sharding.on_each(mesh, start, n_shared=1),
        advance=sharding.on_each(mesh, one_position.advance, n_shared=1),
        finish=sharding.on_each(mesh, finish, n_shared=2),
        embedding=sharding.on_each(mesh, embedding, n_shared=1),
        solve=kept_programs.Kept(
            sharding.on_each(mesh, _solve, n_shared=2), name="solve_on_each"
        ),
        differentiate=sharding.on_each(mesh, _differentiate, n_shared=1),
    )


def _standardised(x: jax.Array, scaling: whitening_lib.Scaling) -> jax.Array:
    return whitening_lib.standardise(x[None], *scaling)[0]


def _solve(
    coder: coder_lib.Coder, tolerance: jax.Array, x: jax.Array, factor: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns codes [rows, n_factors], and α of the factor of each row."""
    # The tolerance is traced, so that values and derivatives share one compilation.
    codes = coder.infer(x, tolerance=tolerance).codes
    return codes, _of_factor(codes, factor)


def _differentiate(
    coder: coder_lib.Coder, codes: jax.Array, x: jax.Array, factor: jax.Array
) -> jax.Array:
    """Returns ∂α/∂x at a solution, [rows, d_model]."""
    solver = coder.solver

    def activations(x: jax.Array) -> jax.Array:
        if coder.encoder is not None:
            return _of_factor(coder.encoder.codes(x), factor)
        assert coder.l1_penalty is not None
        # Derivatives depend on the support alone, not on the size of the codes.
        solution = implicit.differentiable(
            codes,
            x,
            coder.dictionary,
            l1_penalty=coder.l1_penalty,
            l2_penalty=solver.l2_penalty,
        )
        return (1 + solver.l2_penalty) * _of_factor(solution, factor)

    # Rows are independent, so one backward pass yields the derivatives of all of them.
    alpha, pull = jax.vjp(activations, x)
    [gradient] = pull(jnp.ones_like(alpha))
    return gradient


def _of_factor(codes: jax.Array, factor: jax.Array) -> jax.Array:
    return jnp.take_along_axis(codes, factor[:, None], axis=1)[:, 0]
