"""How a script starts: its flags are parsed, and a user's mistake is one line.

Every script has flags of its own (`flags.FlagValues()`), so that several scripts can be
imported and run in one process.
"""

import inspect
import pathlib
import sys
from collections.abc import Callable, Sequence

from absl import flags

from tfvis_jax import files, xla_flags
from tfvis_jax.errors import InputError

_HELP = {"--help", "-help", "-h"}


def run(
    main: Callable[[], None],
    flag_values: flags.FlagValues,
    argv: Sequence[str] | None = None,
) -> None:
    """Parses the flags and runs a script.

    Args:
      main: does the work; its module's docstring is what ``--help`` shows.
      flag_values: flags of the script; a second call starts from the defaults again.
      argv: name of the script and its arguments; those of the process if None.

    Raises:
      SystemExit: the flags or what they ask for cannot be worked with, a file cannot be
        read or written, or Ctrl-C; with a sentence behind the script's name.
    """
    program, *arguments = sys.argv if argv is None else argv
    name = pathlib.Path(program).stem
    if not _HELP.isdisjoint(arguments):
        print(inspect.getdoc(inspect.getmodule(main)))
        print(flag_values.get_help(include_special_flags=False))
        return
    flag_values.unparse_flags()
    try:
        rest = flag_values([name, *arguments])[1:]
    except flags.Error as error:
        sys.exit(f"{name}: {error} (--help lists the flags)")
    if rest:
        sys.exit(f"{name}: Expected flags alone, got {' '.join(rest)}.")
    # As commands do; before JAX uses a device.
    xla_flags.add()
    try:
        main()
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


def numbers(name: str, texts: Sequence[str], kind: type = float) -> tuple:
    """Returns the values of a flag that lists numbers.

    Args:
      name: of the flag.
      texts: its value.
      kind: int or float.

    Raises:
      InputError: one of them is no number.
    """
    try:
        return tuple(kind(text) for text in texts)
    except ValueError as error:
        raise InputError(
            f"Expected --{name} as numbers, got {','.join(texts)!r}."
        ) from error
