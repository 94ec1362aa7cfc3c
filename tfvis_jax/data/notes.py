"""Counts what reading left out or changed, for a person to be told."""

from collections.abc import Iterator, Mapping
from typing import Any

_NUM_NAMED = 3


class Notes:
    """What happened while text was read, with how often and where it happened first."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Notes":
        """Returns the notes that `as_json` wrote."""
        notes = cls()
        for what, found in values.items():
            notes._add(what, places=found["places"], count=found["count"])
        return notes

    def add(self, what: str, *, place: str, count: int = 1) -> None:
        """Notes that ``what`` ("Files not read") happened at a place."""
        # A name of a file that is not UTF-8 could be neither printed nor stored.
        printed = place.encode(errors="backslashreplace").decode()
        self._add(what, places=[printed], count=count)

    def add_all(self, other: "Notes") -> None:
        """Adds what was noted elsewhere, such as by another process."""
        for what, count in other._counts.items():
            self._add(what, places=other._places[what], count=count)

    def take(self) -> "Notes":
        """Returns what was noted so far and forgets it."""
        taken = Notes()
        taken._counts, self._counts = self._counts, {}
        taken._places, self._places = self._places, {}
        return taken

    def as_json(self) -> dict[str, Any]:
        """Returns the number and the first places of each kind."""
        return {
            what: {"count": count, "places": self._places[what]}
            for what, count in self._counts.items()
        }

    def sentences(self) -> Iterator[str]:
        """Yields a sentence for each kind: its number, what it is, the first places."""
        for what, count in self._counts.items():
            places = self._places[what]
            named = ", ".join(places[:_NUM_NAMED])
            more = ", ..." if len(places) > _NUM_NAMED else ""
            yield f"{what}: {count:,}" + (f" ({named}{more})." if named else ".")

    def _add(self, what: str, *, places: list[str], count: int) -> None:
        self._counts[what] = self._counts.get(what, 0) + count
        known = self._places.setdefault(what, [])
        # One more than are named, so that it shows that there are more.
        known += [p for p in places if p][: _NUM_NAMED + 1 - len(known)]
