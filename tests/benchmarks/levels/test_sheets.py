"""Sheets for readers: who is on them, and what they do not tell."""

import json
import re

import numpy as np
import pytest
import scripts

import tfvis_jax
from benchmarks.levels import sheets
from tfvis_jax.levels import rule


def _level(**p):
    return rule.Level("mid" if p.get("mid", 0) > 0.6 else "low", "", 1.0, p)


def _levels():
    """Three dead factors, then ones with less and less of high, three of them mid."""
    levels = [rule.Level("unclear", "")] * 3
    for i in range(20):
        high, mid = (20 - i) / 100, 0.7 if 10 <= i < 13 else 0.1
        levels.append(_level(high=high, mid=mid, low=1 - high - mid))
    return levels


def test_likely_factors_are_the_most_high_and_those_called_mid():
    found = sheets.draw(
        _levels(), n_random=0, n_likely=6, without={3}, rng=np.random.default_rng(0)
    )
    assert found == {"random": [], "likely": [4, 5, 6, 13, 14, 15]}


def test_random_factors_are_alive_and_on_no_other_list():
    without = {5, 6}
    seen = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = sheets.draw(_levels(), n_random=5, n_likely=4, without=without, rng=rng)
        chosen = found["random"] + found["likely"]
        assert len(set(chosen)) == 9 and len(found["random"]) == 5
        seen.update(found["random"])
    assert seen == set(range(3, 23)) - without


def test_a_sheet_shows_contexts_and_neither_level_nor_layer(
    toy_run, tmp_path, monkeypatch
):
    # Its text has fewer documents than a level needs.
    monkeypatch.setattr(rule, "MIN_DOCUMENTS", 1)
    scripts.run(sheets, run=toy_run, random=3, likely=2, out=tmp_path)
    drawn = json.loads((tmp_path / "drawn.json").read_text())
    factors = drawn["random"] + drawn["likely"]
    texts = [(tmp_path / f"{name}.txt").read_text() for name in ("first", "second")]
    orders = [
        [int(n) for n in re.findall(r"^### factor (\d+)$", text, re.MULTILINE)]
        for text in texts
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(factors)
    run = tfvis_jax.load_run(toy_run)
    for text in texts:
        assert "[[" in text and "1.00" in text
        for word in (*rule.LEVELS, "importance"):
            assert not re.search(rf"\b{word}\b", text)
    # The strongest context of the first factor, as the run shows it.
    [first] = run.factor(orders[0][0]).examples(n=1)
    shown = texts[0].splitlines()[2]
    assert f"[[{first.word}]]" in shown and shown.startswith("  1.00 ")
    with pytest.raises(SystemExit, match="Expected factors with a level"):
        scripts.run(sheets, run=toy_run, random=0, likely=0, out=tmp_path)
