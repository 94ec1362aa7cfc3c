"""A model whose tokenizer is byte-level BPE, from a text to the page."""

import json
import shutil

import many_tokenizers
import numpy as np
import pytest
import safetensors.numpy

from tfvis_jax import cli, notebook
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import masking
from tfvis_jax.saliency import explanation

_TEXT = (
    "The bank raised the rate, and she left the café.\n\nDon't go to the left bank: "
    "Straße 東京 left. "
)


def _model(toy_bert_folder, folder, kind):
    """Copies the toy BERT with the embeddings and the tokenizer of another kind."""
    shutil.copytree(toy_bert_folder, folder)
    settings = json.loads((folder / "config.json").read_text())
    many_tokenizers.save(folder, kind)
    ours = tokenizer_lib.load(folder)
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(ours.vocab_size, settings["hidden_size"])) * 0.4
    tensors[name] = np.float32(rows)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    settings["vocab_size"] = ours.vocab_size
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module", params=["bert_of_bytes", "llama_like"])
def run_folder(request, toy_bert_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("bytes")
    model = _model(toy_bert_folder, root / "model", request.param)
    text = root / "text.txt"
    rng = np.random.default_rng(1)
    words = np.array(_TEXT.split(" "))
    text.write_text(
        "\n\n".join(
            f"= Document {number} =\n\n{' '.join(rng.permutation(np.tile(words, 12)))}"
            for number in range(8)
        )
    )
    run = root / "run"
    train = [
        *("train", str(run), f"--model={model}", f"--text={text}"),
        *("--window_length=24", "--l1_penalty=0.1", "--until=train"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=32"),
    ]
    assert cli.main(train) == 0
    assert cli.main(["examples", str(run), "--top_n=40"]) == 0
    return run


_WORDS = {
    *("The", "bank", "raised", "the", "rate", ",", "and", "she", "left", "café", "."),
    *("Don", "'", "t", "go", "to", ":", "Straße", "=", "Document", "↵", "'t"),
}


def test_words_of_the_windows_are_words(run_folder):
    windows = windows_lib.open(run_folder / "tokens")
    found = {word for row in range(len(windows)) for word in windows.words(row).texts}
    assert not any(mark in word for word in found for mark in "Ġ▁##Ã")
    assert _WORDS & found >= {"bank", "café", "Straße", ",", "Don", "left", ":"}


def test_the_page_spells_words_as_the_text_does(run_folder, tmp_path):
    assert cli.main(["export", str(run_folder), f"--out={tmp_path / 'page'}"]) == 0
    content = "".join(
        path.read_text(encoding="utf-8")
        for path in (tmp_path / "page").rglob("*")
        if path.suffix in (".json", ".js") and "assets" not in path.parts
    )
    assert "café" in content and "Straße" in content
    assert not any(mark in content for mark in ("Ġ", "▁", "Ã©"))


def test_levels_are_measured_with_and_without_a_mask_token(run_folder):
    arguments = ["levels", str(run_folder), "--per_factor=2"]
    assert cli.main(arguments) == 0
    assert json.loads((run_folder / "levels.json").read_text())


def test_a_notebook_shows_tokens_and_masks_where_it_can(run_folder):
    run = notebook.load_run(run_folder)
    own = run.opened.tokenizer
    encoded = run.encode("The café left")
    assert (encoded.spans[0][0], encoded.spans[-1][1]) == (0, len(encoded.text))
    assert "é" in encoded._repr_html_() and "Ã" not in encoded._repr_html_()
    if own.mask_id is None:
        with pytest.raises(InputError, match="has no mask token"):
            explanation.replacement_id(own, "mask")
        batch = None
        with pytest.raises(InputError, match="has no mask token"):
            masking.mask_tokens(batch, tokenizer=own, seed=0)
    else:
        assert explanation.replacement_id(own, "mask") == own.mask_id
    by = explanation.replacement_id(own, "unk")
    assert own.unk_id is None
    assert by == own.mask_id if own.mask_id is not None else "." in own.pieces[by]
