"""Collects what the page of a run tells of its making: settings, text, cost, curves."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from tfvis_jax import sites
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.runs import imported_file
from tfvis_jax.training import metrics_log
from tfvis_jax.viewer import run_record

_ADDED_BY = {sites.ATTENTION_OUT: "the attention", sites.MLP_OUT: "the MLP"}
_Fact = tuple[str, str | float | None]

# Metrics of a batch: label, and what it means.
_CURVES = {
    "relative_error": (
        "Unexplained part",
        "‖ε‖² / ‖x‖² of a batch, before its dictionary step",
    ),
    "held_out_fvu": ("Held-out FVU", "Fraction of variance unexplained, held-out text"),
    "l0": ("L0", "Active factors per hidden state"),
    "gap_mean": ("Duality gap", "Mean over a batch, relative to ½‖x‖²"),
    "solver_steps": ("Solver steps", "Mean over a batch"),
    "n_revived": ("Restarted factors", "Dead factors given a new direction, a batch"),
    "l1_penalty": ("λ", "Weight of the penalty Σ α"),
}


def of_run(run: run_lib.Run) -> run_record.RunRecord:
    """Returns the record of a run that has a report.

    Args:
      run: trained.

    Raises:
      InputError: a file of the run is damaged.
    """
    report = run.report
    log = metrics_log.read(run.directory.metrics)
    return run_record.RunRecord(
        facts={
            **_encoder(run),
            **_settings(run),
            "Text": list(_text(report, site=run.config.site)),
            "Devices and time": list(_cost(report)),
            "Versions": list(report.get("versions", {}).items()),
            "Files": list(_files(run)),
        },
        notes=[*_of_site(run.config.site), *report.get("notes", ())],
        batches=[line["batch"] for line in log],
        curves=[
            run_record.Curve(
                label=label, about=about, values=[line.get(name) for line in log]
            )
            for name, (label, about) in _CURVES.items()
            if _varies(log, name)
        ],
    )


def _of_site(site: str) -> Iterator[str]:
    if site != sites.HIDDEN:
        yield (
            f"This run is of {sites.WORDS[site]}: where the page speaks of hidden "
            f"states, they are what {_ADDED_BY[site]} of a layer adds to the residual "
            "sum."
        )


def _varies(log: list[dict[str, Any]], name: str) -> bool:
    return len({line[name] for line in log if line.get(name) is not None}) > 1


def _settings(run: run_lib.Run) -> dict[str, list[_Fact]]:
    """Returns the settings by their names in config.json, in groups.

    Folders of this machine are left out.
    """
    values = dataclasses.asdict(run.config)
    if run.trained.encoder is not None:
        for unused in ("solver", "sparsity", "dictionary"):
            del values[unused]
    values["model"] = report_lib.model_name(values["model"])
    values["corpus"]["paths"] = report_lib.corpus_name(values["corpus"]["paths"])
    if values["checkpoints"] is not None:
        values["checkpoints"] = pathlib.PurePath(values["checkpoints"]).name
    if values["layers"] is None:
        values["layers"] = "all"
    plain = [(k, _said(v)) for k, v in values.items() if not isinstance(v, Mapping)]
    return {"Settings": plain} | {
        f"Settings: {piece}": [(name, _said(value)) for name, value in inner.items()]
        for piece, inner in values.items()
        if isinstance(inner, Mapping)
    }


def _encoder(run: run_lib.Run) -> dict[str, list[_Fact]]:
    """Returns what an imported encoder is; nothing where codes are inferred."""
    encoder = run.trained.encoder
    if encoder is None:
        return {}
    imported = imported_file.read(run.directory.imported)
    return {
        "Encoder": [
            ("codes", "by the imported encoder: no λ, no duality gap"),
            ("tool", imported.format),
            ("architecture", imported.architecture),
            ("nonlinearity", encoder.kind),
            *([("k", encoder.k)] if encoder.k else []),
            ("place in the model", imported.hook or None),
        ]
    }


def _said(value: Any) -> str | float | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    return ", ".join(map(str, value))


def _text(report: dict[str, Any], *, site: str) -> Iterator[_Fact]:
    yield "corpus", report_lib.corpus_name(report["corpus"])
    yield "documents", report.get("n_documents")
    for kind, count in (report.get("n_folded_documents") or {}).items():
        yield f"{kind} copies left out", count
    yield "tokens", report["n_tokens"]
    unknown = report.get("unknown_tokens")
    if unknown:
        yield "share of unknown tokens", unknown["share"]
    rows = sites.WORDS[site]
    yield f"{rows} seen in training", report.get("n_rows")
    yield f"{rows} held out", report["n_held_out_rows"]
    yield "documents they are of", report.get("n_measured_documents")


def _cost(report: dict[str, Any]) -> Iterator[_Fact]:
    found = report.get("devices") or {}
    if found:
        yield "devices", f"{found.get('number', 1)} × {found['kind']}"
    for name, size in (report.get("mesh") or {}).items():
        yield f"parts by {name}", size
    for stage, seconds in report["seconds"].items():
        yield f"{stage}, seconds", seconds


def _files(run: run_lib.Run) -> Iterator[_Fact]:
    """Yields the files that results are of, with their sizes."""
    here = run.directory
    for path in (
        *(here.config_path, here.tokens, here.hidden_states, here.metrics),
        *(here.dictionary, here.examples, here.levels, here.report, here.evaluation),
    ):
        if path.is_file():
            yield path.name, _size(path.stat().st_size)
        elif path.is_dir():
            sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
            yield f"{path.name}/", _size(sum(sizes))


def _size(size: int) -> str:
    for unit, of in (("MB", 1e6), ("KB", 1e3)):
        if size >= of:
            shown = size / of
            return f"{shown:.3g} {unit}" if shown < 999.5 else f"{shown:.0f} {unit}"
    return f"{size} B"
