"""The RUN of a command: a directory, or a run of the hub, which is only read.

``hf://user/name`` is downloaded to the hub's cache. What is there belongs to the hub's
client and to a revision, and may be read-only: no command writes to it.
"""

import pathlib
from collections.abc import Sequence

from tfvis_jax.cli import command
from tfvis_jax.errors import InputError

_SCHEME = "hf://"
# What was typed, by the folder that it was downloaded to.
_DOWNLOADED: dict[pathlib.Path, str] = {}


def one(
    arguments: Sequence[str], *, writes: bool = False, instead: str = ""
) -> pathlib.Path:
    """Returns the directory of the run, the one argument that most commands take.

    Args:
      arguments: all positional arguments.
      writes: whether the command writes to the run, or makes it.
      instead: what else a person may do who has a run of the hub, such as "give --out".

    Raises:
      UsageError: it is not one argument.
      InputError: a run of the hub is to be written, or cannot be downloaded.
    """
    if len(arguments) != 1:
        raise command.UsageError(
            f"Expected the run directory and nothing else, got {list(arguments)}."
        )
    if writes and is_on_hub(arguments[0]):
        _refuse(arguments[0], instead)
    return folder(arguments[0])


def folder(run: str) -> pathlib.Path:
    """Returns the directory of a run that is only read.

    Args:
      run: as typed.

    Raises:
      InputError: it is a run of the hub and cannot be downloaded.
    """
    if not is_on_hub(run):
        return pathlib.Path(run)
    # Slow to import.
    from tfvis_jax.publishing import hub

    found = hub.download(hub.parse(run)).absolute()
    _DOWNLOADED[found] = run
    return found


def is_on_hub(run: str) -> bool:
    """Returns whether a run is named as on the hub."""
    return run.startswith(_SCHEME)


def explained(message: str) -> str:
    """Returns what is said of a run, with its address for the folder it came to."""
    for path, run in _DOWNLOADED.items():
        if str(path) in message:
            message = (
                f"{message.replace(str(path), run)} Of a run of the hub there is what "
                f"was published with it, and it is only read. {_copy(run)}"
            )
    return message


def _refuse(run: str, instead: str) -> None:
    or_else = f" Or {instead}." if instead else ""
    raise InputError(
        f"Expected a run that can be written to, got {run}, which is only read. "
        f"{_copy(run)}{or_else}"
    )


def _copy(run: str) -> str:
    from tfvis_jax.publishing import hub
    from tfvis_jax.runs import directory

    return directory.copy_from_hub(*hub.parse(run))
