"""Stability: every figure against its definition; the script from run to tables."""

import json

import numpy as np
import pytest
import scipy.sparse
import scripts

from experiments import stability as script
from tfvis_jax import load_run
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching
from tfvis_jax.sparse_coding import metrics
from tfvis_jax.studies import by_document, equal_l0, text_rows
from tfvis_jax.studies.dictionaries import stability

RNG = np.random.default_rng(0)


def _codes(n=60, n_factors=8):
    codes = RNG.exponential(size=(n, n_factors)) * (RNG.random((n, n_factors)) < 0.3)
    codes[:, 3] = 0
    return np.float32(codes)


def test_top_words_have_the_most_activation():
    codes, word = _codes(), RNG.integers(0, 9, size=60)
    mass = stability.word_mass(scipy.sparse.csr_array(codes), word)
    expected = np.array([codes[word == w].sum(axis=0) for w in range(9)])
    np.testing.assert_allclose(mass.toarray(), expected, rtol=1e-5)
    for factor, found in enumerate(stability.top_words(mass, n=4)):
        order = np.argsort(-expected[:, factor])[:4]
        assert found == {w for w in order.tolist() if expected[w, factor] > 0}
    assert stability.top_words(mass)[3] == frozenset()
    share = expected.max(axis=0) / np.maximum(expected.sum(axis=0), 1e-30)
    for name, value in zip(stability.word_class(mass), share, strict=True):
        assert name == (
            "one word" if value >= 0.5 else "some words" if value >= 0.1 else "no word"
        )


def test_overlap_of_words():
    a, b = frozenset({1, 2, 3, 4}), frozenset({3, 4, 5})
    assert stability.overlap(a, b) == 0.5
    assert stability.overlap(a, a) == 1
    assert stability.overlap(a, frozenset()) == 0
    assert np.isnan(stability.overlap(frozenset(), frozenset()))


def _unit(rows):
    return np.float32(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def planted():
    """Four dictionaries: six factors in all, two in three, two in one alone."""
    common, half = RNG.normal(size=(6, 40)), RNG.normal(size=(2, 40))
    dictionaries, orders = [], []
    for number in range(4):
        own = RNG.normal(size=(2 if number < 3 else 4, 40))
        parts = [common, half, own] if number < 3 else [common, own]
        rows = _unit(np.concatenate(parts))
        rows = _unit(rows + 0.02 * RNG.normal(size=rows.shape))
        order = RNG.permutation(len(rows))
        dictionaries.append(rows[order])
        orders.append(order)
    return dictionaries, orders


def test_factors_are_found_as_often_as_they_were_planted(planted):
    dictionaries, orders = planted
    for number, (times, order) in enumerate(
        zip(stability.found_again(dictionaries), orders, strict=True)
    ):
        expected = [4] * 6 + ([3, 3, 1, 1] if number < 3 else [1] * 4)
        np.testing.assert_array_equal(times, np.array(expected)[order])


@pytest.mark.parametrize(("least", "n_groups"), [(2, 8), (3, 8), (4, 6)])
def test_groups_are_the_planted_ones(planted, least, n_groups):
    dictionaries, orders = planted
    groups = stability.clusters(dictionaries, least=least)
    assert len(groups) == n_groups
    for group in groups:
        owners = [number for number, _ in group]
        assert len(owners) == len(set(owners)) >= least
        assert len({int(orders[number][factor]) for number, factor in group}) == 1
    members = [member for group in groups for member in group]
    assert len(members) == len(set(members))
    mean = stability.consensus(dictionaries, groups)
    for direction, group in zip(mean, groups, strict=True):
        total = sum(dictionaries[number][factor] for number, factor in group)
        np.testing.assert_allclose(
            direction, total / np.linalg.norm(total), rtol=1e-5, atol=1e-6
        )
    filled = stability.fill(mean, dictionaries[0], groups)
    assert filled.shape == dictionaries[0].shape
    # Nothing is lost: each factor of the first is there, as itself or as the mean.
    assert matching.nearest(dictionaries[0], filled).cosine.min() > 0.95


def test_groups_need_dictionaries(planted):
    with pytest.raises(InputError, match="2 to 4 dictionaries, got 5"):
        stability.clusters(planted[0], least=5)


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


@pytest.fixture(scope="module")
def rows(run):
    windows = run.windows
    return text_rows.gather(
        run.opened, run.trained, windows, windows.train, count=300, seed=1
    )


def test_rows_are_hidden_states_of_the_tokens_they_name(run, rows):
    assert len(rows) == 300 and rows.layers == (0, 1, 2)
    # The same tokens at every layer.
    places = np.stack([rows.window, rows.position]).reshape(2, 3, 100)
    assert (places == places[:, :1]).all()
    assert len(set(zip(*places[:, 0].tolist(), strict=True))) == 100
    windows = run.windows
    for row in (0, 57, 130, 299):
        window = rows.window[row]
        layer = int(rows.layer[row])
        states = run.opened.pretrained.encoder(
            windows.token_ids([window]), windows.token_mask([window]), layers=(layer,)
        )
        state = np.asarray(states)[0, :, rows.position[row]]
        expected = run.trained.rows(state, layer)[0]
        np.testing.assert_allclose(rows.x[row], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            run.trained.hidden_states(rows.x[row][None], layer),
            state,
            rtol=1e-4,
            atol=1e-4,
        )
        assert rows.document[row] == windows.documents[window]
        words = windows.words(window)
        text = words.texts[words.of_position[rows.position[row]]]
        assert rows.words[rows.word[row]] == text.casefold()
    assert windows.row_mask(rows.window)[np.arange(300), rows.position].all()


def test_layers_are_spread():
    assert text_rows.spread_layers(range(7), 3) == (0, 3, 6)
    assert text_rows.spread_layers((2, 5), 3) == (2, 5)


def test_errors_at_equal_l0_are_those_of_the_metrics(run, rows):
    factors = run.trained.factors
    found = equal_l0.encode(factors, rows, target_l0=4, solver=run.config.solver)
    # L0 of so few rows moves in jumps.
    assert found.l0 == pytest.approx(4, rel=0.1)
    codes, directions = found.codes.toarray(), run.trained.directions
    np.testing.assert_allclose(
        found.shrunken_error,
        np.sum((rows.hidden - codes @ directions) ** 2, axis=1),
        rtol=1e-3,
        atol=1e-5,
    )
    assert (found.error <= found.shrunken_error + 1e-5).all()
    resampled = by_document.Resampled(rows.document, n_resamples=20)
    totals = []
    for layer in range(3):
        at = rows.layer == layer
        total = metrics.ReconstructionTotals.zeros(d_model=16, n_factors=24)
        total += metrics.row_sums(
            rows.hidden[at],
            codes[at],
            rows.hidden[at] - codes[at] @ directions,
            valid=np.ones(at.sum(), bool),
        )
        totals.append(total)
    fvu = equal_l0.fvu(found.shrunken_error, rows, resampled)
    assert fvu.value == pytest.approx(metrics.figures(totals).fvu, rel=1e-4)
    # Silent factors change nothing.
    filled = equal_l0.encode(
        factors, rows, target_l0=4, solver=run.config.solver, n_factors=30
    )
    assert filled.codes.shape == (300, 30)
    # The solver's tolerance of 1e-3 decides on the smallest codes.
    assert filled.codes.nnz == pytest.approx(found.codes.nnz, rel=0.02)
    assert not (filled.codes.indices >= 24).any()


def test_the_script_writes_claims(toy_run, light_labels, tmp_path, capsys):
    out = tmp_path / "stability.json"
    given = {"run": toy_run, "out": out, "rows": 900, "held_out": 300}
    given |= {"n_factors": 16, "sizes": [8], "l0": 3, "passes": 1, "resamples": 20}
    given |= {"labels": light_labels}
    scripts.run(script, **given, least=2, cosine=0.3)
    document = json.loads(out.read_text())
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith(out.with_suffix(".md").read_text().rstrip())
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    names = [each["name"] for each in document["compared"]]
    assert names == [
        *("seeds", "halves", "sample factors", "random directions"),
        *("16 and 8 factors", "shuffled pairs"),
    ]
    assert sum(document["counts"]) == 48
    assert len(document["claims"]) == 7
    assert document["labelled"]["n_labels"] == 60
    assert "probe, all codes" in printed
    for each in document["explained"]:
        assert list(each["tells"]) == ["1", "5", "all"]
    of_seeds = document["compared"][0]
    assert of_seeds["n_pairs"] == 48
    # Matching one to one cannot be nearer than the nearest.
    assert of_seeds["cosine"][0] <= min(of_seeds["nearest"])
    by_kind = {}
    for each in document["classes"]:
        by_kind[each["kind"]] = by_kind.get(each["kind"], 0) + each["n_pairs"]
    assert by_kind == {"strongest layer": 48, "words": 48}
    with pytest.raises(SystemExit, match="found in 2 to 3 of 3 seeds, got 4"):
        scripts.run(script, **given, least=4)
