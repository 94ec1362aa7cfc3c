"""Factors that were read, with the evidence for their levels, as JSON keeps them.

    python -m benchmarks.levels.readings --run=runs/demo \
        --readings=first.jsonl,second.jsonl --recipe="tfvis demo" \
        --out=benchmarks/levels/labelled/demo.json

Each pass is a file of JSON lines {"factor", "level", "reading", "confidence"} by
somebody who has seen contexts of all strengths, and neither level nor layer. The
evidence is measured, so that `benchmarks.levels.fit` runs without the run.
"""

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from absl import flags

from experiments import script
from tfvis_jax import files
from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import gathering, level_file, rule
from tfvis_jax.levels import spread as spread_lib
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.reporting import outputs

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "Run whose factors were read.", required=True, flag_values=FLAGS
)
_READINGS = flags.DEFINE_list(
    "readings",
    None,
    "JSON lines, a file for each pass.",
    required=True,
    flag_values=FLAGS,
)
_RECIPE = flags.DEFINE_string(
    "recipe", "", "Command that made the run.", flag_values=FLAGS
)
_PER_FACTOR = flags.DEFINE_integer(
    "per_factor", 6, "Firings to measure on.", lower_bound=1, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON to write.", required=True, flag_values=FLAGS
)

CLASSES = rule.LEVELS[:5]
LABELLED = pathlib.Path(__file__).with_name("labelled")


@dataclasses.dataclass(frozen=True)
class Read:
    """One factor.

    Attributes:
      source: name of the run, or of the text in which a concept was planted.
      factor: its number there.
      levels: what each pass called it; one of `CLASSES`.
      readings: what each pass said that it stands for.
      confidence: of each pass, 0 to 1.
      evidence: for its level.
    """

    source: str
    factor: int
    levels: list[str]
    readings: list[str]
    confidence: list[float]
    evidence: evidence_lib.Evidence

    @property
    def agreed(self) -> str | None:
        """The level if all passes agree, else None."""
        return self.levels[0] if len(set(self.levels)) == 1 else None


def save(path: pathlib.Path, found: Sequence[Read], *, recipe: str) -> None:
    """Writes factors that were read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [_rounded(dataclasses.asdict(each)) for each in found]
    files.write_json(path, {"recipe": recipe, "factors": entries})


def load(path: pathlib.Path) -> list[Read]:
    """Reads factors that `save` has written."""
    found = []
    for entry in files.read_json(path)["factors"]:
        evidence = entry.pop("evidence")
        spread = spread_lib.Spread(**evidence["spread"])
        context = evidence_lib.Context(**evidence["context"])
        evidence = evidence_lib.Evidence(evidence["firing"], spread, context)
        found.append(Read(**entry, evidence=evidence))
    return found


def kappa(found: Sequence[Read]) -> tuple[float, float]:
    """Returns the share of factors on which two passes agree, and Cohen's κ.

    NaN if there was one pass.
    """
    pairs = [each.levels for each in found if len(each.levels) == 2]
    if not pairs:
        return float("nan"), float("nan")
    same = float(np.mean([a == b for a, b in pairs]))
    first, second = (collections.Counter(levels) for levels in zip(*pairs, strict=True))
    chance = sum(first[name] * second[name] for name in CLASSES) / len(pairs) ** 2
    return same, (same - chance) / (1 - chance)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 8) if isinstance(value, float) else value


class _Line(msgspec.Struct):
    factor: schema_lib.Count
    level: str
    reading: str = ""
    confidence: float = 1.0


def _passes(paths: Sequence[str]) -> list[dict[int, _Line]]:
    passes = []
    for path in map(pathlib.Path, paths):
        lines = schema_lib.read_lines(path, _Line, remedy="Correct the line.")
        found = {line.factor: line for _, line in lines}
        if unknown := {line.level for line in found.values()} - set(CLASSES):
            raise InputError(f"Expected levels of {CLASSES} in {path}, got {unknown}.")
        passes.append(found)
    return passes


def _evidence(
    run: run_lib.Run, factors: Sequence[int]
) -> Sequence[evidence_lib.Evidence | None]:
    """Returns what `tfvis levels` has measured, or measures it."""
    with contextlib.suppress(level_file.NotMeasured):
        found = level_file.load(run.directory.levels, run.examples).evidence
        if all(each.context for f in factors if (each := found[f])):
            return found
    return gathering.measure(
        run,
        per_factor=_PER_FACTOR.value,
        progress=lambda done, total: outputs.say(f"{done} of {total} firings"),
        factors=factors,
    )


def main() -> None:
    """Reads the passes, measures the evidence, writes both."""
    run = run_lib.load_run(_RUN.value)
    passes = _passes(_READINGS.value)
    factors = [f for f in passes[0] if all(f in found for found in passes)]
    evidence = _evidence(run, factors)
    found = [
        Read(
            source=run.directory.path.name,
            factor=factor,
            levels=[lines[factor].level for lines in passes],
            readings=[lines[factor].reading for lines in passes],
            confidence=[lines[factor].confidence for lines in passes],
            evidence=evidence[factor],
        )
        for factor in factors
        if evidence[factor] is not None
    ]
    save(pathlib.Path(_OUT.value), found, recipe=_RECIPE.value)
    if len(passes) == 2:
        same, value = kappa(found)
        print(f"{len(found)} factors; passes agree on {same:.0%}, κ {value:.2f}")


if __name__ == "__main__":
    script.run(main, FLAGS)
