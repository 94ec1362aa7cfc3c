"""What to do next in a folder: start a run, go on with one, or look at it."""

import pathlib
from collections.abc import Iterator
from typing import Any

import msgspec

from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.runs import directory as directory_lib

# Folders that are looked through for runs.
_MOST = 500


class _Factor(msgspec.Struct):
    kinship: Any = None


class _Levels(msgspec.Struct):
    """What is asked of `levels.json` here; what reads all of it imports JAX."""

    factors: list[_Factor | None]


def in_folder(folder: pathlib.Path) -> str:
    """Returns a paragraph that says what runs there are, and a command to type.

    Args:
      folder: the current one.
    """
    found = sorted(_runs(folder), key=lambda run: -run.config_path.stat().st_mtime)
    if not found:
        return (
            f"There is no run in this folder yet. `{command_line('demo')}` makes one "
            f"on a small model and text; `{command_line('train', 'runs/mine')} "
            "--model=… --text=…` makes one on your own."
        )
    newest = found[0]
    others = [str(_name(run, folder)) for run in found[1:4]]
    more = f" Other runs: {', '.join(others)}." if others else ""
    return f"{_step(newest, _name(newest, folder))}{more}"


def _step(run: directory_lib.RunDirectory, name: pathlib.Path) -> str:
    if not (run.report.is_file() and run.dictionary.is_file()):
        return (
            f"{name} has not finished its training. `{command_line('train', name)}` "
            "goes on with it."
        )
    view = f"`{command_line('view', name)}`"
    if not (run.site / "data" / "manifest.js").is_file():
        return f"{name} is trained. {view} makes its page and opens it."
    if not run.levels.is_file():
        return (
            f"{name} has a page: {view} opens it. Its levels are guesses until "
            f"`{command_line('levels', name)}` measures them."
        )
    if _some_are_guesses(run.levels):
        return (
            f"{name} has a page: {view} opens it. Some of its levels are guesses until "
            f"`{command_line('levels', name)}` measures them."
        )
    return f"{name} has a page: {view} opens it."


def _some_are_guesses(path: pathlib.Path) -> bool:
    try:
        found = schema_lib.read(path, _Levels, remedy="")
    except InputError:
        return False  # What reads all of it says what is wrong.
    return any(each is not None and each.kinship is None for each in found.factors)


def _runs(folder: pathlib.Path) -> Iterator[directory_lib.RunDirectory]:
    """Yields the runs here, one folder down, and in `runs/`."""
    places = [folder]
    for parent in (folder, folder / "runs"):
        if parent.is_dir():
            places += sorted(p for p in parent.iterdir() if p.is_dir())[:_MOST]
    for place in places:
        run = directory_lib.RunDirectory(place)
        if run.config_path.is_file():
            try:
                run.read_config()
            except InputError:
                continue  # Another program's config.json.
            yield run


def _name(run: directory_lib.RunDirectory, folder: pathlib.Path) -> pathlib.Path:
    return run.path.relative_to(folder.absolute())
