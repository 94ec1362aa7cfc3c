"""Fits and measures every method, one after the other; resumes what was stopped."""

import dataclasses
import itertools
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import msgspec

from tfvis_jax import schema
from tfvis_jax.comparison import data as data_lib
from tfvis_jax.comparison import imported as imported_lib
from tfvis_jax.comparison import methods, report, sparse_coding
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import loss_recovered
from tfvis_jax.interop import foreign
from tfvis_jax.reporting import outputs

Row = dict[str, Any]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Row(msgspec.Struct):
    """A row of an earlier table."""

    method: str
    seed: schema.Count
    target_l0: schema.Positive
    l0: schema.NotNegative
    fvu: schema.NotNegative
    fvu_debiased: schema.NotNegative | None
    alive: _Share
    seconds: schema.NotNegative
    rows_seen: schema.Count
    learning_rate: schema.AboveZero | None
    agreement: schema.Finite | None
    loss_recovered: schema.Finite | None
    loss_recovered_per_layer: list[schema.Finite | None] | None
    # Of the weights of an imported autoencoder.
    sha256: schema.Hash | None = None


class _Document(msgspec.Struct):
    """An earlier comparison."""

    source: str
    config: dict[str, Any]
    n_rows: schema.Count
    n_held_out_rows: schema.Count
    loss_windows: schema.Count | None
    rows: list[_Row]


def compare(
    data: data_lib.Data,
    config: methods.ComparisonConfig,
    *,
    out: pathlib.Path,
    header: dict[str, Any],
    untrained: Callable[[], data_lib.Data] | None = None,
    imported: Mapping[str, foreign.ForeignEncoder] | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Compares dictionaries on the same rows.

    The JSON, a Markdown table and a plot are written after every row of the table. The
    rows that ``out`` already holds are kept and not fitted again; those of imported
    autoencoders if the weights are the same.

    Args:
      data: rows to learn from and to measure on.
      config: what to compare.
      out: JSON to write, with the table (.md) and the plot (.png) beside it.
      header: of the JSON, from `environment.describe`.
      untrained: loads the hidden states of the same text in a model with random
        weights; called only for the method "random_encoder".
      imported: autoencoders of other tools by the name of their row. They are measured
        as they are: their L0 is their own, and what they were trained on is not known.
      progress: called with lines of text.

    Returns:
      The content of the JSON.

    Raises:
      InputError: ``out`` does not end in .json, or holds a comparison of other rows or
        settings; or "random_encoder" is asked for without ``untrained``; or an
        imported autoencoder is not of the layer of the rows.
    """
    if out.suffix != ".json":
        raise InputError(f"Expected --out to end in .json, got {out}.")
    if methods.RANDOM_ENCODER in config.methods and untrained is None:
        raise InputError(
            f"Expected a run with {methods.RANDOM_ENCODER}: it needs a model."
        )
    others = {
        name: imported_lib.of_rows(
            read, d_model=data.x.shape[1], place=data.place, scale=data.scale
        )
        for name, read in (imported or {}).items()
    }
    if taken := sorted(set(others) & {*methods.METHODS, methods.RANDOM_ENCODER}):
        raise InputError(
            f"Expected names of autoencoders that no method has, got {taken}. Rename "
            "the folder."
        )
    document = header | {
        "source": data.source,
        # A comparison that goes on must learn as it began.
        "config": dataclasses.asdict(config)
        | {"learning": dataclasses.asdict(sparse_coding.Learning())},
        "n_rows": len(data.x),
        "n_held_out_rows": len(data.held_out),
        "loss_windows": data.loss_windows,
        "rows": [],
    }
    document["rows"] = _finished_rows(out, document, progress=progress)
    wanted = itertools.product(config.methods, config.target_l0, config.seeds)
    total = len(set(wanted) - {_key(row) for row in document["rows"]})
    there = {(row["method"], row.get("sha256")) for row in document["rows"]}
    others = {
        name: other
        for name, other in others.items()
        if (name, other.trained.content_hash) not in there
    }
    # What had the name of one that is measured now is another autoencoder.
    document["rows"] = [row for row in document["rows"] if row["method"] not in others]
    total += len(others)
    start = time.monotonic()
    rows = itertools.chain(
        _imported_rows(data, others),
        _measured(data, config, document["rows"], untrained, progress=progress),
    )
    for done, row in enumerate(rows, start=1):
        kept = [other for other in document["rows"] if _key(other) != _key(row)]
        document["rows"] = [*kept, row]
        spent = time.monotonic() - start
        left = max(0, spent / done * (total - done))
        progress(
            f"  FVU {row['fvu']:.4f} at L0 {row['l0']:.1f}, {row['alive']:.1%} alive, "
            f"{row['seconds']:.0f} s. {done} of {total} rows after "
            f"{spent / 60:.1f} minutes, perhaps {left / 60:.0f} to go"
        )
        text = report.table(document)
        outputs.write(out, document, text, draw=report.draw, announce=False)
    return document


def _measured(
    data: data_lib.Data,
    config: methods.ComparisonConfig,
    done: list[Row],
    untrained: Callable[[], data_lib.Data] | None,
    *,
    progress: Callable[[str], None],
) -> Iterator[Row]:
    """Yields rows of the table."""
    for candidate in methods.candidates(data.x, config, done=done, progress=progress):
        found = data.loss(candidate) if data.loss else None
        yield methods.measure(candidate, data.held_out) | _losses(found)
    if methods.RANDOM_ENCODER not in config.methods or untrained is None:
        return
    finished = [
        row | {"method": "sparse_coding"}
        for row in done
        if row["method"] == methods.RANDOM_ENCODER
    ]
    data = untrained()
    for candidate in methods.candidates(
        data.x,
        dataclasses.replace(config, methods=("sparse_coding",)),
        done=finished,
        progress=lambda what: progress(f"untrained model: {what}"),
    ):
        row = methods.measure(candidate, data.held_out) | _losses(None)
        yield row | {"method": methods.RANDOM_ENCODER}


def _imported_rows(
    data: data_lib.Data, others: Mapping[str, imported_lib.ImportedSAE]
) -> Iterator[Row]:
    """Yields the rows of imported autoencoders, at the L0 that each has."""
    for name, method in others.items():
        fitted = methods.FittedMethod(
            name, seed=0, target_l0=1, method=method, seconds=0, rows_seen=0
        )
        row = methods.measure(fitted, data.held_out)
        row["target_l0"] = max(1, round(row["l0"]))
        row["sha256"] = method.trained.content_hash
        yield row | _losses(data.loss(fitted) if data.loss else None)


def _losses(found: loss_recovered.Recovered | None) -> Row:
    return {
        "loss_recovered": None if found is None else _json_number(found.all),
        "loss_recovered_per_layer": (
            None
            if found is None
            else [_json_number(share) for share in found.per_layer]
        ),
    }


def _finished_rows(
    out: pathlib.Path, document: dict[str, Any], *, progress: Callable[[str], None]
) -> list[Row]:
    """Returns the rows of a comparison that was stopped."""
    if not out.is_file():
        return []
    remedy = "Name another --out, or remove it."
    found, older = schema.read_plain(out, _Document, remedy=remedy)
    if _settings(older) != _settings(document):
        raise InputError(
            f"{out} holds a comparison of other rows or settings, or of an older "
            f"version. {remedy}"
        )
    _check_rows(out, found.rows, remedy=remedy)
    progress(f"{len(older['rows'])} rows are in {out} already")
    return older["rows"]


def _check_rows(out: pathlib.Path, rows: list[_Row], *, remedy: str) -> None:
    """Refuses rows that no comparison has."""
    for row in rows:
        needs_rate = row.method in methods.SAE_METHODS
        if needs_rate and row.learning_rate is None:
            why = f"Expected a `learning_rate` of {row.method}, got null"
            raise schema.damaged(out, why, remedy=remedy)
        # Codes of either sign are not refitted.
        if row.fvu_debiased is None and row.method != "pca":
            why = f"Expected a `fvu_debiased` of {row.method}, got null"
            raise schema.damaged(out, why, remedy=remedy)
    keys = {(row.method, row.target_l0, row.seed) for row in rows}
    sizes = {len(row.loss_recovered_per_layer or ()) for row in rows} - {0}
    if len(keys) < len(rows) or len(sizes) > 1:
        raise schema.damaged(
            out,
            "Expected one row for each method, L0 and seed, with the losses of the "
            f"same layers, got {len(rows)} rows of {len(keys)}, with losses of "
            f"{sorted(sizes)} layers",
            remedy=remedy,
        )


def _settings(document: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Returns what decides a row of the table, whatever other rows were asked for."""
    names = ("source", "n_rows", "n_held_out_rows", "loss_windows")
    config = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in document.get("config", {}).items()
        if name not in ("methods", "seeds")
    }
    return [document.get(name) for name in names], config


def _key(row: Row) -> tuple[str, int, int]:
    return row["method"], row["target_l0"], row["seed"]


def _json_number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
