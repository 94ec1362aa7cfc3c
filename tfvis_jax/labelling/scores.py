"""How well labels say when factors fire: `label_scores.json` of a run.

    {"schema": "tfvis-label-scores/1", "dictionary_hash": …, "scores": {"12": [
      {"label": "anger", "source": "me", "layer": 6, "judge": "words",
       "detection": {"right": 17, "n": 20}, "fuzzing": …, "intruder": …}, …]}}

One entry a factor and judge. The list of words of a factor without a label is scored
too: its source is "words of the factor".
"""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from tfvis_jax import schema as schema_lib
from tfvis_jax.description import factor_label
from tfvis_jax.evaluation import rated
from tfvis_jax.labelling import trials
from tfvis_jax.runs import human_files

SCHEMA = "tfvis-label-scores/1"
OF_WORDS = "words of the factor"
_DRAWS, _SEED = 1000, 0
_NAME = Annotated[str, msgspec.Meta(max_length=200)]
_LABEL = Annotated[
    str, msgspec.Meta(min_length=1, max_length=factor_label.MAX_CHARACTERS)
]


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answers to one kind of question.

    Attributes:
      right: right answers.
      n: answers; what a judge did not answer is left out.
    """

    right: schema_lib.Count
    n: schema_lib.Positive

    @property
    def value(self) -> float:
        """The share of right answers."""
        return self.right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share, Wilson's."""
        return rated.wilson(self.right, self.n)


class Scored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label of a factor with its scores.

    Attributes:
      label: its text.
      source: who made it.
      layer: whose excerpts were asked about.
      judge: who answered: "words", or the name of a language model.
      detection, fuzzing, intruder: see `trials`; None where nothing was answered.
    """

    label: _LABEL
    source: _NAME
    layer: schema_lib.Count
    judge: _NAME
    detection: Score | None = None
    fuzzing: Score | None = None
    intruder: Score | None = None

    @property
    def by_name(self) -> dict[str, Score]:
        """The scores that there are, by name."""
        found = {name: getattr(self, name) for name in trials.NAMES}
        return {name: score for name, score in found.items() if score is not None}


# By factor; of each judge one, the last one that judged last.
ByFactor = Mapping[int, Sequence[Scored]]


class _File(msgspec.Struct):
    scores: dict[str, list[Scored]]


class Pooled(NamedTuple):
    """One score of many factors.

    Attributes:
      value: the mean over factors of their share of right answers.
      low, high: its 95 % interval over factors, by 1,000 bootstrap draws of them; of
        one factor, Wilson's.
      n_factors: that have the score.
      chance: what guessing gives.
    """

    value: float
    low: float
    high: float
    n_factors: int
    chance: float


def load(
    path: pathlib.Path, *, dictionary_hash: str, n_factors: int
) -> dict[int, list[Scored]]:
    """Reads the scores of a run; returns none if there is no file.

    Args:
      path: of the file.
      dictionary_hash: `content_hash` of the run's dictionary.
      n_factors: number of its factors.

    Raises:
      InputError: the file is damaged or belongs to another dictionary.
    """
    found = human_files.read(
        path, _File, schema=SCHEMA, dictionary_hash=dictionary_hash
    )
    scores = human_files.by_factor(
        found.scores if found else {}, path=path, field="scores", n_factors=n_factors
    )
    for of_factor in scores.values():
        for each in of_factor:
            wrong = [s for s in each.by_name.values() if s.right > s.n]
            if wrong:
                raise schema_lib.damaged(
                    path,
                    "Expected at most n right answers in `scores`, got "
                    f"{schema_lib.short(wrong)}",
                    remedy=human_files.REMEDY,
                )
    return scores


def save(path: pathlib.Path, found: ByFactor, *, dictionary_hash: str) -> None:
    """Writes the scores of a run atomically; arguments are those of `load`."""
    human_files.write(
        path,
        {"scores": {str(f): msgspec.to_builtins(found[f]) for f in sorted(found)}},
        schema=SCHEMA,
        dictionary_hash=dictionary_hash,
    )


def merge(known: ByFactor, new: Mapping[int, Scored]) -> dict[int, list[Scored]]:
    """Returns known scores with new ones, which replace those of factor and judge.

    Where label and layer are the same, scores that are not made anew stay.
    """
    merged = {factor: list(found) for factor, found in known.items()}
    for factor, scored in new.items():
        others = [e for e in merged.get(factor, []) if e.judge != scored.judge]
        for before in merged.get(factor, []):
            if _of_whom(before) == _of_whom(scored):
                stays = before.by_name | scored.by_name
                scored = msgspec.structs.replace(scored, **stays)
        merged[factor] = [*others, scored]
    return merged


def _of_whom(scored: Scored) -> tuple[str, str, int, str]:
    return scored.label, scored.source, scored.layer, scored.judge


def of_label(found: Sequence[Scored], label: str | None) -> Scored | None:
    """Returns the latest scores of a label, a language model's before those of words.

    Args:
      found: of one factor.
      label: its text; None for a factor that has its list of words alone.
    """
    fits = [
        each
        for each in found
        if (each.source == OF_WORDS if label is None else each.label == label)
    ]
    by_model = [each for each in fits if each.judge != "words"]
    return next(reversed(by_model or fits), None)


def pooled(found: Iterable[Scored]) -> dict[str, Pooled]:
    """Returns each score over the factors that have it, by its name."""
    by_name: dict[str, list[Score]] = {}
    for scored in found:
        for name, score in scored.by_name.items():
            by_name.setdefault(name, []).append(score)
    return {
        name: _pool(name, by_name[name]) for name in trials.NAMES if name in by_name
    }


def _pool(name: str, of_factors: list[Score]) -> Pooled:
    values = np.array([score.value for score in of_factors])
    low, high = of_factors[0].interval
    if len(values) > 1:
        drawn = np.random.default_rng(_SEED).integers(
            len(values), size=(_DRAWS, len(values))
        )
        low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975)).tolist()
    chance = trials.CHANCE[name]
    return Pooled(float(values.mean()), low, high, len(values), chance)
