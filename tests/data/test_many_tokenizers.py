"""Tokenizers of all kinds: ids and offsets of transformers, words of the text."""

import functools
import itertools
import json
import tempfile
import unicodedata

import hypothesis
import many_tokenizers
import numpy as np
import pytest
import transformers
from hypothesis import strategies as st
from many_scripts import LETTERS, MARKS

from tfvis_jax import config
from tfvis_jax.data import characters, text_windows, tokenizer, words
from tfvis_jax.errors import InputError

_SCRIPTS = st.lists(
    st.one_of(*(st.sampled_from(letters) for letters in LETTERS.values()))
    | st.sampled_from([" ", "  ", "\n\n", "\u00a0", "\u3000", "e\u0301", "don't"])
    | st.sampled_from(
        ["👩\u200d👦", "the bank", "Hello, world!", "1990s", "</s>", "[SEP]"]
    )
    | st.sampled_from(MARKS),
    max_size=24,
).map("".join)
TEXTS = _SCRIPTS | st.text(max_size=20)
EXAMPLES = (
    *("", " ", "\n", " a", "a ", "a  b", "a \n b", "Hello, world!  a\n\nb 東京"),
    *("don't 1990s (x=5)", "cafe\u0301 café", " 👩\u200d👦😀 ", "\u200b", "x" * 10_000),
    "a\u00a0b\u3000c",
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Returns a function from a kind to the tokenizer and that of transformers."""
    root = tmp_path_factory.mktemp("many")

    @functools.cache
    def load(kind, as_parts=False):
        name = f"{kind}_parts" if as_parts else kind
        folder = many_tokenizers.save(root / name, kind, as_parts=as_parts)
        return (
            tokenizer.load(folder),
            transformers.AutoTokenizer.from_pretrained(str(folder)),
        )

    return load


_PARTS = [(kind, False) for kind in many_tokenizers.KINDS] + [
    *(("roberta", True), ("gpt2", True))
]


def _theirs(reference, text):
    """Returns ids with special tokens; ids and spans of the text's tokens."""
    whole = reference(text, split_special_tokens=True)["input_ids"]
    inner = reference(
        text,
        add_special_tokens=False,
        return_offsets_mapping=True,
        split_special_tokens=True,
    )
    return whole, inner["input_ids"], inner["offset_mapping"]


def _stripped(text, start, end):
    """Returns a span without white space at its edges, character by character."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _check(ours, reference, text):
    encoded = ours.encode(text)
    whole, ids, spans = _theirs(reference, text)
    assert encoded.ids.tolist() == ids
    assert [*ours.prefix, *ids, *ours.suffix] == whole
    starts, ends = encoded.starts.tolist(), encoded.ends.tolist()
    assert starts == sorted(starts) and ends == sorted(ends)
    for (start, end), first, last in zip(spans, starts, ends, strict=True):
        assert 0 <= first <= last <= len(text)
        start, end = _stripped(text, start, end)
        if start < end:
            # Ours are whole clusters, which begin and end with theirs.
            assert first <= start and end <= last
            assert all(
                characters.cluster_end(text, i) > i for i in range(first + 1, start)
            )
            assert not text[first].isspace() and not text[last - 1 : last].isspace()
    if ours.marks_continuations:
        return encoded
    first = _check_words(text, encoded)
    assert (encoded.starts_word[:1] == first[:1]).all()
    return encoded


def _divides(char):
    return char.isspace() or unicodedata.category(char)[0] in "PS"


def _check_words(text, encoded):
    """Words begin after white space and around signs, and nowhere else."""
    clusters = [i for i in range(len(text)) if characters.cluster_end(text, i) == i]
    begins, before = {}, {}
    for last, place in itertools.pairwise([0, *clusters]):
        # The first character of a cluster says what it is.
        before[place] = text[last]
        begins[place] = place == 0 or _divides(text[place]) or _divides(text[last])
    spans = zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True)
    starts_word = encoded.starts_word.tolist()
    for number, ((first, last), (start, end)) in enumerate(itertools.pairwise(spans)):
        if start == end or text[start:end].isspace():
            continue
        is_first = starts_word[number + 1]
        if start < last or first == last == start:
            # They share a character, or the token before is the space of this one.
            assert not is_first
        elif begins[start]:
            assert is_first
        elif start == last:
            unspaced = any(map(characters.is_unspaced, (before[start], text[start])))
            assert is_first == unspaced
    return encoded.starts_word


@hypothesis.settings(max_examples=120, deadline=None)
@hypothesis.given(text=TEXTS)
@pytest.mark.parametrize(("kind", "as_parts"), _PARTS)
def test_ids_and_offsets_are_those_of_transformers(pair, kind, as_parts, text):
    _check(*pair(kind, as_parts), text)


@pytest.mark.parametrize(("kind", "as_parts"), _PARTS)
def test_edges_and_long_words(pair, kind, as_parts):
    for text in EXAMPLES:
        _check(*pair(kind, as_parts), text)


@pytest.mark.parametrize("kind", many_tokenizers.KINDS)
def test_special_tokens_have_their_roles(pair, kind):
    ours, theirs = pair(kind)
    assert ours.mask_id == theirs.mask_token_id
    assert (ours.mask_id is None) == (kind in many_tokenizers.NO_MASK)
    assert (ours.unk_id is None) == (kind in many_tokenizers.KNOWS_ALL)
    assert ours.unk_id is None or ours.unk_id == theirs.unk_token_id
    assert ours.pad_id == (theirs.pad_token_id or 0)
    assert ours.marks_continuations == (kind in many_tokenizers.MARKED)
    if ours.mask_id is None:
        with pytest.raises(InputError, match="has no mask token"):
            ours.required_mask_id()
    elif kind not in ("gpt2", "gpt_neox", "llama_like"):
        assert len(ours.prefix) == len(ours.suffix) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The bank don't", ["The", "bank", "don", "'", "t"]),
        ("Hello, world! (1990s)", ["Hello", ",", "world", "!", "(", "1990s", ")"]),
        ("  the  river ", ["the", "river"]),
        ("cafe\u0301 naïve", ["café", "naïve"]),
        ("русский язык бабушка", ["русский", "язык", "бабушка"]),
        ("한국어 العربية", ["한국어", "العربية"]),
        ("👩\u200d👦 a_b x=5", ["👩\u200d👦", "a", "_", "b", "x", "=", "5"]),
    ],
)
@pytest.mark.parametrize("kind", many_tokenizers.KINDS)
def test_words_are_the_same_with_every_tokenizer(pair, kind, text, expected):
    encoded = pair(kind)[0].encode(text)
    first = np.flatnonzero(encoded.starts_word)
    last = [*first[1:], len(encoded.ids)]
    found = [
        words.shown(text[encoded.starts[a] : encoded.ends[b - 1]])
        for a, b in zip(first, last, strict=True)
    ]
    # A space that nothing follows, and an apostrophe with what is joined to it.
    found = [word for word in found if word != "␣"]
    assert "".join(found) == "".join(expected)
    borders = set(itertools.accumulate(map(len, expected)))
    assert set(itertools.accumulate(map(len, found))) <= borders
    # Without words to begin with, pieces may join a letter and a comma.
    if kind != "llama_like":
        letters = [word for word in expected if len(word) > 1]
        assert set(letters) <= set(found)


def test_line_ends_that_are_tokens_are_shown():
    found = words.spaced(
        "a\n\nb c", np.array([0, 1, 2, 3, 5]), np.array([1, 2, 3, 4, 6])
    )
    assert found == ["a", "↵", "↵", "b", " c"]
    assert words.shown("\n ") == "↵" and words.shown(" ") == words.shown("") == "␣"


@pytest.mark.parametrize("kind", many_tokenizers.KINDS)
def test_pieces_are_spelled_as_text(pair, kind):
    ours = pair(kind)[0]
    for i in range(ours.vocab_size):
        spelled = ours.spelled(i)
        is_whole = "\N{REPLACEMENT CHARACTER}" not in ours.backend.decode([i])
        assert spelled == ours.pieces[i] or not any(mark in spelled for mark in "Ġ▁Ċ")
        assert not is_whole or not any(mark in spelled for mark in "Ġ▁Ċ")
    assert ours.spelled(ours.vocab_size + 3) == ""
    for token in ours.special_ids - {0}:
        assert ours.spelled(token) == ours.pieces[token]
    text = " the bank left banks"
    found = [ours.spelled(i) for i in ours.encode(text).ids.tolist()]
    joined = " ".join(found).replace("␣ ##", "").replace(" ##", "")
    assert joined.replace("␣ ", "").split() == text.split()


@pytest.mark.parametrize("kind", many_tokenizers.KINDS)
def test_windows_hold_the_special_tokens_and_the_words(pair, kind, tmp_path):
    ours = pair(kind)[0]
    texts = [
        "The bank raised the rate again; banks don't.",
        "cafe\u0301\n\n東京 a  b",
    ] * 3
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        _check_windows(folder, ours, texts)


def _check_windows(folder, ours, texts):
    import pathlib

    built = text_windows.build(
        pathlib.Path(folder),
        texts,
        config.CorpusConfig(paths=("",), window_length=12),
        tokenizer=ours,
        notify=lambda sentence: None,
    )
    rows = np.arange(len(built))
    ids, mask, text_mask = (
        built.token_ids(rows),
        built.token_mask(rows),
        built.row_mask(rows),
    )
    n_before, n_after = len(ours.prefix), len(ours.suffix)
    assert (ids[:, :n_before] == ours.prefix).all()
    lengths = built.lengths
    for row in rows.tolist():
        end = int(lengths[row])
        assert tuple(ids[row, end - n_after : end]) == ours.suffix
        assert (ids[row, end:] == ours.pad_id).all()
    np.testing.assert_array_equal(mask.sum(1), text_mask.sum(1) + n_before + n_after)
    np.testing.assert_array_equal(text_mask.sum(1), built.num_rows(rows))
    for number, text in enumerate(texts):
        encoded = ours.encode(text)
        own = np.flatnonzero(built.documents == number)
        np.testing.assert_array_equal(ids[own][text_mask[own]], encoded.ids)
        starts, ends = np.concatenate([built.spans(int(row)) for row in own], axis=1)
        keeps = starts >= 0
        np.testing.assert_array_equal(starts[keeps], encoded.starts)
        np.testing.assert_array_equal(ends[keeps], encoded.ends)
        shown = (
            "".join("".join(built.words(int(row)).texts) for row in own)
            .replace("↵", "")
            .replace("␣", "")
        )
        assert shown == unicodedata.normalize("NFC", "".join(text.split()))
        assert all(text for row in own for text in built.words(int(row)).texts)


def _changed(folder, kind, change):
    """Writes a tokenizer.json whose contents a function has changed."""
    path = many_tokenizers.save(folder, kind) / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return folder


def test_kinds_that_cannot_be_read_are_named(tmp_path):
    def other(content):
        content["model"]["type"] = "Morfessor"

    with pytest.raises(InputError, match=r"'Morfessor'.*WordPiece, BPE, Unigram"):
        tokenizer.load(_changed(tmp_path / "a", "modernbert", other))

    def random(content):
        content["model"]["dropout"] = 0.1

    with pytest.raises(InputError, match=r"at random.*dropout is 0\.1"):
        tokenizer.load(_changed(tmp_path / "b", "modernbert", random))

    folder = many_tokenizers.save(tmp_path / "c", "deberta_v2")
    (folder / "tokenizer.json").rename(folder / "spm.model")
    with pytest.raises(InputError, match=r"got spm\.model.*save_pretrained"):
        tokenizer.load(folder)

    folder = many_tokenizers.save(tmp_path / "d", "roberta", as_parts=True)
    (folder / "merges.txt").unlink()
    with pytest.raises(InputError, match=r"got vocab\.json.*merges\.txt"):
        tokenizer.load(folder)


@pytest.mark.parametrize("kind", ["xlm_roberta", "bert_cased", "llama_like", "roberta"])
def test_classes_that_make_other_tokens_of_a_file_are_refused(tmp_path, kind):
    for name in ("RobertaTokenizer", "GPT2Tokenizer", "XLMRobertaTokenizer"):
        if (kind, name) in (
            ("xlm_roberta", "XLMRobertaTokenizer"),
            ("roberta", "GPT2Tokenizer"),  # It has other special tokens only.
        ):
            continue
        folder = many_tokenizers.save(tmp_path / name, kind)
        settings = {"tokenizer_class": name}
        if name == "RobertaTokenizer" and kind == "roberta":
            settings["add_prefix_space"] = True
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        with pytest.raises(InputError, match=r"cannot be loaded|read text differently"):
            tokenizer.load(folder)


@pytest.mark.parametrize("kind", ["roberta", "xlm_roberta", "gpt2", "modernbert"])
def test_ids_beyond_the_embeddings_are_refused(pair, kind):
    ours = pair(kind)[0]
    tokenizer.load(ours.folder, vocab_size=ours.vocab_size)
    with pytest.raises(InputError, match=r"ids, but the model has only"):
        tokenizer.load(ours.folder, vocab_size=ours.vocab_size - 1)


def test_templates_that_are_no_frame_are_refused(tmp_path):
    def between(content):
        content["post_processor"]["single"].insert(
            1, {"Sequence": {"id": "A", "type_id": 0}}
        )

    with pytest.raises(InputError, match="special tokens before and after"):
        tokenizer.load(_changed(tmp_path, "modernbert", between))


@pytest.mark.parametrize("value", [5, "", {}, True], ids=repr)
def test_special_tokens_of_another_type_are_refused(tmp_path, value):
    folder = many_tokenizers.save(tmp_path, "roberta")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "RobertaTokenizer", "mask_token": value})
    )
    with pytest.raises(InputError, match='Expected "mask_token"'):
        tokenizer.load(folder)
