"""Steering against its definition, and the script from labels to tables."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import scripts

from experiments import steering as script
from tfvis_jax import load_run, models, probing
from tfvis_jax.errors import InputError
from tfvis_jax.estimators import encode_rows
from tfvis_jax.evaluation import replacement
from tfvis_jax.runs import setup
from tfvis_jax.studies.steering import (
    steering,
    steering_study,
    steering_text,
    steering_words,
)
from tfvis_jax.studies.words import word_sets


@pytest.fixture(scope="module")
def run(speaking_run):
    return load_run(speaking_run)


@pytest.fixture(scope="module")
def opened(run):
    return setup.with_language_model(run.opened)


def test_the_head_is_on_the_encoder_that_is_open(opened, run):
    """None of its arrays are in memory twice, and logits are those of the file."""
    assert opened.pretrained.encoder is run.opened.pretrained.encoder
    model = opened.pretrained.language_model
    assert model.encoder is opened.pretrained.encoder
    loaded = models.load(opened.config.model, head=model.objective).language_model
    hidden = np.ones((1, 3, opened.pretrained.config.d_model), np.float32)
    np.testing.assert_array_equal(model.logits(hidden), loaded.logits(hidden))


@pytest.fixture(scope="module")
def subject(opened, run):
    return steering_study.subject_of(opened, run.trained)


@pytest.fixture(scope="module")
def cases(opened, run, subject):
    windows = opened.windows()
    return steering_text.draw(
        subject,
        run.trained,
        windows,
        windows.held_out,
        layer=1,
        solver=run.trained.solver(opened.config.solver),
        n_factors=5,
        n_windows=3,
    )


def _steer(opened, run, subject, cases, **settings):
    return steering.steer(
        subject,
        run.trained,
        cases,
        solver=run.trained.solver(opened.config.solver),
        **{"layer": 1} | settings,
    )


def _log_shares(opened, hidden, cases):
    logits = np.asarray(opened.pretrained.language_model.logits(hidden), np.float64)
    logits = np.take_along_axis(logits, cases.positions[:, :, None], axis=1)
    return np.asarray(jax.nn.log_softmax(np.float32(logits)), np.float64)


def _lead(log_shares):
    """Returns how far the likeliest word is ahead of the second one."""
    ordered = np.sort(log_shares, axis=2)
    return ordered[:, :, -1] - ordered[:, :, -2]


@pytest.mark.parametrize("add", [None, 0.7])
def test_effects_are_those_of_the_definition(opened, run, subject, cases, add):
    strengths = (0.5, 2.0)
    sets = steering.WordSets(*np.zeros((2, opened.tokenizer.vocab_size), bool))
    sets.first[10:20] = sets.second[20:25] = True
    found = _steer(
        opened, run, subject, cases, add=add, strengths=strengths, word_sets=sets
    )
    encoder, trained = opened.pretrained.encoder, run.trained
    scale = float(trained.layer_scale[1])
    states = np.asarray(encoder(cases.token_ids, cases.token_mask, layers=(1,)))[0]
    rows = trained.rows(states.reshape(-1, states.shape[-1]), 1)
    codes = _codes(run, rows).reshape(*states.shape[:2], -1)
    own = np.take_along_axis(codes, cases.factors[:, None, None], axis=2)[:, :, 0]
    amount = own if add is None else np.full_like(own, -add)
    amount = np.where(cases.steered, amount, 0)
    np.testing.assert_array_equal(found.n_changed, (amount != 0).sum(axis=1))
    before = _log_shares(
        opened, encoder.from_layer(states, cases.token_mask, start=1), cases
    )
    change = amount[:, :, None] * trained.directions[cases.factors][:, None]
    shift = 0
    for number, strength in enumerate(strengths):
        altered = np.float32(states - strength * scale * change)
        after = _log_shares(
            opened, encoder.from_layer(altered, cases.token_mask, start=1), cases
        )
        kl = np.sum(np.exp(before) * (before - after), axis=2)
        of_label = np.take_along_axis(after - before, cases.labels[:, :, None], axis=2)
        odds = [
            np.log(np.exp(each[:, :, sets.first]).sum(axis=2))
            - np.log(np.exp(each[:, :, sets.second]).sum(axis=2))
            for each in (before, after)
        ]
        # Two float32 programs, and λ's tolerance of 1e-3 in the codes.
        close = {"rtol": 5e-3, "atol": 2e-3}
        np.testing.assert_allclose(found.kl["factor"][number], kl, **close)
        np.testing.assert_allclose(
            found.log_share["factor"][number], of_label[:, :, 0], **close
        )
        np.testing.assert_allclose(
            found.odds["factor"][number], odds[1] - odds[0], **close
        )
        # The two likeliest words may change places within that tolerance.
        moved = np.abs(after - before).max(axis=2)
        nearly = 2 * (close["atol"] + close["rtol"] * moved)
        clear = np.minimum(_lead(before), _lead(after)) > nearly
        assert clear.mean() > 0.8
        np.testing.assert_array_equal(
            found.flipped["factor"][number][clear],
            (after.argmax(axis=2) != before.argmax(axis=2))[clear],
        )
        if number == 0:
            shift = (np.exp(after) - np.exp(before))[cases.counted].sum(axis=0)
    np.testing.assert_allclose(found.word_shift, shift, atol=2e-3)


def _codes(run, rows):
    """Codes of rows, from the estimator's own entry."""
    solver = run.trained.solver(run.config.solver)
    return encode_rows(
        np.float32(rows),
        run.trained.factors,
        l1_penalty=solver.l1_penalty,
        tolerance=solver.tolerance,
    ).codes


def test_strength_zero_changes_nothing_to_the_bit(opened, run, subject, cases):
    found = _steer(opened, run, subject, cases, strengths=(0.0,))
    for direction in steering.DIRECTIONS:
        assert not found.kl[direction].any()
        assert not found.log_share[direction].any()
        assert not found.flipped[direction].any()


def test_controls_are_of_the_same_size_at_the_same_tokens(opened, run, subject, cases):
    found = _steer(opened, run, subject, cases, strengths=(1.0,))
    assert found.size[:, 0].min() > 0
    # Without another active factor a token stays as it is; the toy has several.
    np.testing.assert_allclose(
        found.size, np.broadcast_to(found.size[:, :1], found.size.shape), rtol=1e-5
    )
    again = _steer(opened, run, subject, cases, strengths=(1.0,))
    np.testing.assert_array_equal(
        found.kl["random direction"], again.kl["random direction"]
    )
    other = _steer(opened, run, subject, cases, strengths=(1.0,), seed=1)
    np.testing.assert_array_equal(found.kl["factor"], other.kl["factor"])
    assert (found.kl["random direction"] != other.kl["random direction"]).any()


def test_removing_every_active_factor_leaves_the_residual(run):
    rng = np.random.default_rng(0)
    codes = np.float32(
        rng.exponential(size=(2, 3, 24)) * (rng.random((2, 3, 24)) < 0.3)
    )
    total = np.zeros((6, 16))
    steered = np.ones((2, 3), bool)
    for factor in range(24):
        changes = steering._changes(
            codes.reshape(6, 24),
            run.trained.directions,
            steered,
            np.full(2, factor),
            np.zeros(2, int),
            np.zeros((2, 16), np.float32),
            add=None,
        )
        total += np.asarray(changes[0], np.float64)
    np.testing.assert_allclose(
        total, -codes.reshape(6, 24) @ run.trained.directions, atol=1e-5
    )


def test_the_other_active_factor_is_the_nearest_in_size():
    dictionary = np.eye(4, dtype=np.float32)
    codes = np.float32([[0.5, 0.1, 0.45, 0.0], [0.5, 0, 0, 0]])
    changes = steering._changes(
        codes,
        dictionary,
        np.ones((1, 2), bool),
        np.array([0]),
        np.array([3]),
        np.ones((1, 4), np.float32),
        add=None,
    )
    np.testing.assert_array_equal(changes[0], [[-0.5, 0, 0, 0], [-0.5, 0, 0, 0]])
    np.testing.assert_array_equal(changes[1], [[0, 0, 0, -0.5], [0, 0, 0, -0.5]])
    np.testing.assert_array_equal(changes[3], [[0, 0, -0.5, 0], [0, 0, 0, 0]])


def test_controls_are_as_large_as_a_factor_of_any_norm():
    dictionary = np.float32([[2, 0, 0], [0, 0.5, 0], [0, 0, 3]])
    codes = np.float32([[0.5, 1.0, 0.4]])
    for add, size in ((None, 1.0), (0.25, -0.5)):
        changes = steering._changes(
            codes,
            dictionary,
            np.ones((1, 1), bool),
            np.array([0]),
            np.array([1]),
            np.float32([[0.6, 0.8, 0]]),
            add=add,
        )
        # The third factor moves the token by 1.2, the second by 0.5.
        other = [0, 0, 1] if add is None else [0, 1, 0]
        expected = [[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], other]
        np.testing.assert_allclose(changes[:, 0], -size * np.float32(expected))


def test_factors_are_drawn_where_they_fire(opened, run, subject, cases):
    found = _steer(opened, run, subject, cases, strengths=(1.0,))
    assert (found.n_changed > 0).all()
    assert len(np.unique(cases.factors)) == 5
    held_out = opened.windows().documents[opened.windows().held_out]
    assert np.isin(cases.documents, held_out).all()
    mask_id = opened.tokenizer.mask_id
    assert (cases.token_ids == mask_id).any()
    assert cases.row_mask[np.arange(len(cases))[:, None], cases.positions][
        cases.counted
    ].all()


@pytest.fixture(scope="module")
def tagged_folder(tmp_path_factory):
    """Twelve documents; "left" is a verb before "the", else an adjective."""
    folder = tmp_path_factory.mktemp("tagged")
    rng = np.random.default_rng(0)
    for number in range(12):
        lines = []
        for _ in range(6):
            if rng.random() < 0.5:
                lines.append("the/at bank/nn left/vbd the/at house/nn")
            else:
                lines.append("a/at left/jj hand/nn over/in the/at bench/nn")
            lines[-1] += f" {rng.choice(['red', 'blue'])}/jj mind/vb"
        (folder / f"ca{number:02}").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def found_word(opened, run, tagged_folder):
    labelled = probing.read_word_tags(tagged_folder).mapped(probing.coarse_tag)
    word = word_sets.part_of_speech(labelled, "left", ("verb",), positive="verb")
    return labelled, steering_words.find(opened, run.trained, word)


def test_a_factor_is_chosen_on_other_documents_than_it_is_steered_in(
    opened, found_word
):
    _, found = found_word
    training = set(found.documents[found.is_training].tolist())
    for place in (steering_words.BESIDE, steering_words.READ, steering_words.HIDDEN):
        cases = steering_words.cases(opened, found, 3, place=place)
        assert training.isdisjoint(cases.documents.tolist())
        read = np.take_along_axis(cases.token_ids, cases.positions, axis=1)
        mask_id = opened.tokenizer.mask_id
        assert ((read == mask_id) == (place != steering_words.READ)).all()
        pieces = np.array(opened.tokenizer.pieces)[cases.labels[:, 0]]
        around = {"bank", "the"} if place == steering_words.BESIDE else {"left"}
        assert set(pieces.tolist()) == around
        steered = cases.token_ids[cases.steered]
        hidden = place == steering_words.HIDDEN
        assert (np.array(opened.tokenizer.pieces)[steered] == "[MASK]").all() == hidden
        assert (cases.token_ids[:, 0] == opened.tokenizer.prefix[0]).all()
        last = cases.token_mask.sum(axis=1) - 1
        ends = cases.token_ids[np.arange(len(cases)), last]
        assert (ends == opened.tokenizer.suffix[0]).all()
    everything = steering_words.cases(
        opened, found, 3, place=steering_words.HIDDEN, positives_only=False
    )
    assert len(everything) == (~found.is_training).sum()
    share = found.is_positive[~found.is_training].mean()
    assert found.best.word_average_precision == pytest.approx(share)


def test_sure_words_are_always_or_never_of_the_class(opened, found_word):
    labelled, _ = found_word
    sets = steering_words.sure_words(labelled, "verb", opened.tokenizer)
    pieces = np.array(opened.tokenizer.pieces)
    assert set(pieces[sets.first].tolist()) == {"mind"}
    assert {"house", "bench", "the"} <= set(pieces[sets.second].tolist())
    assert "left" not in pieces[sets.first | sets.second]


def test_the_script_writes_claims(speaking_run, tagged_folder, tmp_path, capsys):
    out = tmp_path / "steering.json"
    given = {"run": speaking_run, "out": out, "factors": 4, "windows": 3}
    scripts.run(script, **given, brown=tagged_folder, resamples=20)
    document = json.loads(out.read_text())
    assert (
        capsys.readouterr()
        .out.rstrip()
        .endswith(out.with_suffix(".md").read_text().rstrip())
    )
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert len(document["claims"]) == 6 - (document["words"][0]["chosen"]["layer"] == 2)
    assert all(claim["controls"] for claim in document["claims"])
    places = {figure["place"] for figure in document["figures"]}
    assert places == {
        *("where it fires", "elsewhere in the window", "next to the word"),
        *("the word, read", "the word, hidden"),
    }
    # Above the last layer nothing is read by other tokens.
    last = [f for f in document["figures"] if f["layer"] == 2]
    assert all(f["kl"][0] == 0 for f in last if f["place"].startswith("elsewhere"))


def test_what_cannot_be_steered_is_said(
    toy_run, run, opened, speaking_run, subject, cases, tmp_path
):
    given = {"out": tmp_path / "steering.json"}
    with pytest.raises(SystemExit, match=r"masked language model head .*; .* has none"):
        scripts.run(script, run=toy_run, **given)
    with pytest.raises(SystemExit, match="layers out of"):
        scripts.run(script, run=speaking_run, layers=[7], **given)
    with pytest.raises(SystemExit, match="Expected strengths above 0"):
        scripts.run(script, run=speaking_run, strengths=[0, 1], **given)
    with pytest.raises(SystemExit, match="Expected --brown or --conllu, got both"):
        scripts.run(script, run=speaking_run, brown="a", conllu="b", **given)
    headless = dataclasses.replace(
        subject, pretrained=dataclasses.replace(subject.pretrained, language_model=None)
    )
    with pytest.raises(InputError, match="which has none"):
        _steer(opened, run, headless, cases)
    assert replacement.hide(headless, None) is None
