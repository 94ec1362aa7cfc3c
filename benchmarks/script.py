"""How a script starts: flags are parsed, and a user's mistake is one line."""

import functools
import pathlib
import sys
from collections.abc import Callable, Sequence

from absl import app

from tfvis_jax.errors import InputError


def main(work: Callable[[], None]) -> Callable[[Sequence[str]], None]:
    """Makes what `absl.app.run` calls of a function without arguments.

    Arguments that are no flags are refused, and an `InputError` ends the script with
    its message behind the script's name.
    """

    @functools.wraps(work)
    def start(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
        try:
            work()
        except InputError as error:
            sys.exit(f"{pathlib.Path(argv[0]).stem}: {error}")

    return start
