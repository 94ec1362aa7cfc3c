"""How often levels agree with labels that were made from text alone.

    python -m benchmarks.levels.text --data=../shared/data --out=mixed.jsonl
    tfvis train runs/mixed --model=… --text=mixed.jsonl --row_fraction=0.4
    tfvis examples runs/mixed
    python -m benchmarks.levels.agreement --runs=runs/mixed,runs/demo \\
        --planted=runs/mixed --matched=runs/demo,runs/demo_seed_1 \\
        --cases=cases.json --out=levels.json

Labels are those of `ground_truth.level_labels`. Concepts are divided into two halves by
a hash of their names: thresholds may be chosen on one, and agreement is reported on the
other, for trained and for planted factors. With --matched, two dictionaries of one text
and different seeds are compared: factors are matched one to one by cosine, and the
levels of those with a cosine of at least 0.8 are compared.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.optimize
from absl import flags

from benchmarks.levels import cases as cases_lib
from experiments import script
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.levels import rule as rule_lib
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_RUNS = flags.DEFINE_list(
    "runs", [], "Runs whose factors are labelled.", flag_values=FLAGS
)
_PLANTED = flags.DEFINE_list(
    "planted", [], "Runs in whose text concepts are planted.", flag_values=FLAGS
)
_MATCHED = flags.DEFINE_list(
    "matched", [], "Two runs of one text, to be compared.", flag_values=FLAGS
)
_CASES = flags.DEFINE_string(
    "cases",
    None,
    "Evidence that was measured: read if it is there, else written.",
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON to write, with Markdown beside it.", flag_values=FLAGS
)
_PER_FACTOR = flags.DEFINE_integer(
    "per_factor",
    4,
    "Tokens of a factor on which context is measured.",
    lower_bound=1,
    flag_values=FLAGS,
)
_MAX_LOW = flags.DEFINE_integer(
    "max_low",
    60,
    "Trained factors of class low, of which there are most.",
    flag_values=FLAGS,
)
_PER_CLASS = flags.DEFINE_integer(
    "per_class", 40, "Planted concepts of a class.", flag_values=FLAGS
)
_PAIRS = flags.DEFINE_integer(
    "pairs", 200, "Matched factors that are compared.", flag_values=FLAGS
)
_QUICK = flags.DEFINE_bool(
    "quick", False, "A tenth of everything, to try it out.", flag_values=FLAGS
)

_CLASSES = rule_lib.LEVELS[:3]
_MIN_COSINE = 0.8


def by_onset(evidence: rule_lib.Evidence) -> str:
    """The level by the curve alone: the third of the network it sets on in."""
    curve = np.where(evidence.firing >= rule_lib.MIN_FIRING, evidence.importance, 0)
    onset = int(np.argmax(curve >= rule_lib.ONSET_SHARE * curve.max()))
    return rule_lib.LEVELS[min(3 * onset // len(curve), 2)]


# What is compared: the rule, the same without context, and the curve alone.
RULES: dict[str, Callable[[rule_lib.Evidence], str]] = {
    "levels": lambda evidence: rule_lib.judge(evidence).name,
    "without context": lambda evidence: (
        rule_lib.judge(dataclasses.replace(evidence, shares=None)).name
    ),
    "curve alone": by_onset,
}


def confusion(
    cases: Sequence[cases_lib.Case], rule: Callable[[rule_lib.Evidence], str]
) -> list[list[int]]:
    """Returns how often each label (rows) got each level (columns, unclear last)."""
    table = [[0] * len(rule_lib.LEVELS) for _ in _CLASSES]
    for case in cases:
        found = rule(case.evidence)
        table[_CLASSES.index(case.label)][rule_lib.LEVELS.index(found)] += 1
    return table


def agreement(table: list[list[int]]) -> dict[str, float | int | None]:
    """Returns the share on the diagonal: of each class, of all, and their mean."""
    right = [row[number] for number, row in enumerate(table)]
    count = [sum(row) for row in table]
    each = [r / n if n else None for r, n in zip(right, count, strict=True)]
    known = [share for share in each if share is not None]
    return {
        **dict(zip(_CLASSES, each, strict=True)),
        "all": sum(right) / max(sum(count), 1),
        "mean of classes": sum(known) / len(known) if known else None,
        "n": sum(count),
    }


def match(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs of factors of a one-to-one matching that are alike.

    Args:
      a: [n, d_model] unit rows.
      b: [m, d_model] unit rows.

    Returns:
      Numbers of the factors of a and of b, of a cosine of at least 0.8.
    """
    cosine = a @ b.T
    rows, columns = scipy.optimize.linear_sum_assignment(cosine, maximize=True)
    alike = cosine[rows, columns] >= _MIN_COSINE
    return rows[alike], columns[alike]


def _measure() -> dict:
    if not (_RUNS.value or _PLANTED.value or _MATCHED.value):
        raise InputError("Expected --runs, --planted or --matched, got none of them.")
    share = 10 if _QUICK.value else 1
    per_factor = 2 if _QUICK.value else _PER_FACTOR.value
    cases = []
    for path in sorted({*_RUNS.value, *_PLANTED.value}):
        world = cases_lib.ConceptText(path)
        if path in _RUNS.value:
            cases += cases_lib.trained(
                world, max_low=_MAX_LOW.value // share, per_factor=per_factor
            )
        if path in _PLANTED.value:
            cases += cases_lib.planted(
                world, per_class=_PER_CLASS.value // share, per_factor=per_factor
            )
        outputs.say(f"{path}: {len(cases)} labelled so far")
    found: dict[str, Any] = {"labelled": [dataclasses.asdict(case) for case in cases]}
    if _MATCHED.value:
        found["matched"] = _measure_matched(
            n=_PAIRS.value // share, per_factor=per_factor
        )
    return found


def _measure_matched(*, n: int, per_factor: int) -> dict:
    if len(_MATCHED.value) != 2:
        raise InputError(f"Expected two runs as --matched, got {_MATCHED.value}.")
    first, second = (run_lib.load_run(path) for path in _MATCHED.value)
    pairs = match(first.trained.factors, second.trained.factors)
    chosen = np.random.default_rng(0).permutation(len(pairs[0]))[:n]
    sides = []
    for run, factors in zip((first, second), pairs, strict=True):
        cases = cases_lib.matched(run, factors[chosen].tolist(), per_factor=per_factor)
        sides.append({case.factor: dataclasses.asdict(case) for case in cases})
    return {
        "n_factors": len(first.trained.factors),
        "n_alike": len(pairs[0]),
        "pairs": [
            [sides[0][a], sides[1][b]]
            for a, b in zip(*(side[chosen].tolist() for side in pairs), strict=True)
            if a in sides[0] and b in sides[1]
        ],
    }


def _compare(matched: dict[str, Any]) -> dict:
    table = [[0] * len(rule_lib.LEVELS) for _ in rule_lib.LEVELS]
    for pair in matched["pairs"]:
        a, b = (rule_lib.judge(cases_lib.Case(**side).evidence).name for side in pair)
        table[rule_lib.LEVELS.index(a)][rule_lib.LEVELS.index(b)] += 1
    same = sum(row[number] for number, row in enumerate(table))
    return {
        "n_factors": matched["n_factors"],
        "n_alike": matched["n_alike"],
        "n_compared": len(matched["pairs"]),
        "same": same / max(len(matched["pairs"]), 1),
        "table": table,
    }


def _groups(
    cases: Sequence[cases_lib.Case],
) -> Iterator[tuple[str, str, list[cases_lib.Case]]]:
    for kind in ("trained", "planted"):
        for half, chosen in (("chosen on", True), ("reported", False)):
            yield (
                kind,
                half,
                [c for c in cases if c.kind == kind and c.is_for_choosing == chosen],
            )


def _row(name: str, cells: Sequence[object]) -> str:
    return f"| {name} | " + " | ".join(str(cell) for cell in cells) + " |"


def _table(table: list[list[int]]) -> list[str]:
    lines = [_row("label", rule_lib.LEVELS), _row("---", ["--:"] * 4)]
    return lines + [
        _row(name, row) for name, row in zip(rule_lib.LEVELS, table, strict=False)
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def main() -> None:
    """Measures what is missing, prints tables and writes them."""
    path = pathlib.Path(_CASES.value) if _CASES.value else None
    if path is not None and path.is_file():
        measured = files.read_json(path)
    else:
        measured = _measure()
        if path is not None:
            files.write_json(path, measured)
    cases = [cases_lib.Case(**case) for case in measured["labelled"]]
    document = {**environment.describe("benchmarks.levels.agreement"), "groups": []}
    lines = []
    for kind, half, members in _groups(cases):
        tables = {name: confusion(members, rule) for name, rule in RULES.items()}
        found = {name: agreement(table) for name, table in tables.items()}
        document["groups"].append(
            {"kind": kind, "half": half, "tables": tables, "agreement": found}
        )
        lines += [f"**{kind}, {half}** ({len(members)} factors)", ""]
        lines += [*_table(tables["levels"]), ""]
        columns = [*_CLASSES, "all", "mean of classes"]
        lines += [_row("agreement", columns), _row("---", ["--:"] * len(columns))]
        lines += [
            _row(name, [_percent(values[column]) for column in columns])
            for name, values in found.items()
        ]
        lines.append("")
    if "matched" in measured:
        document["matched"] = found = _compare(measured["matched"])
        lines += [
            f"**two seeds**: {found['n_alike']} of {found['n_factors']} factors have a "
            f"match of cosine ≥ {_MIN_COSINE}; of {found['n_compared']} compared, "
            f"{found['same']:.0%} have the same level",
            "",
            *_table(found["table"]),
        ]
    print("\n".join(lines))
    if _OUT.value is not None:
        outputs.write(pathlib.Path(_OUT.value), document, "\n".join(lines))


if __name__ == "__main__":
    script.run(main, FLAGS)
