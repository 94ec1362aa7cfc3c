"""Mutated model files load, or are refused by an InputError and nothing else."""

import contextlib
import json
import pathlib
import random
import time

import pytest
import tokenizers
from safetensors import numpy as safetensors_numpy
from test_torch_zip import tensor_pickle, write_archive
from tokenizers import normalizers, pre_tokenizers

from tfvis_jax.data import tokenizer
from tfvis_jax.errors import InputError
from tfvis_jax.models import bert_config, checkpoint_files, pretrained, torch_zip

_SECONDS = 2.5
_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "bank", "##s", "caf")
_VALUES = (
    *(None, True, -1, 0, 2**31, 10**8, 1e308, float("nan"), "", "x", "\ud800", "\0"),
    *([], {}, [None], ["a"], {"content": None}, {"type": "Sequence"}, [[[[1]]]]),
)


def _mutated_json(value: object, rng: random.Random) -> object:
    """Replaces, removes or adds one value somewhere."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(_VALUES)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        changed = list(value)
        changed[place] = _mutated_json(value[place], rng)
        return changed
    key = rng.choice(sorted(value))
    changed = dict(value)
    action = rng.random()
    if action < 0.15:
        del changed[key]
    elif action < 0.2:
        changed["added"] = rng.choice(_VALUES)
    else:
        changed[key] = _mutated_json(value[key], rng)
    return changed


def _mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed) or 1)
        action = rng.randrange(4)
        if action == 0:
            del changed[place:]
        elif action == 1:
            changed[place : place + 1] = bytes([rng.randrange(256)])
        elif action == 2:
            changed[place:place] = rng.choice((b"[" * 2000, b"\xff" * 4, b"2\x86"))
        else:
            start = rng.randrange(len(changed) or 1)
            changed[place : place + 8] = changed[start : start + 8]
    return bytes(changed)


def _mutations(originals: dict[str, bytes], folder: pathlib.Path, seed: int):
    """Yields after writing one mutated file among the others, until time is up."""
    rng = random.Random(seed)
    ends = time.monotonic() + _SECONDS
    number = 0
    while time.monotonic() < ends:
        for name, content in originals.items():
            (folder / name).write_bytes(content)
        name = rng.choice(sorted(originals))
        content = originals[name]
        if name.endswith(".json") and rng.random() < 0.8:
            changed = json.loads(content)
            for _ in range(rng.randint(1, 3)):
                changed = _mutated_json(changed, rng)
            content = json.dumps(changed).encode("ascii", "replace")
        else:
            content = _mutated_bytes(content, rng)
        (folder / name).write_bytes(content)
        number += 1
        yield
    assert number > 20


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


def test_tokenizers(tokenizer_files, tmp_path):
    for _ in _mutations(tokenizer_files, tmp_path, seed=0):
        try:
            tokenizer.load(tmp_path).encode("The bank's caf\u00e9 \u6771\u4eac")
        except InputError as error:
            assert str(error)[:1].isupper() or str(error)[:1] in '/"'


def test_tokenizers_of_a_vocabulary_alone(tokenizer_files, tmp_path):
    del tokenizer_files["tokenizer.json"]
    tokenizer_files["vocab.txt"] = "\n".join((*_PIECES, "The")).encode()
    for _ in _mutations(tokenizer_files, tmp_path, seed=1):
        with contextlib.suppress(InputError):
            tokenizer.load(tmp_path).encode("The bank's caf\u00e9 \u6771\u4eac")


def test_configurations(write_folder, tiny_tensors):
    folder = write_folder(tiny_tensors)
    originals = {"config.json": (folder / "config.json").read_bytes()}
    for _ in _mutations(originals, folder, seed=2):
        try:
            config = pretrained.read_config(folder)
        except InputError:
            continue
        assert isinstance(config, bert_config.BertConfig)


def test_weights(tmp_path, tiny_tensors):
    torch_path = write_archive(tmp_path / "pytorch_model.bin", tensor_pickle())
    originals = {torch_path.name: torch_path.read_bytes()}
    some = dict(list(tiny_tensors.items())[3:6])
    safetensors_numpy.save_file(some, tmp_path / "model.safetensors")
    originals["model.safetensors"] = (tmp_path / "model.safetensors").read_bytes()
    for _ in _mutations(originals, tmp_path, seed=3):
        for read in (
            lambda: torch_zip.read(torch_path),
            lambda: checkpoint_files.open_folder(tmp_path),
        ):
            try:
                for tensor in read().values():
                    if isinstance(tensor, checkpoint_files.StoredTensor):
                        tensor.read()
            except InputError:
                pass


def test_pickles(tmp_path):
    rng = random.Random(4)
    ends = time.monotonic() + _SECONDS
    path = tmp_path / "pytorch_model.bin"
    while time.monotonic() < ends:
        write_archive(path, _mutated_bytes(tensor_pickle(), rng))
        with contextlib.suppress(InputError):
            torch_zip.read(path)


def test_lists_of_shards(tmp_path, tiny_tensors):
    safetensors_numpy.save_file(tiny_tensors, tmp_path / "a.safetensors")
    index = {"weight_map": dict.fromkeys(tiny_tensors, "a.safetensors")}
    originals = {"model.safetensors.index.json": json.dumps(index).encode()}
    for _ in _mutations(originals, tmp_path, seed=5):
        with contextlib.suppress(InputError):
            checkpoint_files.open_folder(tmp_path)
