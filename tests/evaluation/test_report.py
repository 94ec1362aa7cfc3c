"""What a report says of the text that it is about."""

import types

import numpy as np
import pytest

from tfvis_jax.evaluation import report


def _windows(documents, sides, *, measured=None, version=2):
    """Windows of these documents; sides are letters: train, held out, neither."""
    sides = np.array(list(sides))
    held_out = np.flatnonzero(sides == "h")
    return types.SimpleNamespace(
        documents=np.array(documents),
        train=np.flatnonzero(sides == "t"),
        held_out=held_out,
        measured=held_out[:measured],
        index={"schema_version": version},
    )


@pytest.mark.parametrize(
    ("windows", "split", "words"),
    [
        (_windows([0, 1, 2], "thh"), "documents", "2 held-out documents"),
        (_windows([0, 1], "th"), "documents", "1 held-out document"),
        (
            _windows([0, 0, 0, 1, 1, 1], "tnhhnt"),
            "sections",
            "held-out sections of 2 documents (the rest of each was trained on)",
        ),
        (
            _windows([0, 0, 0, 1, 2], "tnhth"),
            "sections",
            "a held-out section of one document (the rest was trained on) and 1 "
            "held-out document",
        ),
        (
            _windows([0, 1, 1, 1], "thhh", measured=2),
            "documents",
            "1 held-out document, in 2 of the 3 held-out windows",
        ),
        (
            _windows([0, 1], "th", version=1),
            "positions",
            "1 held-out document (split by document position; copies of a text may be "
            "on both sides)",
        ),
        (_windows([0], "t"), "documents", "no text, as none is held out"),
    ],
)
def test_metrics_say_which_text_they_are_of(windows, split, words):
    found = report.held_out(windows)
    assert found["split"] == split
    assert report.held_out_words(found) == words
