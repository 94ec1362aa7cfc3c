"""`evaluation.json`: how good the dictionary of a run is, by every metric."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

from tfvis_jax import files
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import loss_recovered, reconstruction, refitted, report
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.reporting import devices
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.sparse_coding import checks, metrics

KINDS = (refitted.LASSO, refitted.DEBIASED, refitted.K_LARGEST)


def evaluate(
    directory: str | os.PathLike[str],
    *,
    k: int = 32,
    loss_windows: int = 128,
    progress: progress_lib.Progress = progress_lib.silent,
) -> dict[str, Any]:
    """Measures a trained run on its held-out text and writes `evaluation.json`.

    Args:
      directory: of a trained run.
      k: codes kept in each row for the metrics at a fixed number of them.
      loss_windows: held-out windows on which the loss recovered is measured; 0 skips
        it.
      progress: hears of the stages "model", "reconstruction" and "loss".

    Returns:
      The content of the file.

    Raises:
      InputError: the training of the run has not finished, or none of its text is
        held out.
    """
    checks.check_count("k", k)
    checks.check_count("loss_windows", loss_windows, at_least=0)
    stages = progress_lib.Stages(progress)
    with writing(directory) as run:
        trained = dictionary_file.load(run.dictionary)
        with stages.stage("model"):
            opened = setup.with_masked_lm_head(setup.open_model(run, run.read_config()))
            dictionary_file.check_fits(trained, opened)
            windows = opened.windows()
        if not len(windows.held_out):
            raise InputError(
                f"Nothing of the text of {run.path} is held out to measure on: it is "
                "one window long. Train on a longer text."
            )
        with stages.stage("reconstruction") as show:
            measured = reconstruction.evaluate(
                opened, trained, windows, k=k, progress=show
            )
        recovered = None
        if loss_windows:
            with stages.stage("loss") as show:
                recovered = _loss_recovered(
                    opened, trained, windows, k=k, n=loss_windows, progress=show
                )
        found = _content(trained, measured, recovered, k=k)
        found["devices"] = devices.find().as_json()
        found["held_out"] = report.held_out(windows)
        found["seconds"] = stages.seconds
        files.write_json(run.evaluation, found)
    return found


def _loss_recovered(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    k: int,
    n: int,
    progress: Callable[[int, int], None],
) -> Mapping[str, loss_recovered.Recovered]:
    return loss_recovered.measure(
        loss_recovered.Subject(
            pretrained=opened.pretrained,
            tokenizer=opened.tokenizer,
            layers=trained.layers,
            layer_scale=trained.layer_scale,
            windows_per_batch=opened.config.windows_per_batch,
            seed=opened.config.seed,
        ),
        windows,
        loss_recovered.spread(windows.held_out, n=n),
        refitted.reconstructor(
            trained,
            solver=trained.solver(opened.config.solver),
            windows_per_batch=opened.config.windows_per_batch,
            k=k,
        ),
        mean_windows=loss_recovered.spread(windows.train, n=n),
        progress=progress,
    )


def _content(
    trained: dictionary_file.TrainedDictionary,
    measured: reconstruction.Evaluation,
    recovered: Mapping[str, loss_recovered.Recovered] | None,
    *,
    k: int,
) -> dict[str, Any]:
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

    duplicates = metrics.duplicates(trained.factors)
    content = {
        "schema": "tfvis-evaluation/1",
        "dictionary": trained.content_hash,
        "layers": trained.layers,
        "n_factors": len(trained.factors),
        "k": k,
        "codes": {name: kind(name) for name in KINDS},
        "special_tokens_fvu": measured.special_tokens and measured.special_tokens.fvu,
        "density": measured.density,
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
        "gap": {"mean": measured.gap_mean, "max": measured.gap_max},
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
