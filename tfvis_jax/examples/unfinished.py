"""Save an unfinished pass over the corpus, so that it resumes where it was interrupted.

settings.json         inputs and settings of the pass; no other pass resumes from it
<process>.npz         what a process has gathered, and from which batches
<process>-*.tokens    token ids, see `token_tables`; a state names the files it needs

A state is replaced atomically. States merge exactly in any order, so the result does
not depend on interruptions or on the number of processes.
"""

import dataclasses
import pathlib
import re
import shutil
from collections.abc import Collection
from typing import Any

import msgspec
import numpy as np

from tfvis_jax import files, npy
from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError, command_line

_SCHEMA = "tfvis-examples-progress/2"


# Names of files in the folder, and no others.
_NAME = re.compile(r"[0-9]+-[0-9]+-[0-9]+\.tokens")


class _About(msgspec.Struct):
    n_batches: schema_lib.Count = 0


class _Settings(msgspec.Struct):
    about: _About
    settings: dict[str, int]


@dataclasses.dataclass(frozen=True)
class PassState:
    """The state of one process.

    Attributes:
      batches: [n] int64, indices of the batches of windows that it has encoded.
      names: names of its files of token ids.
      arrays: state of the collector.
    """

    batches: np.ndarray
    names: list[str]
    arrays: dict[str, np.ndarray]


class PassFolder:
    """The folder of an unfinished pass."""

    def __init__(self, folder: pathlib.Path):
        """Names the folder, which need not exist."""
        self.folder = folder

    def begin(self, about: dict[str, Any], settings: dict[str, Any]) -> None:
        """Creates the folder, or checks that it belongs to the same pass.

        Args:
          about: inputs of the pass; a folder made from other inputs is removed.
          settings: settings of the pass.

        Raises:
          InputError: if a pass with other settings was interrupted. Names these and
            changes nothing.
        """
        path = self.folder / "settings.json"
        wanted = {"schema": _SCHEMA, "about": about, "settings": settings}
        if path.is_file():
            known, found = self._settings()
            if found == wanted:
                return
            same = all(found.get(name) == wanted[name] for name in ("schema", "about"))
            # Work is never thrown away silently if it could still be used. A pass over
            # other inputs is useless, and one without a saved state has done no work.
            if same and any(self.folder.glob("*.npz")):
                raise InputError(self._other_settings(known.settings, settings))
        self.remove()
        self.folder.mkdir(parents=True)
        files.write_json(path, wanted)

    def _other_settings(self, found: dict[str, Any], wanted: dict[str, Any]) -> str:
        changed = ", ".join(
            f"{name} {found.get(name)} instead of {value}"
            for name, value in wanted.items()
            if found.get(name) != value
        )
        return (
            f"The examples of {self.folder.parent} are partly computed "
            f"({self.fraction():.0%}) with other settings ({changed}). Use the same "
            f"settings to resume, or remove {self.folder} to start again."
        )

    def fraction(self) -> float:
        """Returns the fraction of batches completed."""
        n_batches = self._settings()[0].about.n_batches
        return min(len(self.done()) / max(n_batches, 1), 1.0)

    def done(self) -> np.ndarray:
        """Returns the indices of the batches that any process has done, ascending."""
        found = [
            self._read(path, ("batches", "names"))["batches"] for path in self._states()
        ]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))

    def processes(self) -> list[int]:
        """Returns the indices of the processes that have saved a state."""
        return sorted(int(path.stem) for path in self._states())

    def save(self, process: int, saved: PassState) -> None:
        """Replaces the state of a process."""
        arrays: dict[str, Any] = {
            "batches": saved.batches,
            "names": np.array(saved.names, dtype=np.str_),
            **saved.arrays,
        }
        with files.write_atomically(self.folder / f"{process}.npz") as file:
            np.savez(file, **arrays)

    def load(self, process: int) -> PassState | None:
        """Returns the state that a process has saved, or None."""
        path = self.folder / f"{process}.npz"
        if not path.is_file():
            return None
        arrays = self._read(path)
        batches, names = arrays.pop("batches"), arrays.pop("names")
        return PassState(batches=batches, names=names.tolist(), arrays=arrays)

    def remove(self) -> None:
        """Removes the folder."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def remove_if_for(self, settings: dict[str, Any]) -> None:
        """Removes the folder if its pass had these settings."""
        path = self.folder / "settings.json"
        if path.is_file() and self._settings()[0].settings == settings:
            self.remove()

    def _settings(self) -> tuple[_Settings, dict[str, Any]]:
        path = self.folder / "settings.json"
        return schema_lib.read_plain(path, _Settings, remedy=self._remedy)

    def _states(self) -> list[pathlib.Path]:
        # Other files in the folder are ignored.
        return [p for p in self.folder.glob("*.npz") if p.stem.isdecimal()]

    def _read(
        self, path: pathlib.Path, only: Collection[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Returns the arrays of a state, or some of them."""
        try:
            found = npy.read_archive(path, only)
        except (OSError, npy.NotAnArray) as error:
            raise self.damaged(path.stem, str(error)) from error
        batches, names = found.get("batches"), found.get("names")
        if batches is None or batches.dtype != np.int64 or batches.ndim != 1:
            raise self.damaged(path.stem, "Expected `batches` [n] of int64")
        n_batches = self._settings()[0].about.n_batches
        if np.any((batches < 0) | (batches >= n_batches)):
            raise self.damaged(path.stem, f"Expected batches of 0 to {n_batches - 1}")
        # An empty list has no strings to give it a type.
        if names is None or names.ndim != 1 or (len(names) and names.dtype.kind != "U"):
            raise self.damaged(path.stem, "Expected `names` [n] of strings")
        for name in names.tolist():
            if not _NAME.fullmatch(name):
                why = f"Expected names of its files, got {schema_lib.short(name)}"
                raise self.damaged(path.stem, why)
        return found

    def damaged(self, process: int | str, why: str) -> InputError:
        """Returns the error of a state that cannot be used.

        Args:
          process: that saved it.
          why: what was expected and what came.
        """
        path = self.folder / f"{process}.npz"
        return schema_lib.damaged(path, why, remedy=self._remedy)

    @property
    def _remedy(self) -> str:
        again = command_line("examples", self.folder.parent)
        return f"Remove {self.folder}; `{again}` then starts again."


def partly_computed(folder: pathlib.Path) -> str | None:
    """Returns a sentence about an unfinished pass, or None if there is none.

    Args:
      folder: folder of the `PassFolder`.
    """
    if not (folder / "settings.json").is_file():
        return None
    run, share = folder.parent, PassFolder(folder).fraction()
    return (
        f"The examples of {run} are partly computed ({share:.0%}); "
        f"`{command_line('examples', run)}` resumes."
    )
