"""Copies are found whatever their spelling, and different texts are none."""

import itertools
import unicodedata

import hypothesis
import numpy as np
import pytest
import timing
from hypothesis import strategies as st

from tfvis_jax.data import copies

_VOCABULARY = np.array([f"word{i}" for i in range(500)])

TEXT = st.text(
    st.sampled_from("aZéêÉñ字कािüßΣσς.,-!?()☃ \n\t\u00ad\u200d")
    | st.characters(codec="utf-8"),
    max_size=40,
)


def _random_words(rng, n):
    return rng.choice(_VOCABULARY, n).tolist()


def _edited(rng, words, *, n_edits):
    """Replaces, inserts or removes words at random places."""
    words = list(words)
    for _ in range(n_edits):
        place = int(rng.integers(len(words)))
        kind = rng.integers(3)
        if kind < 2:
            words[place : place + int(kind)] = [f"new{rng.integers(10**6)}"]
        elif len(words) > 1:
            del words[place]
    return words


def _jaccard(one, other):
    a, b = ({tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in (one, other))
    return len(a & b) / len(a | b)


def _group(*texts, near=True):
    return copies.group(copies.fingerprints(texts), near=near)


@hypothesis.given(TEXT, st.randoms(use_true_random=False))
def test_spelling_does_not_matter(text, random):
    if not any(character.isalnum() for character in text):
        return
    words = copies.normalise(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert copies.normalise(unicodedata.normalize(form, text)) == words
    # Of a few letters, upper case is another letter, not another case.
    for other in (text.casefold(), text.swapcase(), text.title()):
        if other.casefold() == text.casefold():
            assert copies.normalise(other) == words
    spaces = ["  ", "\n", "\u00a0", ", ", " - ", " «"]
    spelled = "".join(random.choice(spaces) if c.isspace() else c for c in text)
    assert copies.normalise(spelled) == words
    assert copies.normalise(f"“{text}”!") == words
    assert copies.normalise(words) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café au lait", "CAFE\u0301 AU LAIT!"),
        ("co\u00adoperate", "cooperate"),
        ("नमस्ते", "न\u200dमस्ते"),
        ("東京都 は首都。", "東京都は首都"),
        ("１２３ ｆｕｌｌ", "123 full"),
        ("STRASSE", "straße"),
        ("...", " ... "),
    ],
)
def test_the_same_words(one, other):
    groups = _group(one, other)
    assert groups.is_first.tolist() == [True, False]
    assert (groups.num_exact, groups.num_near) == (1, 0)
    assert groups.key[0] == groups.key[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("कि", "का"),  # Vowel signs are part of a word.
        ("a b", "ab"),
        ("...", "!!!"),
        ("☃", "☂"),
        ("", "a"),
        ("3 5", "35"),
        ("resume", "résumé"),
    ],
)
def test_other_words(one, other):
    assert _group(one, other).is_first.all()


def test_estimates_are_those_of_the_jaccard_similarity():
    rng = np.random.default_rng(0)
    errors = []
    for n_edits in range(0, 60):
        words = _random_words(rng, 400)
        other = _edited(rng, words, n_edits=n_edits)
        a, b = copies.fingerprints([" ".join(words), " ".join(other)])["signature"]
        errors.append((a == b).mean() - _jaccard(words, other))
    # Each is the mean of 64 draws: a standard deviation of 1/16 at most.
    assert np.abs(errors).max() < 4 / 16
    assert np.std(errors) < 1.3 / 16
    assert abs(np.mean(errors)) < 4 / 16 / np.sqrt(len(errors))


@pytest.mark.parametrize(("changed", "share"), [(0.01, 1.0), (0.02, 0.95)])
def test_texts_with_few_words_changed_are_near_copies(changed, share):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(100):
        words = _random_words(rng, 300)
        other = _edited(rng, words, n_edits=round(changed * 300))
        found.append(_group(" ".join(words), " ".join(other)).num_near)
    assert np.mean(found) >= share


def test_texts_with_many_words_changed_are_not():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(100):
        words = _random_words(rng, 300)
        other = _edited(rng, words, n_edits=30)
        found.append(_group(" ".join(words), " ".join(other)).num_near)
    assert np.mean(found) <= 0.01


def test_near_copies_are_found_among_texts_of_one_template():
    """Many texts that share half of their words fill the same buckets."""
    rng = np.random.default_rng(3)
    template = _random_words(rng, 150)
    texts = [template + _random_words(rng, 150) for _ in range(400)]
    near = [_edited(rng, texts[i], n_edits=2) for i in range(0, 400, 20)]
    groups = _group(*(" ".join(words) for words in (*texts, *near)))
    assert groups.num_near == len(near)
    np.testing.assert_array_equal(groups.key[400:], groups.key[:400:20])


def test_short_texts_are_copies_only_if_they_are_exact():
    words = [f"w{i}" for i in range(20)]
    other = [*words[:-1], "other"]
    assert _group(" ".join(words), " ".join(other)).is_first.all()
    assert _group(" ".join(words), " ".join(words).upper()).num_exact == 1


def test_without_near_copies_only_exact_ones_are_found():
    rng = np.random.default_rng(4)
    words = _random_words(rng, 300)
    texts = [" ".join(words), " ".join(_edited(rng, words, n_edits=1))]
    assert _group(*texts, near=False).is_first.all()
    assert _group(*texts, near=True).num_near == 1


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(
    st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 12), st.booleans()
)
def test_order_does_not_matter(seed, n, n_copies, near):
    rng = np.random.default_rng(seed)
    texts = [_random_words(rng, int(rng.integers(1, 200))) for _ in range(n)]
    for _ in range(n_copies):
        of = texts[int(rng.integers(len(texts)))]
        # One edit in a hundred words, at most.
        texts.append(_edited(rng, of, n_edits=int(rng.integers(len(of) // 100 + 1))))
    texts = [" ".join(words) for words in texts]
    order = rng.permutation(len(texts))
    groups = _group(*texts, near=near)
    shuffled = _group(*(texts[i] for i in order), near=near)
    np.testing.assert_array_equal(shuffled.key, groups.key[order])
    assert (shuffled.num_exact, shuffled.num_near) == (
        groups.num_exact,
        groups.num_near,
    )
    # The first of each group, and no other.
    assert groups.is_first.sum() == len(set(groups.key.tolist()))
    for key in set(groups.key.tolist()):
        assert groups.is_first[np.flatnonzero(groups.key == key)[0]]
    assert len(texts) == groups.is_first.sum() + groups.num_exact + groups.num_near


def test_fingerprints_do_not_depend_on_the_texts_around(monkeypatch):
    rng = np.random.default_rng(5)
    texts = [" ".join(_random_words(rng, n)) for n in (1, 50, 300, 24, 23, 60, 700)]
    together = copies.fingerprints(texts)
    np.testing.assert_array_equal(
        together, np.concatenate([copies.fingerprints([text]) for text in texts])
    )
    monkeypatch.setattr(copies, "_CHARS_AT_ONCE", 500)
    np.testing.assert_array_equal(together, copies.fingerprints(texts))
    assert together.dtype == copies.FINGERPRINT and together.itemsize == 141


def test_time_is_linear_in_the_number_of_documents():
    rng = np.random.default_rng(6)
    words = rng.choice(_VOCABULARY, (100_000, 30))
    # About 3 s; comparing all pairs would take an hour.
    with timing.at_most(30):
        prints = copies.fingerprints(" ".join(each) for each in words)
        assert copies.group(prints, near=True).is_first.all()
        # All in one bucket of a band, as texts of one template are.
        prints["signature"] = rng.integers(2**16, size=prints["signature"].shape)
        prints["signature"][:, :4] = 7
        assert copies.group(prints, near=True).is_first.all()


def test_near_copies_of_near_copies_belong_to_one_group():
    rng = np.random.default_rng(7)
    texts = [_random_words(rng, 200)]
    for _ in range(30):
        texts.append(_edited(rng, texts[-1], n_edits=1))
    assert _jaccard(texts[0], texts[-1]) < 0.6
    groups = _group(*(" ".join(words) for words in texts))
    assert groups.num_near == 30 and groups.is_first.tolist() == [True] + [False] * 30
    neighbours = itertools.pairwise(groups.key.tolist())
    assert all(one == other for one, other in neighbours)
