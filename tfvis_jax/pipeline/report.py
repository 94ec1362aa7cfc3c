"""`report.json`: how good a dictionary is and what the run cost; and as text."""

import importlib.metadata
import pathlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

import tfvis_jax
from tfvis_jax import sharding, sites
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.data import unknown_tokens
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.evaluation import reconstruction
from tfvis_jax.evaluation import report as evaluation_report
from tfvis_jax.reporting import devices
from tfvis_jax.runs import report_file, setup, trained_dictionary
from tfvis_jax.training import metrics_log


def of_training(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    result: reconstruction.Evaluation,
    *,
    mesh: jax.sharding.Mesh,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """Returns the report of a training that has ended.

    Args:
      opened: model and settings.
      trained: what was learned.
      windows: tokens of the corpus.
      result: of the dictionary on held-out text.
      mesh: devices that it was learned on.
      seconds: of the stages of this call; those of earlier calls count where they were
        longer, since work that is done is not done again.
    """
    config, log = opened.config, metrics_log.read(opened.run.metrics)
    earlier = report_file.read_if_any(opened.run.report)
    before = {} if earlier is None else earlier.seconds
    lasso, refitted = result.lasso, result.debiased
    return {
        "schema": "tfvis-report/1",
        "dictionary_hash": trained.content_hash,
        "model": config.model,
        "corpus": list(config.corpus.paths),
        "n_tokens": windows.index["num_tokens"],
        "unknown_tokens": windows.index.get("unknown_tokens"),
        "notes": list(notes_lib.Notes.of(windows.index.get("notes", {})).sentences()),
        "n_rows": sum(line["rows"] for line in log),
        "n_documents": windows.index["num_documents"],
        "n_folded_documents": windows.index.get("num_folded_documents"),
        "n_held_out_rows": lasso.all.n_rows,
        "n_measured_documents": result.n_documents,
        "held_out": evaluation_report.held_out(windows),
        "n_factors": config.dictionary.n_factors,
        "layers": list(opened.layers),
        "site": config.site,
        "l1_penalty": trained.l1_penalty,
        "encoder": trained.encoder_settings,
        "fvu": evaluation_report.by_layer(lasso, "fvu"),
        "fvu_debiased": evaluation_report.by_layer(refitted, "fvu"),
        "l0": evaluation_report.by_layer(lasso, "l0"),
        "alive": evaluation_report.plain(lasso.all.alive),
        "gap": evaluation_report.plain(
            {"mean": result.gap_mean, "max": result.gap_max}
        ),
        "seconds": {
            name: max(before.get(name, 0), now) for name, now in seconds.items()
        }
        | {"train": log[-1]["seconds"] if log else 0.0},
        "devices": devices.find().as_json(),
        "mesh": {name: mesh.shape[name] for name in (sharding.DATA, sharding.FACTOR)},
        "versions": versions(),
    }


def summary(report: dict[str, Any]) -> str:
    """Returns the main metrics of a report as lines of text."""

    def row(title: str, metric: dict[str, Any], spec: str) -> str:
        layers = ", ".join(text(value, spec) for value in metric["per_layer"])
        pooled = evaluation_report.with_interval(metric, spec)
        return f"  {title:<21} {pooled:<7} (per layer {layers})"

    site = report.get("site", sites.HIDDEN)
    layers = sites.named(f"layers {report['layers']}", site)
    return "\n".join(
        [
            f"{report['n_factors']:,} factors for {layers} of "
            f"{model_name(report['model'])}",
            f"{report['n_tokens']:,} tokens of text; metrics on "
            f"{report['n_held_out_rows']:,} {sites.WORDS[site]} of "
            f"{evaluation_report.held_out_words(report['held_out'])}:",
            row("unexplained variance", report["fvu"], ".3f"),
            row("  with codes refitted", report["fvu_debiased"], ".3f"),
            row("factors per token", report["l0"], ".1f"),
            f"  {'factors alive':<21} {text(report['alive'], '.1%')}",
            f"  {_of_the_codes(report)}",
            f"  {evaluation_report.about_intervals(report['n_measured_documents'])}",
            *_of_the_text(report),
        ]
    )


def _of_the_codes(report: dict[str, Any]) -> str:
    """Returns how far codes are from the best ones, where they are meant to be near."""
    encoder = report.get("encoder")
    if encoder:
        return encoder_words(encoder)
    gap = report["gap"]
    return (
        f"{'duality gap':<21} {text(gap['mean'], '.1e')} mean, "
        f"{text(gap['max'], '.1e')} largest"
    )


def encoder_words(encoder: Mapping[str, Any]) -> str:
    """Returns what finds the codes of a run with an imported encoder, and so lacks."""
    k = f", k {encoder['k']}" if encoder["k"] is not None else ""
    return (
        f"codes by the imported encoder ({encoder['kind']}{k}): they have no λ and no "
        "duality gap"
    )


def _of_the_text(report: dict[str, Any]) -> Iterator[str]:
    """Yields what a reader of the metrics must know of the text, if anything."""
    unknown = report.get("unknown_tokens")
    if unknown and unknown["share"] > unknown_tokens.SHOWN:
        worst = ", ".join(
            f"{d['name']} ({d['share']:.0%})" for d in unknown["documents"]
        )
        yield f"  {'unknown tokens':<21} {unknown['share']:.1%}, most in {worst}"
    for note in report.get("notes", ()):
        yield f"  {note}"


def model_name(model: str) -> str:
    """Returns the last two parts of a folder or hub name; often the last is "model"."""
    return "/".join(pathlib.PurePath(model).parts[-2:])


def corpus_name(paths: Sequence[str]) -> str:
    """Returns the names of the files of a text."""
    return ", ".join(pathlib.PurePath(path).name for path in paths)


def text(value: float | None, spec: str) -> str:
    """Returns a metric as text; "n/a" where there was nothing to measure."""
    return "n/a" if value is None else format(value, spec)


def versions() -> dict[str, str]:
    """Returns the versions of what a dictionary depends on."""
    libraries = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "tfvis_jax": tfvis_jax.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in libraries},
    }
