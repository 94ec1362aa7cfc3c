"""A pass over the corpus that was interrupted, and goes on where it was saved.

settings.json         what the pass is for; another one cannot go on with it
<process>.npz         all that a process has gathered, and which batches it is from
<process>-*.tokens    token ids, see `token_tables`; a state names those it needs

A state is replaced as a whole. What is gathered adds up exactly in any order, so the
end is the same after any interruption, and with another number of processes.
"""

import dataclasses
import pathlib
import shutil
import zipfile
import zlib
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError

_SCHEMA = "tfvis-examples-progress/2"


@dataclasses.dataclass(frozen=True)
class Saved:
    """What one process has gathered.

    Attributes:
      batches: [n] int64, numbers of the batches of windows that it is from.
      names: files of token ids.
      arrays: state of the collector.
    """

    batches: np.ndarray
    names: list[str]
    arrays: dict[str, np.ndarray]


class Progress:
    """The folder of an interrupted pass."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def begin(self, about: dict[str, Any], settings: dict[str, Any]) -> None:
        """Makes the folder, or finds that it is of the same pass.

        Args:
          about: what the pass reads; one of anything else is removed.
          settings: what it was asked for.

        Raises:
          InputError: it was asked for something else; names it and changes nothing.
        """
        path = self.folder / "settings.json"
        wanted = {"schema": _SCHEMA, "about": about, "settings": settings}
        if path.is_file():
            found = self._settings()
            if found == wanted:
                return
            same = all(found.get(name) == wanted[name] for name in ("schema", "about"))
            if same and any(self.folder.glob("*.npz")):
                raise InputError(self._other_settings(found["settings"], settings))
        self.remove()
        self.folder.mkdir(parents=True)
        files.write_json(path, wanted)

    def _other_settings(self, found, wanted):
        changed = ", ".join(
            f"{name} {found.get(name)} instead of {value}"
            for name, value in wanted.items()
            if found.get(name) != value
        )
        return (
            f"The examples of {self.folder.parent} are half computed "
            f"({self.fraction():.0%}) with other settings ({changed}). Use these "
            f"again to go on, or remove {self.folder} to begin anew."
        )

    def fraction(self) -> float:
        """Returns the share of the batches that are done."""
        n_batches = self._settings()["about"].get("n_batches", 0)
        return len(self.done()) / max(n_batches, 1)

    def done(self) -> np.ndarray:
        """Returns the numbers of the batches that any process has done, rising."""
        found = [self._read(path, "batches")["batches"] for path in self._states()]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))

    def processes(self) -> list[int]:
        """Returns the numbers of the processes that have saved something."""
        return sorted(int(path.stem) for path in self._states())

    def save(self, process: int, saved: Saved) -> None:
        """Replaces what a process has saved."""
        names = np.array(saved.names, dtype=np.str_)
        with files.write_atomically(self.folder / f"{process}.npz") as file:
            np.savez(file, batches=saved.batches, names=names, **saved.arrays)

    def load(self, process: int) -> Saved | None:
        """Returns what a process has saved, None if nothing."""
        path = self.folder / f"{process}.npz"
        if not path.is_file():
            return None
        arrays = self._read(path)
        batches, names = arrays.pop("batches"), arrays.pop("names")
        return Saved(batches=batches, names=names.tolist(), arrays=arrays)

    def remove(self) -> None:
        """Removes the folder."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def remove_if_for(self, settings: dict[str, Any]) -> None:
        """Removes the folder if its pass was asked for the same."""
        path = self.folder / "settings.json"
        if path.is_file() and self._settings()["settings"] == settings:
            self.remove()

    def _settings(self):
        path = self.folder / "settings.json"
        found = files.read_json(path)
        try:
            found["settings"].items()
            int(found["about"].get("n_batches", 0))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise self._damaged(path, error) from error
        return found

    def _states(self):
        return [p for p in self.folder.glob("*.npz") if p.stem.isdecimal()]

    def _read(self, path, *names):
        """Returns the arrays of a state; those of the names if any are given."""
        needed = {"batches", *names} if names else {"batches", "names"}
        try:
            with np.load(path, allow_pickle=False) as content:
                found = {name: content[name] for name in names or content.files}
            if not needed <= found.keys() or found["batches"].ndim != 1:
                raise ValueError("no state of a pass")
        except (
            *(OSError, EOFError, ValueError, KeyError, AttributeError, TypeError),
            *(zipfile.BadZipFile, zlib.error),
        ) as error:
            raise self._damaged(path, error) from error
        return found

    def _damaged(self, path, error):
        return InputError(
            f"{path} is damaged ({error}). Remove {self.folder}; `tfvis examples "
            f"{self.folder.parent}` begins anew."
        )


def half_computed(folder: pathlib.Path) -> str | None:
    """Returns a sentence about a pass that is not at its end; None if there is none.

    Args:
      folder: where `Progress` would lie.
    """
    if not (folder / "settings.json").is_file():
        return None
    run, share = folder.parent, Progress(folder).fraction()
    return (
        f"The examples of {run} are half computed ({share:.0%}); "
        f"`tfvis examples {run}` resumes."
    )
