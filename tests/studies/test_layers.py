"""Contexts by layer against brute force; the script from run to tables."""

import json

import numpy as np
import pytest
import scipy.sparse
import scripts

from experiments import layers as script
from tfvis_jax.studies.layers import layer_contexts

RNG = np.random.default_rng(0)
CODES = np.float32(RNG.exponential(size=(80, 6)) * (RNG.random((80, 6)) < 0.4))
CODES[:, 4] = 0


def test_contexts_are_the_strongest_tokens():
    found = layer_contexts.contexts(scipy.sparse.csr_array(CODES), n=10)
    for factor, rows in enumerate(found):
        order = np.argsort(-CODES[:, factor], kind="stable")[:10]
        np.testing.assert_array_equal(rows, order[CODES[order, factor] > 0])
    assert len(found[4]) == 0


def test_importance_is_the_mean_of_the_largest_codes():
    found = layer_contexts.importance(scipy.sparse.csr_array(CODES), n=50)
    expected = np.sort(CODES, axis=0)[::-1][:50].mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_overlaps_are_shares_of_the_shorter_list():
    first = [np.arange(10), np.arange(6), np.arange(3), np.arange(0)]
    second = [np.arange(5, 15), np.arange(12), np.arange(9), np.arange(9)]
    found = layer_contexts.overlaps(first, second)
    np.testing.assert_array_equal(found, [0.5, 1.0, np.nan, np.nan])


def test_drawn_tokens_are_of_the_same_words():
    word = RNG.integers(0, 7, size=80)
    found = layer_contexts.contexts(scipy.sparse.csr_array(CODES), n=10)
    drawn = layer_contexts.same_words(found, word, np.random.default_rng(1))
    for rows, other in zip(found, drawn, strict=True):
        assert len(np.unique(other)) == len(rows)
        np.testing.assert_array_equal(np.sort(word[rows]), np.sort(word[other]))
    # Chance, not the contexts themselves.
    assert any(
        set(a.tolist()) != set(b.tolist()) for a, b in zip(found, drawn, strict=True)
    )


def test_classes_are_thirds_of_the_network():
    curves = np.zeros((7, 9))
    curves[np.arange(7), np.arange(7)] = 1
    curves[6, 0] = 0.9
    found = layer_contexts.classes(curves)
    lower, middle, upper = layer_contexts.CLASSES
    assert found.tolist() == [*[lower] * 3, *[middle] * 2, *[upper] * 2, "", ""]


def test_explained_shares_add_up():
    x = np.float32(RNG.normal(size=(80, 5)) + 3)
    factors = np.float32(RNG.normal(size=(6, 5)))
    groups = [np.arange(6) < 2, np.arange(6) == 2, np.arange(6) > 2]
    codes = scipy.sparse.csr_array(CODES)
    found = layer_contexts.explained(x, codes, factors, groups)
    assert found.shape == (80, 3)
    centred = x - x.mean(axis=0)
    for column, group in zip(found.T, groups, strict=True):
        part = CODES[:, group] @ factors[group]
        expected = np.sum((part - part.mean(axis=0)) * centred)
        assert column.sum() == pytest.approx(expected, rel=1e-4)
    residual = x - CODES @ factors
    rest = np.sum((residual - residual.mean(axis=0)) * centred)
    assert found.sum() + rest == pytest.approx(np.sum(centred**2), rel=1e-4)


def test_the_script_writes_claims(toy_run, light_labels, tmp_path, capsys):
    out = tmp_path / "layers.json"
    given = {"run": toy_run, "out": out, "tokens": 400, "rows": 900, "held_out": 300}
    given |= {"n_factors": 24, "l0": 3, "passes": 1, "resamples": 20, "contexts": 8}
    given |= {"labels": light_labels}
    scripts.run(script, **given)
    document = json.loads(out.read_text())
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith(out.with_suffix(".md").read_text().rstrip())
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    pairs = {(each["first"], each["second"]) for each in document["overlaps"]}
    assert pairs == {(0, 1), (0, 2), (1, 2)} and len(document["overlaps"]) == 9
    assert len(document["explained"]) == 9
    assert [each["name"] for each in document["trained"]] == [
        "one for all layers",
        "one for each layer",
        "one for each layer, as many steps each",
    ]
    for each in document["trained"]:
        assert list(each["tells"]) == ["1", "5", "all"]
    assert any("tells more" in claim["claim"] for claim in document["claims"])
    assert [claim["verdict"] for claim in document["claims"]][-1] == (
        "not decided by this test"
    )
    with pytest.raises(SystemExit, match=r"two layers or more, got layers \[1\]"):
        scripts.run(script, **given, layers=[1])
