"""Compiles programs and times them, apart from each other, and the device itself."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

# Timed calls of a program, at least, and seconds after which no more are added; and
# seconds after which fewer will do.
_LEAST_CALLS, _ENOUGH_S, _LONG_S = 3, 0.5, 4.0
# Products in a chain, so that starting them costs nothing beside them.
_CHAIN = 16
# Rows of a product that are compared.
_COMPARED = 64
_PRECISIONS = {
    "float32": jax.lax.Precision.HIGHEST,
    "tf32": jax.lax.Precision.DEFAULT,
    "bfloat16": jax.lax.Precision.DEFAULT,
}
# Products of float32 matrices by several of fewer bits, which the library does not use:
# what they would gain where float32 is slow, and what they would lose.
_SPLIT = {
    "gpu": ("TF32_TF32_F32_X3", "BF16_BF16_F32_X3", "BF16_BF16_F32_X6"),
    "tpu": ("BF16_BF16_F32_X3", "BF16_BF16_F32_X6"),
}


class Program(NamedTuple):
    """A compiled program.

    Attributes:
      run: calls it, with the arguments that are not static.
      compile_s: seconds that tracing and compiling took.
      traffic: bytes that XLA counts, with the body of a loop once; None if unknown.
      temporary: bytes of its intermediate arrays; None if unknown.
    """

    run: Callable[..., Any]
    compile_s: float
    traffic: float | None
    temporary: int | None


def build(function: Any, *args: Any, **kwargs: Any) -> Program:
    """Compiles a jitted function for these arguments.

    Args:
      function: made by `jax.jit`.
      *args: of a call, or shapes in their place.
      **kwargs: of a call.
    """
    start = time.perf_counter()
    compiled = function.lower(*args, **kwargs).compile()
    seconds = time.perf_counter() - start
    return Program(
        compiled,
        seconds,
        _reported(lambda: cast(Any, compiled.cost_analysis())["bytes accessed"]),
        _reported(lambda: compiled.memory_analysis().temp_size_in_bytes),
    )


def fastest(call: Callable[[], Any], *, warm: bool = False) -> float:
    """Returns the seconds of the fastest call.

    Args:
      call: what to time.
      warm: whether it ran before; if not, it is called once untimed.
    """
    if not warm:
        jax.block_until_ready(call())
    seconds: list[float] = []
    while sum(seconds) < (_ENOUGH_S if len(seconds) >= _LEAST_CALLS else _LONG_S):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def precisions() -> tuple[str, ...]:
    """Returns the arithmetics of matrix products that the platform tells apart."""
    # On a TPU the default is bfloat16, on a CPU it is float32.
    if jax.default_backend() == "gpu":
        return ("float32", "tf32", "bfloat16")
    return ("float32", "bfloat16")


def split_products() -> tuple[str, ...]:
    """Returns JAX's names of products in parts that the platform may have."""
    return _SPLIT.get(jax.default_backend(), ())


def product_rate(name: str, *, size: int) -> dict[str, float]:
    """Times large matrix products, and compares one with NumPy.

    Args:
      name: one of `precisions` or of `split_products`.
      size: rows and columns of either matrix.

    Returns:
      FLOP/s as `rate`, and the largest error of a number as a share of the largest
      number, of float32 matrices.
    """
    dtype = jnp.bfloat16 if name == "bfloat16" else jnp.float32
    precision = _PRECISIONS.get(name) or jax.lax.DotAlgorithmPreset[name]
    keys = jax.random.split(jax.random.key(0))
    left, right = (jax.random.normal(key, (size, size)) for key in keys)
    # Scaled, so that a chain of products stays finite.
    right = right / size**0.5

    @jax.jit
    def chain(left: jax.Array, right: jax.Array, num: jax.Array) -> jax.Array:
        def multiply(_: jax.Array, product: jax.Array) -> jax.Array:
            found = jnp.matmul(
                product, right, precision=precision, preferred_element_type=jnp.float32
            )
            return found.astype(dtype)

        return jax.lax.fori_loop(0, num, multiply, left)

    pair = (left.astype(dtype), right.astype(dtype))
    seconds = fastest(functools.partial(chain, *pair, jnp.int32(_CHAIN)))
    rows = slice(0, min(size, _COMPARED))
    known = np.asarray(left)[rows].astype(np.float64) @ np.asarray(right)
    found = np.asarray(chain(*pair, jnp.int32(1))[rows].astype(jnp.float32))
    return {
        "rate": 2 * size**3 * _CHAIN / seconds,
        "error": float(np.max(np.abs(found - known)) / np.max(np.abs(known))),
    }


def memory_rate(*, num_bytes: int) -> float:
    """Returns bytes/s, read and written, of going once through a large array."""
    array = jnp.zeros((num_bytes // 4,), jnp.float32)
    seconds = fastest(functools.partial(jax.jit(lambda array: array + 1), array))
    return 2 * array.nbytes / seconds


def _reported(read: Callable[[], Any]) -> Any:
    """Returns what XLA reports; None on platforms where it reports nothing."""
    try:
        return read()
    except (KeyError, TypeError, AttributeError, NotImplementedError):
        return None
    except jax.errors.JaxRuntimeError:
        return None
