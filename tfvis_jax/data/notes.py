"""Counts what reading left out or changed, for a person to be told."""

from collections.abc import Iterator

_NUM_NAMED = 3


class Notes:
    """What happened while text was read, with how often and where it happened first."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, what: str, *, place: str, count: int = 1) -> None:
        """Notes that ``what`` ("Files not read") happened at a place."""
        self._counts[what] = self._counts.get(what, 0) + count
        places = self._places.setdefault(what, [])
        if place and len(places) <= _NUM_NAMED:
            places.append(place)

    def add_all(self, other: "Notes") -> None:
        """Adds what another process noted."""
        for what, count in other._counts.items():
            for number, place in enumerate(other._places[what] or [""]):
                self.add(what, place=place, count=0 if number else count)

    def sentences(self) -> Iterator[str]:
        """Yields a sentence for each kind: its number, what it is, the first places."""
        for what, count in self._counts.items():
            places = self._places[what]
            named = ", ".join(places[:_NUM_NAMED])
            more = ", ..." if len(places) > _NUM_NAMED else ""
            yield f"{what}: {count:,}" + (f" ({named}{more})." if named else ".")
