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
    check_values({"x": x, "dictionary": dictionary, "codes0": codes0}, numbers)
    return numbers


def check_shapes(x: Any, dictionary: Any, **codes: Any) -> None:
    """Raises InputError where arrays are none, or do not fit together.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      **codes: [batch, n_factors] or None, by the name that the caller knows them by.
    """
    _check_real("x", x)
    _check_real("dictionary", dictionary)
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
        _check_real(name, array)
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


def check_count(name: str, value: Any) -> None:
    """Raises InputError where a value is no whole number of at least 1."""
    try:
        is_count = 1 <= operator.index(value) < 2**31
    except TypeError:
        is_count = False
    if not is_count:
        raise InputError(
            f"Expected `{name}` to be a whole number, at least 1 and below 2^31, "
            f"got {value!r}."
        )


def check_values(
    arrays: Mapping[str, Any],
    numbers: Mapping[str, Any] | None = None,
) -> None:
    """Raises InputError where known values make no problem.

    Args:
      arrays: 2-D and to be finite, by name; None is left out.
      numbers: those of a solve, float32, by name; None is left out.
    """
    arrays, numbers = _known(arrays), _known(numbers or {})
    finite, ranges = _survey(arrays, numbers)
    for name, is_finite in finite.items():
        if not is_finite:
            raise _not_finite(name, arrays[name])
    for name, (least, largest) in ranges.items():
        _check_range(name, numbers[name], least, largest)


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
) -> tuple[dict[str, bool], dict[str, tuple[float, float]]]:
    """Returns which arrays are finite, and the least and the largest of the numbers."""
    finite = {n: _is_finite(a) for n, a in arrays.items() if _on_host(a)}
    ranges = {n: _range(a, np) for n, a in numbers.items() if _on_host(a)}
    far_arrays = {n: a for n, a in arrays.items() if n not in finite}
    far_numbers = {n: a for n, a in numbers.items() if n not in ranges}
    if far_arrays or far_numbers:
        # Inside a caller's trace, what is known is still computed at once.
        with jax.ensure_compile_time_eval():
            answer = jax.device_get(_on_device(far_arrays, far_numbers))
        finite |= {name: bool(answer[name]) for name in far_arrays}
        ranges |= {name: answer[name] for name in far_numbers}
    return finite, ranges


def _on_host(array: Any) -> bool:
    """Returns whether NumPy can read an array where it is."""
    if not isinstance(array, jax.Array):
        return True
    devices = array.devices()
    return len(devices) == 1 and next(iter(devices)).platform == "cpu"


def _is_finite(array: Any) -> bool:
    array = np.asarray(array)
    if array.dtype == np.float64:
        # It will be computed with in float32, where more is infinite.
        return bool(np.all(np.abs(array) <= np.finfo(np.float32).max))
    return bool(np.isfinite(array).all())


def _range(number: Any, library: Any) -> tuple[Any, Any]:
    """Returns the least and the largest of some numbers; NaN where one is none."""
    number = library.asarray(number)
    return (
        library.min(number, initial=np.float32(np.inf)),
        library.max(number, initial=np.float32(-np.inf)),
    )


@jax.jit
def _on_device(arrays: dict[str, Any], numbers: dict[str, Any]) -> dict[str, Any]:
    finite = {name: jnp.isfinite(array).all() for name, array in arrays.items()}
    return finite | {name: _range(number, jnp) for name, number in numbers.items()}


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


def _check_real(name: str, array: Any) -> None:
    kind = getattr(array, "dtype", None)
    if kind is None or not _is_real(kind):
        what = type(array).__name__ if kind is None else f"one of {kind}"
        raise InputError(
            f"Expected `{name}` to be an array of real numbers, got {what}."
        )


@functools.cache
def _is_real(kind: Any) -> bool:
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    return any(jnp.issubdtype(kind, real) for real in kinds)
