"""The study of windows as JSON, Markdown tables, claims and a plot."""

import pathlib
from typing import Any

from tfvis_jax.probing import scores
from tfvis_jax.reporting import claims as claims_lib
from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies import by_document, verdicts
from tfvis_jax.studies.dictionaries import windows_study


def to_json(study: windows_study.Study) -> dict[str, Any]:
    """Returns all figures; an estimate is [value, low, high]."""
    return {
        "layers": study.layers,
        "default": study.default,
        "settings": [
            {
                name: by_document.numbers(value)
                if isinstance(value, scores.Estimate)
                else value
                for name, value in vars(each).items()
            }
            for each in study.settings
        ],
        "n_documents": study.n_documents,
        "n_held_out_documents": study.n_held_out_documents,
        "n_held_out_tokens": study.n_held_out_tokens,
    }


def table(study: windows_study.Study, document: dict[str, Any]) -> str:
    """Returns the tables of a study.

    Args:
      study: what was found.
      document: begins with `environment.describe`; has "source" and "claims".
    """
    lines = [
        (
            f"**{each.name}**" if each.name == study.default else each.name,
            f"{each.l0:.1f}",
            _cell(each.fvu),
            _cell(each.fvu_of_default),
            *(f"{change:.3f}" for change in each.change),
            _cell(each.cosine) if each.name != study.default else "–",
            _cell(each.same) if each.name != study.default else "–",
        )
        for each in study.settings
    ]
    heads = ("windows", "L0", "FVU", "FVU of the default's factors")
    heads += tuple(f"change, layer {layer}" for layer in study.layers)
    heads += ("cosine with the default", "the same")
    parts = [
        f"{document['source']}. {tables.where(document)}",
        f"The same {study.n_held_out_tokens:,} tokens of {study.n_held_out_documents} "
        "held-out documents, read in several kinds of windows; the default is that of "
        "the run, in bold. Change is that of the tokens' hidden states, as a share of "
        "the default's variance. Intervals are 95 %: of FVU over documents, of cosines "
        "over factors.",
        tables.markdown(heads, lines),
        claims_lib.table(
            [claims_lib.Claim.from_json(entry) for entry in document["claims"]]
        ),
    ]
    return "\n\n".join(parts)


def claims(study: windows_study.Study) -> list[claims_lib.Claim]:
    """Returns what the study says of the claims."""
    default = study.find(study.default)
    others = [
        each
        for each in study.settings
        if each.name not in (study.default, windows_study.OTHER_SEED)
    ]
    other_kind = [
        each for each in others if each.special_tokens != default.special_tokens
    ]
    lengths = [each for each in others if each.special_tokens == default.special_tokens]
    found = []
    if lengths:
        nearest = max(lengths, key=lambda each: each.cosine.value)
        found.append(
            _claim_factors(
                study,
                nearest,
                claim="The length of windows changes which factors are learned.",
                which="the most alike of the other lengths",
            )
        )
        longest = max(lengths, key=lambda each: each.length)
        shortest = min((*lengths, default), key=lambda each: each.length)
        found.append(
            _claim_fvu(
                study,
                longest,
                shortest,
                claim="In longer windows hidden states take more to explain.",
            )
        )
    for each in other_kind:
        found.append(
            _claim_factors(
                study,
                each,
                claim="Special tokens change which factors are learned.",
                which=each.name,
            )
        )
        without, with_them = (
            (each, default) if default.special_tokens else (default, each)
        )
        found.append(
            _claim_fvu(
                study,
                without,
                with_them,
                claim="Without special tokens hidden states take more to explain.",
            )
        )
    return found


def _claim_factors(
    study: windows_study.Study,
    ours: windows_study.OfSetting,
    *,
    claim: str,
    which: str,
) -> claims_lib.Claim:
    """Factors differ if they are less alike than those of another seed are."""
    control = study.find(windows_study.OTHER_SEED)
    margins = {"another seed": by_document.difference(control.cosine, ours.cosine)}
    return claims_lib.Claim(
        claim=claim,
        measure=f"mean cosine of factors with the default's, matched one to one; "
        f"{which}",
        ours=ours.cosine.value,
        interval=(ours.cosine.low, ours.cosine.high),
        controls={"another seed": control.cosine.value},
        verdict=verdicts.from_margins(margins),
        reason=f"{ours.name}: less alike than another seed's by "
        f"{_cell(margins['another seed'])}. The default's own factors leave "
        f"{ours.fvu_of_default.value:.3f} of the variance there, against "
        f"{ours.fvu.value:.3f}.",
    )


def _claim_fvu(
    study: windows_study.Study,
    ours: windows_study.OfSetting,
    control: windows_study.OfSetting,
    *,
    claim: str,
) -> claims_lib.Claim:
    name = ours.name
    # Of one seed, as all but the default are.
    ours, other = (
        study.find(windows_study.OTHER_SEED) if each.name == study.default else each
        for each in (ours, control)
    )
    margins = {control.name: by_document.difference(ours.fvu, other.fvu)}
    return claims_lib.Claim(
        claim=claim,
        measure=f"FVU at L0 {ours.l0:.1f}, {name}",
        ours=ours.fvu.value,
        interval=(ours.fvu.low, ours.fvu.high),
        controls={control.name: other.fvu.value},
        verdict=verdicts.from_margins(margins, n_documents=study.n_held_out_documents),
        reason=f"Higher by {_cell(margins[control.name])} on the same tokens of "
        f"{study.n_held_out_documents} documents.",
    )


def _cell(estimate: scores.Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def draw(
    study: windows_study.Study, document: dict[str, Any], path: pathlib.Path
) -> None:
    """Draws FVU, the change of hidden states, and matched cosines.

    Args:
      study: what was found.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(1, 3, figsize=(11, 3.6))
    default = study.find(study.default)
    of_length = sorted(
        (
            each
            for each in study.settings
            if each.special_tokens == default.special_tokens
            and each.name != windows_study.OTHER_SEED
        ),
        key=lambda each: each.length,
    )
    lengths = [each.length for each in of_length]
    other_kind = [
        each for each in study.settings if each.special_tokens != default.special_tokens
    ]
    words = "without" if default.special_tokens else "with"
    panels = (
        (axes[0, 0], "fvu", "FVU at equal L0", of_length),
        (
            axes[0, 2],
            "cosine",
            "cosine of factors",
            [each for each in of_length if each is not default],
        ),
    )
    for axis, name, label, entries in panels:
        found = [getattr(each, name) for each in entries]
        at = [each.length for each in entries]
        axis.plot(
            at,
            [each.value for each in found],
            marker="o",
            color=plot_style.BLUE,
            label="own factors" if name == "fvu" else "other lengths",
        )
        axis.fill_between(
            at,
            [each.low for each in found],
            [each.high for each in found],
            color=plot_style.BLUE,
            alpha=0.12,
            linewidth=0,
        )
        for each in other_kind:
            axis.plot(
                each.length,
                getattr(each, name).value,
                marker="s",
                linestyle="",
                color=plot_style.VERMILION,
                label=f"{words} special tokens",
            )
        axis.set_ylabel(label)
    axes[0, 0].plot(
        lengths,
        [each.fvu_of_default.value for each in of_length],
        marker="^",
        color=plot_style.GREY,
        label="the default's factors",
    )
    axes[0, 0].set_title("Left unexplained")
    axes[0, 2].axhline(
        study.find(windows_study.OTHER_SEED).cosine.value,
        color=plot_style.GREY,
        linestyle="--",
        label="another seed",
    )
    axes[0, 2].set_title("Like the default's factors")
    colours = (plot_style.BLUE, plot_style.ORANGE, plot_style.GREEN)
    for number, layer in enumerate(study.layers):
        axes[0, 1].plot(
            lengths,
            [each.change[number] for each in of_length],
            marker="o",
            color=colours[number % len(colours)],
            label=f"layer {layer}",
        )
        for each in other_kind:
            axes[0, 1].plot(
                each.length,
                each.change[number],
                marker="s",
                color=colours[number % len(colours)],
            )
    axes[0, 1].set_ylabel("share of variance")
    axes[0, 1].set_title("Change of hidden states")
    # A square in the legend; the squares themselves have the layers' colours.
    axes[0, 1].plot(
        *([], []),
        marker="s",
        linestyle="",
        color=plot_style.GREY,
        label=f"{words} special tokens",
    )
    for axis in axes[0]:
        axis.set_xscale("log", base=2)
        axis.set_xticks(lengths, map(str, lengths))
        axis.set_xlabel("tokens in a window")
        axis.legend(fontsize=7)
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)
