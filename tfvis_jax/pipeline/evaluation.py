"""`evaluation.json`: how good the dictionary of a run is, by every metric."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import msgspec
import numpy as np

from tfvis_jax import files, probing, schema
from tfvis_jax.data import build_windows
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import (
    loss_recovered,
    parts,
    reconstruction,
    refitted,
    replacement,
    report,
)
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.writing import reading, writing
from tfvis_jax.reporting import devices
from tfvis_jax.runs import dictionary_file, setup, trained_dictionary
from tfvis_jax.sparse_coding import checks, metrics

_SCHEMA = "tfvis-evaluation/1"
KINDS = (refitted.LASSO, refitted.DEBIASED, refitted.K_LARGEST)


def evaluate(
    directory: str | os.PathLike[str],
    *,
    k: int = 32,
    loss_windows: int = 64,
    text: Sequence[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    num_workers: int = 1,
    progress: progress_lib.Progress = progress_lib.silent,
    notify: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Measures a trained run on its held-out text and writes `evaluation.json`.

    With another text, the metrics on that text are added to the file, under "texts"
    and the text's name, by the same definitions. With labels, what x, reconstruction,
    codes and residual tell of them is added under "probing" and the name of the labels;
    that of the sentences of `probing.verbs` is measured with the held-out text. The
    held-out text is measured again only if neither is given, or its metrics are not in
    the file. What the file holds of other texts and labels is kept while the dictionary
    is the same.

    Args:
      directory: of a trained run.
      k: codes kept in each row for the metrics at a fixed number of them.
      loss_windows: held-out windows on which the loss recovered is measured; 0 skips
        it.
      text: files, folders, globs or ``hf://`` names of another text. All of it is
        measured, whether the run was trained on it or not.
      labels: a file or folder of labelled text to probe, as `probing.read` reads it.
      out: file to write in place of the run's, which is then only read.
      num_workers: processes that turn that text into tokens.
      progress: hears of the stages "model", "reconstruction", "loss" and "probing", and
        of "tokens" and "text" where another text is given.
      notify: told in a sentence what was left out of the other text, or why nothing was
        probed.

    Returns:
      The content of the file.

    Raises:
      InputError: the training of the run has not finished, or none of its text is
        held out and no other is given, or the other text or the labels cannot be
        read or are too few.
    """
    checks.check_count("k", k)
    checks.check_count("loss_windows", loss_windows, at_least=0)
    checks.check_count("num_workers", num_workers)
    stages = progress_lib.Stages(progress)
    with writing(directory) if out is None else reading(directory) as run:
        path = run.evaluation
        if out is not None:
            path = pathlib.Path(out)
            _check_replaceable(path)
        trained = dictionary_file.load(run.dictionary)
        with stages.stage("model"):
            opened = setup.with_language_model(setup.open_model(run, run.read_config()))
            trained_dictionary.check_fits(trained, opened)
        labelled = (
            None if labels is None else parts.prepare(probing.read(labels), opened)
        )
        windows = opened.windows()
        if not (len(windows.held_out) or text or labels):
            raise InputError(
                f"Nothing of the text of {run.path} is held out to measure on: it is "
                "one window long. Train on a longer text, or name another with --text."
            )
        found = _earlier(path, trained)
        texts, probed = found.get("texts", {}), found.get("probing", {})
        if (text is None and labels is None) or found.get("k") != k:
            found = _held_out(
                opened, trained, windows, stages, k=k, loss_windows=loss_windows
            )
            if own := parts.own_sentences(opened, notify):
                probed |= _probed(opened, trained, own, stages)
        if labelled is not None:
            probed |= _probed(opened, trained, labelled, stages)
        if text is not None:
            texts[", ".join(map(str, text))] = _other_text(
                opened,
                trained,
                text,
                stages,
                k=k,
                num_workers=num_workers,
                notify=notify,
            )
        if texts:
            found["texts"] = texts
        if probed:
            found["probing"] = probed
        files.write_json(path, found)
    return found


def _check_replaceable(path: pathlib.Path) -> None:
    """Refuses a file that this step has not written."""
    if not path.exists():
        return
    with contextlib.suppress(OSError, ValueError):
        known, _ = schema.read_plain(path, _Earlier, remedy="")
        if str(known.schema).startswith("tfvis-evaluation/"):
            return
    raise InputError(
        f"Expected a new file, or one that `tfvis evaluate` has written, got {path}, "
        "which holds something else; name another."
    )


class _Earlier(msgspec.Struct):
    schema: Any = None
    dictionary: Any = None
    texts: dict[str, dict[str, Any]] = {}
    probing: dict[str, dict[str, Any]] = {}


def _earlier(
    path: pathlib.Path, trained: trained_dictionary.TrainedDictionary
) -> dict[str, Any]:
    """Returns what the file says of the same dictionary; nothing if it is of others."""
    if not path.is_file():
        return {}
    known, found = schema.read_plain(
        path, _Earlier, remedy="Remove it; `tfvis evaluate` writes it again."
    )
    is_ours = (
        known.schema == _SCHEMA
        and known.dictionary == trained.content_hash
        # Files of earlier versions do not say how many documents were measured.
        and "n_documents" in found
    )
    return found if is_ours else {}


def _held_out(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    stages: progress_lib.Stages,
    *,
    k: int,
    loss_windows: int,
) -> dict[str, Any]:
    with stages.stage("reconstruction") as show:
        measured = reconstruction.evaluate(opened, trained, windows, k=k, progress=show)
    recovered = None
    if loss_windows and len(windows.held_out):
        with stages.stage("loss") as show:
            recovered = _loss_recovered(
                opened, trained, windows, k=k, n=loss_windows, progress=show
            )
    found = _content(trained, measured, recovered, k=k)
    found["devices"] = devices.find().as_json()
    found["held_out"] = report.held_out(windows)
    found["seconds"] = dict(stages.seconds)
    return found


def _other_text(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    text: Sequence[str],
    stages: progress_lib.Stages,
    *,
    k: int,
    num_workers: int,
    notify: Callable[[str], None],
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        with stages.stage("tokens") as show:
            windows = build_windows.build(
                pathlib.Path(folder) / "tokens",
                opened.other_text(text),
                tokenizer=opened.tokenizer,
                num_workers=num_workers,
                progress=show,
                notify=notify,
                every_document=True,
            )
        with stages.stage("text") as show:
            measured = reconstruction.evaluate(
                opened,
                trained,
                windows,
                chosen=np.arange(len(windows)),
                k=k,
                progress=show,
            )
    seconds = {name: stages.seconds[name] for name in ("tokens", "text")}
    return {**report.plain(_metrics(measured)), "k": k, "seconds": seconds}


def _probed(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    labels: parts.Labels,
    stages: progress_lib.Stages,
) -> dict[str, Any]:
    with stages.stage("probing") as show:
        found = parts.measure(opened, trained, labels, progress=show)
    found["seconds"] = stages.seconds["probing"]
    return {labels.labelled.source: report.plain(found)}


def _loss_recovered(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    k: int,
    n: int,
    progress: Callable[[int, int], None],
) -> Mapping[str, loss_recovered.Recovered]:
    chosen = loss_recovered.spread(windows.held_out, n=n)
    # No larger batch than there are windows: all of it is computed.
    each = -(-len(chosen) // jax.local_device_count())
    return loss_recovered.measure(
        replacement.Subject(
            pretrained=opened.pretrained,
            tokenizer=opened.tokenizer,
            layers=trained.layers,
            layer_scale=trained.layer_scale,
            windows_per_batch=min(opened.config.windows_per_batch, each),
            seed=opened.config.seed,
        ).on(jax.local_devices()),
        windows,
        chosen,
        refitted.reconstructor(opened, trained, devices=jax.local_devices(), k=k),
        mean_windows=loss_recovered.spread(windows.train, n=n),
        progress=progress,
    )


def _content(
    trained: trained_dictionary.TrainedDictionary,
    measured: reconstruction.Evaluation,
    recovered: Mapping[str, loss_recovered.Recovered] | None,
    *,
    k: int,
) -> dict[str, Any]:
    duplicates = metrics.duplicates(trained.factors)
    content = {
        "schema": _SCHEMA,
        "dictionary": trained.content_hash,
        "layers": trained.layers,
        "site": trained.site,
        "n_factors": len(trained.factors),
        "encoder": trained.encoder_settings,
        "k": k,
        **_metrics(measured, recovered),
        "duplicates": {
            "cosine_quantiles": dict(
                zip(
                    map(str, metrics.DUPLICATE_QUANTILES),
                    duplicates.quantiles,
                    strict=True,
                )
            ),
            "cosine_above": metrics.DUPLICATE_COSINE,
            "n_factors_above": duplicates.n_above,
        },
        "loss": recovered
        and {
            "name": recovered[refitted.LASSO].loss,
            "n_tokens": recovered[refitted.LASSO].n_tokens,
            "original": recovered[refitted.LASSO].original,
            "mean_ablated": recovered[refitted.LASSO].mean_ablated,
            "reconstructed": {name: recovered[name].reconstructed for name in KINDS},
        },
    }
    return report.plain(content)


def _metrics(
    measured: reconstruction.Evaluation,
    recovered: Mapping[str, loss_recovered.Recovered] | None = None,
) -> dict[str, Any]:
    """Returns what is measured on any text."""

    def kind(name: str) -> dict[str, Any]:
        found = {
            field.name: report.by_layer(measured.codes[name], field.name)
            for field in dataclasses.fields(metrics.Figures)
        }
        if recovered is not None:
            found["loss_recovered"] = report.plain(
                {"all": recovered[name].all, "per_layer": recovered[name].per_layer}
            )
        return found

    return {
        "n_documents": measured.n_documents,
        "codes": {name: kind(name) for name in KINDS},
        "special_tokens_fvu": measured.special_tokens and measured.special_tokens.fvu,
        "density": measured.density,
        "gap": {"mean": measured.gap_mean, "max": measured.gap_max},
    }
