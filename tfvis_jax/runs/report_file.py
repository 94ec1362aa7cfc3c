"""Reads `report.json`, which the last step of a training writes."""

import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tfvis_jax import schema
from tfvis_jax.errors import command_line


class _PerLayer(msgspec.Struct):
    all: schema.Finite | None
    per_layer: list[schema.Finite | None]


class _Gap(msgspec.Struct):
    mean: schema.Finite | None
    max: schema.Finite | None


class Devices(msgspec.Struct):
    """What a run was trained on."""

    platform: str
    kind: str


class Mesh(msgspec.Struct):
    """How the devices were arranged."""

    data: schema.Positive
    factor: schema.Positive


class Encoder(msgspec.Struct):
    """What finds the codes of an imported autoencoder."""

    kind: str
    k: schema.Positive | None


class Report(msgspec.Struct):
    """What is read of a report; what it says beside it is for people."""

    model: str
    corpus: list[str]
    n_tokens: schema.Count
    n_held_out_rows: schema.Count
    n_factors: schema.Positive
    layers: list[schema.Count]
    fvu: _PerLayer
    l0: _PerLayer
    alive: schema.Finite | None
    gap: _Gap
    seconds: dict[str, schema.NotNegative]
    # Earlier versions did not write these.
    site: Literal["hidden", "attention_out", "mlp_out"] = "hidden"
    encoder: Encoder | None = None
    devices: Devices | None = None
    mesh: Mesh | None = None


def read(path: pathlib.Path, *, layers: Sequence[int]) -> dict[str, Any]:
    """Reads the report of a run.

    Args:
      path: of the file.
      layers: of the run's dictionary.

    Raises:
      InputError: it is damaged, or reports on other layers.
    """
    remedy = _remedy(path)
    report, plain = schema.read_plain(path, Report, remedy=remedy)
    reported = [len(each.per_layer) for each in (report.fvu, report.l0)]
    if report.layers != list(layers) or reported != [len(layers)] * 2:
        raise schema.damaged(
            path,
            f"Expected a report on the layers {list(layers)} of the dictionary, got "
            f"one on {schema.short(report.layers)} with {reported} values per layer",
            remedy=remedy,
        )
    return plain


def read_if_any(path: pathlib.Path) -> Report | None:
    """Returns what is read of a report; None if the run has none yet.

    Raises:
      InputError: it is damaged.
    """
    if not path.is_file():
        return None
    return schema.read(path, Report, remedy=_remedy(path))


def _remedy(path: pathlib.Path) -> str:
    return f"Remove it; `{command_line('train', path.parent)}` writes it again."
