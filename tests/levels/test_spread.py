"""Likeness of words, against all pairs one by one."""

import itertools

import numpy as np
import pytest
import scipy.stats

import tfvis_jax
from tfvis_jax.levels import firings as firings_lib
from tfvis_jax.levels import kinship
from tfvis_jax.levels import spread as spread_lib


def _pairs(document):
    return [
        (i, j)
        for i, j in itertools.product(range(len(document)), repeat=2)
        if document[i] != document[j]
    ]


@pytest.mark.parametrize("n_documents", [1, 2, 9])
def test_agreement_is_the_share_of_pairs(n_documents):
    rng = np.random.default_rng(0)
    value = rng.integers(-1, 4, 40)
    document = rng.integers(0, n_documents, 40)
    pairs = _pairs(document)
    same = [value[i] == value[j] != -1 for i, j in pairs]
    expected = np.mean(same) if pairs else 0
    assert spread_lib.agreement(value, document) == pytest.approx(expected)


def test_what_one_document_repeats_is_no_agreement():
    value, document = np.array([5] * 27 + [1, 2, 3]), np.array([0] * 27 + [1, 2, 3])
    assert spread_lib.agreement(value, document) == 0
    assert spread_lib.agreement(np.full(30, 5), document) == 1


@pytest.mark.parametrize("n_documents", [1, 2, 9])
def test_kinship_is_the_mean_product_of_pairs(n_documents):
    rng = np.random.default_rng(0)
    vectors, document = rng.normal(size=(30, 4)), rng.integers(0, n_documents, 30)
    pairs = _pairs(document)
    expected = np.mean([vectors[i] @ vectors[j] for i, j in pairs]) if pairs else 0
    assert kinship.between_groups(vectors, document) == pytest.approx(expected)


@pytest.mark.parametrize("power", [1, 3])
def test_unevenness_is_the_distance_of_kolmogorov_and_smirnov(power):
    place = np.random.default_rng(power).random(50) ** power
    expected = scipy.stats.kstest(place, "uniform").statistic - 1 / 100
    assert spread_lib.unevenness(place) == pytest.approx(expected)


def test_equal_activations_are_even():
    values = np.random.default_rng(0).exponential(size=200).astype(np.float32)
    equal = [np.full(n, value) for n, value in enumerate(values, start=3)]
    for each in equal:
        assert spread_lib.evenness(each, largest=each[0]) <= 1
    assert spread_lib.evenness(np.float32([1, 3]), largest=4) == 0.5


def test_what_gathers_at_one_place_is_uneven():
    even = (np.arange(40) + 0.5) / 40
    assert spread_lib.unevenness(even[::-1]) == pytest.approx(0)
    assert spread_lib.unevenness(np.zeros(40)) == pytest.approx(1 - 1 / 80)


def test_few_documents_are_those_with_most_firings():
    document = np.array([7] * 5 + [1] * 2 + [3] * 2 + [4])
    assert spread_lib.share_in_few(document) == pytest.approx(0.9)
    assert spread_lib.share_in_few(np.array([2, 2])) == 1


def test_a_reader_knows_places_and_documents(toy_run):
    run = tfvis_jax.load_run(toy_run)
    reader = spread_lib.Reader(run.windows, run.examples)
    index, factor = 1, 5
    found = reader.spread(index, factor)
    drawn = firings_lib.draw(run.examples, index, factor, n=200)
    # [CLS] and [SEP] are no places of the text.
    assert run.windows.special_tokens
    inside = [
        (position - 0.5) / (run.windows.lengths[window] - 2)
        for window, position in zip(drawn.window, drawn.position, strict=True)
    ]
    assert min(inside) > 0 and max(inside) < 1
    assert found.position == pytest.approx(spread_lib.unevenness(np.array(inside)))
    top = run.examples.top(index, factor).window
    few = spread_lib.share_in_few(run.windows.documents[top])
    assert len(top) <= 200 and found.tip_few == pytest.approx(few)
