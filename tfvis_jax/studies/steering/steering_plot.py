"""The study of steering as a plot: dose and response."""

import pathlib
from typing import Any, NamedTuple

from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies.steering import steering, steering_study, steering_words

_COLOURS = {
    steering.FACTOR: plot_style.BLUE,
    steering.RANDOM_FACTOR: plot_style.ORANGE,
    steering.RANDOM_DIRECTION: plot_style.GREY,
    steering.OTHER_ACTIVE: plot_style.GREEN,
}
_COLUMNS = 3


class _Panel(NamedTuple):
    """What one plot shows."""

    title: str
    label: str
    figure: str
    question: str
    place: str
    layer: int | None = None


def draw(
    study: steering_study.Study, document: dict[str, Any], path: pathlib.Path
) -> None:
    """Draws effects against strength, for each direction.

    Args:
      study: what was found.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    panels = _panels(study)
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    figure, axes = plot_style.subplots(
        rows, columns, figsize=(3.3 * columns + 0.4, 2.7 * rows + 0.9)
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        for direction, colour in _COLOURS.items():
            points = sorted(
                (
                    figure
                    for figure in study.figures
                    if figure.direction == direction
                    and figure.question == panel.question
                    and figure.place == panel.place
                    and figure.layer == panel.layer
                ),
                key=lambda each: each.strength,
            )
            estimates = [getattr(point, panel.figure) for point in points]
            # Nothing is changed at strength 0.
            at = [0.0, *(point.strength for point in points)]
            axis.plot(
                at,
                [0.0, *(estimate.value for estimate in estimates)],
                marker="o",
                color=colour,
                label=direction if axis is axes[0, 0] else None,
            )
            axis.fill_between(
                at,
                [0.0, *(estimate.low for estimate in estimates)],
                [0.0, *(estimate.high for estimate in estimates)],
                color=colour,
                alpha=0.12,
                linewidth=0,
            )
        axis.set_title(panel.title)
        axis.set_xlabel("strength s")
        axis.set_ylabel(panel.label)
    figure.legend(loc="outside upper center", ncols=len(_COLOURS))
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)


def _panels(study: steering_study.Study) -> list[_Panel]:
    panels = []
    if study.factors:
        where = (steering_study.ANY, steering_study.HERE)
        title = "Any factor, removed"
        panels += [
            _Panel(title, "typical KL, nats", "typical_kl", *where),
            _Panel(title, "change of log p of the word", "log_share", *where),
        ]
    if study.words:
        found = study.words[0].found
        name, layer = f"“{found.word}” as {found.positive}", found.best.layer
        log_share = f"change of log p(“{found.word}”)"
        odds = f"change of log-odds, {found.positive}s"
        removed = f"{name}, removed at layer {layer}"
        added = f"{name}, added to [MASK]"
        read = (found.word, steering_words.READ, layer)
        hidden = (found.word, steering_words.HIDDEN, layer)
        panels += [
            _Panel(removed, log_share, "log_share", *read),
            _Panel(removed, odds, "odds", *read),
            _Panel(added, log_share, "log_share", *hidden),
        ]
    return panels
