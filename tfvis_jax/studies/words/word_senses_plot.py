"""The study of word senses as a plot."""

import pathlib
from collections.abc import Sequence
from typing import Any

from tfvis_jax.evaluation import representations
from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies.words import word_senses, word_senses_report

_COLOURS = {
    representations.FACTORS: plot_style.BLUE,
    representations.SAE: plot_style.ORANGE,
    representations.PROJECTIONS: plot_style.SKY,
    representations.RANDOM: plot_style.GREY,
    representations.SAMPLES: plot_style.GREEN,
    representations.HIDDEN: plot_style.VERMILION,
}


def draw(
    studies: Sequence[word_senses.WordStudy],
    document: dict[str, Any],
    path: pathlib.Path,
) -> None:
    """Draws average precision by layer, and activations of each layer's best factor.

    Args:
      studies: of which the first with a positive class is drawn.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    study = next((study for study in studies if study.activations), None)
    if study is None:
        return
    layers = sorted(study.activations)
    columns = min(4, len(layers) + 1)
    rows = -(-(len(layers) + 1) // columns)
    figure, axes = plot_style.subplots(
        rows, columns, figsize=(3.2 * columns, 2.8 * rows)
    )
    first, *others = axes.ravel()
    _draw_precision(first, study, layers)
    figure.legend(*first.get_legend_handles_labels(), loc="outside right upper")
    for axis, layer in zip(others, layers, strict=False):
        _draw_activations(axis, study, layer)
    for axis in others[len(layers) :]:
        axis.set_axis_off()
    others[0].legend()
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)


def _draw_precision(
    axis: Any, study: word_senses.WordStudy, layers: Sequence[int]
) -> None:
    for name, colour in _COLOURS.items():
        found = word_senses_report.by_layer(study, name)
        if not found:
            continue
        axis.plot(
            layers,
            [estimate.value for estimate in found],
            marker="o",
            color=colour,
            label=word_senses_report.shown_name(name),
        )
        axis.fill_between(
            layers,
            [estimate.low for estimate in found],
            [estimate.high for estimate in found],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
    axis.set_xticks(layers)
    axis.set_xlabel("layer")
    axis.set_ylabel("average precision")
    axis.set_title(f"One feature for “{study.word}”")


def _draw_activations(axis: Any, study: word_senses.WordStudy, layer: int) -> None:
    """Draws how the layer's best factor fires, by class."""
    # A density needs values; a factor may fire at no other token.
    found = study.activations[layer]
    colours = (plot_style.BLUE, plot_style.ORANGE, plot_style.GREY)
    of_class = dict(zip(found, colours, strict=True))
    classes = {name: codes for name, codes in found.items() if codes}
    axis.hist(
        list(classes.values()),
        bins=25,
        density=True,
        histtype="stepfilled",
        alpha=0.6,
        color=[of_class[name] for name in classes],
        label=list(classes),
    )
    chosen = ", chosen" if layer == study.best_layer else ""
    axis.set_xlabel("activation α")
    axis.set_title(f"Layer {layer}{chosen}")
