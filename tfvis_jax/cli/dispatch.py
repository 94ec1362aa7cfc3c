"""Dispatch: find the command, read its flags, turn failures into a sentence.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

import errno
import importlib
import sys
import traceback
from collections.abc import Sequence

import tfvis_jax
from tfvis_jax.cli import command
from tfvis_jax.errors import InputError

# In the order in which a person meets them. Each is imported when it is called, so that
# this list shows at once.
_COMMANDS = {
    "demo": "the whole way once, on a small model and 96 Wikipedia articles",
    "train": "learn a dictionary of factors from text",
    "examples": "find the tokens that fire each factor most",
    "export": "write the page of a run as files that open anywhere",
    "view": "open the page of a run in the browser",
    "encode": "write a sentence of your own as sums of factors",
}

_OVERVIEW = """\
tfvis shows what a BERT represents: every hidden state as a sparse, non-negative sum of
transformer factors from one dictionary for all layers.

usage: tfvis COMMAND RUN [--flags]

{commands}

`tfvis COMMAND --help` explains a command. RUN is a directory: `tfvis train` makes it,
the others take all their settings from it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("--help", "-h", "-help", "help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"tfvis_jax {tfvis_jax.__version__}")
        return 0
    name, *rest = arguments
    if name not in _COMMANDS:
        print(f"tfvis: there is no command {name!r}.\n\n{_overview()}", file=sys.stderr)
        return 2
    chosen = _load(name)
    if any(argument in ("--help", "-h", "-help") for argument in rest):
        print(chosen.help())
        return 0
    debug = "--debug" in rest
    try:
        chosen.run(chosen.parse(rest))
    except command.UsageError as error:
        _complain(error, debug)
        print(f"usage: tfvis {name} {chosen.usage}", file=sys.stderr)
        print(f"`tfvis {name} --help` lists the flags.", file=sys.stderr)
        return 2
    except InputError as error:
        _complain(error, debug)
        return 1
    except KeyboardInterrupt:
        print(
            f"\ntfvis {name}: stopped. The same command goes on where it stopped.",
            file=sys.stderr,
        )
        return 1
    except BrokenPipeError:  # `tfvis encode … | head`
        sys.stderr.close()
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _complain(f"No space left on the disk ({error.filename}).", debug)
            return 1
        _complain(
            f"failed unexpectedly ({type(error).__name__}: {error}). Run it with "
            "--debug for the traceback.",
            debug,
        )
        return 1
    return 0


def _load(name: str) -> command.Command:
    return importlib.import_module(f"tfvis_jax.cli.{name}").COMMAND


def _overview() -> str:
    rows = [f"  {name:<9} {summary}" for name, summary in _COMMANDS.items()]
    return _OVERVIEW.format(commands="\n".join(rows))


def _complain(message: object, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"tfvis: {message}", file=sys.stderr)
