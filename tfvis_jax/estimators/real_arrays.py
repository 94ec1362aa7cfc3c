"""Arrays of real numbers, from whatever a user may give for one."""

from typing import Any

import numpy as np
from jax.core import Tracer

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import checks


def as_real(name: str, array: Any) -> Any:
    """Returns an array as it is, and an array of what lists and the like hold.

    Rows that lie on disk stay there.

    Args:
      name: how the caller knows it.
      array: what was given.

    Raises:
      InputError: it is not of real numbers, sparse, or traced.
    """
    if isinstance(array, Tracer):
        raise InputError(
            f"Expected `{name}` with known values, got a traced array; inside `jit` "
            "call `sparse_coding.encode`."
        )
    checks.check_not_masked(name, array)
    kind = getattr(array, "dtype", None)
    if not hasattr(array, "shape") or kind == np.dtype(object):
        try:
            given = np.asarray(array)
            array = given.astype(np.float64) if given.dtype == object else given
        except (TypeError, ValueError) as error:
            raise InputError(
                f"Expected `{name}` to be an array of real numbers, got "
                f"{type(array).__name__}: {error}."
            ) from error
    elif kind is None:
        # Data frames, and readers of rows that are made as they are asked for.
        return array
    # NumPy reads any byte order, unlike a compiled program.
    is_native = getattr(array.dtype, "isnative", True)
    order = array if is_native else np.empty(0, array.dtype.newbyteorder("="))
    checks.check_real(**{name: order})
    return array
