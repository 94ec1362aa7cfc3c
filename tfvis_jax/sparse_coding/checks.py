"""What a caller may have got wrong, said in the caller's terms.

Only what is known before a program runs is refused. Values that are traced are not
known: rows which are not finite then get a gap of NaN and are not converged.

An eager call must not pay for its checks. What lies in the host's memory is checked
there; all else that is known by one reduction on the device, with one answer.
"""

import functools
import operator
from collections.abc import Mapping
from typing import Any, TypedDict, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from tfvis_jax.errors import InputError

# Far from where float32 ends.
_SMALL = 1e30
# Magnitudes for which squares, their sums over dimensions and rows, and the square of
# the largest curvature are float32: within them no solver makes a NaN.
LARGEST_ROW = 1e15
_LARGEST_FACTOR, _LEAST_DICTIONARY = 1e5, 1e-6
# Smaller rows have a ½‖x‖² that is too small for a certificate, unless λ is so large
# that their codes are zero.
LEAST_ROW = 1e-13


class LassoNumbers(TypedDict):
    """The numbers of a solve, float32."""

    l1_penalty: jax.Array
    l2_penalty: jax.Array | None
    tolerance: jax.Array
    lipschitz: jax.Array | None


def check_lasso(
    x: Any,
    dictionary: Any,
    *,
    l1_penalty: Any,
    l2_penalty: Any = 0.0,
    tolerance: Any,
    max_steps: Any,
    lipschitz: Any = None,
    codes0: Any = None,
) -> LassoNumbers:
    """Raises InputError where the arguments of a solve make no problem.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ > 0; scalar, [batch], or [1 or batch, n_factors].
      l2_penalty: μ ≥ 0, a scalar.
      tolerance: scalar, 0 or more.
      max_steps: at least 1.
      lipschitz: scalar above 0, or None.
      codes0: [batch, n_factors], or None.

    Returns:
      The four numbers in float32 by name; None for what is not given, and for a plain μ
      of 0, which then costs nothing.
    """
    check_shapes(x, dictionary, codes0=codes0)
    check_count("max_steps", max_steps)
    numbers: LassoNumbers = {
        "l1_penalty": in_float32("l1_penalty", l1_penalty),
        "l2_penalty": ridge_in_float32(l2_penalty),
        "tolerance": in_float32("tolerance", tolerance),
        "lipschitz": None if lipschitz is None else in_float32("lipschitz", lipschitz),
    }
    check_numbers((x.shape[0], dictionary.shape[0]), numbers)
    arrays = {"x": x, "dictionary": dictionary, "codes0": codes0}
    check_values(arrays, numbers, is_certified=True)
    return numbers


def check_shapes(x: Any, dictionary: Any, **codes: Any) -> None:
    """Raises InputError where arrays are none, or do not fit together.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      **codes: [batch, n_factors] or None, by the name that the caller knows them by.
    """
    check_real(x=x, dictionary=dictionary)
    if x.ndim != 2 or dictionary.ndim != 2 or x.shape[1] != dictionary.shape[1]:
        raise InputError(
            "Expected `x` of shape [batch, d_model] and `dictionary` of shape "
            f"[n_factors, d_model], got {x.shape} and {dictionary.shape}."
        )
    if 0 in dictionary.shape:
        raise InputError(
            "Expected a `dictionary` with factors of some length, got shape "
            f"{dictionary.shape}."
        )
    shape = (x.shape[0], dictionary.shape[0])
    for name, array in codes.items():
        if array is None:
            continue
        check_real(**{name: array})
        if array.shape != shape:
            raise InputError(f"Expected `{name}` of shape {shape}, got {array.shape}.")


def check_numbers(codes_shape: tuple[int, ...], numbers: Mapping[str, Any]) -> None:
    """Raises InputError where the shapes of a solve's numbers do not fit.

    Args:
      codes_shape: (batch, n_factors).
      numbers: by name; all but ``l1_penalty`` have to be scalars.
    """
    for name, value in numbers.items():
        shape = () if value is None else np.shape(value)
        if name != "l1_penalty":
            # Rows are sorted, and tolerances of their own would not be.
            if shape:
                raise InputError(
                    f"Expected `{name}` to be a scalar, got shape {shape}."
                )
        elif len(shape) > 2 or any(
            size not in (1, full)
            for size, full in zip(shape, codes_shape, strict=False)
        ):
            raise InputError(
                "Expected `l1_penalty` to be a scalar or of shape [batch] or [1 or "
                f"batch, n_factors] with [batch, n_factors] = {codes_shape}, got "
                f"{shape}."
            )


def check_count(name: str, value: Any, *, at_least: int = 1) -> None:
    """Raises InputError where a value is no whole number of ``at_least`` or more."""
    try:
        is_count = at_least <= operator.index(value) < 2**31
    except TypeError:
        is_count = False
    if not is_count:
        raise InputError(
            f"Expected `{name}` to be a whole number, at least {at_least} and below "
            f"2^31, got {value!r}."
        )


def check_values(
    arrays: Mapping[str, Any],
    numbers: Mapping[str, Any] | None = None,
    *,
    is_certified: bool = False,
) -> None:
    """Raises InputError where known values make no problem.

    Args:
      arrays: 2-D and to be finite, by name; None is left out. Those called "x" and
        "dictionary" have to be in the range in which float32 has their squares.
      numbers: those of a solve, float32, by name; None is left out.
      is_certified: whether a duality gap is computed, which rows can be too small for;
        where λ is among the numbers, those are not refused whose codes will be zero.
    """
    arrays, numbers = _known(arrays), _known(numbers or {})
    extents, ranges = _survey(arrays, numbers)
    for name, (_, largest) in extents.items():
        _check_extent(name, arrays[name], largest)
    for name, (least, largest) in ranges.items():
        _check_range(name, numbers[name], least, largest)
    if is_certified and "x" in extents and extents["x"][0] < LEAST_ROW:
        _, largest = extents.get("dictionary", (0.0, _LARGEST_FACTOR))
        l1_penalty, _ = ranges.get("l1_penalty", (0.0, 0.0))
        if l1_penalty <= most_correlation(arrays["x"].shape[1], largest):
            raise too_small(extents["x"][0])


def most_correlation(d_model: int, largest: float) -> float:
    """Returns what ⟨d_f, x⟩ is at most for rows that no certificate can be given for.

    Args:
      d_model: size of a row.
      largest: magnitude in the dictionary.
    """
    return LEAST_ROW * d_model * float(largest)


def too_small(least: float) -> InputError:
    """Returns what to say of rows whose squares are too small for float32."""
    return InputError(
        f"Expected rows of zeros, or whose largest magnitude is between {LEAST_ROW:g} "
        f"and {LARGEST_ROW:g}, got {least:.3g}: their squares are too small for "
        "float32. Divide the rows by their scale first, and `l1_penalty` too."
    )


def is_true(name: str, value: Any) -> bool:
    """Returns a flag as Python's bool; InputError if it is none."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InputError(f"Expected `{name}` to be True or False, got {value!r}.")


def in_float32(name: str, value: Any) -> jax.Array:
    """Returns a number as a solve will see it.

    Python numbers, NumPy's and JAX's of one shape become arguments of one type, so that
    they share a compiled program. NumPy's stay on the host until that takes them, and
    are typed as what they are to it.
    """
    # What callers write most often, without what the others cost.
    if type(value) is float and abs(value) < _SMALL:
        return cast(jax.Array, np.float32(value))
    if isinstance(value, jax.Array):
        strong = value.dtype == jnp.float32 and not value.weak_type
        return value if strong else jnp.asarray(value, jnp.float32)
    try:
        # What overflows is infinite, and said to be so.
        with np.errstate(over="ignore"):
            return cast(jax.Array, np.asarray(value, np.float32))
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected `{name}` to be a number, got {value!r}.") from error


def ridge_in_float32(l2_penalty: Any) -> jax.Array | None:
    """Returns μ as a solve will see it: None for a plain 0."""
    if isinstance(l2_penalty, int | float) and l2_penalty == 0:
        return None
    return in_float32("l2_penalty", l2_penalty)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in values.items()
        if value is not None and _is_known(value)
    }


def _is_known(value: Any) -> bool:
    if isinstance(value, Tracer):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable


def _survey(
    arrays: Mapping[str, Any], numbers: Mapping[str, Any]
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """Returns the extents of the arrays, and the least and the largest of the numbers.

    An extent is the least and the largest of the rows' largest magnitudes, without rows
    of zeros.
    """
    extents = {n: _extent(np.asarray(a), np) for n, a in arrays.items() if _on_host(a)}
    ranges = {n: _range(a, np) for n, a in numbers.items() if _on_host(a)}
    far_arrays = {n: a for n, a in arrays.items() if n not in extents}
    far_numbers = {n: a for n, a in numbers.items() if n not in ranges}
    if far_arrays or far_numbers:
        # Inside a caller's trace, what is known is still computed at once.
        with jax.ensure_compile_time_eval():
            answer = jax.device_get(_on_device(far_arrays, far_numbers))
        extents |= {name: answer[name] for name in far_arrays}
        ranges |= {name: answer[name] for name in far_numbers}
    return extents, ranges


def _on_host(array: Any) -> bool:
    """Returns whether NumPy can read an array where it is."""
    if not isinstance(array, jax.Array):
        return True
    devices = array.devices()
    return len(devices) == 1 and next(iter(devices)).platform == "cpu"


def _extent(array: Any, library: Any) -> tuple[Any, Any]:
    """Returns the least and the largest of the rows' largest magnitudes.

    Rows of zeros do not count for the least. NaN anywhere makes the largest one.
    """
    # What is float64 on the host will be float32, where more is infinite.
    kind = np.float64 if library is np else np.float32
    above, below = (
        ends.astype(kind) for ends in (array.max(axis=1), array.min(axis=1))
    )
    magnitude = library.maximum(above, -below)
    return (
        library.min(library.where(magnitude > 0, magnitude, np.inf), initial=np.inf),
        library.max(magnitude, initial=0),
    )


def _range(number: Any, library: Any) -> tuple[Any, Any]:
    """Returns the least and the largest of some numbers; NaN where one is none."""
    number = library.asarray(number)
    return (
        library.min(number, initial=np.float32(np.inf)),
        library.max(number, initial=np.float32(-np.inf)),
    )


@jax.jit
def _on_device(arrays: dict[str, Any], numbers: dict[str, Any]) -> dict[str, Any]:
    extents = {name: _extent(array, jnp) for name, array in arrays.items()}
    return extents | {name: _range(number, jnp) for name, number in numbers.items()}


def _check_extent(name: str, array: Any, largest: float) -> None:
    """Refuses what is not finite in float32, or out of the range of rows or factors."""
    if not largest <= np.finfo(np.float32).max:
        raise _not_finite(name, array)
    if name == "x" and largest > LARGEST_ROW:
        raise InputError(
            f"Expected rows of `x` within ±{LARGEST_ROW:g}, got {largest:.3g}: their "
            "squares are too large for float32. Divide the rows by their scale first, "
            "and `l1_penalty` too."
        )
    if name == "dictionary" and not (
        largest == 0 or _LEAST_DICTIONARY <= largest <= _LARGEST_FACTOR
    ):
        raise InputError(
            f"Expected a `dictionary` whose largest magnitude is between "
            f"{_LEAST_DICTIONARY:g} and {_LARGEST_FACTOR:g}, got {largest:.3g}; divide "
            "factors by their norms."
        )


def _not_finite(name: str, array: Any) -> InputError:
    kind = "factor" if name == "dictionary" else "row"
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(np.asarray(array, np.float32)).all(axis=1)
    return InputError(
        f"Expected finite numbers in `{name}`, got NaN or infinity in {int(bad.sum())} "
        f"of {bad.size} {kind}s, first in {kind} {int(np.argmax(bad))}."
    )


def _check_range(name: str, value: Any, least: float, largest: float) -> None:
    if name == "l1_penalty":
        if not least > 0:
            raise InputError(
                f"Expected `l1_penalty` to be positive everywhere, got {least} as its "
                "least value; λ = 0 is plain least squares."
            )
        if not largest < np.inf:
            raise InputError(
                "Expected `l1_penalty` to be finite in float32, got infinity; a λ "
                "above ‖x‖·‖d_f‖ keeps factor f out of use."
            )
    elif name == "l2_penalty":
        if not 0 <= least <= largest < np.inf:
            raise InputError(
                f"Expected `l2_penalty` to be finite and 0 or more, got {value}."
            )
    elif name == "tolerance":
        if not least >= 0:
            raise InputError(f"Expected a `tolerance` of 0 or more, got {value}.")
    elif not 0 < least <= largest < np.inf:
        raise InputError(
            f"Expected `{name}` to be positive and finite, got {value}; leave "
            "it out to have it estimated."
        )


def check_real(**arrays: Any) -> None:
    """Raises InputError where something is no dense array of real numbers, by name."""
    for name, array in arrays.items():
        _check_real(name, array)


def check_not_masked(name: str, array: Any) -> None:
    """Raises InputError where an array, or one in a list, has masked numbers.

    Computation would take the numbers below the mask for values.
    """
    parts = array if isinstance(array, list | tuple) else (array,)
    masked = (part for part in parts if isinstance(part, np.ma.MaskedArray))
    if any(np.ma.is_masked(part) for part in masked):
        raise InputError(
            f"Expected `{name}` without masked numbers; leave out the rows that have "
            "some (`np.ma.compress_rows`), or give them values (`.filled(…)`)."
        )


def _check_real(name: str, array: Any) -> None:
    check_not_masked(name, array)
    kind = getattr(array, "dtype", None)
    if kind is None or not _is_real(kind):
        what = type(array).__name__ if kind is None else f"one of {kind}"
        raise InputError(
            f"Expected `{name}` to be an array of real numbers, got {what}."
        )
    # A compiled program would take the bytes for numbers in the machine's order.
    if not getattr(kind, "isnative", True):
        raise InputError(
            f"Expected `{name}` in the byte order of this machine, got {kind}; convert "
            "it with `.astype(np.float32)`."
        )
    # Sparse matrices have a type and a shape as well.
    if not hasattr(array, "__array__"):
        raise InputError(
            f"Expected `{name}` to be a dense array, got {type(array).__name__}; "
            "convert it with `.toarray()`."
        )


@functools.cache
def _is_real(kind: Any) -> bool:
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    try:
        return any(jnp.issubdtype(kind, real) for real in kinds)
    except TypeError:
        # A type of another library.
        return False
