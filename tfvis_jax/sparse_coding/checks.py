"""What a caller may have got wrong, said in the caller's terms.

Only what is known before a program runs is refused. Values that are traced are not
known: rows which are not finite then get a gap of NaN and are not converged.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError


def check_problem(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    l2_penalty: jax.Array | float,
    codes0: jax.Array | None,
) -> None:
    """Raises InputError where the arguments of a solve do not make a problem."""
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
    codes_shape = (x.shape[0], dictionary.shape[0])
    if codes0 is not None and codes0.shape != codes_shape:
        raise InputError(
            f"Expected `codes0` of shape {codes_shape}, got {codes0.shape}."
        )
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
) -> None:
    """Raises InputError where a solve could never end, or never begin."""
    if max_steps < 1 or block_steps < 1:
        raise InputError(
            "Expected `max_steps` and `block_steps` to be at least 1, got "
            f"{max_steps} and {block_steps}."
        )
    if _is_known(tolerance) and not np.all(np.asarray(tolerance) >= 0):
        raise InputError(f"Expected a `tolerance` of 0 or more, got {tolerance}.")


def _check_penalties(l1_penalty, l2_penalty, codes_shape):
    shape = np.shape(l1_penalty)
    if len(shape) > 2 or any(
        size not in (1, full) for size, full in zip(shape, codes_shape, strict=False)
    ):
        raise InputError(
            "Expected `l1_penalty` to be a scalar or of shape [batch] or [1 or batch, "
            f"n_factors] with [batch, n_factors] = {codes_shape}, got {shape}."
        )
    if _is_known(l1_penalty) and not np.all(np.asarray(l1_penalty) > 0):
        raise InputError(
            "Expected `l1_penalty` to be positive everywhere, got "
            f"{np.min(l1_penalty)} as its least value; λ = 0 is plain least squares."
        )
    if np.shape(l2_penalty):
        raise InputError(
            f"Expected `l2_penalty` to be a scalar, got shape {np.shape(l2_penalty)}."
        )
    if _is_known(l2_penalty) and not 0 <= float(l2_penalty) < np.inf:
        raise InputError(
            f"Expected `l2_penalty` to be finite and 0 or more, got {l2_penalty}."
        )


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
