"""Dispatch: find the command, read its flags, turn errors into a sentence.

Exit codes: 0 done, or stopped by SIGTERM with nothing lost; 1 error, or a plan that
does not fit; 2 wrong usage.
"""

import contextlib
import difflib
import importlib
import logging
import os
import pathlib
import re
import sys
import textwrap
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import TextIO

import tfvis_jax
from tfvis_jax import errors, files, xla_flags
from tfvis_jax.cli import command, next_step, run_argument, signals
from tfvis_jax.errors import InputError, Terminated

# In the order of use. Each is imported when it is called, so that this list shows at
# once.
_COMMANDS = {
    "demo": "run every step once, on a small model and a hundred Wikipedia articles",
    "plan": "estimate the memory and work of a run, and whether it fits",
    "train": "learn a dictionary of factors from text",
    "import": "make a run of a dictionary that was learned elsewhere",
    "hidden_states": "store the model's hidden states, to train on more than once",
    "evaluate": "measure how good the dictionary is",
    "examples": "find the top-activating examples of each factor",
    "levels": "tell which factors are words, patterns or long-range",
    "export": "write the page of a run as files that open anywhere",
    "verify": "check that an exported page is as it was written",
    "view": "open the page of a run in the browser",
    "figures": "draw figures of a run for a paper",
    "encode": "write a sentence of your own as sums of factors",
    "codes": "write the codes of any text as files",
    "explain": "show which tokens make a factor fire",
    "steer": "add a factor to a text, or take it out, and see what changes",
    "describe": "describe a factor in words",
    "labels": "exchange labels of factors with tools that make them",
    "label": "label factors by a language model, and score labels",
    "publish": "upload a run to the hub",
    "cache": "show or clear the compiled programs that commands keep",
}
_ALIASES = {"activations": "hidden_states"}
# Where the name of a command is no name of a module.
_MODULES = {"import": "import_dictionary"}

# What to say after Ctrl-C.
_RESUMES: dict[str, str] = dict.fromkeys(
    ("demo", "train", "hidden_states", "examples", "codes", "label"),
    "The same command resumes where it stopped.",
)
_UNKEPT = re.compile("Error (reading|writing) persistent compilation cache")
_HELP = ("--help", "-h", "-help")

_OVERVIEW = """\
tfvis shows what a BERT represents: every hidden state as a sparse, non-negative sum of
transformer factors from one dictionary for all layers.

usage: tfvis COMMAND RUN [--flags]

{commands}

`tfvis COMMAND --help` explains a command. RUN is a directory: `tfvis train` makes it,
and the others take all their settings from it. Commands that only read it also take
hf://user/name, a run of the hub."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ""
    name = _ALIASES.get(name, name)
    debug = "--debug" in arguments
    if not debug:
        # Libraries log what is said here in a sentence.
        logging.disable(logging.ERROR)
    try:
        with _warnings_as_notes():
            return _dispatch(name, arguments[1:])
    except command.UsageError as error:
        _complain(error, debug)
        if name in _COMMANDS:
            print(f"usage: tfvis {name} {_load(name).usage}", file=sys.stderr)
            print(f"`tfvis {name} --help` lists the flags.", file=sys.stderr)
        return 2
    except InputError as error:
        _complain(run_argument.explained(str(error)), debug)
    except KeyboardInterrupt as stop:
        onward = _RESUMES.get(name, "No half-written file is left.")
        print(f"\ntfvis {name}: Stopped. {onward}", file=sys.stderr)
        return 0 if isinstance(stop, Terminated) else 1
    except BrokenPipeError:  # `tfvis encode … | head`
        # Python would complain again when it closes the stream at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        _complain(_explain(error), debug)
    return 1


@contextlib.contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Shows the package's own warnings as sentences, without file and line."""
    ours = pathlib.Path(tfvis_jax.__file__).parent
    cache_failed = False
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            nonlocal cache_failed
            if _UNKEPT.match(str(message)):
                # Of each program that JAX cannot keep, or find.
                if not cache_failed:
                    print(
                        "note: Compiled programs are not kept, so each command "
                        f"compiles again: {str(message).rpartition(': ')[2]}. `tfvis "
                        "cache` shows their folder.",
                        file=sys.stderr,
                    )
                cache_failed = True
            elif ours in pathlib.Path(filename).parents and category is UserWarning:
                print(f"note: {message}", file=sys.stderr)
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _dispatch(name: str, arguments: list[str]) -> int:
    if name in ("", *_HELP, "help"):
        print(_overview())
        if not name:
            onward = f"next: {next_step.in_folder(pathlib.Path.cwd())}"
            print(f"\n{_wrapped(onward)}")
        return 0 if name else 2
    if name == "--version":
        print(f"tfvis_jax {tfvis_jax.__version__}")
        return 0
    if name not in _COMMANDS:
        raise command.UsageError(_unknown(name))
    with signals.terminating() if name in _RESUMES else contextlib.nullcontext():
        return _run(_load(name), arguments)


def _unknown(name: str) -> str:
    """Returns what to say of a command that does not exist; nearest names first."""
    near = difflib.get_close_matches(name, [*_COMMANDS, *_ALIASES], n=2)
    if not near:
        return f"There is no command {name!r}.\n\n{_overview()}"
    named = " or ".join(f"`tfvis {each}`" for each in near)
    return f"There is no command {name!r}. Did you mean {named}? `tfvis` lists all."


def _run(chosen: command.Command, arguments: list[str]) -> int:
    if not set(_HELP).isdisjoint(arguments):
        print(chosen.help())
        return 0
    positional = chosen.parse(arguments)
    if command.CACHE_FLAG in chosen.flags:
        xla_flags.add()
        # Not before: it imports JAX.
        compiled = importlib.import_module("tfvis_jax.cli.compiled")
        compiled.keep_programs(chosen.flags[command.CACHE_FLAG].value)
    return chosen.run(positional) or 0


def _explain(error: Exception) -> str:
    if files.is_disk_full(error):
        return str(files.no_space(getattr(error, "filename", None) or "the run"))
    if errors.is_out_of_memory(error):
        return str(errors.no_memory(error))
    if errors.is_lost_process(error):
        return str(errors.lost_process(error))
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return (
        f"Failed unexpectedly ({type(error).__name__}: {error}). Run it with --debug "
        "for the traceback."
    )


def _load(name: str) -> command.Command:
    module = _MODULES.get(name, name)
    return importlib.import_module(f"tfvis_jax.cli.{module}").COMMAND


def _overview() -> str:
    rows = [f"  {name:<13} {summary}" for name, summary in _COMMANDS.items()]
    return _OVERVIEW.format(commands="\n".join(rows))


def _wrapped(text: str) -> str:
    """Returns a paragraph in lines of a terminal, its words and paths whole."""
    return textwrap.fill(text, 88, break_long_words=False, break_on_hyphens=False)


def _complain(message: object, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"tfvis: {message}", file=sys.stderr)
