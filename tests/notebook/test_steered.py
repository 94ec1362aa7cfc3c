"""Steering one text, against its definition step by step in float64."""

import json

import numpy as np
import pytest
import scipy.special

from tfvis_jax import cli, load_run
from tfvis_jax.errors import InputError

TEXT = "the bank of a river and the light"


@pytest.fixture(scope="module")
def run(speaking_run):
    return load_run(speaking_run)


@pytest.fixture(scope="module")
def silent(toy_run):
    return load_run(toy_run)


def _active(run, layer):
    """Returns the factor that fires most at a layer of the text, and its codes."""
    encoded = run.encode(TEXT)
    codes = encoded.codes[encoded.layers.index(layer)]
    factor = int(codes.sum(axis=0).argmax())
    return factor, codes[:, factor]


def _by_hand(run, layer, factor, added, *, like=None):
    """Returns the last hidden states before and after, with special tokens."""
    encoder = run.opened.pretrained.encoder
    tokenizer = run.opened.tokenizer
    ids = tokenizer.encode(TEXT).ids
    ids = np.array([[*tokenizer.prefix, *ids, *tokenizer.suffix]], np.int32)
    mask = np.ones(ids.shape, bool)
    n_layers = run.opened.pretrained.config.n_layers
    hidden, before = np.array(encoder(ids, mask, layers=(layer, n_layers)))
    one = run.trained.of_layers([layer])
    direction = np.float64(one.directions[factor])
    if like is not None:
        norm = np.linalg.norm(one.directions[like])
        direction *= norm / np.linalg.norm(direction)
    hidden[0, 1:-1] += np.float32(one.layer_scale[0] * np.outer(added, direction))
    return before[0], np.asarray(encoder.from_layer(hidden, mask, start=layer))[0]


def _log_shares(run, final):
    model = run.predicting.pretrained.language_model
    logits = np.asarray(model.logits(final[None, 1:-1]), np.float64)[0]
    return scipy.special.log_softmax(logits, axis=-1)


@pytest.mark.parametrize("by", [None, 0.7])
def test_predictions_are_those_of_the_changed_states(run, by):
    factor, alpha = _active(run, 1)
    found = run.steer(TEXT, factor=factor, layer=1, by=by, ablate=by is None)
    np.testing.assert_allclose(found.activation, alpha, atol=1e-4)
    expected = -found.activation if by is None else np.full(len(alpha), by)
    np.testing.assert_allclose(found.added, expected)
    before, after = _by_hand(run, 1, factor, expected)
    old, new = (_log_shares(run, each) for each in (before, after))
    kl = np.sum(np.exp(old) * (old - new), axis=-1)
    # Predictions of float32, windows padded to another length.
    np.testing.assert_allclose(found.predictions.kl, kl, rtol=2e-3, atol=1e-5)
    pieces = run.opened.tokenizer.pieces
    for place, words in enumerate(found.predictions.after):
        shares = np.exp(new[place])
        found_shares = [share for _, share in words]
        np.testing.assert_allclose(found_shares, np.sort(shares)[:-6:-1], rtol=1e-3)
        # Each word has its own share: those whose shares are as near may change places.
        assert len({word for word, _ in words}) == 5
        own = [shares[pieces.index(word)] for word, _ in words]
        np.testing.assert_allclose(found_shares, own, rtol=1e-3)
    assert found.similarity is None


def test_controls_move_each_token_as_far(run):
    factor, _ = _active(run, 1)
    found = run.steer(TEXT, factor=factor, layer=1, by=0.5, n_controls=6, seed=3)
    assert len(set(found.controls.tolist())) == 6 and factor not in found.controls
    for number, control in enumerate(found.controls.tolist()):
        before, after = _by_hand(run, 1, control, found.added, like=factor)
        old, new = (_log_shares(run, each) for each in (before, after))
        kl = np.sum(np.exp(old) * (old - new), axis=-1)
        np.testing.assert_allclose(
            found.predictions.control_kl[number], kl, rtol=2e-3, atol=1e-5
        )
    again = run.steer(TEXT, factor=factor, layer=1, by=0.5, n_controls=6, seed=3)
    np.testing.assert_array_equal(found.controls, again.controls)


def test_words_and_tokens_are_chosen(run):
    factor, _ = _active(run, 1)
    settings = {"factor": factor, "layer": 1, "by": 1.0, "n_controls": 0}
    found = run.steer(TEXT, tokens=["The", 3], **settings)
    assert np.flatnonzero(found.added).tolist() == [0, 3, 6]
    assert (found.relative_size > 0).tolist() == (found.added != 0).tolist()
    masked = run.steer(TEXT, masked=["bank"], **settings)
    assert masked.tokens[1] == "[MASK]" and masked.text == TEXT
    assert masked.predictions.control_kl.shape == (0, len(masked.tokens))
    assert "[MASK]" in masked._repr_html_()


def test_embeddings_without_a_head(silent):
    factor, _ = _active(silent, 1)
    found = silent.steer(
        TEXT, factor=factor, layer=1, ablate=True, beside=["a red house"], n_controls=4
    )
    assert found.predictions is None
    before, after = _by_hand(silent, 1, factor, found.added)
    means = [
        each.mean(axis=0) / np.linalg.norm(each.mean(axis=0))
        for each in (before, after)
    ]
    np.testing.assert_allclose(
        found.similarity.after[0], means[0] @ means[1], rtol=1e-4
    )
    np.testing.assert_allclose(found.similarity.before[0], 1, rtol=1e-5)
    assert found.similarity.control.shape == (4, 2)
    effect, others = found.effects()
    assert effect == pytest.approx(1 - means[0] @ means[1], abs=1e-5)
    np.testing.assert_allclose(others, 1 - found.similarity.control[:, 0])
    assert found.similarity.sentences == (TEXT, "a red house")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"by": 1.0, "ablate": True}, "ablate=True"),
        ({}, "Expected an amount"),
        ({"by": np.nan}, "finite amount"),
        ({"by": 1.0, "tokens": ["absent"]}, "got 'absent'"),
        ({"by": 1.0, "tokens": [99]}, "got 99"),
        ({"by": 1.0, "tokens": []}, "got none"),
        ({"by": 1.0, "layer": 9}, "Expected layers out of"),
        ({"by": 1.0, "factor": 99}, "Expected a factor"),
        # Dead in the toy run.
        ({"by": 0.0}, "fires at none"),
    ],
)
def test_mistakes_are_named(silent, settings, message):
    given = {"factor": 3, "layer": 1, "n_controls": 1} | settings
    with pytest.raises(InputError, match=message):
        silent.steer(TEXT, **given)


def test_the_command(speaking_run, run, silent, toy_run, capsys):
    factor, _ = _active(run, 1)
    given = ["steer", str(speaking_run), TEXT, f"--factor={factor}", "--layer=1"]
    assert cli.main([*given, "--ablate", "--controls=3"]) == 0
    printed = capsys.readouterr().out
    assert f"Φ{factor}" in printed and "taken out of layer 1" in printed
    printed = " ".join(printed.split())
    assert "3, drawn at random, moved the same tokens as far" in printed
    found = run.steer(TEXT, factor=factor, layer=1, ablate=True, n_controls=3)
    less = np.mean(found.predictions.control_kl.sum(1) < found.predictions.kl.sum())
    assert f"changed more than {less:.0%} of them" in printed
    assert cli.main([*given, "--by=1", "--mask=bank", "--tokens=bank", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"][1] == "[MASK]" and np.count_nonzero(found["added"]) == 1
    assert len(found["predictions"]["after"][1]) == 5
    assert cli.main(given) == 2
    assert "either --by=AMOUNT or --ablate" in capsys.readouterr().err
    other = ["steer", str(toy_run), TEXT, "--factor=3", "--layer=1", "--by=1"]
    assert cli.main([*other, "--beside=a house", "--beside=the red bulb"]) == 0
    printed = capsys.readouterr().out
    assert "the text itself" in printed and "the red bulb" in printed
