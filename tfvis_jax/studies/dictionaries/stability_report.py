"""The study of stability as JSON, Markdown tables, claims and a plot."""

import pathlib
from typing import Any

import numpy as np

from tfvis_jax.probing import scores
from tfvis_jax.reporting import claims as claims_lib
from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies import by_document, telling, verdicts
from tfvis_jax.studies.dictionaries import stability_study

_SEEDS, _HALVES = stability_study.SEEDS, stability_study.HALVES
_SAMPLES, _RANDOM = stability_study.SAMPLES, stability_study.RANDOM
_SHUFFLED = stability_study.SHUFFLED


def to_json(study: stability_study.Study) -> dict[str, Any]:
    """Returns all figures; an estimate is [value, low, high]."""
    return {
        "compared": [by_document.plain(vars(each)) for each in study.compared],
        "classes": [by_document.plain(vars(each)) for each in study.classes],
        "found": by_document.plain(study.found),
        "counts": study.counts,
        "explained": [by_document.plain(vars(each)) for each in study.explained],
        "n_documents": study.n_documents,
        "examples": study.examples,
        **telling.to_json(study.labelled),
    }


def table(study: stability_study.Study, document: dict[str, Any]) -> str:
    """Returns the tables of a study.

    Args:
      study: what was found.
      document: begins with `environment.describe`; has "source", "config", "claims".
    """
    config = document["config"]
    parts = [
        f"{document['source']}. {tables.where(document)}",
        "Factors of two dictionaries are matched one to one by cosine; they are the "
        f"same from {config['cosine']} on. Meaning is the share of their ten words of "
        "most activation that are the same. Intervals are 95 %, over factors; those of "
        f"FVU are over {study.n_documents} held-out documents.",
        _compared(study),
        _classes(study),
        _found(study, config),
        _explained(study, config),
        claims_lib.table(
            [claims_lib.Claim.from_json(entry) for entry in document["claims"]]
        ),
    ]
    return "\n\n".join(parts)


def claims(
    study: stability_study.Study, config: stability_study.StudyConfig
) -> list[claims_lib.Claim]:
    """Returns what the study says of the claims."""
    of = {each.name: each for each in study.compared}
    found = [
        _claim(
            of,
            _SEEDS,
            "cosine",
            (_SAMPLES, _RANDOM),
            claim="Another seed finds the same factors.",
            measure="mean cosine of factors of two seeds, matched one to one",
        ),
        _claim(
            of,
            _HALVES,
            "cosine",
            (_SAMPLES, _RANDOM),
            claim="Another half of the documents gives the same factors.",
            measure="mean cosine of factors of two halves, matched one to one",
        ),
        _claim(
            of,
            _SEEDS,
            "meaning",
            (_SAMPLES, _RANDOM, _SHUFFLED),
            claim="Matched factors of two seeds mean the same.",
            measure="share of the ten words of most activation that are the same",
        ),
        _claim_most(study, config),
    ]
    return found + _claims_consensus(study)


def _claim(
    of: dict[str, stability_study.Compared],
    name: str,
    figure: str,
    controls: tuple[str, ...],
    *,
    claim: str,
    measure: str,
) -> claims_lib.Claim:
    ours = getattr(of[name], figure)
    margins = {
        control: by_document.difference(ours, getattr(of[control], figure))
        for control in controls
    }
    verdict = verdicts.from_margins(margins)
    same = of[name].same
    # To be ahead of chance is not yet to be the same.
    most = same if figure == "cosine" else ours
    if verdict == "holds" and not most.low > 0.5:
        verdict = "holds in part"
    return claims_lib.Claim(
        claim=claim,
        measure=measure,
        ours=ours.value,
        interval=(ours.low, ours.high),
        controls={control: getattr(of[control], figure).value for control in controls},
        verdict=verdict,
        reason=(
            f"{verdicts.in_words(margins)}; {same.value:.0%} "
            f"[{same.low:.0%}, {same.high:.0%}] of the matched factors are the same. "
            "To hold, more than half must be."
        ),
    )


def _claim_most(
    study: stability_study.Study, config: stability_study.StudyConfig
) -> claims_lib.Claim:
    ours = study.found[_SEEDS]
    controls = {name: study.found[name] for name in (_SAMPLES, _RANDOM)}
    margins = {
        name: by_document.difference(ours, control)
        for name, control in controls.items()
    }
    if ours.low > 0.5:
        verdict = verdicts.from_margins(margins)
    elif all(margin.low > 0 for margin in margins.values()):
        verdict = "holds in part" if ours.high > 0.5 else "does not hold here"
    else:
        verdict = "does not hold here"
    return claims_lib.Claim(
        claim=f"Most factors are found in at least {config.least} of {config.n_seeds} "
        "seeds.",
        measure=f"share of the factors that are, from a cosine of {config.cosine} on",
        ours=ours.value,
        interval=(ours.low, ours.high),
        controls={name: control.value for name, control in controls.items()},
        verdict=verdict,
        reason=f"Most is more than half; {verdicts.in_words(margins)}.",
    )


def _claims_consensus(study: stability_study.Study) -> list[claims_lib.Claim]:
    of = {each.name: each for each in study.explained}
    found = []
    for name, control, claim in (
        (
            "consensus, the rest from one seed",
            "one seed",
            "A dictionary of the factors that seeds agree on, filled up from one seed, "
            "explains unseen text better than one seed.",
        ),
        (
            "consensus alone",
            "as many of one seed, those that fire most",
            "The factors that seeds agree on explain more of unseen text than as many "
            "others.",
        ),
    ):
        if name not in of:
            continue
        # Less is left unexplained: ahead.
        margins = {control: by_document.difference(of[control].fvu, of[name].fvu)}
        ours = of[name].fvu
        found.append(
            claims_lib.Claim(
                claim=claim,
                measure=f"FVU at L0 {of[name].l0:.1f}, {of[name].n_factors} factors",
                ours=ours.value,
                interval=(ours.low, ours.high),
                controls={control: of[control].fvu.value},
                verdict=verdicts.from_margins(margins, n_documents=study.n_documents),
                reason=f"{study.n_documents} documents; "
                f"{verdicts.in_words(margins, unit=' of FVU')}.",
            )
        )
    filled = "consensus, the rest from one seed"
    if study.labelled is not None and filled in of:
        found.append(
            telling.claim(
                of[filled].tells,
                {"one seed": of["one seed"].tells},
                study.labelled,
                claim="A dictionary of the factors that seeds agree on, filled up from "
                "one seed, tells more of labelled text than one seed.",
            )
        )
    return found


def _compared(study: stability_study.Study) -> str:
    lines = [
        (
            each.name,
            _cell(each.cosine),
            _cell(each.same),
            _cell(each.meaning),
            _or_dash(each.nearest[0]),
            _or_dash(each.nearest[1]),
            f"{each.n_pairs:,}",
        )
        for each in study.compared
    ]
    heads = ("pairs of dictionaries", "cosine, matched", "the same", "meaning")
    heads += ("nearest, there", "nearest, back", "pairs")
    return tables.markdown(heads, lines)


def _classes(study: stability_study.Study) -> str:
    lines = [
        (
            f"{each.kind}: {each.name}",
            _cell(each.cosine),
            _cell(each.same),
            _cell(each.meaning),
            f"{each.n_pairs:,}",
        )
        for each in study.classes
    ]
    heads = ("between seeds, factors by", "cosine, matched", "the same", "meaning")
    caption = (
        "Classes are those of the first seed's factors: the layer with most of the "
        "activation; and whether at least half of it (one word), at least a tenth "
        "(some words) or less (no word) is on the first word."
    )
    return f"{caption}\n\n{tables.markdown((*heads, 'pairs'), lines)}"


def _found(study: stability_study.Study, config: dict[str, Any]) -> str:
    shares = "; ".join(f"{name} {_cell(share)}" for name, share in study.found.items())
    total = sum(study.counts)
    counts = ", ".join(
        f"{number} in {times}" for times, number in enumerate(study.counts, start=1)
    )
    lines = [
        f"Share of factors that are found in at least {config['least']} of "
        f"{config['n_seeds']} dictionaries: {shares}. Of {total:,} factors of all "
        f"seeds: {counts}."
    ]
    for name, words in study.examples.items():
        if words:
            listed = "; ".join(", ".join(each) for each in words)
            lines.append(f"Words of factors {name}: {listed}.")
    return "\n\n".join(lines)


def _explained(study: stability_study.Study, config: dict[str, Any]) -> str:
    lines = [
        (
            each.name,
            f"{each.n_factors:,}",
            f"{each.l0:.1f}",
            _cell(each.fvu),
            *telling.cells(each.tells),
        )
        for each in study.explained
    ]
    caption = (
        f"Factors that are found in at least {config['least']} seeds, by their mean "
        f"direction, on held-out text.{telling.caption(study.labelled)}"
    )
    heads = ("dictionary", "factors", "L0", "FVU", *telling.heads(study.labelled))
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _cell(estimate: scores.Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _or_dash(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def draw(
    study: stability_study.Study, document: dict[str, Any], path: pathlib.Path
) -> None:
    """Draws the matched cosine and meaning of each kind, and by class.

    Args:
      study: what was found.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(1, 3, figsize=(10.5, 3.6))
    names = [each.name for each in study.compared]
    panels = (
        (axes[0, 0], "Matched factors", study.compared, names),
        (
            axes[0, 1],
            "Between seeds, by class",
            study.classes,
            [f"{each.name}" for each in study.classes],
        ),
    )
    for axis, title, entries, labels in panels:
        places = np.arange(len(entries))
        for name, colour, shift in (
            ("cosine", plot_style.BLUE, 0.2),
            ("meaning", plot_style.ORANGE, -0.2),
        ):
            found = [getattr(each, name) for each in entries]
            values = np.array([estimate.value for estimate in found])
            low = values - [estimate.low for estimate in found]
            high = [estimate.high for estimate in found] - values
            axis.barh(
                places + shift,
                values,
                height=0.38,
                xerr=np.maximum([low, high], 0),
                color=colour,
                ecolor=plot_style.BLACK,
                label=name,
            )
        axis.set_yticks(places, labels)
        axis.invert_yaxis()
        axis.set_xlim(left=min(0, axis.get_xlim()[0]))
        axis.set_title(title)
    axes[0, 0].legend(loc="lower right")
    times = np.arange(1, len(study.counts) + 1)
    shares = np.array(study.counts) / max(sum(study.counts), 1)
    axes[0, 2].bar(times, shares, color=plot_style.BLUE)
    axes[0, 2].set_xticks(times)
    axes[0, 2].set_xlabel("seeds in which a factor is found")
    axes[0, 2].set_ylabel("share of factors")
    axes[0, 2].set_title("Found again")
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)
