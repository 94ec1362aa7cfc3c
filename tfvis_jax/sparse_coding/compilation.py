"""Functions that are one compiled program each, whoever calls them."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import jax

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(
    *static: str,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Returns a decorator like `jax.jit` that keeps a function's type.

    Called by itself, the function is compiled once for each shape of its arguments.
    Inside a caller's trace it is inlined, as if it had been written there.

    Args:
      *static: names of the arguments that are not arrays.
    """

    def decorate(
        function: Callable[Arguments, Result],
    ) -> Callable[Arguments, Result]:
        return cast(
            Callable[Arguments, Result],
            jax.jit(function, static_argnames=static, inline=True),
        )

    return decorate
