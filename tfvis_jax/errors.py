"""Exceptions that the command line reports in a sentence, and commands to type."""

import os
import shlex


class InputError(ValueError):
    """What was given cannot be worked with; the message says what to do about it.

    The command line prints the message alone, without a traceback, so it has to name
    what was expected, what came, and the remedy.
    """


class Terminated(KeyboardInterrupt):
    """The system asked this process to end, by SIGTERM.

    Like Ctrl-C it is no failure that a library should handle.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether a device or the machine had no memory left for an array."""
    # XLA's code. Tensorstore's ValueErrors have the same code for a full disk.
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )


def no_memory(error: BaseException) -> InputError:
    """Returns what to say to a person whose device or machine is out of memory."""
    lines = str(error).strip().splitlines()
    said = f" ({lines[0].strip()[:160].rstrip('.')})" if lines else ""
    return InputError(
        f"Out of memory{said}. Lower --rows_per_step, --windows_per_batch or "
        "--n_factors, or use more devices (--mesh); `tfvis plan` estimates what a run "
        "takes."
    )


def is_lost_process(error: BaseException) -> bool:
    """Returns whether another process of the run could not be reached any more."""
    # What XLA's collectives say between CPUs, before JAX's own watch notices.
    return isinstance(error, RuntimeError) and "Gloo" in str(error)


def lost_process(error: BaseException) -> InputError:
    """Returns what to say where another process has ended."""
    said = str(error).strip().splitlines()[0][:160].rstrip(".")
    return InputError(
        f"Another process of the run has died or cannot be reached ({said}); its own "
        "output says why. Start all of them again: the run resumes."
    )


def command_line(name: str, *words: str | os.PathLike[str]) -> str:
    """Returns a command of `tfvis` as it can be pasted into a shell.

    Args:
      name: of the command, such as "train".
      *words: paths and flags with their values, not yet quoted.
    """
    return shlex.join(["tfvis", name, *(os.fspath(word) for word in words)])
