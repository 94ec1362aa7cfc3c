"""Several questions to one model, answered together: fewer and fuller batches.

What a question needs are activations of altered windows, in one round or more: each
depends on the answers of the one before. It is a generator that yields requests, is
sent their activations, and returns what it found. Those of one round are computed in
joint batches, and a window that several ask for only once.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tfvis_jax.saliency import target as target_lib
from tfvis_jax.saliency import variants

Answer = TypeVar("Answer")
Question = Generator[Sequence[variants.Variants], list[np.ndarray], Answer]


def answer(probe: variants.Probe, question: Question[Answer]) -> Answer:
    """Returns what one question finds."""
    [found] = answer_all(probe, {"": question}).values()
    return found


def answer_all(
    probe: variants.Probe, questions: Mapping[str, Question[Any]]
) -> dict[str, Any]:
    """Returns what each question finds, by its name.

    Args:
      probe: the model at one layer.
      questions: to be asked together; they are used up.
    """
    answers: dict[str, Any] = {}
    asked: dict[str, Sequence[variants.Variants]] = {}

    def go_on(name: str, activations: list[np.ndarray] | None) -> None:
        try:
            # A generator that has not begun is sent None.
            asked[name] = questions[name].send(activations)  # pyright: ignore[reportArgumentType]
        except StopIteration as end:
            answers[name] = end.value

    for name in questions:
        go_on(name, None)
    while asked:
        now, asked = asked, {}
        found = activations(probe, [each for all_of in now.values() for each in all_of])
        start = 0
        for name, requests in now.items():
            go_on(name, found[start : start + len(requests)])
            start += len(requests)
    return {name: answers[name] for name in questions}


def activations(
    probe: variants.Probe, requests: Sequence[variants.Variants]
) -> list[np.ndarray]:
    """Returns `Probe.activations`, with equal windows computed once.

    Args:
      probe: the model at one layer.
      requests: altered windows, in which every token has its own place.
    """
    of_place: dict[tuple[int, ...], list[int]] = {}
    for number, request in enumerate(requests):
        of_place.setdefault(_key(request), []).append(number)
    merged, which = [], []
    for numbers in of_place.values():
        token_ids, attention = (
            np.concatenate([getattr(requests[number], name) for number in numbers])
            for name in ("token_ids", "attention")
        )
        _, first, inverse = np.unique(
            np.hstack([token_ids, attention]),
            axis=0,
            return_index=True,
            return_inverse=True,
        )
        # In the order asked for, so that batches hold what they would have held.
        order = np.argsort(first)
        chosen = first[order]
        target = requests[numbers[0]].target
        merged.append(variants.Variants(token_ids[chosen], attention[chosen], target))
        which.append(np.argsort(order)[inverse.reshape(-1)])
    found = [np.zeros(0)] * len(requests)
    for numbers, alpha, index in zip(
        of_place.values(), probe.activations(merged), which, strict=True
    ):
        ends = np.cumsum([len(requests[number].token_ids) for number in numbers])
        for number, part in zip(
            numbers, np.split(alpha[index], ends[:-1]), strict=True
        ):
            found[number] = part
    return found


def _key(request: variants.Variants) -> tuple[int, ...]:
    """Returns what requests have in common whose windows can be compared."""
    assert request.position_ids is None
    target: target_lib.Place = request.target
    return request.token_ids.shape[1], target.position, target.factor
