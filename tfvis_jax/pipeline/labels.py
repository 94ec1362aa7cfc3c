"""Labels of factors, exchanged with tools and people that make them."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tfvis_jax.description import label_forms, label_prompts
from tfvis_jax.description import labels as labels_lib
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.writing import writing


class ExportedPrompts(NamedTuple):
    """What an export of prompts wrote.

    Attributes:
      n_written: factors in the file.
      n_dead: factors that were left out because they do not fire.
    """

    n_written: int
    n_dead: int


class ImportedLabels(NamedTuple):
    """What an import of labels changed.

    Attributes:
      form: in which they were written, such as "Neuronpedia".
      n_read: labels that were read.
      n_replaced: those of them whose factor and layer had one.
      n_labelled: factors of the run that have a label now.
      n_empty: factors in the file without a label.
      n_more: further labels of a factor and layer, which are left out.
    """

    form: str
    n_read: int
    n_replaced: int
    n_labelled: int
    n_empty: int
    n_more: int


def export_prompts(
    directory: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    factors: Sequence[int] | None = None,
    layer: int | None = None,
    counts: label_prompts.WindowCounts | None = None,
    progress: progress_lib.Progress = progress_lib.silent,
) -> ExportedPrompts:
    """Writes what a tool needs to label factors: windows with their activations.

    Args:
      directory: of the run, with its examples.
      path: JSON file to write.
      factors: to export; all if None. Dead ones are left out.
      layer: to export; the one where each factor peaks if None.
      counts: windows of each kind; the defaults of `Counts` if None.
      progress: hears of the stage "prompts".

    Raises:
      InputError: no such factor or layer, something else is at ``path``, or the run has
        no examples.
    """
    run = run_lib.load_run(directory)
    numbers = range(len(run.trained.factors)) if factors is None else factors
    chosen = list(dict.fromkeys(numbers))
    for number in chosen:
        run.check_factor(number)
    with progress_lib.Stages(progress).stage("prompts") as show:
        n_written = label_prompts.write(
            pathlib.Path(path),
            run,
            chosen,
            layer=layer,
            counts=counts,
            progress=show,
        )
    return ExportedPrompts(n_written, len(chosen) - n_written)


def import_labels(
    directory: str | os.PathLike[str], source: str | os.PathLike[str]
) -> ImportedLabels:
    """Adds labels to a run; those of other factors stay.

    Args:
      directory: of the run.
      source: file or folder in a form of `description.label_forms`.

    Raises:
      InputError: they cannot be read, or are of factors or layers that the run does not
        have.
    """
    with writing(directory):
        run = run_lib.load_run(directory)
        found = label_forms.read(
            pathlib.Path(source),
            n_factors=len(run.trained.factors),
            layers=run.trained.layers,
            dictionary_hash=run.trained.content_hash,
        )
        known, new = run.imported_labels, found.labels
        merged = labels_lib.merge(known, new, peak_layer=_peak_layer_of(run))
        labels_lib.save(run.directory.labels, merged, run.trained)
    return ImportedLabels(
        form=found.form,
        n_read=sum(map(len, new.values())),
        n_replaced=sum(
            len(known[factor].by_layer.keys() & new[factor].keys())
            for factor in known.keys() & new.keys()
        ),
        n_labelled=len(merged),
        n_empty=found.n_empty,
        n_more=found.n_more,
    )


def _peak_layer_of(run: run_lib.Run) -> Callable[[int], int | None]:
    """Returns a function from a factor to its peak, None where nobody knows it."""

    def peak_layer(factor: int) -> int | None:
        try:
            return run.peak_layer(factor)
        except InputError:  # A dead factor, or a run without examples.
            return None

    return peak_layer
