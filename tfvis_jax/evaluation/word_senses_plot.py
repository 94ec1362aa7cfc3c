"""The study of word senses as a plot."""

import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

from tfvis_jax.evaluation import (
    representations,
    word_senses,
    word_senses_report,
)
from tfvis_jax.reporting import plot_style, tables

_COLOURS = {
    representations.FACTORS: plot_style.BLUE,
    representations.SAE: plot_style.ORANGE,
    representations.PROJECTIONS: plot_style.SKY,
    representations.RANDOM: plot_style.GREY,
    representations.SAMPLES: plot_style.GREEN,
    representations.HIDDEN: plot_style.VERMILION,
}
_NOTE_WIDTH = 110


def draw(
    studies: Sequence[word_senses.WordStudy],
    document: dict[str, Any],
    path: pathlib.Path,
) -> None:
    """Draws average precision by layer, and the best factor's activations by class.

    Args:
      studies: of which the first with a positive class is drawn.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    study = next((study for study in studies if study.activations), None)
    if study is None:
        return
    figure, axes = plot_style.subplots(1, 2, figsize=(9, 3.8))
    layers = sorted(study.activations)
    for name, colour in _COLOURS.items():
        found = word_senses_report.by_layer(study, name)
        if not found:
            continue
        axes[0, 0].plot(
            layers,
            [estimate.value for estimate in found],
            marker="o",
            color=colour,
            label=word_senses_report.shown_name(name),
        )
        axes[0, 0].fill_between(
            layers,
            [estimate.low for estimate in found],
            [estimate.high for estimate in found],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
    axes[0, 0].set_xticks(layers)
    axes[0, 0].set_xlabel("layer")
    axes[0, 0].set_ylabel("average precision")
    axes[0, 0].set_title(f"One feature for “{study.word}”, all tokens")
    figure.legend(loc="outside right upper")
    of_factors = word_senses_report.by_layer(study, representations.FACTORS)
    best = max(zip(layers, of_factors, strict=True), key=lambda each: each[1].value)[0]
    # A density needs values; a factor may fire at no other token.
    classes = {name: codes for name, codes in study.activations[best].items() if codes}
    axes[0, 1].hist(
        list(classes.values()),
        bins=30,
        density=True,
        histtype="stepfilled",
        alpha=0.6,
        color=[plot_style.BLUE, plot_style.ORANGE, plot_style.GREY][: len(classes)],
        label=list(classes),
    )
    axes[0, 1].legend()
    axes[0, 1].set_xlabel("activation α")
    axes[0, 1].set_title(f"Its factor at layer {best}")
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, textwrap.fill(note, _NOTE_WIDTH))
    plot_style.save(figure, path)
