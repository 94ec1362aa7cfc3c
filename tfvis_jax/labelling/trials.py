"""Three questions that score a label, each with a chance level that does not flatter.

    detection  does the factor fire in this excerpt? as often yes as no; chance 1/2
    fuzzing    are the marked words those on which it fires? as often yes as no, and as
               many words marked; chance 1/2
    intruder   in which of five excerpts is it silent? chance 1/5

Detection and fuzzing follow Paulo et al. (2024), *Automatically interpreting millions
of features in large language models*; the third is a forced choice like that of Chang
et al. (2009), *Reading tea leaves*, asked of a label. Excerpts that fire are of all
quartiles of α, so that a label which fits the strongest alone scores low.
"""

import dataclasses

import numpy as np

from tfvis_jax.labelling import excerpts
from tfvis_jax.labelling.excerpts import Excerpt

NAMES = ("detection", "fuzzing", "intruder")
# Excerpts of which one is an intruder.
GROUP = 5
CHANCE = {"detection": 0.5, "fuzzing": 0.5, "intruder": 1 / GROUP}
# Of each kind of detection and of fuzzing, and groups with an intruder.
_OF_EACH, _GROUPS = 10, 5


@dataclasses.dataclass(frozen=True)
class Detection:
    """An excerpt, and whether the factor fires in it."""

    excerpt: Excerpt
    answer: bool


@dataclasses.dataclass(frozen=True)
class Fuzzing:
    """An excerpt with marked words, and whether they are the firing ones."""

    excerpt: Excerpt
    marked: frozenset[int]
    answer: bool


@dataclasses.dataclass(frozen=True)
class Intruder:
    """Excerpts, and the place of the one in which the factor is silent."""

    group: tuple[Excerpt, ...]
    answer: int


@dataclasses.dataclass(frozen=True)
class Trials:
    """What is asked of one factor; empty where it has too few excerpts."""

    detection: tuple[Detection, ...]
    fuzzing: tuple[Fuzzing, ...]
    intruder: tuple[Intruder, ...]


def of_material(material: excerpts.Material, *, seed: int = 0) -> Trials:
    """Returns the questions about a factor, in random order.

    Args:
      material: its excerpts.
      seed: of the order, of the words that are marked wrongly, and of groups.
    """
    rng = np.random.default_rng([seed, material.factor])
    fires, silent = material.tested, material.tested_silent
    n = min(_OF_EACH, len(fires), len(silent))
    detection = [
        *(Detection(each, True) for each in fires[:n]),
        *(Detection(each, False) for each in silent[:n]),
    ]
    # Silent excerpts that no question had, if there are enough.
    others = [*silent[n:], *silent[:n]]
    groups: list[Intruder] = []
    size = GROUP - 1
    for number in range(min(_GROUPS, len(fires) // size, len(others))):
        group = list(fires[number * size : (number + 1) * size])
        place = int(rng.integers(GROUP))
        group.insert(place, others[number])
        groups.append(Intruder(tuple(group), place))
    return Trials(
        tuple(detection[i] for i in rng.permutation(len(detection)).tolist()),
        tuple(fuzzed(fires[: 2 * _OF_EACH], rng)),
        tuple(groups),
    )


def fuzzed(found: tuple[Excerpt, ...], rng: np.random.Generator) -> list[Fuzzing]:
    """Returns one question an excerpt, half of them with the wrong words marked.

    Args:
      found: excerpts in which the factor fires.
      rng: of the wrong words, which are as many as the right ones.
    """
    able = [
        each
        for each in found
        if len(_wrong_places(each)) >= len(each.firing)  # else none to mark
    ]
    made: list[Fuzzing] = []
    for number, each in enumerate(able[: len(able) // 2 * 2]):
        marked, is_right = each.firing, number % 2 == 0
        if not is_right:
            wrong = rng.choice(_wrong_places(each), len(marked), replace=False)
            marked = frozenset(wrong.tolist())
        made.append(Fuzzing(each, marked, is_right))
    return [made[place] for place in rng.permutation(len(made)).tolist()]


def _wrong_places(each: Excerpt) -> list[int]:
    """Returns the places of words, not of marks, on which the factor is silent."""
    return [
        place
        for place, word in enumerate(each.words)
        if place not in each.firing and any(letter.isalnum() for letter in word)
    ]
