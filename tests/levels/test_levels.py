"""Test the rule of levels on constructed evidence, and the counts of word forms."""

import collections
import dataclasses

import many_scripts
import numpy as np
import pytest

from tfvis_jax import config
from tfvis_jax.data import build_windows
from tfvis_jax.errors import InputError
from tfvis_jax.examples import stored
from tfvis_jax.levels import context_shares, level_file, rule, word_forms

_EARLY = [5, 4, 3, 2, 1, 1, 1]
_MIDDLE = [1, 1, 4, 5, 3, 2, 2]
_LATE = [0, 0, 0, 1, 1, 2, 9]
# Share of α within each radius of `context_shares.RADII`.
_ALONE = np.linspace(0.95, 1, len(context_shares.RADII))
_NEARBY = np.array([0.1, *[0.97] * (len(context_shares.RADII) - 1)])
_DISTANT = np.array([0.1, *[0.6] * (len(context_shares.RADII) - 1)])


def _evidence(*, curve=_MIDDLE, forms=1.0, shares=_ALONE, firing=50, n_layers=7):
    return rule.Evidence(
        layers=tuple(range(0, 2 * n_layers, 2)),
        importance=np.array(curve[:n_layers], np.float32),
        firing=np.full(n_layers, firing) if np.ndim(firing) == 0 else np.array(firing),
        forms=word_forms.WordForms(forms, 0, 1 / forms, "left"),
        shares=shares,
    )


@pytest.mark.parametrize(
    ("changes", "name", "reasons"),
    [
        ({"curve": _EARLY}, "low", ["A word", "all 'left'", "keeps 95% of α"]),
        # A word that fires in the last layers only is still a word.
        ({"curve": _LATE}, "low", ["A word"]),
        (
            {"curve": _MIDDLE, "forms": 15.0, "shares": _NEARBY},
            "mid",
            ["More than a word", "about 15 words", "nearby", "97% of α", "at layer 4"],
        ),
        (
            {"curve": _LATE, "forms": 15.0, "shares": _DISTANT},
            "high",
            ["More than a word", "Long range", "60% of α", "at layer 12"],
        ),
        ({"forms": 15.0, "shares": None}, "mid", ["has not been measured"]),
        ({"shares": None}, "low", ["has not been measured"]),
        ({"curve": _LATE, "forms": 16.0, "shares": None}, "high", ["been measured"]),
        (
            {"forms": 4.0, "shares": None},
            "unclear",
            ["Between a word and more than a word"],
        ),
        ({"firing": 0}, "unclear", ["dead"]),
        ({"firing": 19}, "unclear", ["19 tokens"]),
        ({"n_layers": 2}, "unclear", ["three layers"]),
    ],
)
def test_each_level_is_reached_for_its_reasons(changes, name, reasons):
    level = rule.judge(_evidence(**changes))
    assert level.name == name
    for reason in reasons:
        assert reason in level.reason
    assert (level.score >= 0.5) == (name != "unclear")


def test_between_pattern_and_long_range_a_factor_is_unclear():
    # Onset at the last layer and all of α nearby: reach is 0.5.
    shares = np.array([0.0, *[1.0] * (len(context_shares.RADII) - 1)])
    level = rule.judge(_evidence(curve=_LATE, forms=16.0, shares=shares))
    assert level.name == "unclear"
    assert "Between a pattern and long range" in level.reason


def test_a_stray_token_decides_neither_onset_nor_peak():
    firing = np.array([1, 0, 0, 0, 0, 900, 900])
    curve = np.array([9, 0, 0, 0, 0, 2, 5])
    evidence = _evidence(curve=curve, firing=firing, forms=16.0, shares=_DISTANT)
    assert rule.judge(evidence).name == "high"
    assert rule.peaks(curve[:, None], firing[:, None]) == [6]
    # If no layer has enough tokens, all layers count.
    assert rule.peaks(curve[:, None], np.minimum(firing, 3)[:, None]) == [0]


def _brute_force(token_id, document):
    """Entropy of the forms of distinct (document, form) pairs, by its definition."""
    pairs = set(zip(document.tolist(), token_id.tolist(), strict=True))
    count = collections.Counter(form for _, form in pairs)
    share = np.array(list(count.values()), np.float64) / len(pairs)
    return 2 ** float(-(share * np.log2(share)).sum()), count.most_common(1)[0]


def test_forms_equal_brute_force():
    rng = np.random.default_rng(0)
    for size in (1, 2, 30):
        token_id, document = rng.integers(0, 7, size), rng.integers(0, 4, size)
        found = word_forms.of_tokens(token_id, document)
        effective, (form, count) = _brute_force(token_id, document)
        np.testing.assert_allclose(found.effective, effective, rtol=1e-12)
        n_pairs = len(set(zip(document.tolist(), token_id.tolist(), strict=True)))
        np.testing.assert_allclose(found.share, count / n_pairs)
        # Any of the equally frequent forms is correct.
        of_commonest = np.unique(document[token_id == token_id[found.commonest]])
        assert len(of_commonest) == count and form is not None


def test_a_document_that_repeats_a_word_counts_it_once():
    one_word = word_forms.of_tokens(np.full(30, 5), np.arange(30) % 3)
    assert one_word.effective == 1 and one_word.share == 1
    # One article repeats a name 27 times: the name is one of four forms.
    token_id = np.array([5] * 27 + [1, 2, 3])
    article = word_forms.of_tokens(token_id, np.zeros(30, np.int64))
    np.testing.assert_allclose(article.effective, 4)


def test_spellings_of_a_word_are_one_form_with_one_name(tmp_path):
    tokenizer = many_scripts.save_tokenizer(tmp_path / "tokenizer")
    spellings = ["1 b\u00e1b", "2 ba\u0301b", "1 2 b\u00e1b"]
    for number, text in enumerate(spellings):
        (tmp_path / f"{number}.txt").write_text(text)
    built = build_windows.build(
        tmp_path / "tokens",
        config.CorpusConfig(
            paths=tuple(str(tmp_path / f"{n}.txt") for n in range(len(spellings))),
            clean=False,
            fold_near_copies=False,
        ),
        tokenizer=tokenizer,
    )
    # The second token of the last word of each window, "##ab".
    position = built.lengths - 2
    for order in (np.arange(3), np.arange(3)[::-1]):
        examples = dataclasses.replace(
            _examples(),
            window_length=built.window_length,
            window=order[None, None],
            position=position[order][None, None],
            activation=np.ones((1, 1, 3)),
        )
        [found] = word_forms.of_examples(built, examples, peaks=np.zeros(1, np.int64))
        assert found is not None
        assert (found.effective, found.word) == (1, "\u00e1b")


def _examples(*, seed=0, n_factors=3):
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 9, (2, 2, n_factors, 20)).astype(np.int32)
    return stored.Examples(
        **{
            **dict.fromkeys(stored.Examples.__dataclass_fields__),
            "window": places[0],
            "position": places[1],
            "firing": np.ones((2, n_factors), np.int64),
            "dictionary_hash": "abc",
        }
    )


def test_what_was_measured_is_read_back(tmp_path):
    path, examples = tmp_path / "rule.json", _examples()
    shares = np.random.default_rng(1).uniform(size=(3, len(context_shares.RADII)))
    shares[1] = np.nan  # a dead factor
    level_file.save(path, level_file.Measured(shares, 4), examples)
    found = level_file.load(path, examples)
    # The file keeps four decimals.
    np.testing.assert_allclose(found.shares, shares, atol=5e-5)
    assert found.per_factor == 4
    assert [p.name for p in tmp_path.iterdir()] == ["rule.json"]


def test_what_belongs_to_something_else_is_refused(tmp_path):
    path, examples = tmp_path / "rule.json", _examples()
    with pytest.raises(InputError, match="tfvis levels"):
        level_file.load(path, examples)
    shares = np.zeros((3, len(context_shares.RADII)))
    level_file.save(path, level_file.Measured(shares, 4), examples)
    other = _examples()
    object.__setattr__(other, "dictionary_hash", "def")
    with pytest.raises(InputError, match="another dictionary"):
        level_file.load(path, other)
    with pytest.raises(InputError, match="other examples"):
        level_file.load(path, _examples(seed=1))
    with pytest.raises(InputError, match="damaged"):
        level_file.load(path, _examples(n_factors=4))
    for text, message in (
        ('{"schema": "other"}', "schema"),
        ("[]", "damaged: Expected `object`, got `array`"),
        ("{", "not JSON"),
        (path.read_text().replace('"radii"', '"rings"'), "damaged"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            level_file.load(path, examples)
