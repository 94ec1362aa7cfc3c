"""A label of a factor: untrusted text, checked once, shown as text, never as markup."""

import dataclasses
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from tfvis_jax.errors import InputError

MAX_CHARACTERS = 2_000
_MAX_SOURCE = 200
FIELDS = frozenset({"label", "score", "source"})
_NUMBER = re.compile(r"[-+]?[0-9]{1,9}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?")
# Marks that change the direction of the text after them, also outside the label.
_TURNS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


@dataclasses.dataclass(frozen=True)
class FactorLabel:
    """A user-supplied label of a factor.

    Attributes:
      text: the label, on one line.
      score: how well it fits, on a scale of its author's choice; None if not given.
      source: its author, a person or a tool; "" if not given.
      layer: at which it holds; None for all layers.
      at_layers: labels of the same factor at other layers.
    """

    text: str
    score: float | None = None
    source: str = ""
    layer: int | None = None
    at_layers: tuple["FactorLabel", ...] = ()

    def __str__(self) -> str:
        return " ".join([self.text, *self.remarks])

    @property
    def remarks(self) -> list[str]:
        """Layer, score and source in brackets, as far as given, and other labels."""
        layer = [] if self.layer is None else [f"layer {self.layer}"]
        score = [] if self.score is None else [f"score {self.score:g}"]
        given = ", ".join([*layer, *score, *([self.source] if self.source else [])])
        others = [f"· {each}" for each in self.at_layers]
        return [*([f"({given})"] if given else []), *others]

    @property
    def by_layer(self) -> dict[int | None, "FactorLabel"]:
        """All labels of the factor, by layer."""
        first = dataclasses.replace(self, at_layers=())
        return {each.layer: each for each in (first, *self.at_layers)}

    def at(self, layer: int) -> "FactorLabel":
        """Returns the label for a layer, with the others after it.

        Args:
          layer: the label that holds there comes first, if there is one.
        """
        return of_layers(self.by_layer, peak=layer)


def of_layers(
    found: Mapping[int | None, FactorLabel], *, peak: int | None = None
) -> FactorLabel:
    """Returns the labels of one factor as one.

    Args:
      found: by layer, at least one; None stands for all layers.
      peak: layer whose label comes first; else that for all layers does, and if there
        is none, that of the first layer.
    """
    order = sorted(
        found, key=lambda at: (at != peak or at is None, at is not None, at or 0)
    )
    first, *others = (found[layer] for layer in order)
    return dataclasses.replace(first, at_layers=tuple(others))


def label_of(entry: Any, *, layer: int | None = None) -> FactorLabel:
    """Returns the label of a text, or of an object with the fields `FIELDS`.

    Args:
      entry: a JSON value.
      layer: at which it holds; None for all.

    Raises:
      InputError: something in it is none of that. The message starts in lower case, to
        stand after the factor and the file.
    """
    if isinstance(entry, str):
        entry = {"label": entry}
    if not isinstance(entry, dict):
        raise InputError(
            'expected a text or {"label": …, "score": …, "source": …}, got '
            f"{'null' if entry is None else type(entry).__name__}."
        )
    if unknown := sorted(entry.keys() - FIELDS):
        raise InputError(
            f"expected the fields label, score and source, got {short(unknown[0])} as "
            "well."
        )
    text = _text(entry.get("label"), name="label", limit=MAX_CHARACTERS)
    if not text:
        raise InputError("expected a label of at least one character, got none.")
    source = _text(entry.get("source") or "", name="source", limit=_MAX_SOURCE)
    return FactorLabel(text, _score(entry.get("score")), source, layer)


def short(value: Any) -> str:
    """Returns a JSON value as a message shows it."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _score(score: Any) -> float | None:
    # Some tools write numbers as texts.
    if isinstance(score, str) and _NUMBER.fullmatch(score):
        score = float(score)
    if score is not None and not (isinstance(score, float) and math.isfinite(score)):
        raise InputError(f"expected a finite number as score, got {short(score)}.")
    return score


def _text(value: Any, *, name: str, limit: int) -> str:
    if not isinstance(value, str):
        raise InputError(f"expected a text as {name}, got {short(value)}.")
    text = " ".join(value.split())
    if len(text) > limit:
        raise InputError(
            f"expected a {name} of at most {limit:,} characters, got {len(text):,}."
        )
    # Control characters could steer a terminal; UTF-8 cannot encode surrogates.
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if letter in _TURNS or unicodedata.category(letter) in ("Cc", "Cs")
        else letter
        for letter in text
    )
