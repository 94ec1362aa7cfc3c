"""The study of layers as JSON, Markdown tables, claims and a plot."""

import pathlib
from typing import Any

import numpy as np

from tfvis_jax.evaluation import intervals
from tfvis_jax.probing import scores
from tfvis_jax.reporting import claims as claims_lib
from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies import by_document, telling, verdicts
from tfvis_jax.studies.layers import layer_contexts, layers_study

_COLOURS = {
    layer_contexts.LOWER: plot_style.BLUE,
    layer_contexts.MIDDLE: plot_style.ORANGE,
    layer_contexts.UPPER: plot_style.GREEN,
}


def to_json(study: layers_study.Study) -> dict[str, Any]:
    """Returns all figures; an estimate is [value, low, high]."""
    return {
        "layers": study.layers,
        "learned_layers": study.learned_layers,
        "overlaps": [by_document.plain(vars(each)) for each in study.overlaps],
        "drift": by_document.numbers(study.drift),
        "explained": [by_document.plain(vars(each)) for each in study.explained],
        "trained": [by_document.plain(vars(each)) for each in study.trained],
        "n_documents": study.n_documents,
        "n_held_out_documents": study.n_held_out_documents,
        **telling.to_json(study.labelled),
    }


def table(study: layers_study.Study, document: dict[str, Any]) -> str:
    """Returns the tables of a study.

    Args:
      study: what was found.
      document: begins with `environment.describe`; has "source", "config", "claims".
    """
    config = document["config"]
    parts = [
        f"{document['source']}. {tables.where(document)}",
        f"Share of a factor's {config['n_contexts']} strongest tokens that are the "
        f"same at two layers, of {config['n_tokens']:,} tokens of {study.n_documents} "
        "documents; mean over factors:",
        _matrix(study, layers_study.ITSELF),
        "The same for tokens of the same words drawn at random at the second layer, "
        "and for another factor there:",
        _controls(study),
        _explained(study),
        _trained(study, config),
        claims_lib.table(
            [claims_lib.Claim.from_json(entry) for entry in document["claims"]]
        ),
    ]
    return "\n\n".join(parts)


def claims(
    study: layers_study.Study, config: layers_study.StudyConfig
) -> list[claims_lib.Claim]:
    """Returns what the study says of the claims."""
    found = []
    neighbours = _of_neighbours(study)
    if neighbours is not None:
        found += [_claim_same(neighbours), _claim_drift(study, neighbours)]
    found += [_claim_lower(study), _claim_shared(study)]
    if study.labelled is not None:
        found.append(_claim_tells(study, study.labelled))
    if config.n_seeds > 1:
        found.append(_claim_agreement(study))
    return found


def _pair(
    study: layers_study.Study, name: str, first: int, second: int
) -> layers_study.Overlap:
    return next(
        each
        for each in study.overlaps
        if (each.name, each.first, each.second) == (name, first, second)
    )


def _of_neighbours(study: layers_study.Study) -> dict[str, scores.Estimate] | None:
    """Mean overlap of neighbouring layers; None without factors to compare."""
    pairs = list(zip(study.layers[:-1], study.layers[1:], strict=True))
    found = {}
    for name in (layers_study.ITSELF, layers_study.SAME_WORDS, layers_study.OTHER):
        estimates = [_pair(study, name, *pair).share for pair in pairs]
        estimates = [each for each in estimates if not np.isnan(each.value)]
        if not estimates:
            return None
        found[name] = scores.mean(estimates)
    return found


def _claim_same(neighbours: dict[str, scores.Estimate]) -> claims_lib.Claim:
    ours = neighbours[layers_study.ITSELF]
    controls = {n: e for n, e in neighbours.items() if n != layers_study.ITSELF}
    margins = {
        name: by_document.difference(ours, control)
        for name, control in controls.items()
    }
    return claims_lib.Claim(
        claim="A factor keeps its contexts from one layer to the next, not only its "
        "words.",
        measure="share of its strongest tokens that are the same at the next layer",
        ours=ours.value,
        interval=(ours.low, ours.high),
        controls={name: control.value for name, control in controls.items()},
        verdict=verdicts.from_margins(margins),
        reason=f"{verdicts.in_words(margins)}; intervals are over factors.",
    )


def _claim_drift(
    study: layers_study.Study, neighbours: dict[str, scores.Estimate]
) -> claims_lib.Claim:
    ends = study.layers[0], study.layers[-1]
    ours = _pair(study, layers_study.ITSELF, *ends)
    margins = (
        {"neighbouring layers": study.drift} if not np.isnan(study.drift.value) else {}
    )
    share = ours.share
    known = not np.isnan(share.value)
    return claims_lib.Claim(
        claim="What fires a factor changes with depth.",
        measure=f"share of its strongest tokens that are the same at layers {ends[0]} "
        f"and {ends[1]}",
        ours=share.value if known else 0.0,
        interval=(share.low, share.high) if known else None,
        controls={"neighbouring layers": neighbours[layers_study.ITSELF].value},
        verdict=verdicts.from_margins(margins),
        reason=f"{ours.n_factors} factors fire at both; of those that fire at all "
        f"layers it is less than between neighbours by {_cell(study.drift)}.",
    )


def _claim_lower(study: layers_study.Study) -> claims_lib.Claim:
    last = study.layers[-1]
    ours = next(
        each
        for each in study.explained
        if each.layer == last and each.name == layer_contexts.LOWER
    )
    margin = by_document.estimate(
        np.append(ours.share.value, ours.share.samples) - ours.by_number
    )
    margins = {"by number": margin}
    # Present is not yet as much as its number of factors.
    verdict = verdicts.from_margins(margins, n_documents=study.n_documents)
    if verdict != "holds" and ours.share.low > 0:
        verdict = "holds in part"
    if study.n_documents < intervals.LEAST_DOCUMENTS:
        verdict = verdicts.UNDECIDED
    return claims_lib.Claim(
        claim="What lower layers hold is still there at the top: factors that are "
        "strongest in the lower third explain part of the last layer.",
        measure=f"share of the variance of layer {last} that they explain",
        ours=ours.share.value,
        interval=(ours.share.low, ours.share.high),
        controls={"by number": ours.by_number},
        verdict=verdict,
        reason=f"{ours.n_factors} factors of this class would explain "
        f"{ours.by_number:.3f} if all factors were alike; "
        f"{verdicts.in_words(margins)}. Classes are of other documents.",
    )


def _claim_shared(study: layers_study.Study) -> claims_lib.Claim:
    of = {each.name: each for each in study.trained}
    ours = of[layers_study.SHARED]
    controls = (layers_study.PER_LAYER, layers_study.LONGER)
    margins = {
        name: by_document.difference(of[name].fvu, ours.fvu) for name in controls
    }
    return claims_lib.Claim(
        claim="One dictionary for all layers explains unseen text better than one for "
        "each layer with as many factors in all.",
        measure=f"FVU at L0 {ours.l0:.1f} in each layer",
        ours=ours.fvu.value,
        interval=(ours.fvu.low, ours.fvu.high),
        controls={name: of[name].fvu.value for name in controls},
        verdict=verdicts.from_margins(margins, n_documents=study.n_held_out_documents),
        reason=f"{study.n_held_out_documents} documents; "
        f"{verdicts.in_words(margins, unit=' of FVU')}.",
    )


def _claim_tells(
    study: layers_study.Study, labelled: telling.Labelled
) -> claims_lib.Claim:
    of = {each.name: each.tells for each in study.trained}
    return telling.claim(
        of[layers_study.SHARED],
        {name: of[name] for name in (layers_study.PER_LAYER, layers_study.LONGER)},
        labelled,
        claim="One dictionary for all layers tells more of labelled text than one for "
        "each layer with as many factors in all.",
    )


def _claim_agreement(study: layers_study.Study) -> claims_lib.Claim:
    of = {each.name: each.agreement or 0.0 for each in study.trained}
    ours = of.pop(layers_study.SHARED)
    return claims_lib.Claim(
        claim="Another seed finds the factors of a shared dictionary again more than "
        "those of one for each layer.",
        measure="mean cosine of factors of two seeds, matched one to one",
        ours=ours,
        interval=None,
        controls=of,
        verdict=verdicts.UNDECIDED,
        reason="Two seeds give no interval, and larger dictionaries match better by "
        "chance.",
    )


def _matrix(study: layers_study.Study, name: str) -> str:
    lines = []
    for first in study.layers[:-1]:
        cells = []
        for second in study.layers[1:]:
            if second <= first:
                cells.append("")
                continue
            found = _pair(study, name, first, second)
            cells.append(f"{_short(found.share)} ({found.n_factors})")
        lines.append((f"layer {first}", *cells))
    heads = ("(factors compared)", *(f"layer {layer}" for layer in study.layers[1:]))
    return tables.markdown(heads, lines)


def _controls(study: layers_study.Study) -> str:
    lines = []
    first = study.layers[0]
    pairs = [*zip(study.layers[:-1], study.layers[1:], strict=True)]
    if len(study.layers) > 2:
        pairs.append((first, study.layers[-1]))
    for pair in pairs:
        cells = [
            _cell(_pair(study, name, *pair).share)
            for name in (
                layers_study.ITSELF,
                layers_study.SAME_WORDS,
                layers_study.OTHER,
            )
        ]
        lines.append((f"{pair[0]} and {pair[1]}", *cells))
    heads = ("layers", layers_study.ITSELF, layers_study.SAME_WORDS)
    return tables.markdown((*heads, layers_study.OTHER), lines)


def _explained(study: layers_study.Study) -> str:
    lines = []
    for layer in study.layers:
        of_layer = [each for each in study.explained if each.layer == layer]
        lines.append(
            (
                str(layer),
                *(f"{_cell(each.share)} ({each.by_number:.3f})" for each in of_layer),
                f"{sum(each.share.value for each in of_layer):.3f}",
            )
        )
    counts = [each for each in study.explained if each.layer == study.layers[0]]
    heads = ("layer", *(f"{each.name} ({each.n_factors} factors)" for each in counts))
    caption = (
        "Share of the variance of each layer that factors explain, by the third of the "
        "network in which they are most important (in brackets: if all factors were "
        "alike). Classes are decided on half of the documents and measured on the "
        "others."
    )
    return f"{caption}\n\n{tables.markdown((*heads, 'all'), lines)}"


def _trained(study: layers_study.Study, config: dict[str, Any]) -> str:
    lines = [
        (
            each.name,
            f"{each.l0:.1f}",
            _cell(each.fvu),
            *(_cell(of_layer) for of_layer in each.fvu_of_layer),
            tables.or_dash(each.agreement, ".3f"),
            *telling.cells(each.tells),
        )
        for each in study.trained
    ]
    heads = ("dictionary", "L0", "FVU")
    heads += tuple(f"layer {layer}" for layer in study.learned_layers)
    caption = (
        f"{config['n_factors']:,} factors in all, learned from {config['n_rows']:,} "
        f"rows, on {study.n_held_out_documents} held-out documents at equal L0 in each "
        "layer. Agreement is the mean cosine of factors of two seeds, matched one to "
        f"one.{telling.caption(study.labelled)}"
    )
    heads = (*heads, "agreement", *telling.heads(study.labelled))
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _short(estimate: scores.Estimate) -> str:
    return "–" if np.isnan(estimate.value) else f"{estimate.value:.2f}"


def _cell(estimate: scores.Estimate) -> str:
    if np.isnan(estimate.value):
        return "–"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def draw(
    study: layers_study.Study, document: dict[str, Any], path: pathlib.Path
) -> None:
    """Draws overlaps, variance explained, and shared against separate dictionaries.

    Args:
      study: what was found.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(1, 3, figsize=(11, 3.6))
    _draw_overlaps(study, axes[0, 0], figure)
    bottom = np.zeros(len(study.layers))
    for name, colour in _COLOURS.items():
        shares = np.array(
            [each.share.value for each in study.explained if each.name == name]
        )
        places = np.arange(len(study.layers))
        axes[0, 1].bar(places, shares, bottom=bottom, color=colour, label=name)
        bottom += shares
    axes[0, 1].set_xticks(np.arange(len(study.layers)), map(str, study.layers))
    axes[0, 1].set_xlabel("layer")
    axes[0, 1].set_ylabel("share of its variance")
    axes[0, 1].set_title("Explained by factors strongest in", pad=20)
    axes[0, 1].legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=7
    )
    places = np.arange(len(study.learned_layers) + 1)
    colours = (plot_style.BLUE, plot_style.ORANGE, plot_style.SKY)
    for number, (each, colour) in enumerate(zip(study.trained, colours, strict=True)):
        found = [*each.fvu_of_layer, each.fvu]
        values = np.array([estimate.value for estimate in found])
        low = values - [estimate.low for estimate in found]
        high = [estimate.high for estimate in found] - values
        axes[0, 2].bar(
            places + 0.27 * (number - 1),
            values,
            width=0.25,
            yerr=np.maximum([low, high], 0),
            color=colour,
            ecolor=plot_style.BLACK,
            label=each.name,
        )
    axes[0, 2].set_xticks(places, [*map(str, study.learned_layers), "all"])
    axes[0, 2].set_xlabel("layer")
    axes[0, 2].set_ylabel("FVU at equal L0")
    axes[0, 2].set_ylim(top=1.45 * axes[0, 2].get_ylim()[1])
    axes[0, 2].set_title("Shared or separate dictionaries")
    axes[0, 2].legend(loc="upper left", fontsize=7)
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)


def _draw_overlaps(study: layers_study.Study, axis: Any, figure: Any) -> None:
    n = len(study.layers)
    grid = np.full((n, n), np.nan)
    for i in range(n):
        for j in range(i + 1, n):
            layers = study.layers[i], study.layers[j]
            grid[j, i] = _pair(study, layers_study.ITSELF, *layers).share.value
            grid[i, j] = _pair(study, layers_study.SAME_WORDS, *layers).share.value
    image = axis.imshow(grid, vmin=0, vmax=1, cmap="Blues")
    for i, j in np.ndindex(n, n):
        if not np.isnan(grid[i, j]):
            dark = grid[i, j] > 0.6
            axis.text(
                *(j, i, f"{grid[i, j]:.2f}"),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    axis.set_xticks(np.arange(n), map(str, study.layers))
    axis.set_yticks(np.arange(n), map(str, study.layers))
    axis.grid(False)
    axis.set_xlabel("layer")
    axis.set_ylabel("layer")
    axis.set_title("Same contexts (above: by words alone)")
    figure.colorbar(image, ax=axis, shrink=0.8)
