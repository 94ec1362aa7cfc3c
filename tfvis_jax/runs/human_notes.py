"""What people say of factors: `notes.json`, a level, a label and a note for each.

They stand beside what was computed and never replace it. Any text; shown as text.
"""

import datetime
import pathlib
import threading
from collections.abc import Mapping
from typing import Annotated

import msgspec

from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import human_files

SCHEMA = "tfvis-notes/1"
_NAME = Annotated[str, msgspec.Meta(max_length=40)]
_LABEL = Annotated[str, msgspec.Meta(max_length=200)]
_TEXT = Annotated[str, msgspec.Meta(max_length=4000)]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says of a factor.

    Attributes:
      level: their level for it; "" leaves the computed one.
      label: their name for it; "" leaves the imported one.
      note: more text, possibly of several lines.
      by: who says so; may be empty.
      changed: when, such as "2026-11-28"; filled in when it is stored.
    """

    level: _NAME = ""
    label: _LABEL = ""
    note: _TEXT = ""
    by: _NAME = ""
    changed: Annotated[str, msgspec.Meta(max_length=10)] = ""

    @property
    def is_empty(self) -> bool:
        """True if it says nothing."""
        return not (self.level or self.label or self.note)

    def as_json(self) -> dict[str, str]:
        """Returns its fields."""
        return msgspec.to_builtins(self)


class _File(msgspec.Struct):
    notes: dict[str, Note]


def load(
    path: pathlib.Path, *, dictionary_hash: str, n_factors: int
) -> dict[int, Note]:
    """Reads the notes of a run; returns none if there is no file.

    Args:
      path: of the file.
      dictionary_hash: `content_hash` of the run's dictionary.
      n_factors: number of its factors.

    Raises:
      InputError: the file is damaged or belongs to another dictionary.
    """
    found = human_files.read(
        path, _File, schema=SCHEMA, dictionary_hash=dictionary_hash
    )
    return human_files.by_factor(
        found.notes if found else {}, path=path, field="notes", n_factors=n_factors
    )


def save(
    path: pathlib.Path, notes: Mapping[int, Note], *, dictionary_hash: str
) -> None:
    """Writes the notes of a run atomically.

    Args:
      path: of the file.
      notes: by factor.
      dictionary_hash: `content_hash` of the run's dictionary.

    Raises:
      InputError: the file cannot be written.
    """
    human_files.write(
        path,
        {"notes": {str(f): notes[f].as_json() for f in sorted(notes)}},
        schema=SCHEMA,
        dictionary_hash=dictionary_hash,
    )


class Store:
    """The notes of a run, read and changed by the server of its page."""

    def __init__(
        self, path: pathlib.Path, *, dictionary_hash: str, n_factors: int
    ) -> None:
        """Names the file; arguments are those of `load`."""
        self._path, self._hash, self._n_factors = path, dictionary_hash, n_factors
        self._lock = threading.Lock()

    def read(self) -> dict[int, Note]:
        """Returns the notes by factor; raises as `load` does."""
        return load(self._path, dictionary_hash=self._hash, n_factors=self._n_factors)

    def change(self, factor: int, note: Note, *, levels: tuple[str, ...]) -> None:
        """Replaces the note of a factor; an empty one is removed.

        Args:
          factor: index of the factor.
          note: what is said of it; control characters are replaced, and its date is
            that of today.
          levels: the names that a level may have.

        Raises:
          InputError: there is no such factor or level, or the file cannot be written.
        """
        if not 0 <= factor < self._n_factors:
            raise InputError(
                f"Expected a factor in 0 … {self._n_factors - 1}, got {factor}."
            )
        if note.level and note.level not in levels:
            raise InputError(
                f"Expected a level of {', '.join(levels)}, got "
                f"{schema_lib.short(note.level)}."
            )
        clean = Note(
            level=note.level,
            label=human_files.one_line(note.label),
            note=human_files.cleaned(note.note).strip(),
            by=human_files.one_line(note.by),
            changed=datetime.date.today().isoformat(),
        )
        with self._lock:
            notes = self.read()
            if clean.is_empty:
                notes.pop(factor, None)
            else:
                notes[factor] = clean
            save(self._path, notes, dictionary_hash=self._hash)
