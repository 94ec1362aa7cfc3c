"""Read and write user-supplied labels of factors: `labels.json` of a run.

Labels are untrusted input: they are shown as text, never as markup. They are read from
a JSON object that maps factors to labels, or from a folder with one file per factor:

    {"614": "anger and evil"}
    {"614": {"label": "anger and evil", "score": 0.83, "source": "a person"}}
    {"layer6_factor614": "anger and evil"}
    layers.6_latent614.txt, which holds a JSON string

A factor is named by its index, alone or at the end of a name after "factor", "latent"
or "feature".
"""

import collections
import dataclasses
import json
import math
import pathlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from tfvis_jax import files
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.runs import dictionary_file

SCHEMA = "tfvis-labels/1"
MAX_BYTES = 64 * 2**20
MAX_CHARACTERS = 2_000
_MAX_SOURCE = 200
_KEY = re.compile(r"(?:.*(?:factor|latent|feature)_?)?([0-9]{1,9})", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class FactorLabel:
    """A user-supplied label of a factor.

    Attributes:
      text: the label, on one line.
      score: how well it fits, on a scale of its author's choice; None if not given.
      source: its author, a person or a tool; "" if not given.
    """

    text: str
    score: float | None = None
    source: str = ""

    def __str__(self) -> str:
        return " ".join([self.text, *self.remarks])

    @property
    def remarks(self) -> list[str]:
        """Score and source in brackets, as far as they are given."""
        score = [] if self.score is None else [f"score {self.score:g}"]
        given = ", ".join([*score, *([self.source] if self.source else [])])
        return [f"({given})"] if given else []


def read(path: pathlib.Path | str, *, n_factors: int) -> dict[int, FactorLabel]:
    """Reads labels that a person or a tool wrote, in the forms named above.

    Args:
      path: path of the JSON file or of the folder.
      n_factors: number of factors in the dictionary.

    Returns:
      The labels, by factor.

    Raises:
      InputError: if the labels are unreadable, too large, or of another form.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return parse(_read_folder(path), n_factors=n_factors, path=path)
    return parse(_read_json(path), n_factors=n_factors, path=path)


def parse(value: Any, *, n_factors: int, path: pathlib.Path) -> dict[int, FactorLabel]:
    """Returns the labels in a JSON value, by factor.

    Args:
      value: JSON object that maps factors to labels.
      n_factors: number of factors in the dictionary.
      path: path of the file, for error messages.

    Raises:
      InputError: if the value is of another form.
    """
    if not isinstance(value, dict):
        raise InputError(
            f"Expected an object that maps factors to labels in {path}, such as "
            f'{{"12": "anger"}}; got {type(value).__name__}.'
        )
    found: dict[int, FactorLabel] = {}
    for key, entry in value.items():
        match = _KEY.fullmatch(key)
        if match is None or not int(match[1]) < n_factors:
            raise InputError(
                f"Expected factors in 0 … {n_factors - 1} as keys of {path}, such as "
                f'"12" or "layer4_factor12"; got {_short(key)}.'
            )
        number = int(match[1])
        # Different keys can name one factor, such as "3" and "factor3".
        if number in found:
            raise InputError(f"{path} has two labels for factor {number}.")
        try:
            found[number] = _label(entry)
        except InputError as error:
            raise InputError(f"Factor {number} in {path}: {error}") from None
    return found


def load(
    path: pathlib.Path, trained: dictionary_file.TrainedDictionary
) -> dict[int, FactorLabel]:
    """Reads the labels of a run; returns no labels if the file does not exist.

    Raises:
      InputError: if the file is damaged or belongs to another dictionary.
    """
    if not path.is_file():
        return {}
    stored = _read_json(path)
    if not isinstance(stored, dict) or stored.get("schema") != SCHEMA:
        raise InputError(
            f"Expected labels of schema {SCHEMA} in {path}; "
            f"`{command_line('labels', path.parent, '--import=FILE')}` writes them."
        )
    if stored.get("dictionary_hash") != trained.content_hash:
        raise InputError(
            f"The labels in {path} belong to another dictionary. Remove the file or "
            "restore that dictionary."
        )
    return parse(stored.get("labels"), n_factors=len(trained.factors), path=path)


def save(
    path: pathlib.Path,
    labels: Mapping[int, FactorLabel],
    trained: dictionary_file.TrainedDictionary,
) -> None:
    """Writes the labels of a run atomically.

    Args:
      path: JSON file to write.
      labels: by index of the factor.
      trained: dictionary that they belong to.
    """
    files.write_json(
        path,
        {
            "schema": SCHEMA,
            "dictionary_hash": trained.content_hash,
            "labels": {
                str(factor): as_json(labels[factor]) for factor in sorted(labels)
            },
        },
    )


def as_json(label: FactorLabel) -> dict[str, Any]:
    """Returns a label as a JSON value that `read` accepts."""
    score = {} if label.score is None else {"score": label.score}
    source = {"source": label.source} if label.source else {}
    return {"label": label.text, **score, **source}


def _label(entry: Any) -> FactorLabel:
    # Messages start in lower case: `parse` puts them after the factor and the file.
    if isinstance(entry, str):
        entry = {"label": entry}
    if not isinstance(entry, dict):
        raise InputError(
            'expected a text or {"label": …, "score": …, "source": …}, got '
            f"{type(entry).__name__}."
        )
    if unknown := sorted(entry.keys() - {"label", "score", "source"}):
        raise InputError(
            f"expected the fields label, score and source, got {_short(unknown[0])} "
            "as well."
        )
    text = _text(entry.get("label"), name="label", limit=MAX_CHARACTERS)
    if not text:
        raise InputError("expected a label of at least one character, got none.")
    score = entry.get("score")
    if score is not None and not (isinstance(score, float) and math.isfinite(score)):
        raise InputError(f"expected a finite number as score, got {_short(score)}.")
    source = _text(entry.get("source") or "", name="source", limit=_MAX_SOURCE)
    return FactorLabel(text, score, source)


def _text(value: Any, *, name: str, limit: int) -> str:
    if not isinstance(value, str):
        raise InputError(f"expected a text as {name}, got {_short(value)}.")
    text = " ".join(value.split())
    if len(text) > limit:
        raise InputError(
            f"expected a {name} of at most {limit:,} characters, got {len(text):,}."
        )
    # Control characters could steer a terminal; UTF-8 cannot encode surrogates.
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(letter) in ("Cc", "Cs")
        else letter
        for letter in text
    )


def _read_folder(folder: pathlib.Path) -> dict[str, Any]:
    # Sizes are checked before anything is read.
    found = {p.stem: p for p in sorted(folder.glob("*.txt")) if p.is_file()}
    if not found:
        raise InputError(
            f"Expected files such as layer6_latent12.txt in {folder}, found none."
        )
    _check_size(folder, sum(path.stat().st_size for path in found.values()))
    return {key: _read_json(path) for key, path in found.items()}


def _read_json(path: pathlib.Path) -> Any:
    if not path.is_file():
        raise InputError(f"Expected a JSON file of labels; {path} does not exist.")
    _check_size(path, path.stat().st_size)
    try:
        return json.loads(
            path.read_bytes().decode("utf-8"),
            object_pairs_hook=_without_repetition,
            # int() refuses very long numbers; float() reads any.
            parse_int=float,
        )
    # RecursionError: the value is nested too deeply to be a set of labels.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}).") from error


def _check_size(path: pathlib.Path, n_bytes: int) -> None:
    if n_bytes > MAX_BYTES:
        raise InputError(
            f"Expected at most {MAX_BYTES // 2**20} MiB of labels, but {path} has "
            f"{n_bytes / 2**20:.0f} MiB."
        )


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a JSON object; raises ValueError if a key is repeated."""
    # json keeps the last of repeated keys without a word.
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = collections.Counter(key for key, _ in pairs)
        [(twice, _)] = counts.most_common(1)
        raise ValueError(f"the key {_short(twice)} occurs twice")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}…"
