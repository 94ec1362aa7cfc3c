"""Test loading a tagger from a folder of JSON, and folders without one."""

import json
import lzma
import sys

import pytest

from tfvis_jax.description import tagging
from tfvis_jax.errors import InputError

_PARTS = {
    "weights": {"bias": {"NN": 1.0, "DT": -1.0}, "i suffix ing": {"VBG": 5.0}},
    "tagdict": {"the": "DT"},
    "classes": ["DT", "NN", "VBG"],
}


@pytest.fixture
def needs_nltk():
    pytest.importorskip("nltk", reason="NLTK is not installed")


def _write(folder, name, value):
    (folder / f"averaged_perceptron_tagger{name}").write_bytes(value)


@pytest.mark.parametrize("form", ["three files", "one file", "compressed"])
def test_weights_are_read_in_every_form(needs_nltk, tmp_path, form):
    if form == "three files":
        for part, value in _PARTS.items():
            _write(tmp_path, f"_eng.{part}.json", json.dumps(value).encode())
    elif form == "one file":
        _write(tmp_path, ".json", json.dumps(_PARTS).encode())
    else:
        _write(tmp_path, ".json.xz", lzma.compress(json.dumps(_PARTS).encode()))
    tagger = tagging.load(tmp_path)
    assert tagger(["the", "cat", "walking"]) == ["DT", "NN", "VBG"]
    assert tagger([]) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, b"", "Expected averaged_perceptron_tagger.json or"),
        ("_eng.weights.json", b"{}", "missing .*tagdict.json, .*classes.json"),
        (".json", b"{", "is damaged"),
        (".json", b"[]", r"Expected \('weights'"),
        (".json", b'{"weights": 1, "tagdict": {}, "classes": []}', "Expected weights"),
        (".json.xz", b"no archive", "is damaged"),
    ],
)
def test_other_folders_are_refused(needs_nltk, tmp_path, name, content, message):
    if name is not None:
        _write(tmp_path, name, content)
    with pytest.raises(InputError, match=message):
        tagging.load(tmp_path)


def test_without_nltk_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk", None)
    monkeypatch.setitem(sys.modules, "nltk.tag", None)
    with pytest.raises(InputError, match=r"pip install 'tfvis_jax\[pos\]'"):
        tagging.load(tmp_path)
