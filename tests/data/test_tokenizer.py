"""Ids and offsets equal those of transformers; mismatches are named."""

import shutil
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import transformers

from tfvis_jax.data import corpus, tokenizer
from tfvis_jax.errors import InputError

TEXT = "Héllo wörlds: [SEP] tokenisation <script> ☃ 東京 unaffable 1,000."


@pytest.mark.parametrize("name", ["vocab-bert-base-uncased", "bert-tiny-mlm"])
def test_ids_equal_those_of_transformers(shared_data, name):
    folder = shared_data / name
    ours = tokenizer.load(folder, vocab_size=30522)
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    path = shared_data / "wiki2015" / "valid-00.txt.xz"
    documents = corpus.read_documents([str(path)])
    for document, _ in zip(documents, range(20), strict=False):
        encoding = ours.encode(document.text)
        expected = theirs(
            document.text, add_special_tokens=False, return_offsets_mapping=True
        )
        np.testing.assert_array_equal(encoding.ids, expected["input_ids"])
        starts, ends = np.transpose(expected["offset_mapping"])
        np.testing.assert_array_equal(encoding.starts, starts)
        # Accents that are removed belong to the token before them.
        text = document.text + " "
        marked = [_after_marks(text, end) for end in ends]
        np.testing.assert_array_equal(encoding.ends, marked)
    for ours_id, theirs_id in (
        (ours.pad_id, theirs.pad_token_id),
        (ours.unk_id, theirs.unk_token_id),
        (ours.mask_id, theirs.mask_token_id),
        (ours.prefix, (theirs.cls_token_id,)),
        (ours.suffix, (theirs.sep_token_id,)),
    ):
        assert ours_id == theirs_id
    assert list(ours.pieces) == theirs.convert_ids_to_tokens(range(30522))


def _after_marks(text, end):
    while unicodedata.category(text[end]) in ("Mn", "Cf"):
        end += 1
    return end


def test_a_vocabulary_without_tokenizer_json_gives_the_same(shared_data, tmp_path):
    folder = shared_data / "vocab-bert-base-uncased"
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(folder / name, tmp_path)
    from_vocabulary, from_file = tokenizer.load(tmp_path), tokenizer.load(folder)
    first, second = from_vocabulary.encode(TEXT), from_file.encode(TEXT)
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.starts, second.starts)
    np.testing.assert_array_equal(first.ends, second.ends)
    assert from_vocabulary.prefix == from_file.prefix == (101,)


def test_offsets_are_characters_of_the_original(small_tokenizer):
    text = "Blue LOBSTERS, théàter"
    encoding = small_tokenizer.encode(text)
    found = [text[a:b] for a, b in zip(encoding.starts, encoding.ends, strict=True)]
    assert found[:4] == ["Blue", "LOBSTER", "S", ","]
    assert "".join(found[4:]) == "théàter"
    pieces = [small_tokenizer.pieces[i] for i in encoding.ids]
    assert pieces[:4] == ["blue", "lobster", "##s", ","]


def test_nothing_is_cut_or_padded(small_tokenizer):
    # The file of the fixture truncates and pads to 8.
    assert len(small_tokenizer.encode("blue " * 100).ids) == 100
    assert len(small_tokenizer.encode("blue").ids) == 1
    assert len(small_tokenizer.encode("").ids) == 0


def test_special_tokens_in_the_text_are_text(small_tokenizer):
    ids = set(small_tokenizer.encode("the [SEP] [MASK]").ids.tolist())
    assert not ids & {*small_tokenizer.suffix, small_tokenizer.mask_id}


def test_continuations(small_tokenizer):
    table = dict(
        zip(small_tokenizer.pieces, small_tokenizer.is_continuation, strict=True)
    )
    assert table["##ing"] and table["##s"]
    assert not table["#"] and not table["the"] and not table["[CLS]"]


def test_a_larger_vocabulary_than_the_model_is_an_error(small_tokenizer_folder):
    size = tokenizer.load(small_tokenizer_folder).vocab_size
    assert (
        tokenizer.load(small_tokenizer_folder, vocab_size=size + 5).vocab_size == size
    )
    with pytest.raises(InputError, match=rf"has {size} ids.*only {size - 1} emb"):
        tokenizer.load(small_tokenizer_folder, vocab_size=size - 1)


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"Expected a tokenizer"):
        tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"not a tokenizer file"):
        tokenizer.load(tmp_path)


def test_the_hash_tells_tokenizers_apart(small_tokenizer_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(small_tokenizer_folder, copy)
    first = tokenizer.load(small_tokenizer_folder).content_hash
    assert tokenizer.load(copy).content_hash == first
    text = (copy / "tokenizer.json").read_text()
    (copy / "tokenizer.json").write_text(text.replace("lobster", "lobstar"))
    assert tokenizer.load(copy).content_hash != first


def test_loading_and_a_fork_after_it_say_nothing(small_tokenizer_folder):
    code = f"""
import os, sys
from tfvis_jax.data import tokenizer
t = tokenizer.load({str(small_tokenizer_folder)!r})
t.encode("the blue lobsters " * 1000)
assert "transformers" not in sys.modules and "jax" not in sys.modules
if os.fork() == 0:
    t.encode("the blue lobsters")
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
