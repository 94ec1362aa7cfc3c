"""What a caller may have got wrong, said in the caller's terms.

Only what is known before a program runs is refused. Values that are traced are not
known: rows which are not finite then get a gap of NaN and are not converged.
"""

import operator

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError


def check_shapes(
    x: jax.Array, dictionary: jax.Array, **codes: jax.Array | None
) -> None:
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


def check_problem(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    l2_penalty: jax.Array | float,
    codes0: jax.Array | None,
) -> None:
    """Raises InputError where the arguments of a solve do not make a problem."""
    check_shapes(x, dictionary, codes0=codes0)
    codes_shape = (x.shape[0], dictionary.shape[0])
    _check_penalties(l1_penalty, l2_penalty, codes_shape)
    _check_finite("x", "row", x)
    _check_finite("dictionary", "factor", dictionary)
    if codes0 is not None:
        _check_finite("codes0", "row", codes0)


def check_effort(
    *,
    tolerance: jax.Array | float,
    max_steps: int,
    block_steps: int,
    k: int | None,
    lipschitz: jax.Array | float | None,
) -> None:
    """Raises InputError where a solve could never end, or never begin."""
    counts = {"max_steps": max_steps, "block_steps": block_steps, "k": k}
    for name, count in counts.items():
        if name == "k" and count is None:
            continue
        if not _is_count(count):
            raise InputError(
                f"Expected `{name}` to be a whole number, at least 1 and below 2^31, "
                f"got {count!r}."
            )
    # Rows are sorted, and their tolerances would not be.
    if np.shape(tolerance):
        raise InputError(
            f"Expected `tolerance` to be a scalar, got shape {np.shape(tolerance)}."
        )
    if _is_known(tolerance) and not _number("tolerance", tolerance) >= 0:
        raise InputError(f"Expected a `tolerance` of 0 or more, got {tolerance}.")
    if lipschitz is None:
        return
    if np.shape(lipschitz):
        raise InputError(
            f"Expected `lipschitz` to be a scalar, got shape {np.shape(lipschitz)}."
        )
    if _is_known(lipschitz) and not 0 < _number("lipschitz", lipschitz) < np.inf:
        raise InputError(
            f"Expected `lipschitz` to be positive and finite, got {lipschitz}; leave "
            "it out to have it estimated."
        )


def _check_penalties(l1_penalty, l2_penalty, codes_shape):
    shape = np.shape(l1_penalty)
    if len(shape) > 2 or any(
        size not in (1, full) for size, full in zip(shape, codes_shape, strict=False)
    ):
        raise InputError(
            "Expected `l1_penalty` to be a scalar or of shape [batch] or [1 or batch, "
            f"n_factors] with [batch, n_factors] = {codes_shape}, got {shape}."
        )
    if _is_known(l1_penalty):
        penalty = _number("l1_penalty", l1_penalty)
        if not np.all(penalty > 0):
            raise InputError(
                "Expected `l1_penalty` to be positive everywhere, got "
                f"{np.min(penalty)} as its least value; λ = 0 is plain least squares."
            )
        if not np.all(penalty < np.inf):
            raise InputError(
                "Expected `l1_penalty` to be finite in float32, got infinity; a λ "
                "above ‖x‖·‖d_f‖ keeps factor f out of use."
            )
    if np.shape(l2_penalty):
        raise InputError(
            f"Expected `l2_penalty` to be a scalar, got shape {np.shape(l2_penalty)}."
        )
    if _is_known(l2_penalty) and not 0 <= _number("l2_penalty", l2_penalty) < np.inf:
        raise InputError(
            f"Expected `l2_penalty` to be finite and 0 or more, got {l2_penalty}."
        )


def _check_real(name, array):
    kind = getattr(array, "dtype", None)
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    if kind is None or not any(jnp.issubdtype(kind, real) for real in kinds):
        what = type(array).__name__ if kind is None else f"one of {kind}"
        raise InputError(
            f"Expected `{name}` to be an array of real numbers, got {what}."
        )


def _is_count(value):
    try:
        return 1 <= operator.index(value) < 2**31
    except TypeError:
        return False


def _number(name, value):
    """Returns a value as a solve will see it."""
    try:
        with np.errstate(over="ignore"):
            return np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected `{name}` to be a number, got {value!r}.") from error


def _check_finite(name, kind, array):
    if not _is_known(array):
        return
    # One boolean comes from the device, the rest only where something is wrong.
    with jax.ensure_compile_time_eval():
        bad = ~jnp.isfinite(array).all(axis=1)
        if not jnp.any(bad):
            return
    raise InputError(
        f"Expected finite numbers in `{name}`, got NaN or infinity in {int(bad.sum())} "
        f"of {len(bad)} {kind}s, first in {kind} {int(np.argmax(bad))}."
    )


def _is_known(value) -> bool:
    if isinstance(value, jax.core.Tracer):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable
