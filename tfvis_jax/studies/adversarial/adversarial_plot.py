"""The adversarial texts as a plot."""

import pathlib
import textwrap
from typing import Any

import numpy as np

from tfvis_jax.evaluation import representations
from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies.adversarial import (
    adversarial,
    adversarial_report,
    adversarial_texts,
)
from tfvis_jax.studies.patterns import pattern_text

_COLOURS = {
    representations.FACTORS: plot_style.BLUE,
    representations.PROJECTIONS: plot_style.SKY,
    representations.SAMPLES: plot_style.GREEN,
    representations.RANDOM: plot_style.GREY,
    adversarial.WORD_FACTOR: plot_style.ORANGE,
}


def draw(
    found: adversarial.Found,
    drawn: pattern_text.DrawnText,
    of_grades: adversarial_report.Means,
    document: dict[str, Any],
    path: pathlib.Path,
) -> None:
    """Draws the mean of each grade, and every factor in pale lines.

    Args:
      found: what was found.
      drawn: the passages.
      of_grades: from `adversarial_report.means`.
      document: begins with `environment.describe`; names the "source".
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(1, 1, figsize=(9, 4.6))
    axis = axes[0, 0]
    n_graded = len(adversarial_texts.GRADED)
    # What is not in the order stands apart.
    places = np.arange(len(adversarial.GRADES)) + 0.6 * (
        np.arange(len(adversarial.GRADES)) >= n_graded
    )
    for pair in found.of(representations.FACTORS):
        values = [pair.relative[grade] for grade in adversarial.GRADES]
        axis.plot(
            places[:n_graded],
            np.clip(values[:n_graded], -0.3, 1.6),
            color=plot_style.BLUE,
            alpha=0.15,
            linewidth=0.8,
        )
    for number, (name, grades) in enumerate(of_grades.items()):
        means = [grades[grade] for grade in adversarial.GRADES]
        values = np.array([estimate.value for estimate in means])
        low, high = np.array([estimate.interval for estimate in means]).T
        offset = 0.1 * (number - (len(of_grades) - 1) / 2)
        axis.errorbar(
            places + offset,
            values,
            yerr=[np.maximum(values - low, 0), np.maximum(high - values, 0)],
            fmt="o",
            color=_COLOURS[name],
            linewidth=1.2,
            label=name,
        )
        axis.plot(
            places[:n_graded] + offset,
            values[:n_graded],
            color=_COLOURS[name],
            linewidth=1.2,
        )
    axis.axhline(0, color=plot_style.BLACK, linewidth=0.8, linestyle=":")
    labels = [textwrap.fill(grade, 8) for grade in adversarial.GRADES]
    axis.set_xticks(places, labels, fontsize=8)
    axis.set_ylabel("relative value (1: original text)")
    axis.set_title("From the pattern to a random sentence")
    figure.legend(loc="outside right upper")
    note = f"{document['source']}; {drawn.source}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)
