"""What people say of a factor's contexts: `ratings.json`, written by the page.

A rater reads what a factor is said to stand for, and then contexts in random order: the
factor's own, of several bands of α, and decoys in which it is not known to fire.
"""

import datetime
import pathlib
import threading
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import human_files

SCHEMA = "tfvis-ratings/1"
BANDS = ("top", "upper", "middle", "random", "decoy")
_NAME = Annotated[str, msgspec.Meta(max_length=40)]
_TEXT = Annotated[str, msgspec.Meta(max_length=400)]
_HASH = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}$")]


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rater says of one context.

    Attributes:
      context: `context_id` of its text.
      band: where it is from: the strongest contexts, the 90th to the 99th percentile of
        α, the 50th to the 90th, a random firing, or a decoy.
      says: whether it fits what the factor is said to stand for.
    """

    context: _HASH
    band: Literal["top", "upper", "middle", "random", "decoy"]
    says: Literal["fits", "not", "skip"]


class Rating(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one rater says of a factor's contexts at a layer.

    Attributes:
      factor: number of the factor.
      layer: number of the layer.
      judged: what is said of each context; empty takes the rating back.
      hypothesis: what the factor is said to stand for.
      by: the rater; may be empty.
      changed: when, such as "2026-11-28"; filled in when it is stored.
    """

    factor: schema_lib.Count
    layer: schema_lib.Count
    judged: Annotated[list[Judgement], msgspec.Meta(max_length=1000)]
    hypothesis: _TEXT = ""
    by: _NAME = ""
    changed: Annotated[str, msgspec.Meta(max_length=10)] = ""

    @property
    def key(self) -> tuple[int, int, str]:
        """What there is one rating of: factor, layer and rater."""
        return self.factor, self.layer, self.by

    def as_json(self) -> dict[str, Any]:
        """Returns its fields."""
        return msgspec.to_builtins(self)


class _File(msgspec.Struct):
    ratings: list[Rating]


def context_id(before: str, word: str, after: str) -> str:
    """Returns what names a context as the page shows it, FNV-1a of its UTF-8."""
    value = 0x811C9DC5
    for byte in "\0".join((before, word, after)).encode(errors="replace"):
        value = (value ^ byte) * 0x01000193 % 2**32
    return f"{value:08x}"


def load(path: pathlib.Path, *, dictionary_hash: str, n_factors: int) -> list[Rating]:
    """Reads the ratings of a run; returns none if there is no file.

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
    ratings = found.ratings if found else []
    for rating in ratings:
        if rating.factor >= n_factors:
            raise schema_lib.damaged(
                path,
                f"Expected factors from 0 to {n_factors - 1} in `ratings`, got "
                f"{rating.factor}",
                remedy=human_files.REMEDY,
            )
    return ratings


def save(
    path: pathlib.Path, ratings: Sequence[Rating], *, dictionary_hash: str
) -> None:
    """Writes the ratings of a run atomically; arguments are those of `load`.

    Raises:
      InputError: the file cannot be written.
    """
    human_files.write(
        path,
        {"ratings": [rating.as_json() for rating in ratings]},
        schema=SCHEMA,
        dictionary_hash=dictionary_hash,
    )


class Store:
    """The ratings of a run, read and changed by the server of its page."""

    def __init__(
        self, path: pathlib.Path, *, dictionary_hash: str, n_factors: int
    ) -> None:
        """Names the file; arguments are those of `load`."""
        self._path, self._hash, self._n_factors = path, dictionary_hash, n_factors
        self._lock = threading.Lock()

    def read(self) -> list[Rating]:
        """Returns the ratings; raises as `load` does."""
        return load(self._path, dictionary_hash=self._hash, n_factors=self._n_factors)

    def change(self, rating: Rating, *, layers: Sequence[int]) -> None:
        """Replaces a rater's rating of a factor at a layer; an empty one is removed.

        Args:
          rating: what is said; control characters are replaced, and its date is that of
            today.
          layers: the layers of the run.

        Raises:
          InputError: there is no such factor or layer, a context is judged twice, or
            the file cannot be written.
        """
        if rating.factor >= self._n_factors:
            raise InputError(
                f"Expected a factor in 0 … {self._n_factors - 1}, got {rating.factor}."
            )
        if rating.layer not in layers:
            raise InputError(
                f"Expected a layer of {', '.join(map(str, layers))}, got "
                f"{rating.layer}."
            )
        names = [judgement.context for judgement in rating.judged]
        if len(set(names)) < len(names):
            raise InputError("Expected each context to be judged once.")
        clean = msgspec.structs.replace(
            rating,
            hypothesis=human_files.one_line(rating.hypothesis),
            by=human_files.one_line(rating.by),
            changed=datetime.date.today().isoformat(),
        )
        with self._lock:
            others = [each for each in self.read() if each.key != clean.key]
            kept = [*others, clean] if clean.judged else others
            save(
                self._path,
                sorted(kept, key=lambda each: each.key),
                dictionary_hash=self._hash,
            )
