"""The study of patterns as a plot."""

import pathlib
from typing import Any

import numpy as np

from tfvis_jax.evaluation import representations
from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies.patterns import pattern_report, pattern_study, pattern_text

_COLOURS = {
    representations.FACTORS: plot_style.BLUE,
    representations.PROJECTIONS: plot_style.SKY,
    representations.SAMPLES: plot_style.GREEN,
    representations.RANDOM: plot_style.GREY,
    representations.HIDDEN: plot_style.VERMILION,
    pattern_study.WORD: plot_style.BLACK,
}


def draw(
    drawn: pattern_text.DrawnText,
    study: pattern_study.Study,
    document: dict[str, Any],
    path: pathlib.Path,
) -> None:
    """Draws each pattern beside its controls, and the means layer by layer.

    Args:
      drawn: the passages.
      study: their figures.
      document: begins with `environment.describe`; names the "source".
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(
        1, 3, figsize=(12, 4.4), width_ratios=(1.5, 1, 1)
    )
    names = [pattern.name for pattern in drawn.patterns]
    places = np.arange(len(names))[::-1]
    for offset, (name, colour) in enumerate(_COLOURS.items()):
        found = [study.chosen(pattern, name).average_precision for pattern in names]
        values = np.array([estimate.value for estimate in found])
        low, high = np.array([estimate.interval for estimate in found]).T
        axes[0, 0].errorbar(
            values,
            places + 0.3 - 0.12 * offset,
            # A skewed bootstrap may leave its own figure outside.
            xerr=[np.maximum(values - low, 0), np.maximum(high - values, 0)],
            fmt="o",
            markersize=4,
            linewidth=1,
            color=colour,
            label=pattern_report.shown_name(name),
        )
    axes[0, 0].set_yticks(places, names)
    axes[0, 0].set_xlim(0, 1)
    axes[0, 0].set_xlabel("average precision over all segments")
    axes[0, 0].set_title("One feature for a pattern")
    for axis, measure, title in (
        (axes[0, 1], "average_precision", "Mean average precision"),
        (axes[0, 2], "same_word_auc", "Mean same-word AUC"),
    ):
        for name in pattern_study.ASKED:
            curve = pattern_report.layer_means(study, name, measure)
            low, high = np.array([estimate.interval for estimate in curve]).T
            axis.plot(
                study.layers,
                [estimate.value for estimate in curve],
                marker="o",
                color=_COLOURS[name],
            )
            axis.fill_between(
                study.layers, low, high, color=_COLOURS[name], alpha=0.1, linewidth=0
            )
        axis.set_xticks(study.layers)
        axis.set_xlabel("layer")
        axis.set_title(title)
    axes[0, 2].axhline(0.5, color=plot_style.BLACK, linewidth=1, linestyle=":")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=6
    )
    note = f"{document['source']}; {drawn.source}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)
