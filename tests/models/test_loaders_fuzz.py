"""Mutated model files load, or are refused by an InputError and nothing else."""

import json
import pathlib

import architectures
import pytest
import tokenizers
import transformers
from safetensors import numpy as safetensors_numpy
from test_torch_zip import tensor_pickle, write_archive
from tokenizers import normalizers, pre_tokenizers

from tfvis_jax.data import tokenizer
from tfvis_jax.models import checkpoint_files, encoder_config, pretrained, torch_zip

pytestmark = pytest.mark.fuzz

_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "bank", "##s", "caf")


@pytest.fixture
def tokenizer_files() -> dict[str, bytes]:
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            {piece: i for i, piece in enumerate(_PIECES)}, unk_token="[UNK]"
        )
    )
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(list(_PIECES[:5]))
    config = {
        "do_lower_case": True,
        "strip_accents": None,
        "pad_token": {"content": "[PAD]"},
        "unk_token": "[UNK]",
        "tokenizer_class": "BertTokenizer",
        "added_tokens_decoder": {"0": {"content": "[PAD]", "special": True}},
    }
    return {
        "tokenizer.json": backend.to_str().encode(),
        "tokenizer_config.json": json.dumps(config).encode(),
        "special_tokens_map.json": b'{"cls_token": "[CLS]", "do_lower_case": true}',
        "added_tokens.json": b'{"[MASK]": 4}',
    }


def test_tokenizers(fuzz, tokenizer_files):
    def read(folder, changed, rng):
        tokenizer.load(folder).encode("The bank's caf\u00e9 \u6771\u4eac")

    fuzz.run(tokenizer_files, read, inputs=1800)


def test_tokenizers_of_a_vocabulary_alone(fuzz, tokenizer_files):
    # Imported before the time is taken.
    assert transformers.BertTokenizer and transformers.AutoTokenizer
    del tokenizer_files["tokenizer.json"]
    tokenizer_files["vocab.txt"] = "\n".join((*_PIECES, "The")).encode()

    def read(folder, changed, rng):
        tokenizer.load(folder).encode("The bank's caf\u00e9 \u6771\u4eac")

    fuzz.run(tokenizer_files, read, inputs=1600)


def test_configurations(fuzz, write_folder, tiny_tensors):
    folder = write_folder(tiny_tensors)
    originals = {"config.json": (folder / "config.json").read_bytes()}

    def read(folder, changed, rng):
        config = pretrained.read_config(folder)
        assert isinstance(config, encoder_config.EncoderConfig)

    fuzz.run(originals, read, folder=folder, inputs=2000)


@pytest.mark.parametrize("name", architectures.STORED)
def test_configurations_of_other_architectures(fuzz, write_folder, tiny_tensors, name):
    folder = write_folder(tiny_tensors)
    stored = pathlib.Path(__file__).parents[1] / "golden" / "architectures" / name
    originals = {"config.json": (stored / "config.json").read_bytes()}

    def read(folder, changed, rng):
        config = pretrained.read_config(folder)
        assert isinstance(config, encoder_config.EncoderConfig)

    fuzz.run(originals, read, folder=folder, inputs=2000)


def test_weights(fuzz, tmp_path, tiny_tensors):
    torch_path = write_archive(tmp_path / "pytorch_model.bin", tensor_pickle())
    originals = {torch_path.name: torch_path.read_bytes()}
    some = dict(list(tiny_tensors.items())[3:6])
    safetensors_numpy.save_file(some, tmp_path / "model.safetensors")
    originals["model.safetensors"] = (tmp_path / "model.safetensors").read_bytes()

    def read(folder, changed, rng):
        if "pytorch_model.bin" in changed:
            torch_zip.read(folder / "pytorch_model.bin")
        for tensor in checkpoint_files.open_folder(folder).values():
            if isinstance(tensor, checkpoint_files.StoredTensor):
                tensor.read()

    fuzz.run(originals, read, folder=tmp_path, may_remove=False, inputs=2000)


def test_pickles(fuzz, tmp_path):
    def read(folder, changed, rng):
        path = write_archive(tmp_path / "a.bin", (folder / "data.pkl").read_bytes())
        torch_zip.read(path)

    fuzz.run({"data.pkl": tensor_pickle()}, read, may_remove=False, inputs=2000)


def test_lists_of_shards(fuzz, tmp_path, tiny_tensors):
    safetensors_numpy.save_file(tiny_tensors, tmp_path / "a.safetensors")
    index = {"weight_map": dict.fromkeys(tiny_tensors, "a.safetensors")}
    originals = {"model.safetensors.index.json": json.dumps(index).encode()}

    def read(folder, changed, rng):
        checkpoint_files.open_folder(folder)

    fuzz.run(originals, read, folder=tmp_path, inputs=2000)
