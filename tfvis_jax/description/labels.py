"""The labels of a run, `labels.json`; `label_forms` reads those of other tools."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from tfvis_jax import files
from tfvis_jax.description import factor_label, label_records
from tfvis_jax.description.factor_label import FactorLabel
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.runs import trained_dictionary

SCHEMA = "tfvis-labels/1"


def load(
    path: pathlib.Path, trained: trained_dictionary.TrainedDictionary
) -> dict[int, FactorLabel]:
    """Reads the labels of a run; returns no labels if the file does not exist.

    Raises:
      InputError: if the file is damaged or belongs to another dictionary.
    """
    if not path.is_file():
        return {}
    label_records.check_size(path, path.stat().st_size)
    try:
        stored = label_records.from_json(path.read_bytes().decode())
    except (UnicodeDecodeError, InputError) as error:
        raise InputError(f"{path} is not JSON ({error}).") from error
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
    values = stored.get("labels")
    if not isinstance(values, dict):
        raise InputError(f"{path} is damaged: it has no labels. Remove it.")
    records = label_records.of_mapping(values)
    found = label_records.check(records, path=path, n_factors=len(trained.factors))
    # In the order of the file, whose first label is the one that is shown first.
    return {
        factor: factor_label.of_layers(by_layer, peak=next(iter(by_layer)))
        for factor, by_layer in found.labels.items()
    }


def merge(
    known: Mapping[int, FactorLabel],
    new: label_records.ByLayer,
    *,
    peak_layer: Callable[[int], int | None],
) -> dict[int, FactorLabel]:
    """Returns known labels with new ones, which replace those of factor and layer.

    Args:
      known: by factor.
      new: by factor and layer.
      peak_layer: returns the layer whose label of a factor comes first where none is
        for all layers; None if unknown.
    """
    merged = dict(known)
    for factor, by_layer in new.items():
        found = by_layer
        if factor in known:
            found = known[factor].by_layer | by_layer
        # A label for all layers says more of the factor than one of its layers.
        peak = None if None in found else peak_layer(factor)
        merged[factor] = factor_label.of_layers(found, peak=peak)
    return merged


def save(
    path: pathlib.Path,
    labels: Mapping[int, FactorLabel],
    trained: trained_dictionary.TrainedDictionary,
) -> None:
    """Writes the labels of a run atomically.

    Args:
      path: JSON file to write.
      labels: by index of the factor.
      trained: dictionary that they belong to.
    """
    files.write_json(path, to_json(labels, trained))


def to_json(
    labels: Mapping[int, FactorLabel], trained: trained_dictionary.TrainedDictionary
) -> dict[str, Any]:
    """Returns what `save` writes; arguments are the same."""
    return {
        "schema": SCHEMA,
        "dictionary_hash": trained.content_hash,
        "labels": {str(factor): as_json(labels[factor]) for factor in sorted(labels)},
    }


def as_json(label: FactorLabel) -> dict[str, Any]:
    """Returns a label as a JSON value that `label_records.of_mapping` takes."""
    found: dict[str, Any] = {"label": label.text}
    if label.score is not None:
        found["score"] = label.score
    if label.source:
        found["source"] = label.source
    if label.layer is not None:
        found["layer"] = label.layer
    if label.at_layers:
        found["at_layers"] = [as_json(each) for each in label.at_layers]
    return found
