"""A WordPiece tokenizer small enough to be made by every test run."""

import json
import pathlib

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from tfvis_jax.data import tokenizer as tokenizer_lib


@pytest.fixture(scope="session")
def small_tokenizer_folder(tmp_path_factory) -> pathlib.Path:
    """A folder with tokenizer.json: letters, their continuations, a few words."""
    folder = tmp_path_factory.mktemp("small_tokenizer")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,'<>/()=#-"
    pieces = [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *letters,
        *(f"##{letter}" for letter in letters if letter.isalnum()),
        *("the", "lobster", "##ing", "##s", "blue", "lob", "script", "alert"),
    ]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    # The settings that a sentence encoder's file carries, and that must not count.
    backend.enable_truncation(8)
    backend.enable_padding(length=8)
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"cls_token": {"content": "[CLS]"}, "sep_token": "[SEP]"})
    )
    return folder


@pytest.fixture(scope="session")
def small_tokenizer(small_tokenizer_folder) -> tokenizer_lib.Tokenizer:
    return tokenizer_lib.load(small_tokenizer_folder)
