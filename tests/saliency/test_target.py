"""Targets show each character once, however it is spelled and cut into tokens."""

import types
import unicodedata

import many_scripts
import numpy as np
import pytest

from tfvis_jax import config as config_lib
from tfvis_jax import markup
from tfvis_jax.data import build_windows
from tfvis_jax.saliency import target as target_lib

TEXT = "ab \ud55c\uad6d, caf\u00e9\u093e ba\u00adb \u304c\u306f 1."


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return many_scripts.save_tokenizer(tmp_path_factory.mktemp("target") / "uncased")


def _of_text(tokenizer, text):
    opened = types.SimpleNamespace(
        tokenizer=tokenizer,
        config=types.SimpleNamespace(corpus=config_lib.CorpusConfig(paths=("a",))),
        pretrained=types.SimpleNamespace(
            config=types.SimpleNamespace(max_positions=64)
        ),
    )
    [found] = target_lib._cut(opened, text, tokenizer.encode(text), factor=0)
    return found


def _of_windows(tokenizer, text, folder):
    folder.mkdir()
    (folder / "a.txt").write_text(text)
    windows = build_windows.build(
        folder / "tokens",
        config_lib.CorpusConfig(
            paths=(str(folder / "a.txt"),), window_length=64, clean=False
        ),
        tokenizer=tokenizer,
    )
    return target_lib.of_window(windows, window=0, position=1, factor=0)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_each_character_is_shown_once(tokenizer, form, tmp_path):
    text = unicodedata.normalize(form, TEXT)
    for target in (
        _of_text(tokenizer, text),
        _of_windows(tokenizer, text, tmp_path / form),
    ):
        spaces = np.where(target.is_spaced, " ", "")
        shown = "".join(map("".join, zip(spaces, target.shown, strict=True)))
        assert shown == unicodedata.normalize("NFC", TEXT)
        # A syllable is three tokens, and each of them names it.
        assert target.texts[2:5] == ("\ud55c",) * 3
        assert target.shown[2:6] == ("\ud55c", "", "", "\uad6d")


def test_a_map_adds_the_weights_of_tokens_that_share_a_character():
    found = markup.token_map(
        "title",
        texts=["", "\ud55c", "", "a", ""],
        is_spaced=[False, False, False, True, False],
        weights=np.array([0, 0.25, 0.25, -1, 0]),
        position=2,
    )
    assert found.count("\ud55c") == 1 and "> </span>" not in found
    syllable, letter = found.split("\ud55c")
    assert "255,140,0,0.50" in syllable and "underline" in syllable
    assert "90,140,255,1.00" in letter and "underline" not in letter
