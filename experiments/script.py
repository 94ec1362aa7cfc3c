"""How a script starts: flags are parsed, and a user's mistake is one line."""

import functools
import pathlib
import sys
from collections.abc import Callable, Sequence

from absl import app

from tfvis_jax import files
from tfvis_jax.errors import InputError


def main(work: Callable[[], None]) -> Callable[[Sequence[str]], None]:
    """Makes what `absl.app.run` calls of a function without arguments.

    Arguments that are no flags are refused. An `InputError`, a file that cannot be
    read or written, and Ctrl-C end the script with a sentence behind its name.
    """

    @functools.wraps(work)
    def start(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
        name = pathlib.Path(argv[0]).stem
        try:
            work()
        except InputError as error:
            sys.exit(f"{name}: {error}")
        except KeyboardInterrupt:
            sys.exit(f"{name}: stopped.")
        except OSError as error:
            if files.is_disk_full(error):
                sys.exit(f"{name}: {files.no_space(error.filename or 'the output')}")
            if not (error.filename and error.strerror):
                raise
            sys.exit(f"{name}: {error.filename}: {error.strerror}.")

    return start
