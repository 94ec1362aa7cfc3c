"""Scores of recovery as Markdown tables and as curves against L0."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfvis_jax.reporting import plot_style, tables

SCORES = ("f1", "precision", "recall", "mcc", "uniqueness", "explained_variance")
_HEADLINE = ("f1", "mcc", "uniqueness", "explained_variance")
_DRAWN = ("f1", "mcc", "explained_variance")
_NAMES = {"f1": "F1", "mcc": "MCC", "explained_variance": "explained variance"}


def table(document: dict[str, Any]) -> str:
    """Returns where it was measured, the headline and all methods, as Markdown.

    Args:
      document: JSON of `benchmarks.dictionaries.recovery`.
    """
    world, settings = document["world"], document["settings"]
    rows = document["rows"]
    heads = (
        "method",
        "made for",
        "L0",
        *map(name_of, SCORES),
        "alive",
        "seconds",
        "rows seen",
    )
    lines = [
        (
            _title(group[0]["method"]),
            _setting(group[0]),
            f"{_mean(group, 'l0'):.2f}",
            *(_spread(group, score) for score in SCORES),
            f"{_mean(group, 'alive'):.1%}",
            f"{_mean(group, 'seconds'):.0f}",
            f"{round(_mean(group, 'rows_seen')):,}",
        )
        for group in groups(rows).values()
    ]
    parts = [
        f"{world['n_true']:,} features in {world['d_model']} dimensions, "
        f"{settings['n_factors']:,} factors, worlds: {len(document['seeds'])}; "
        f"{document['n_rows']:,} rows seen {settings['num_passes']} times, scored on "
        f"{document['n_held_out_rows']:,} others; a row has "
        f"{_mean(rows, 'true_l0'):.2f} features, {document['l0_in_reach']:.2f} of them "
        f"among the {settings['n_factors']:,} most frequent. {tables.where(document)}",
        headline(rows),
        tables.markdown(heads, lines),
    ]
    return "\n\n".join(part for part in parts if part)


def headline(rows: Sequence[dict[str, Any]]) -> str:
    """Returns nested sparse coding beside each score's best autoencoder, at every L0.

    The autoencoder may be another one, with another learning rate, for every score.
    """
    lines = []
    for l0 in _targets(rows):
        here = groups(row for row in rows if row["target_l0"] == l0)
        ours = [g for (name, *_), g in here.items() if name == "nested_sparse_coding"]
        theirs = [g for (name, *_), g in here.items() if name.startswith("sae_")]
        if not ours or not theirs:
            continue
        cells = [f"{l0:g}"]
        for score in _HEADLINE:
            best = max(theirs, key=lambda group, score=score: _mean(group, score))
            kind = best[0]["method"].removeprefix("sae_")
            cells.append(
                f"{_mean(ours[0], score):.3f} / {_mean(best, score):.3f} ({kind})"
            )
        lines.append(cells)
    if not lines:
        return ""
    heads = ("L0", *(f"{name_of(score)}: nested / best SAE" for score in _HEADLINE))
    return tables.markdown(heads, lines)


def groups(rows: Iterable[dict[str, Any]]) -> dict[tuple, list[dict[str, Any]]]:
    """Returns the rows of every method, L0 and learning rate, over all worlds."""
    found = {}
    for row in rows:
        key = (row["method"], row["target_l0"], row["learning_rate"], row["l1_penalty"])
        found.setdefault(key, []).append(row)
    return found


def draw(document: dict[str, Any], path: pathlib.Path) -> None:
    """Draws F1, MCC and explained variance against L0.

    Args:
      document: JSON of `benchmarks.dictionaries.recovery`.
      path: PNG to write.
    """
    styles = {
        "oracle": {"color": plot_style.BLACK, "linestyle": "--", "marker": "o"},
        "nested_sparse_coding": {"color": plot_style.VERMILION, "linewidth": 2.8},
        "lasso": {"color": plot_style.ORANGE},
        "sparse_coding": {"color": plot_style.ORANGE, "linestyle": ":"},
        "sae_matryoshka": {"color": plot_style.BLUE},
        "sae_batchtopk": {"color": plot_style.SKY},
        "sae_jumprelu": {"color": plot_style.GREEN},
        "sae_topk": {"color": plot_style.PURPLE},
        "sae_relu": {"marker": "v"},
        "omp": {"marker": "s"},
        "gradient_pursuit": {"marker": "D"},
        "top_k": {"marker": "^"},
        "random_factors": {"marker": "x"},
    }
    common = {"color": plot_style.GREY, "marker": "o", "linewidth": 1.3}
    figure, axes = plot_style.subplots(1, 3, figsize=(12, 4.8))
    rows = document["rows"]
    ticks = _targets(rows)
    shown = (0.8 * min(ticks), 1.25 * max(ticks))
    for axis, score in zip(axes[0], _DRAWN, strict=True):
        for name in dict.fromkeys(row["method"] for row in rows):
            points = _best_rates(rows, name)
            axis.plot(
                [_mean(group, "l0") for group in points],
                [_mean(group, score) for group in points],
                **common | styles[name],
                label=_title(name),
            )
        # Dense codes, and what random factors explain, lie outside.
        learnt = [
            _mean(group, score)
            for (name, *_), group in groups(rows).items()
            if shown[0] <= _mean(group, "l0") <= shown[1]
            and (name != "random_factors" or score == "mcc")
        ]
        margin = 0.05 * (max(learnt) - min(learnt)) + 0.005
        axis.set_ylim(min(learnt) - margin, max(learnt) + margin)
        axis.set_xscale("log", base=2)
        axis.set_xlim(*shown)
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel("active factors in a row (L0, log)")
        axis.set_title(name_of(score))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")
    plot_style.footnote(figure, tables.where(document))
    plot_style.save(figure, path)


def name_of(score: str) -> str:
    """Returns how a score is called in a table."""
    return _NAMES.get(score, score)


def _best_rates(rows: list[dict[str, Any]], name: str) -> list[list[dict[str, Any]]]:
    """Returns a method's groups in the order of L0, of each target the best in F1."""
    best = {}
    for (method, l0, _, l1_penalty), group in groups(rows).items():
        made_for = (l0, l1_penalty)
        if method == name and (
            made_for not in best or _mean(group, "f1") > _mean(best[made_for], "f1")
        ):
            best[made_for] = group
    return sorted(best.values(), key=lambda group: _mean(group, "l0"))


def _targets(rows: Sequence[dict[str, Any]]) -> list[float]:
    return sorted({row["target_l0"] for row in rows} - {None})


def _setting(row: dict[str, Any]) -> str:
    if row["l1_penalty"] is not None:
        return f"λ {row['l1_penalty']:g}"
    rate = row["learning_rate"]
    return f"L0 {row['target_l0']:g}" + (f", rate {rate:g}" if rate else "")


def _mean(group: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([row[key] for row in group]))


def _spread(group: list[dict[str, Any]], score: str) -> str:
    """Returns the mean, and between worlds half of the range where there are some."""
    values = [row[score] for row in group]
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {np.ptp(values) / 2:.3f}"


def _title(method: str) -> str:
    return method.replace("_", " ").replace("sae", "SAE")
