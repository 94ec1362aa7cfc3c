"""Questions are answered together, in rounds, and a window is computed once."""

import dataclasses

import numpy as np
import pytest

from tfvis_jax.saliency import context_need, questions, variants
from tfvis_jax.saliency import target as target_lib


@dataclasses.dataclass
class _Probe:
    """α is a fixed function of what is seen of a window."""

    batches: list[int] = dataclasses.field(default_factory=list)

    def activations(self, requests):
        self.batches.append(sum(len(request.token_ids) for request in requests))
        return [
            (request.token_ids * request.attention) @ np.arange(1.0, 7)
            + 10 * request.target.factor
            for request in requests
        ]


def _target(position=2, factor=3):
    return target_lib.Place(
        token_ids=np.array([1, 5, 6, 7, 8, 2], np.int32),
        is_text=np.array([False, True, True, True, True, False]),
        word=np.array([-1, 0, 1, 2, 3, -1]),
        position=position,
        factor=factor,
    )


def _requests(kept, target):
    return [variants.replacing(target, np.array(kept, bool), by=9)]


def _rounds(target, rounds):
    found = []
    for kept in rounds:
        found.append((yield _requests(kept, target))[0])
    return found


ALL, NONE, ONE = [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]


def test_each_question_has_its_own_answers_whatever_is_asked_beside_it():
    asked = {
        "short": (_target(), [[ALL, ONE]]),
        "long": (_target(), [[NONE, ALL, ALL], [ONE], [ALL]]),
        "other": (_target(factor=1), [[ALL], [NONE, ONE]]),
        "nothing": (_target(), []),
    }
    probe = _Probe()
    together = questions.answer_all(
        probe, {name: _rounds(*each) for name, each in asked.items()}
    )
    assert list(together) == list(asked)
    for name, (target, rounds) in asked.items():
        plain = [_Probe().activations(_requests(kept, target))[0] for kept in rounds]
        for found, expected in zip(together[name], plain, strict=True):
            np.testing.assert_array_equal(found, expected)
    # Of both places with factor 3 three windows, and one of the other factor.
    assert probe.batches == [3 + 1, 1 + 2, 1]


def test_one_question_finds_what_it_returns():
    [found] = questions.answer(_Probe(), _rounds(_target(), [[ALL]]))
    np.testing.assert_array_equal(found, [1 + 10 + 18 + 28 + 40 + 12 + 30])


@pytest.mark.parametrize("first", [1, 2, 16])
def test_context_needs_do_not_depend_on_how_many_radii_are_tried(monkeypatch, first):
    monkeypatch.setattr(context_need, "_FIRST_RADII", first)
    targets = [_target(position=p, factor=0) for p in (1, 2, 4)]
    probe = _Probe()
    needs = context_need.needs(probe, targets)
    [*curves] = context_need.curves(probe, targets, radii=range(4))
    for target, need, curve in zip(targets, needs, curves, strict=True):
        largest = int(np.abs(target.places - target.position).max())
        enough = [r for r in range(largest + 1) if curve[min(r, 3)] >= 0.9]
        assert need == (enough[0] if enough else largest)
