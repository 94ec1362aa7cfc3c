"""How often levels agree with what was read blind, and the constants of the rule.

    python -m benchmarks.levels.fit --out=fit.json
    python -m benchmarks.levels.fit --write

reads the labelled factors in `benchmarks/levels/labelled`, with their evidence.
Every factor is judged by a model that was fitted without it (folds of factors), and all
factors of a run by a model that was fitted on the other runs. --write fits on all and
writes `tfvis_jax/levels/calibration.json`.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import scipy.stats
from absl import flags

from benchmarks.levels import fitting, readings
from experiments import script
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.levels import logistic
from tfvis_jax.reporting import environment, outputs, tables

FLAGS = flags.FlagValues()
_LABELLED = flags.DEFINE_string(
    "labelled",
    str(readings.LABELLED),
    "Folder of labelled factors.",
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON to write, with Markdown beside it.", flag_values=FLAGS
)
_PENALTY = flags.DEFINE_float(
    "penalty", 1.0, "Of the squared weights.", lower_bound=0, flag_values=FLAGS
)
_LEAST = flags.DEFINE_float(
    "least",
    0.65,
    "Probability below which a factor is unclear.",
    lower_bound=0,
    upper_bound=1,
    flag_values=FLAGS,
)
_FOLDS = flags.DEFINE_integer("folds", 20, "Of factors.", flag_values=FLAGS)
_REPEATS = flags.DEFINE_integer(
    "repeats", 5, "Divisions into folds, averaged.", flag_values=FLAGS
)
_WRITE = flags.DEFINE_bool(
    "write", False, "Write the constants of the package.", flag_values=FLAGS
)

_CALIBRATION = (
    pathlib.Path(__file__).parents[2] / "tfvis_jax" / "levels" / "calibration.json"
)
# What is compared: all that is measured, and less.
_SETS = {
    "measured": fitting.MEASURED,
    "no word elsewhere, order or place": (
        "alone",
        *(
            name
            for name in fitting.MEASURED
            if name not in ("word", "shuffled", "position")
        ),
    ),
    "word class": ("frequency", "any_token", "kinship", "tip_word"),
    "word alone and context": ("alone", "near", "far"),
    "guess": fitting.GUESS,
    "frequency": ("frequency",),
}


def main() -> None:
    """Judges every labelled factor without it, and writes what is asked for."""
    folder = pathlib.Path(_LABELLED.value)
    found = {path.stem: readings.load(path) for path in sorted(folder.glob("*.json"))}
    if not found:
        raise InputError(f"Expected JSON files of labelled factors in {folder}.")
    everything = [each for part in found.values() for each in part]
    document = environment.describe("benchmarks.levels.fit")
    document["files"] = {name: _counts(part) for name, part in found.items()}
    lines = [_about(name, part) for name, part in found.items()]
    results = {}
    for name, names in _SETS.items():
        runs = _cross_validated(everything, names)
        results[f"{name}, all"] = (everything, runs)
        start = 0
        for part, members in found.items() if name == "measured" else ():
            stop = start + len(members)
            results[f"{name}, {part}"] = (members, [run[start:stop] for run in runs])
            start = stop
    sources = sorted({each.source for each in everything})
    for held_out in sources if len(sources) > 1 else ():
        seen = [each for each in everything if each.source != held_out]
        fitted = fitting.fit(seen, names=fitting.MEASURED, penalty=_PENALTY.value)
        for name, part in [("all", everything), *found.items()]:
            members = [each for each in part if each.source == held_out]
            p = [fitting.probabilities(fitted, each.evidence) for each in members]
            row = f"fitted on the other run, {held_out}: {name}"
            if members:
                results[row] = (members, [p])
    scores = {name: _mean_scores(*runs) for name, runs in results.items()}
    document["scores"] = {
        name: dataclasses.asdict(each) for name, each in scores.items()
    }
    lines += ["", _table(scores), "", *_confusion(scores["measured, all"])]
    text = "\n".join(lines)
    print(text)
    if _OUT.value is not None:
        outputs.write(pathlib.Path(_OUT.value), document, text)
    if _WRITE.value:
        _write(everything)


def _cross_validated(
    found: Sequence[readings.Read], names: Sequence[str]
) -> list[list[dict[str, float]]]:
    return [
        fitting.cross_validated(
            found,
            names=names,
            penalty=_PENALTY.value,
            folds=min(_FOLDS.value, len(found)),
            seed=seed,
        )
        for seed in range(_REPEATS.value)
    ]


def _mean_scores(
    found: Sequence[readings.Read], runs: Sequence[Sequence[dict[str, float]]]
) -> fitting.Scores:
    """Scores the mean probabilities of several divisions into folds."""
    mean = [
        {name: float(np.mean([each[name] for each in ps])) for name in ps[0]}
        for ps in zip(*runs, strict=True)
    ]
    names = [fitting.called(p, least=_LEAST.value) for p in mean]
    return fitting.score(found, names, mean)


def _write(found: Sequence[readings.Read]) -> None:
    fitted = [
        fitting.fit(found, names=names, penalty=_PENALTY.value)
        for names in (fitting.MEASURED, fitting.GUESS)
    ]
    passes = sum(len(each.levels) for each in found)
    content = logistic.Calibration(
        fitted_on=f"{len(found)} factors, {passes} readings",
        measured=fitted[0][0],
        guess=fitted[1][0],
        # The same in both: it depends on the documents alone.
        split=fitted[0][1],
        least=_LEAST.value,
    )
    files.write_json(_CALIBRATION, msgspec.to_builtins(content))
    outputs.say(f"written: {_CALIBRATION}")


def _counts(found: Sequence[readings.Read]) -> dict[str, Any]:
    counts = {
        name: sum(each.agreed == name for each in found) for name in fitting.CLASSES
    }
    # NaN is no JSON.
    two = len(found[0].levels) == 2
    agreement = readings.kappa(found) if two else None
    return counts | {"factors": len(found), "agreement": agreement}


def _about(name: str, found: Sequence[readings.Read]) -> str:
    counts = _counts(found)
    shown = ", ".join(f"{counts[each]} {each}" for each in fitting.CLASSES)
    passes = "one pass"
    if counts["agreement"] is not None:
        same, kappa = counts["agreement"]
        passes = f"the two passes agree on {same:.0%} (κ {kappa:.2f})"
    return f"{name}: {len(found)} factors; {passes}: {shown}"


def _table(scores: dict[str, fitting.Scores]) -> str:
    heads = ["judged by", "agree", "unclear", *fitting.CLASSES, "log loss", "ECE"]
    rows = []
    for name, each in scores.items():
        row = [name, f"{each.agreement:.1%} of {each.n}", f"{each.unclear:.1%}"]
        row += [_precision(*each.precision[c]) for c in fitting.CLASSES]
        row += [f"{each.log_loss:.3f}", f"{each.calibration:.3f}"]
        rows.append(row)
    return (
        "Agreement of factors with a level; precision of each class with its 95 % "
        "interval (Clopper–Pearson).\n\n" + tables.markdown(heads, rows)
    )


def _precision(right: int, called: int) -> str:
    if not called:
        return "–"
    low, high = scipy.stats.binomtest(right, called).proportion_ci()
    return f"{right}/{called} [{low:.2f}, {high:.2f}]"


def _confusion(score: fitting.Scores) -> list[str]:
    heads = ["read", *fitting.CLASSES, "unclear"]
    rows = [
        [name, *map(str, row)]
        for name, row in zip(fitting.CLASSES, score.table, strict=True)
    ]
    return [tables.markdown(heads, rows)]


if __name__ == "__main__":
    script.run(main, FLAGS)
