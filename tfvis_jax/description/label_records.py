"""From labels as they are written to labels by factor and layer, checked."""

import collections
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tfvis_jax.description import factor_label
from tfvis_jax.errors import InputError

MAX_BYTES = 64 * 2**20
# By factor, then by layer; None stands for all layers.
ByLayer = dict[int, dict[int | None, factor_label.FactorLabel]]
_FACTOR = re.compile(r"(?:(.*)(?:factor|latent|feature|Φ)_?)?([0-9]{1,9})", re.DOTALL)
_LAYER = re.compile(r"(?:layers?|blocks?|h)[._]?([0-9]{1,4})(?![0-9])")
_LAYER_ALONE = re.compile(r"([0-9]{1,4})(?:[^0-9].*)?", re.DOTALL)


class Record(NamedTuple):
    """One label as it is written.

    Attributes:
      place: where it stands in the file, such as "line 3"; "" if its factor says it.
      factor: a number or a name; a name may say the layer too.
      layer: a number or a name; None or "" if not given.
      entry: what `factor_label.label_of` takes.
    """

    place: str
    factor: Any
    layer: Any
    entry: Any


class Checked(NamedTuple):
    """Labels that have been checked.

    Attributes:
      labels: by factor and layer.
      n_empty: records without a text, which were left out.
      n_more: further labels of a factor and layer, which were left out.
    """

    labels: ByLayer
    n_empty: int
    n_more: int


def check(
    records: Iterable[Record],
    *,
    path: pathlib.Path,
    n_factors: int,
    layers: tuple[int, ...] | None = None,
    may_be_empty: bool = False,
    may_repeat: bool = False,
) -> Checked:
    """Returns labels by factor and layer.

    Args:
      records: as written.
      path: of the file or folder, for messages.
      n_factors: number of factors in the dictionary.
      layers: of the dictionary; any if None.
      may_be_empty: If True, records without a text are left out.
      may_repeat: If True, a factor and layer keep the first label of the largest score.

    Raises:
      InputError: a label is malformed, or of a factor or layer that does not exist.
    """
    found: ByLayer = {}
    n_empty = n_more = 0
    for record in records:
        where = f"{record.place} of {path}" if record.place else str(path)
        factor, layer = _factor_and_layer(record, where, n_factors=n_factors)
        if layer is not None and layers is not None and layer not in layers:
            raise InputError(
                f"Expected layers out of {list(layers)}, those of the run, in {where}; "
                f"got {layer}."
            )
        if may_be_empty and _is_empty(record.entry):
            n_empty += 1
            continue
        try:
            label = factor_label.label_of(record.entry, layer=layer)
        except InputError as error:
            raise InputError(f"Factor {factor} in {where}: {error}") from None
        known = found.setdefault(factor, {})
        if layer in known and not may_repeat:
            at = "" if layer is None else f" at layer {layer}"
            raise InputError(f"{path} has two labels for factor {factor}{at}.")
        n_more += layer in known
        known[layer] = max(known.get(layer, label), label, key=_score)
    return Checked(found, n_empty, n_more)


def of_mapping(value: Mapping[str, Any]) -> Iterator[Record]:
    """Yields the labels of an object whose keys are factors, as this package writes it.

    Args:
      value: texts, or objects with the fields of `factor_label.label_of` and, if they
        hold at some layers only, ``layer`` and ``at_layers``.
    """
    for key, entry in value.items():
        if not isinstance(entry, dict):
            yield Record("", key, None, entry)
            continue
        others = entry.get("at_layers", [])
        if not isinstance(others, list) or not all(
            isinstance(each, dict) for each in others
        ):
            raise InputError(
                f"Expected `at_layers` of {factor_label.short(key)} as a list of "
                f"objects, got {factor_label.short(others)}."
            )
        for each in (entry, *others):
            fields = {n: v for n, v in each.items() if n not in ("layer", "at_layers")}
            yield Record("", key, each.get("layer"), fields)


def names_a_factor(name: str) -> bool:
    """Returns whether a name is one of a factor, such as 12 or layer6_factor12."""
    return _FACTOR.fullmatch(name.strip()) is not None


def from_json(text: str) -> Any:
    """Returns a JSON value, in which numbers are floats.

    Raises:
      InputError: it is not JSON, or repeats a key; says what alone.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_repetition,
            # int() refuses very long numbers; float() reads any.
            parse_int=float,
        )
    # RecursionError: the value is nested too deeply to be a set of labels.
    except (ValueError, RecursionError) as error:
        raise InputError(str(error)) from error


def check_size(path: pathlib.Path, n_bytes: int) -> None:
    """Refuses more than `MAX_BYTES` of labels."""
    if n_bytes > MAX_BYTES:
        raise InputError(
            f"Expected at most {MAX_BYTES // 2**20} MiB of labels, but {path} has "
            f"{n_bytes / 2**20:.0f} MiB."
        )


def _factor_and_layer(
    record: Record, where: str, *, n_factors: int
) -> tuple[int, int | None]:
    match = _FACTOR.fullmatch(_as_text(record.factor))
    if match is None or not int(match[2]) < n_factors:
        raise InputError(
            f"Expected factors in 0 … {n_factors - 1} in {where}, such as 12 or "
            f"layer4_factor12; got {factor_label.short(record.factor)}."
        )
    within = _LAYER.search(match[1] or "")
    if record.layer not in (None, ""):
        text = _as_text(record.layer)
        within = _LAYER_ALONE.fullmatch(text) or _LAYER.search(text)
        if within is None:
            raise InputError(
                f"Expected the number of a layer in {where}, got "
                f"{factor_label.short(record.layer)}."
            )
    return int(match[2]), within and int(within[1])


def _as_text(value: Any) -> str:
    """Returns a name, or a whole number as written."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**31:
        return str(int(value))
    return value.strip() if isinstance(value, str) else ""


def _is_empty(entry: Any) -> bool:
    text = entry.get("label") if isinstance(entry, dict) else entry
    return text is None or (isinstance(text, str) and not text.strip())


def _score(label: factor_label.FactorLabel) -> float:
    return float("-inf") if label.score is None else label.score


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a JSON object; raises ValueError if a key is repeated."""
    # json keeps the last of repeated keys without a word.
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = collections.Counter(key for key, _ in pairs)
        [(twice, _)] = counts.most_common(1)
        raise ValueError(f"the key {factor_label.short(twice)} occurs twice")
    return found
