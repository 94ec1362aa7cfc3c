"""Labels of any format, and the sentences that come with the package."""

import json

import numpy as np
import pytest

from tfvis_jax import probing
from tfvis_jax.errors import InputError


def test_of_every_word_half_are_verbs():
    found = probing.verbs()
    assert len(found.texts) == len(found.spans) == 320
    assert len(set(found.texts)) == 320 and found.n_documents == 40
    words = found.words
    for word in np.unique(words):
        labels = found.labels[words == word]
        assert (labels == "verb").sum() == (labels == "other").sum() == 8
    # In every scene, too: the topic tells nothing.
    for document in range(40):
        labels = found.labels[found.span_documents == document]
        assert (labels == "verb").mean() == 0.5
    # Folds divide scenes.
    task = probing.make_task(found.labels, found.span_documents)
    for document in np.unique(task.documents):
        assert len(np.unique(task.folds[task.documents == document])) == 1


def test_the_format_is_told_by_the_name(tmp_path):
    line = {"text": "He left.", "span": [3, 7], "label": "verb"}
    lines = tmp_path / "labels" / "mine.jsonl"
    lines.parent.mkdir()
    lines.write_text(json.dumps(line))
    for path in (lines, lines.parent):
        assert probing.read(path).labels.tolist() == ["verb"]
    conllu = tmp_path / "ud" / "a.conllu"
    conllu.parent.mkdir()
    row = ["1", "left", "leave", "VERB", "VBD", *"_____"]
    conllu.write_text("# text = left\n" + "\t".join(row) + "\n")
    for path in (conllu, conllu.parent):
        assert probing.read(path).labels.tolist() == ["verb"]
    tagged = tmp_path / "ca01"
    tagged.write_text("He/pps left/vbd ./.")
    assert probing.read(tagged).labels.tolist() == ["pronoun", "verb", "other"]
    (lines.parent / "more.jsonl").write_text(json.dumps(line))
    with pytest.raises(InputError, match=r"one file of JSON lines .* got 2"):
        probing.read(lines.parent)
    with pytest.raises(InputError, match="nowhere, found nothing"):
        probing.read(tmp_path / "nowhere")
