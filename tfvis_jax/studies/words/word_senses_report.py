"""The study of word senses as JSON, and as Markdown tables."""

from collections.abc import Sequence
from typing import Any

from tfvis_jax.evaluation import representations
from tfvis_jax.probing import scores
from tfvis_jax.reporting import claims, tables
from tfvis_jax.studies.words import word_probes, word_senses

# Names in tables; a hidden state's single feature is one of its dimensions.
_ONE_DIMENSION = "raw dimension"
# In the order of the tables.
SHOWN = (
    representations.FACTORS,
    representations.SAE,
    representations.PROJECTIONS,
    representations.RANDOM,
    representations.SAMPLES,
    representations.HIDDEN,
)
_DIGITS = 4


def to_json(studies: Sequence[word_senses.WordStudy]) -> list[dict[str, Any]]:
    """Returns all figures; an estimate is [value, low, high]."""
    return [
        {
            "word": study.word,
            "source": study.source,
            "support": study.support,
            "n_documents": study.n_documents,
            "n_tokens": study.n_tokens,
            "alignment": study.alignment,
            "fvu": _plain(study.fvu),
            "fvu_of_text": _plain(study.fvu_of_text),
            "figures": [_figure(figure) for figure in study.figures],
            "positive": study.positive,
            "best_layer": study.best_layer,
            "activations": study.activations,
            "splits": study.splits,
            "gold": study.gold,
            "disagreements": study.disagreements,
        }
        for study in studies
    ]


def table(studies: Sequence[word_senses.WordStudy], document: dict[str, Any]) -> str:
    """Returns the tables of a study.

    Args:
      studies: what `word_senses.study_word` found.
      document: begins with `environment.describe`, and names the "source".
    """
    parts = [f"{document['source']}. {tables.where(document)}"]
    parts += [
        "Intervals are 95 %, by a bootstrap over documents. Layer, features, threshold "
        "and penalty are chosen on training folds; folds divide documents."
    ]
    for study in studies:
        if study.activations:
            parts += [_one_feature(study), _layers(study), _splits(study)]
    for study in studies[: 1 if len(studies) > 8 else len(studies)]:
        parts += [_sizes(study), _apart(study)]
    for name, group in groups(studies).items():
        if len(group) > 1:
            parts += [_over_words(name, group), _over_words_by_layer(group)]
    if document.get("claims"):
        entries = [claims.Claim.from_json(entry) for entry in document["claims"]]
        parts.append(claims.table(entries))
    return "\n\n".join(parts)


def groups(
    studies: Sequence[word_senses.WordStudy],
) -> dict[str, list[word_senses.WordStudy]]:
    """Returns the words whose figures are averaged, by what was asked.

    Words with a class that is looked for stand for themselves.
    """
    found: dict[str, list[word_senses.WordStudy]] = {}
    for study in studies:
        if study.positive is None:
            found.setdefault(study.group, []).append(study)
    return found


def by_layer(study: word_senses.WordStudy, name: str) -> list[scores.Estimate]:
    """Returns the average precision of one feature over all tokens at every layer.

    Args:
      study: of a word with a class that is looked for.
      name: the representation; an empty list if it was not probed.
    """
    found = [
        average_precision(study, name, word_probes.ONE, layer)
        for layer in sorted(study.activations)
    ]
    return [estimate for estimate in found if estimate is not None]


def _one_feature(study: word_senses.WordStudy) -> str:
    lines = []
    factors = average_precision(study, representations.FACTORS, word_probes.ONE)
    for name in (*SHOWN, word_probes.TAGGER, word_probes.MAJORITY):
        features = word_probes.ALL if name not in SHOWN else word_probes.ONE
        everywhere = average_precision(study, name, features)
        among = _among(study, name, features)
        if among is None:
            continue
        behind = None
        if everywhere and factors and name != representations.FACTORS:
            behind = scores.difference(factors, everywhere)
        lines.append((shown_name(name), _cell(everywhere), _cell(behind), _cell(among)))
    whole = average_precision(study, representations.HIDDEN, word_probes.ALL)
    among = _among(study, representations.HIDDEN, word_probes.ALL)
    lines.append(("hidden state, probe", _cell(whole), "–", _cell(among)))
    heads = ("one feature", "average precision, all tokens", "factor − this")
    heads += ("F1, occurrences",)
    return f"{_caption(study)}\n\n{tables.markdown(heads, lines)}"


def _layers(study: word_senses.WordStudy) -> str:
    lines = [
        (shown_name(name), *(f"{estimate.value:.3f}" for estimate in found))
        for name in SHOWN
        if (found := by_layer(study, name))
    ]
    heads = ("average precision, all tokens",)
    heads += tuple(f"layer {layer}" for layer in sorted(study.activations))
    return tables.markdown(heads, lines)


def _sizes(study: word_senses.WordStudy) -> str:
    """Accuracy of probes by the number of features."""
    sizes = sorted({f.features for f in study.figures if isinstance(f.features, int)})
    lines = []
    for name in SHOWN:
        found = [accuracy(study, name, k) for k in (*sizes, word_probes.ALL)]
        if found[0] is not None:
            lines.append((name, *map(_cell, found)))
    for name in (word_probes.TAGGER, word_probes.MAJORITY):
        if (baseline := accuracy(study, name, word_probes.ALL)) is not None:
            lines.append((name, *("–" for _ in sizes), _cell(baseline)))
    heads = ("accuracy, features", *map(str, sizes), "all")
    return f"{_caption(study)}\n\n{tables.markdown(heads, lines)}"


def _apart(study: word_senses.WordStudy) -> str:
    """What each part of x = codes @ factors + residual tells alone."""
    names = (
        representations.HIDDEN,
        representations.RECONSTRUCTION,
        representations.FACTORS,
        representations.RESIDUAL,
    )
    majority = accuracy(study, word_probes.MAJORITY, word_probes.ALL)
    lines = []
    for layer, fvu in study.fvu.items():
        found = [accuracy(study, name, word_probes.ALL, layer) for name in names]
        whole = _value(found[0]) - _value(majority)
        share = (_value(found[3]) - _value(majority)) / whole if whole > 0 else None
        of_text = study.fvu_of_text.get(layer)
        lines.append(
            (
                str(layer),
                tables.or_dash(of_text and of_text.raw, ".3f"),
                f"{fvu.raw:.3f}",
                f"{fvu.centred:.3f}",
                *map(_cell, found),
                tables.or_dash(share, ".2f"),
            )
        )
    heads = ("layer", "FVU, text", "FVU, word", "FVU, word, centred", "x")
    heads += ("reconstruction", "codes", "residual", "residual's share of the way")
    caption = (
        f"“{study.word}” ({study.source}): accuracy of a probe of all features; "
        f"majority {_cell(majority)}. The last column is the way from there to x. FVU "
        "of the text is of all tokens, that of the word of its occurrences around "
        "their mean; it exceeds 1 where all residuals of the word have a part in "
        "common. Centred: without that part, which tells no occurrence from another."
    )
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _splits(study: word_senses.WordStudy) -> str:
    """What fires where the best factor does not, and how right the labels are."""
    found = study.splits or {}
    others = ", ".join(f"{word} ({n})" for word, n in found["false_alarms"].items())
    said = (
        f"“{study.word}” ({study.source}), layer {found['layer']}: factor "
        f"{found['factor']} fires (α > {found['threshold']:.3g}) on {found['n_hits']} "
        f"{study.positive}s and misses {found['n_misses']}. Other tokens that fire it: "
        f"{others or 'none'}."
    )
    if study.gold is not None:
        low, high = study.gold["interval"]
        said += (
            f" Of {study.gold['n']} gold labels that were read, "
            f"{study.gold['n_wrong']} are wrong: {study.gold['error_rate']:.1%} "
            f"[{low:.1%}, {high:.1%}]; {study.gold['n_unclear']} are a matter of taste."
        )
    lines = [
        (
            str(each["factor"]),
            each["kind"],
            *(
                f"{each[name]:.3f}"
                for name in ("misses", "hits", "other_occurrences", "other_tokens")
            ),
        )
        for each in found["factors"]
    ]
    if not lines:
        return said
    heads = ("fires instead", "kind", "on misses", "on hits", "on other uses")
    return f"{said}\n\n{tables.markdown((*heads, 'on other tokens'), lines)}"


def _over_words(name: str, studies: Sequence[word_senses.WordStudy]) -> str:
    sizes = sorted(
        {f.features for s in studies for f in s.figures if isinstance(f.features, int)}
    )
    lines, notes = [], []
    shown = (*SHOWN, word_probes.TAGGER, word_probes.MAJORITY)
    for representation in shown:
        cells = []
        for features in (*sizes, word_probes.ALL):
            found = [accuracy(study, representation, features) for study in studies]
            known = [estimate for estimate in found if estimate is not None]
            whole = len(known) == len(studies)
            cells.append(_cell(scores.mean(known)) if whole else "–")
        if set(cells) != {"–"}:
            lines.append((representation, *cells))
    for size in sizes:
        pairs = [
            (
                accuracy(study, representations.FACTORS, size),
                accuracy(study, representations.HIDDEN, size),
            )
            for study in studies
        ]
        gaps = [scores.difference(a, b) for a, b in pairs if a and b]
        if gaps:
            won = sum(gap.value >= 0 for gap in gaps)
            notes.append(
                f"{size}: {_cell(scores.mean(gaps))}, at least as good for {won} of "
                f"{len(gaps)} words"
            )
    heads = ("mean accuracy, features", *map(str, sizes), "all")
    words = ", ".join(study.word for study in studies)
    caption = f"{name}, {len(studies)} words: {words}."
    return (
        f"{caption}\n\n{tables.markdown(heads, lines)}\n\n"
        f"Factors less raw dimensions, by features: {'; '.join(notes)}."
    )


def _over_words_by_layer(studies: Sequence[word_senses.WordStudy]) -> str:
    """Mean accuracy at every layer: a few features, all, and each part alone."""
    asked = (
        *((name, 1) for name in (representations.FACTORS, representations.HIDDEN)),
        *((name, 5) for name in (representations.FACTORS, representations.HIDDEN)),
        *((name, word_probes.ALL) for name in word_probes.APART),
    )
    layers = sorted(studies[0].fvu)
    lines = []
    for name, features in asked:
        cells = []
        for layer in layers:
            found = [accuracy(study, name, features, layer) for study in studies]
            known = [estimate for estimate in found if estimate is not None]
            if len(known) == len(studies):
                cells.append(f"{scores.mean(known).value:.3f}")
        if cells:
            shown = name if features == word_probes.ALL else shown_name(name)
            lines.append((f"{shown}, {features}", *cells))
    heads = ("mean accuracy", *(f"layer {layer}" for layer in layers))
    return tables.markdown(heads, lines)


def _caption(study: word_senses.WordStudy) -> str:
    support = ", ".join(f"{n:,} {name}" for name, n in study.support.items())
    return (
        f"“{study.word}” ({study.source}): {support}; {study.n_documents:,} documents; "
        f"{study.alignment}; {study.n_tokens:,} tokens in all."
    )


def average_precision(
    study: word_senses.WordStudy,
    name: str,
    features: int | str,
    layer: int | str | None = word_probes.CHOSEN,
) -> scores.Estimate | None:
    """Returns how well all tokens are ranked; None if it was not measured.

    Args:
      study: of a word with a class that is looked for.
      name: the representation, or "tagger" or "majority".
      features: as in `word_probes.Figure`.
      layer: as there.
    """
    layer = None if name in (word_probes.TAGGER, word_probes.MAJORITY) else layer
    figure = study.figures.find(
        question=word_probes.ALL_TOKENS,
        representation=name,
        features=features,
        layer=layer,
    )
    return figure and figure.average_precision


def _among(
    study: word_senses.WordStudy, name: str, features: int | str
) -> scores.Estimate | None:
    """Returns F1 of the class that is looked for, among occurrences."""
    for layer in (word_probes.CHOSEN, None):
        figure = study.figures.find(
            question="occurrences", representation=name, features=features, layer=layer
        )
        if figure:
            return figure.of_class[study.positive or ""].f1
    return None


def accuracy(
    study: word_senses.WordStudy,
    name: str,
    features: int | str,
    layer: int | str | None = word_probes.CHOSEN,
) -> scores.Estimate | None:
    """Returns the accuracy among occurrences; arguments as of `average_precision`."""
    if name in (word_probes.TAGGER, word_probes.MAJORITY):
        layer = None
    figure = study.figures.find(
        question="occurrences", representation=name, features=features, layer=layer
    )
    return figure and figure.accuracy


def _figure(figure: word_probes.Figure) -> dict[str, Any]:
    found: dict[str, Any] = {
        "question": figure.question,
        "representation": figure.representation,
        "features": figure.features,
        "layer": figure.layer,
    }
    for name in ("accuracy", "average_precision"):
        estimate = getattr(figure, name)
        if estimate is not None:
            found[name] = _numbers(estimate)
    if figure.of_class:
        found["classes"] = {
            name: {
                "support": each.support,
                **{
                    metric: _numbers(getattr(each, metric))
                    for metric in (
                        *("precision", "recall", "f1", "auc", "average_precision"),
                    )
                },
            }
            for name, each in figure.of_class.items()
        }
    return {**found, "chosen": list(figure.chosen)}


def _plain(by_layer: dict[int, word_senses.Unexplained]) -> dict[int, dict[str, float]]:
    return {
        layer: {"raw": round(fvu.raw, _DIGITS), "centred": round(fvu.centred, _DIGITS)}
        for layer, fvu in by_layer.items()
    }


def _numbers(estimate: scores.Estimate) -> list[float]:
    return [
        round(number, _DIGITS)
        for number in (estimate.value, estimate.low, estimate.high)
    ]


def shown_name(name: str) -> str:
    """Returns what a representation is called where one feature of it is meant."""
    return _ONE_DIMENSION if name == representations.HIDDEN else name


def _cell(estimate: scores.Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _value(estimate: scores.Estimate | None) -> float:
    return 0.0 if estimate is None else estimate.value
