"""Codes of any number of rows, a batch at a time.

Rows go to the device in batches of one static size, so that one program is compiled;
rows that fill up the last batch are zeros and left out of the result. While the device
works on a batch, the host reads the next one and takes over the codes of the last. Two
batches are in memory at once, whatever the number of rows.
"""

import functools
import numbers
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.estimators import csr, real_arrays
from tfvis_jax.sparse_coding import Encoding, Solver, checks, encode, registry

OUTPUTS = ("dense", "sparse")
# Sizes of a batch: few, so that data sets of similar size share a compiled program.
_SIZES = (64, 256, 1024, 4096)
# Codes of a batch at most; solvers hold a handful of arrays of this size.
_MOST_CODES = 2**24


class EncodedBatch(NamedTuple):
    """Codes of consecutive rows, on the host.

    Attributes:
      first: number of the first row.
      codes: [batch, n_factors] float32, an array or a `scipy.sparse.csr_array`.
      gap: [batch] float32, relative duality gap.
      converged: [batch] bool, whether the gap is certainly within the tolerance.
    """

    first: int
    codes: Any
    gap: np.ndarray
    converged: np.ndarray


class EncodedRows(NamedTuple):
    """Codes of all rows, on the host.

    Attributes:
      codes: [rows, n_factors] float32, an array or a `scipy.sparse.csr_array`.
      gap: [rows] float32, relative duality gap.
      converged: [rows] bool, whether the gap is certainly within the tolerance.
      n_not_converged: number of rows that are not.
    """

    codes: Any
    gap: np.ndarray
    converged: np.ndarray
    n_not_converged: int


class DeviceBatch(NamedTuple):
    """One batch on the device, padded.

    Attributes:
      first: number of the first row.
      n_rows: rows that are not padding; they come first.
      x: [batch, d_model] float32.
      encoding: of all rows of ``x``.
    """

    first: int
    n_rows: int
    x: jax.Array
    encoding: Encoding


def encode_batches(
    rows: np.ndarray,
    dictionary: jax.typing.ArrayLike,
    *,
    l1_penalty: float,
    batch_rows: int | None = None,
    solver: str | Solver = "auto",
    tolerance: float = 1e-4,
    max_steps: int = 500,
    non_negative: bool = True,
    scale: float = 1.0,
    output: str = "dense",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[EncodedBatch]:
    """Infers the codes of any number of rows and yields them batch by batch.

    Args:
      rows: [rows, d_model] array of real numbers, finite; may be memory-mapped, since
        only the rows of a batch are read at a time. Computed in float32.
      dictionary: [n_factors, d_model].
      l1_penalty: λ > 0.
      batch_rows: rows of a batch, at most; the last one is padded to the same size. If
        None, up to 4096, fewer for large dictionaries.
      solver: as in `sparse_coding.encode`.
      tolerance: largest relative duality gap of a finished row.
      max_steps: budget of solver steps; rows that exceed it are not converged.
      non_negative: If True, constrain codes to be ≥ 0.
      scale: rows are divided by it before they are encoded.
      output: "dense" or "sparse", the form of the codes.
      progress: called with (rows done, rows in all) after each batch.

    Returns:
      An iterator of batches in the order of the rows.

    Raises:
      InputError: shapes do not fit, or values make no problem; while iterating, if a
        row is not finite.
    """
    _check_output(output)
    batches = device_batches(
        rows,
        dictionary,
        l1_penalty=l1_penalty,
        batch_rows=batch_rows,
        solver=solver,
        tolerance=tolerance,
        max_steps=max_steps,
        non_negative=non_negative,
        scale=scale,
    )
    return _fetched(batches, output=output, n_rows=len(rows), progress=progress)


def encode_rows(
    rows: np.ndarray,
    dictionary: jax.typing.ArrayLike,
    *,
    l1_penalty: float,
    output: str = "dense",
    **settings: Any,
) -> EncodedRows:
    """Infers the codes of any number of rows.

    Sparse codes take 8 bytes a non-zero: those of 10 million rows with 32 factors each
    2.6 GB, where dense codes of 16,384 factors would take 655 GB.

    Args:
      rows: [rows, d_model] array, may be memory-mapped.
      dictionary: [n_factors, d_model].
      l1_penalty: λ > 0.
      output: "dense" for an array, "sparse" for a `scipy.sparse.csr_array`.
      **settings: others of `encode_batches`.

    Returns:
      Codes, gaps, and how many rows did not converge.

    Raises:
      InputError: as `encode_batches`.
    """
    batches = encode_batches(
        rows, dictionary, l1_penalty=l1_penalty, output=output, **settings
    )
    n_rows, n_factors = len(rows), np.shape(dictionary)[0]
    gap, converged = np.empty(n_rows, np.float32), np.empty(n_rows, bool)
    kind = csr.CsrBuilder if output == "sparse" else csr.DenseBuilder
    builder = kind(n_rows=n_rows, n_columns=n_factors)
    for batch in batches:
        here = slice(batch.first, batch.first + len(batch.gap))
        gap[here], converged[here] = batch.gap, batch.converged
        builder.append(batch.codes)
    return EncodedRows(builder.finish(), gap, converged, int(np.sum(~converged)))


def device_batches(
    rows: np.ndarray,
    dictionary: jax.typing.ArrayLike,
    *,
    l1_penalty: float,
    batch_rows: int | None = None,
    solver: str | Solver = "auto",
    tolerance: float = 1e-4,
    max_steps: int = 500,
    non_negative: bool = True,
    scale: float = 1.0,
) -> Iterator[DeviceBatch]:
    """Checks the problem and yields padded batches whose results are under way.

    A batch is yielded after the next one was started, so that waiting for it leaves the
    device busy. Arguments and errors are those of `encode_batches`.
    """
    rows = real_arrays.as_real("rows", rows)
    dictionary = real_arrays.as_real("dictionary", dictionary)
    dictionary = jnp.asarray(dictionary, jnp.float32)
    # A row of the same kind stands for those that have not been read yet.
    checks.check_lasso(
        np.zeros((1, *np.shape(rows)[1:]), np.float32),
        dictionary,
        l1_penalty=l1_penalty,
        tolerance=tolerance,
        max_steps=max_steps,
    )
    if batch_rows is not None:
        checks.check_count("batch_rows", batch_rows)
    if not (isinstance(scale, numbers.Real) and 0 < np.float32(scale) < np.inf):
        raise InputError(
            f"Expected `scale` positive and finite in float32, got {scale!r}."
        )
    least = 0.0
    largest = float(np.max(np.abs(np.asarray(dictionary))))
    if l1_penalty <= checks.most_correlation(dictionary.shape[1], largest):
        least = checks.LEAST_ROW
    non_negative = checks.is_true("non_negative", non_negative)
    size = _batch_size(len(rows), len(dictionary), batch_rows)
    chosen = registry.solver(
        solver,
        platform=jax.default_backend(),
        n_factors=len(dictionary),
        factors_are_split=False,
    )

    def start(first: int) -> DeviceBatch:
        x = read(rows[first : first + size], first=first, scale=scale)
        _check_range(x, first=first, least=least)
        n_rows = len(x)
        x = jnp.asarray(np.pad(x, ((0, size - n_rows), (0, 0))))
        encoding = _encode(
            x,
            dictionary,
            np.float32(l1_penalty),
            np.float32(tolerance),
            solver=chosen,
            max_steps=max_steps,
            non_negative=non_negative,
        )
        return DeviceBatch(first, n_rows, x, encoding)

    def run() -> Iterator[DeviceBatch]:
        last = None
        for first in range(0, len(rows), size):
            batch = start(first)
            if last is not None:
                yield last
            last = batch
        if last is not None:
            yield last

    return run()


def read(rows: np.ndarray, *, first: int = 0, scale: float = 1.0) -> np.ndarray:
    """Returns rows in float32, divided by the scale.

    Args:
      rows: [rows, d_model], as they are stored.
      first: number of the first, for the message.
      scale: what to divide by.

    Raises:
      InputError: one is not finite.
    """
    with np.errstate(over="ignore"):
        x = np.asarray(rows, np.float32)
        x = x if scale == 1 else x / np.float32(scale)
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        raise InputError(
            "Expected finite rows in the range of float32, got NaN or infinity in row "
            f"{first + int(np.argmin(finite))}; leave such rows out."
        )
    return x


def _check_range(x: np.ndarray, *, first: int, least: float) -> None:
    """Refuses rows whose squares are too large or too small for float32."""
    magnitude = np.maximum(x.max(axis=1), -x.min(axis=1))
    bad = (magnitude > checks.LARGEST_ROW) | ((magnitude > 0) & (magnitude < least))
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"Expected rows of zeros, or whose largest magnitude is between "
            f"{checks.LEAST_ROW:g} and {checks.LARGEST_ROW:g}, got "
            f"{magnitude[row]:.3g} in row {first + row}: their squares must be in the "
            "range of float32. Divide rows by their scale (`scale`), and `l1_penalty` "
            "too."
        )


@functools.partial(jax.jit, static_argnames=("solver", "max_steps", "non_negative"))
def _encode(
    x: jax.Array,
    dictionary: jax.Array,
    l1_penalty: jax.Array,
    tolerance: jax.Array,
    *,
    solver: Solver,
    max_steps: int,
    non_negative: bool,
) -> Encoding:
    # Under jit, so that no check of values waits for the batch before.
    return encode(
        x,
        dictionary,
        l1_penalty=l1_penalty,
        solver=solver,
        tolerance=tolerance,
        max_steps=max_steps,
        non_negative=non_negative,
    )


def _batch_size(n_rows: int, n_factors: int, batch_rows: int | None) -> int:
    most = batch_rows
    if most is None:
        fitting = [size for size in _SIZES if size * n_factors <= _MOST_CODES]
        most = max(fitting, default=_SIZES[0])
    return min([most, *(size for size in _SIZES if size >= n_rows)])


def _check_output(output: str) -> None:
    if output not in OUTPUTS:
        raise InputError(f"Expected `output` to be one of {OUTPUTS}, got {output!r}.")


def _fetched(
    batches: Iterator[DeviceBatch],
    *,
    output: str,
    n_rows: int,
    progress: Callable[[int, int], None],
) -> Iterator[EncodedBatch]:
    """Yields batches on the host, without the padding."""
    for batch in batches:
        encoding = batch.encoding
        codes = np.asarray(encoding.codes)[: batch.n_rows]
        if output == "sparse":
            codes = csr.from_dense(codes)
        gap = np.asarray(encoding.gap)[: batch.n_rows]
        converged = np.asarray(encoding.converged)[: batch.n_rows]
        yield EncodedBatch(batch.first, codes, gap, converged)
        progress(batch.first + batch.n_rows, n_rows)
