"""Settings in several files: ids as those of transformers, or a sentence."""

import itertools
import json
import pathlib
import unicodedata

import numpy as np
import pytest
import tokenizers
import transformers
from tokenizers import models, normalizers, pre_tokenizers

from tfvis_jax.data import tokenizer
from tfvis_jax.errors import InputError

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_UNCASED = (
    *_SPECIAL,
    *("the", "bank", "raised", "cafe", "café", "東", "京", "東京", "##s", "."),
)
_CASED = (*_UNCASED, "The", "Bank", "Café", "Cafe", "US")
TEXT = "The Bank raised banks. Café CAFÉ cafe\u0301 US 東京 the\u200b bank\tUs"
_UNSET = "unset"


def write(
    folder: pathlib.Path,
    *,
    pieces: tuple[str, ...] = _UNCASED,
    normalizer: dict[str, object] | None = None,
    config: object = None,
    special_map: object = None,
    **files: object,
) -> pathlib.Path:
    """Writes a tokenizer: tokenizer.json if there is a normalizer, else vocab.txt."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    if normalizer is None:
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    else:
        backend = tokenizers.Tokenizer(
            models.WordPiece(
                {piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"
            )
        )
        backend.normalizer = normalizers.BertNormalizer(**normalizer)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.add_special_tokens(list(_SPECIAL))
        backend.enable_truncation(2)
        backend.enable_padding(length=40)
        backend.save(str(folder / "tokenizer.json"))
    files |= {"tokenizer_config": config, "special_tokens_map": special_map}
    for name, value in files.items():
        path = folder / f"{name}.json"
        path.unlink(missing_ok=True)
        if value is not None:
            path.write_text(json.dumps(value))
    return folder


def _stated(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value != _UNSET}


def _agrees(folder: pathlib.Path, **given: object) -> bool:
    """Whether ids equal those of transformers; False if the folder is refused."""
    try:
        ours = tokenizer.load(folder).encode(TEXT)
    except InputError as error:
        assert len(str(error)) > 40
        return False
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder), **given)
    expected = theirs(TEXT, add_special_tokens=False, return_offsets_mapping=True)
    np.testing.assert_array_equal(ours.ids, expected["input_ids"])
    starts, ends = np.transpose(expected["offset_mapping"])
    np.testing.assert_array_equal(ours.starts, starts)
    # Marks and format characters that normalisation removes belong to the token before.
    for end, ours_end in zip(ends, ours.ends, strict=True):
        assert {unicodedata.category(c) for c in TEXT[end:ours_end]} <= {"Mn", "Cf"}
    return True


_RULES = {
    "do_lower_case": (_UNSET, True, False),
    "strip_accents": (_UNSET, None, True, False),
    "tokenize_chinese_chars": (_UNSET, True, False),
}


@pytest.mark.parametrize("clean_up", [True, False])
def test_every_setting_of_a_vocabulary_gives_the_ids_of_transformers(
    tmp_path, clean_up
):
    for values in itertools.product(*_RULES.values()):
        stated = _stated(**dict(zip(_RULES, values, strict=True)))
        config = stated | {
            "clean_up_tokenization_spaces": clean_up,
            "max_length": 3,
            "padding_side": "left",
            "truncation_side": "left",
            "model_max_length": 2,
        }
        assert _agrees(write(tmp_path, config=config))
        if "do_lower_case" in stated:
            assert _agrees(write(tmp_path, pieces=_CASED, config=config))
        else:
            folder = write(tmp_path, pieces=_CASED, config=config)
            assert _agrees(folder, do_lower_case=False)


def test_every_pair_of_settings_gives_the_ids_of_transformers_or_is_refused(tmp_path):
    n_equal = n_refused = 0
    for stated, held, class_name in itertools.product(
        itertools.product(*_RULES.values()),
        itertools.product((True, False), (None, True, False), (True, False)),
        (_UNSET, "BertTokenizerFast", "PreTrainedTokenizerFast"),
    ):
        config = _stated(
            **dict(zip(_RULES, stated, strict=True)), tokenizer_class=class_name
        )
        lower, strip, chinese = held
        folder = write(
            tmp_path,
            normalizer={
                "lowercase": lower,
                "strip_accents": strip,
                "handle_chinese_chars": chinese,
            },
            config=config,
        )
        is_equal = _agrees(folder)
        n_equal += is_equal
        n_refused += not is_equal
        said = config.get("do_lower_case", True)
        strips = config.get("strip_accents")
        if (
            class_name != "PreTrainedTokenizerFast"
            and (lower, chinese) == (said, config.get("tokenize_chinese_chars", True))
            and (said if strips is None else strips)
            == (lower if strip is None else strip)
        ):
            assert is_equal
    assert n_equal > 100 and n_refused > 100


def test_settings_in_the_special_tokens_map_count_or_are_refused(tmp_path):
    for name, values in _RULES.items():
        for config, mapped, has_json, has_list in itertools.product(
            values, values, (True, False), (True, False)
        ):
            written = _stated(**{name: config})
            if has_list:
                written["added_tokens_decoder"] = {}
            _agrees(
                write(
                    tmp_path,
                    normalizer={} if has_json else None,
                    config=written,
                    special_map=_stated(**{name: mapped}),
                )
            )
            (tmp_path / "tokenizer.json").unlink(missing_ok=True)


def test_a_cased_vocabulary_without_settings_is_cased(tmp_path):
    folder = write(tmp_path / "a", pieces=_CASED)
    ours = tokenizer.load(folder)
    assert [ours.pieces[i] for i in ours.encode("The Bank the bank").ids] == [
        *("The", "Bank", "the", "bank")
    ]
    # tokenizer.json and the vocabulary say the same, which outweighs a default.
    folder = write(tmp_path / "b", pieces=_CASED, normalizer={"lowercase": False})
    from_file = tokenizer.load(folder).encode("The Bank")
    np.testing.assert_array_equal(from_file.ids, ours.encode("The Bank").ids)
    folder = write(tmp_path / "c", normalizer={"lowercase": False})
    with pytest.raises(InputError, match=r"do_lower_case is False there, but True"):
        tokenizer.load(folder)
    few = tuple(f"{a}{b}{c}" for a in "abc" for b in "def" for c in "ghijklmnopqrst")
    with pytest.raises(InputError, match=r"1 of its .* words have capitals"):
        tokenizer.load(write(tmp_path / "d", pieces=(*_UNCASED, *few, "US")))


def test_special_tokens_in_contradiction_are_refused(tmp_path):
    folder = write(
        tmp_path,
        normalizer={},
        config={"pad_token": "[PAD]"},
        special_map={"pad_token": {"content": "[SEP]"}},
    )
    with pytest.raises(InputError, match=r"\"pad_token\" is '\[PAD\]'.*but '\[SEP\]'"):
        tokenizer.load(folder)
    folder = write(tmp_path, normalizer={}, config={"unk_token": "[PAD]"})
    with pytest.raises(InputError, match=r"unk_token is '\[UNK\]' instead"):
        tokenizer.load(folder)


def test_added_tokens_are_those_of_transformers_or_refused(tmp_path):
    plain = {"content": "raised banks", "special": False}
    for listed, legacy, has_json in itertools.product(
        (None, {}, {"15": plain}, {"14": plain | {"content": "."}}),
        (None, {"raised banks": 15}, {"[SEP]": 3}),
        (True, False),
    ):
        folder = write(
            tmp_path,
            normalizer={} if has_json else None,
            config=None if listed is None else {"added_tokens_decoder": listed},
            added_tokens=legacy,
        )
        agrees = _agrees(folder)
        assert agrees or has_json
        (tmp_path / "tokenizer.json").unlink(missing_ok=True)


_ODD = (None, 5, 1.5, "", [], ["[PAD]"], {}, {"content": None}, {"content": 3}, True)


@pytest.mark.parametrize("value", _ODD, ids=repr)
@pytest.mark.parametrize("name", ["pad_token", "unk_token", "mask_token"])
def test_a_special_token_that_is_no_text_is_refused(tmp_path, name, value):
    for normalizer in (None, {}):
        for place in ("config", "special_map"):
            folder = write(
                tmp_path / place, normalizer=normalizer, **{place: {name: value}}
            )
            with pytest.raises(InputError, match=f'Expected "{name}".*remove the line'):
                tokenizer.load(folder)


@pytest.mark.parametrize("value", ["no", 0, None, [], {}], ids=repr)
def test_a_rule_that_is_no_truth_value_is_refused(tmp_path, value):
    folder = write(tmp_path, config={"do_lower_case": value})
    with pytest.raises(InputError, match=r'"do_lower_case".*to be true or false'):
        tokenizer.load(folder)


@pytest.mark.parametrize(
    "text", ["[]", "5", "null", "[" * 10**5, '{"a":' * 10**5, "{", "\ufeff{}"]
)
def test_files_that_hold_no_object_are_refused(tmp_path, text):
    for name in ("tokenizer_config", "special_tokens_map", "added_tokens"):
        folder = write(tmp_path / name, normalizer={})
        (folder / f"{name}.json").write_text(text)
        with pytest.raises(InputError, match=f"{name}.json"):
            tokenizer.load(folder)
    folder = write(tmp_path / "tokenizer", normalizer={})
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match="cannot be loaded"):
        tokenizer.load(folder)


def test_vocabularies_without_a_token_or_with_huge_ids_are_refused(tmp_path):
    folder = write(tmp_path, normalizer={})
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text())
    for missing in ("[UNK]", "[MASK]"):
        changed = json.loads(path.read_text()) | {"added_tokens": []}
        del changed["model"]["vocab"][missing]
        (tmp_path / missing).mkdir()
        (tmp_path / missing / "tokenizer.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=r"\[UNK\]|\[MASK\]"):
            tokenizer.load(tmp_path / missing)
    whole["model"]["vocab"]["bank"] = 10**8
    path.write_text(json.dumps(whole))
    with pytest.raises(InputError, match=r"ids up to 100,000,000"):
        tokenizer.load(folder)
    with pytest.raises(InputError, match=r"100,000,001 ids.*only 15"):
        tokenizer.load(folder, vocab_size=15)


def test_a_tokenizer_without_a_fast_form_is_named(tmp_path):
    config = {"tokenizer_class": "BertJapaneseTokenizer", "do_lower_case": False}
    for normalizer, words in ((None, "mecab"), (None, "basic"), ({}, "basic")):
        folder = write(
            tmp_path,
            normalizer=normalizer,
            config=config | {"word_tokenizer_type": words},
        )
        with pytest.raises(InputError, match=r"BertJapaneseTokenizer"):
            tokenizer.load(folder)
    with pytest.raises(InputError, match=r"Expected a tokenizer.json"):
        tokenizer.load(
            write(tmp_path / "b", config={"tokenizer_class": "TokenizersBackend"})
        )
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "vocab.txt").write_bytes(b"[PAD]\n\xff\xfe")
    with pytest.raises(InputError, match=r"Expected UTF-8"):
        tokenizer.load(tmp_path / "c")
