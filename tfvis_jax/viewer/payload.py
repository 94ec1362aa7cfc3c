"""Data as classic scripts: ``tfvis.receive("name", value);`` around canonical JSON.

A page opened from disk may neither fetch files nor import modules, but it may run
scripts. So each data file is a script that passes one JSON value to the page. The text
is canonical (sorted keys, no spaces, few digits): equal data gives equal bytes.
"""

import functools
import json
import math
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

_FRAME = re.compile(r'tfvis\.receive\(("(?:[^"\\]|\\.)*"), (.*)\);\n', re.DOTALL)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# `<` could close a script element or open a comment if the file were inlined; the two
# separators end a line in older JavaScript engines.
_ESCAPES = {"<": "\\u003c", "\u2028": "\\u2028", "\u2029": "\\u2029"}


_ENCODER = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
)


def dumps(name: str, value: object) -> str:
    """Returns the script that passes ``value`` to the page under ``name``.

    Lone surrogates, which UTF-8 cannot encode, become U+FFFD; non-finite numbers
    become ``null``.

    Args:
      name: Name that the page asks for, such as ``"data/index"``.
      value: A nesting of dictionaries with string keys, lists, tuples, strings,
        numbers and ``None``.
    """
    return f"tfvis.receive({_json(name)}, {_json(value)});\n"


def save(folder: pathlib.Path, name: str, value: object) -> None:
    """Writes a data file of a site; arguments besides its folder are those of `dumps`.

    Raises:
      OSError: It cannot be written.
    """
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dumps(name, value).encode("utf-8"))


def line(value: object) -> str:
    """Returns ``value`` as one line of JSON, written as in the data files."""
    return f"{_json(value)}\n"


def loads(text: str) -> tuple[str, Any]:
    """Returns the name and the value of a script that ``dumps`` wrote.

    Raises:
      ValueError: The text is not such a script.
    """
    match = _FRAME.fullmatch(text)
    if match is None:
        raise ValueError("Expected one `tfvis.receive(…);` script, got other text.")
    try:
        return json.loads(match[1]), json.loads(match[2])
    except RecursionError:
        raise ValueError("Expected a plain value, got one nested too deeply.") from None


def number(value: float, *, digits: int = 4) -> int | float | None:
    """Rounds to significant digits; whole numbers become ints, non-finite ``None``."""
    value = float(value)
    if not math.isfinite(value):
        return None
    rounded = float(f"%.{digits}g" % value)
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


# α of the words around one are of 16 bits: the same ones come again and again.
@functools.lru_cache(maxsize=65_536)
def two_digits(value: float) -> int | float | None:
    """Rounds like ``number`` to two digits, fast for values that come again."""
    return number(value, digits=2)


def number_or_none(value: float | None) -> int | float | None:
    """Rounds like ``number``; ``None``, where there is no number, stays."""
    return None if value is None else number(value)


def numbers(values: Iterable[float], *, digits: int = 4) -> list[float | None]:
    """Rounds each value like ``number``."""
    return [number(value, digits=digits) for value in np.asarray(values).tolist()]


def _json(value: object) -> str:
    try:
        text = _ENCODER.encode(value)
    except ValueError:
        # Looked for only where there is one: it takes longer than to write the text.
        text = _ENCODER.encode(_finite(value))
    if not text.isascii():
        text = _LONE_SURROGATE.sub("\ufffd", text)
    # Each is looked for by itself: of a text that is not ASCII, `str.translate` takes
    # every character in its turn, longer than it takes to encode the value.
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
