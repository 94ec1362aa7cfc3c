"""Words are the same in every spelling of a text, in all scripts."""

import itertools
import json
import pathlib
import tempfile
import unicodedata

import hypothesis
import many_scripts
import numpy as np
import pytest
from hypothesis import strategies as st
from many_scripts import LETTERS, MARKS, UNSPACED

from tfvis_jax import config
from tfvis_jax.data import build_windows, characters, cutting, windows, words

_cluster = st.tuples(
    st.one_of(*(st.sampled_from(letters) for letters in LETTERS.values())),
    st.lists(st.sampled_from(MARKS), max_size=3),
).map(lambda parts: parts[0] + "".join(parts[1]))
TEXTS = st.lists(_cluster, max_size=30).map("".join) | st.text(
    "".join(LETTERS.values()) + MARKS, max_size=40
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tokenizers")


@pytest.fixture(scope="module")
def uncased(folder):
    return many_scripts.save_tokenizer(folder / "uncased")


@pytest.fixture(scope="module")
def uncased_ideographs_joined(folder):
    return many_scripts.save_tokenizer(folder / "joined", handle_chinese_chars=False)


@pytest.fixture(scope="module")
def cased(folder):
    return many_scripts.save_tokenizer(
        folder / "cased", keeps_all=True, lowercase=False, strip_accents=False
    )


def _spellings(text):
    return unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)


def _clusters(text):
    """Returns the clusters of a text, by the definition and character by character."""
    found = []
    for char in text:
        after = found[-1][-1] if found else " "
        marks = unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf")
        # Skin tones, the vowels AM, vowels and finals of Hangul.
        marks |= (
            char in "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff\u0e33\u0eb3"
        )
        marks |= "HANGUL JUNGSEONG" in unicodedata.name(char, "")
        marks |= "HANGUL JONGSEONG" in unicodedata.name(char, "")
        joined = after == "\u200d" and char in LETTERS["emoji"]
        if (marks and not after.isspace()) or joined:
            found[-1] += char
        else:
            found.append(char)
    return found


def _bounds(text):
    return [0, *itertools.accumulate(len(cluster) for cluster in _clusters(text))]


def _words_by_hand(tokenizer, text):
    """Returns the spans of the words, from the words of the tokenizers library."""
    found = tokenizer.backend.encode(text, add_special_tokens=False)
    bounds = _bounds(text)
    spans, before, last = [], None, ""
    for (start, end), word in zip(found.offsets, found.word_ids, strict=True):
        start = max(place for place in bounds if place <= start)
        end = min(place for place in bounds if place >= end)
        if spans and start < spans[-1][1]:
            spans[-1][1] = max(end, spans[-1][1])
        elif word == before and not any(map(_is_unspaced, (text[start], last))):
            spans[-1][1] = end
        else:
            spans.append([start, end])
        before = word
        last = text[max(place for place in bounds if place < end)]
    return spans


def _is_unspaced(char):
    names = ("THAI", "MYANMAR", "CJK", "HIRAGANA", "KATAKANA")
    return any(name in unicodedata.name(char, "") for name in names)


def _is_mark(char):
    return char in MARKS or unicodedata.category(char) == "Cf"


def _spans(encoded):
    first = np.flatnonzero(encoded.starts_word)
    last = np.append(first[1:], len(encoded.ids))[: len(first)] - 1
    return np.stack([encoded.starts[first], encoded.ends[last]], 1).tolist()


def _check_words(tokenizer, text):
    """Checks the words of a text against brute force and their definition."""
    encoded = tokenizer.encode(text)
    spans, bounds = _spans(encoded), set(_bounds(text))
    assert spans == _words_by_hand(tokenizer, text)
    assert {*encoded.starts.tolist(), *encoded.ends.tolist()} <= bounds
    assert np.all(np.diff(encoded.starts) >= 0) and np.all(np.diff(encoded.ends) >= 0)
    # Each character is in one word, but for white space and what follows it unseen.
    covered = np.zeros(len(text), int)
    for start, end in spans:
        covered[start:end] += 1
    assert covered.max(initial=0) <= 1
    for place in np.flatnonzero(covered == 0).tolist():
        alone = text[:place].rstrip(MARKS)
        assert text[place].isspace() or (
            _is_mark(text[place]) and (not alone or alone[-1].isspace())
        )
    return [words.composed(text[start:end]) for start, end in spans]


@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(text=TEXTS, capacity=st.integers(1, 9))
@pytest.mark.parametrize("name", ["uncased", "uncased_ideographs_joined"])
def test_spellings_give_the_same_words_and_windows(name, text, capacity, request):
    tokenizer = request.getfixturevalue(name)
    composed, decomposed = _spellings(text)
    assert _check_words(tokenizer, composed) == _check_words(tokenizer, decomposed)
    first, second = tokenizer.encode(composed), tokenizer.encode(decomposed)
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.starts_word, second.starts_word)
    np.testing.assert_array_equal(
        cutting.window_boundaries(first, capacity=capacity),
        cutting.window_boundaries(second, capacity=capacity),
    )


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(text=TEXTS)
def test_words_of_a_cased_tokenizer(cased, text):
    for spelling in _spellings(text):
        _check_words(cased, spelling)


def test_a_cased_tokenizer_gives_spellings_other_tokens_but_the_same_words(cased):
    composed, decomposed = _spellings("b\u00e9a, \u304c\u304b a\u00f1b")
    first, second = cased.encode(composed), cased.encode(decomposed)
    # It does not normalise: \u00e9 is one piece, e with an accent are two.
    assert len(second.ids) > len(first.ids)
    expected = ["b\u00e9a", ",", "\u304c", "\u304b", "a\u00f1b"]
    assert _check_words(cased, composed) == expected
    assert _check_words(cased, decomposed) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafe\u0301 bab", ["café", "bab"]),
        ("ba\u00adb a\u200bb\ufeff", ["ba\u00adb", "a\u200bb\ufeff"]),
        ("बनाक नि", ["बनाक", "नि"]),
        ("👩\u200d👩\u200d👦 ❤\ufe0f 👦\U0001f3fd", None),
        ("1\ufe0f\u20e3 2", ["1\ufe0f\u20e3", "2"]),
        ("한국어 가", ["한국어", "가"]),
        ("بنك", ["بنك"]),
        # Scripts without spaces: the tokenizer's pieces, but whole clusters.
        ("กนานำแก", ["กน", "า", "นำ", "แ", "ก"]),
        ("ab12กน銀a", ["ab12", "กน", "銀", "a"]),
        ("銀行かはハン", ["銀", "行", "かは", "ハ", "ン"]),
        ("ကခ", ["က", "ခ"]),
    ],
)
def test_words_of_many_scripts(uncased, text, expected):
    for spelling in _spellings(text):
        assert _check_words(uncased, spelling) == (expected or text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "رفع البنك المركزي سعر الفائدة للمرة الثالثة هذا العام.",
            "رفع البنك المركزي سعر الفائدة للمرة الثالثة هذا العام .",
        ),
        (
            "Cafe\u0301 na\u0308ive e\u0301le\u0300ve Ho\u0302tel "
            "Z\u0351\u036b\u0343\u036aA\u0317L\u0353G\u0316O\u031a",
            "Caf\u00e9 n\u00e4ive \u00e9l\u00e8ve H\u00f4tel "
            "Z\u0351\u036b\u0343\u036aA\u0317L\u0353G\u0316O\u031a",
        ),
        (
            "बैंक ने इस वर्ष तीसरी बार ब्याज दर बढ़ाई।",
            "बैंक ने इस वर्ष तीसरी बार ब्याज दर बढ़ाई ।",
        ),
        (
            "중앙은행이 올해 세 번째로 금리를 인상했다.",
            "중앙은행이 올해 세 번째로 금리를 인상했다 .",
        ),
        (
            "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 "
            "\u2764\ufe0f great day \U0001f44d\U0001f3fd",
            None,
        ),
        (
            "ba\u200bnk ra\u200dised inte\u00adrest\ufeff ra\u2060te "
            "\u202egnirts desrever\u202c",
            # What turns the text before a word belongs to no word.
            "ba\u200bnk ra\u200dised inte\u00adrest\ufeff ra\u2060te "
            "gnirts desrever\u202c",
        ),
    ],
)
def test_sentences_of_many_scripts_with_words_that_the_vocabulary_lacks(
    uncased, text, expected
):
    expected = [
        unicodedata.normalize("NFC", word) for word in (expected or text).split()
    ]
    for spelling in _spellings(text):
        assert _check_words(uncased, spelling) == expected


@pytest.mark.parametrize(
    "text",
    [
        "银行在今年第三次提高了利率，以控制通货膨胀。人们担心房价会下跌。",
        "銀行は今年三回目の利上げを行いました。バンク",
        "ธนาคารแห่งประเทศไทยขึ้นอัตราดอกเบี้ยนโยบายเป็นครั้งที่สามในปีนี้ เพื่อควบคุมเงินเฟ้อ",
    ],
)
def test_sentences_without_spaces_are_whole_however_they_are_spelled(uncased, text):
    composed, decomposed = _spellings(text)
    found = _check_words(uncased, composed)
    assert found == _check_words(uncased, decomposed)
    assert "".join(found) == words.composed("".join(text.split()))


def test_a_continuation_after_white_space_begins_a_word():
    starts, ends, starts_word = words.locate(
        "ab\x00c d",
        np.array([0, 3, 5]),
        np.array([2, 4, 6]),
        continues=np.array([False, True, True]),
    )
    assert starts_word.tolist() == [True, False, True]
    assert starts.tolist() == [0, 3, 5]
    assert ends.tolist() == [3, 4, 6]


def test_clusters_are_those_of_unicode():
    regex = pytest.importorskip("regex")
    for text in (
        "e\u0301a\u0323\u0301 ख\u093cा कि กำ นั่ง 한국 \u1112\u1161\u11ab\u1100",
        "👩\u200d👩\u200d👧\u200d👦 👍🏽 ❤️‍🔥 🏳️‍🌈 1\ufe0f\u20e3 ｶﾞ か\u3099",
        "\U0001f9d1\U0001f3ff\u200d\U0001f680 \u0bb9\u0bcc က\u103c",
    ):
        found = characters.classify(text)
        assert found is not None
        starts = np.flatnonzero(found.cluster_start == np.arange(len(text))).tolist()
        assert starts == [match.start() for match in regex.finditer(r"\X", text)]
        ends = [*starts[1:], len(text)]
        assert found.cluster_end[np.array(starts) + 1].tolist() == ends
        assert [characters.cluster_end(text, start + 1) for start in starts] == ends


def test_letters_of_scripts_without_spaces_are_known():
    for script, letters in LETTERS.items():
        found = characters.classify(letters + "\u0301")
        assert found is not None
        expected = np.full(len(letters), script in UNSPACED)
        np.testing.assert_array_equal(found.is_unspaced[: len(letters)], expected)
    assert characters.classify("plain: caf\u00e9, na\u00efve, \u2603") is None


def _build(folder, texts, tokenizer, **settings):
    path = pathlib.Path(folder) / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return build_windows.build(
        pathlib.Path(folder) / "tokens",
        config.CorpusConfig(
            paths=(str(path),),
            clean=False,
            fold_near_copies=False,
            allow_unknown_tokens=True,
            **settings,
        ),
        tokenizer=tokenizer,
    )


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_windows_of_both_spellings_show_the_same(uncased, texts):
    # A document without a token would make no window, and a copy is left out.
    texts = [f"{number} {text} a" for number, text in enumerate(texts)]
    # Longer clusters are cut, and stand in both windows.
    decomposed = [unicodedata.normalize("NFD", text) for text in texts]
    longest = max(len(cluster) for text in decomposed for cluster in _clusters(text))
    hypothesis.assume(longest <= 5)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first, second = (
            _build(folder, spelling, uncased, window_length=7)
            for folder, spelling in zip(
                (one, two), zip(*map(_spellings, texts), strict=True), strict=True
            )
        )
        np.testing.assert_array_equal(first.lengths, second.lengths)
        for window in range(len(first)):
            _check_window(first, second, window)
        for built in (first, second):
            _check_texts(built, texts)


def _check_texts(built, texts):
    """Checks that the texts of the windows make up the documents."""
    rest = ["".join(built._read_text(0, n).split()) for n in range(len(texts))]
    for window in range(len(built)):
        document = built.document(window)
        text = "".join(built.spaced_texts(window))
        between, found, rest[document] = rest[document].partition("".join(text.split()))
        # What follows white space unseen belongs to no word.
        assert found and set(between) <= set(MARKS)
    assert not any(rest)


def _check_window(first, second, window):
    """Checks that two spellings of a window are shown in the same way."""
    one, two = first.words(window), second.words(window)
    assert one.texts == two.texts
    np.testing.assert_array_equal(one.is_spaced, two.is_spaced)
    np.testing.assert_array_equal(one.of_position, two.of_position)
    assert first.token_texts(window) == second.token_texts(window)
    for position in np.flatnonzero(one.of_position >= 0).tolist():
        context = first.context(window, position, before=2, after=2)
        assert context == second.context(window, position, before=2, after=2)
        assert context.word == one.texts[one.of_position[position]]
    whole = first.context(window, 1, before=0, after=len(one.texts))
    assert whole.word + whole.after == words.composed(
        "".join(first.spaced_texts(window))
    )


def test_windows_of_older_versions_show_the_same_words(uncased, tmp_path):
    texts = ["b\u0301ac\u0301b e\u0301", "한국 बऩाक\u094d", "\u304b\u3099\u306f\u3099"]
    built = _build(tmp_path, texts, uncased, window_length=32)
    shown = [built.words(window).texts for window in range(len(built))]
    assert shown[0] == ["b\u0301a\u0107b", "\u00e9"]
    # Older versions stored the offsets of the tokenizers library.
    path = tmp_path / "tokens" / "00000.tokens.npy"
    tokens, place = np.load(path), 0
    for text in texts:
        found = uncased.backend.encode(text, add_special_tokens=False).offsets
        part = tokens[place : place + len(found)]
        part["start"], part["end"] = np.transpose(found)
        place += len(found)
    assert not np.array_equal(tokens, np.load(path))
    np.save(path, tokens)
    old = windows.open(tmp_path / "tokens")
    assert [old.words(window).texts for window in range(len(old))] == shown


def test_spellings_of_a_word_fold_together():
    spellings = ("Caf\u00e9", "cafe\u0301", "CA\u00adF\u00c9", "caf\u200be\ufe0f\u0301")
    assert {words.fold(word) for word in spellings} == {"caf\u00e9"}
    assert words.fold("The") == "the" and words.fold("\u00ad") == "\u00ad"
    assert words.fold("\u0390") == words.fold("\u03b9\u0308\u0301")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ""),
        (["left", "bank"], "left, bank"),
        ([",", "in"], "‘,’, in"),
        ([",", ".", ","], "‘,’, ‘.’"),
        (["x²", "½", "--", "'s"], "x², ½, ‘--’, 's"),
        (["한국어", "…"], "한국어, ‘…’"),
    ],
)
def test_listed_words_show_which_commas_are_theirs(given, expected):
    assert words.listed(given) == expected
