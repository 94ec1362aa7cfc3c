"""Test words of factors against plain sums, and that all that shows them agrees."""

import collections
import json
import re
import shutil
import types

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli, pipeline
from tfvis_jax.data import words as words_lib
from tfvis_jax.description import factor_words, label_prompts, word_table
from tfvis_jax.examples import stored
from tfvis_jax.viewer import bundle


def _expected(run, index, factor):
    """Returns weight and documents of each folded word, in plain sums."""
    top = run.examples.top(index, factor, stop=400)
    best = collections.defaultdict(dict)
    spelt = collections.defaultdict(collections.Counter)
    for alpha, window, position in zip(
        top.activation.tolist(), top.window.tolist(), top.position.tolist(), strict=True
    ):
        words = run.windows.words(window)
        text = words.texts[words.of_position[position]]
        word = words_lib.fold(text)
        spelt[word][text] += 1
        # The toy corpus has few documents: windows count in their place.
        best[word][window] = max(best[word].get(window, 0), alpha**2)
    return {
        word: (sum(each.values()), len(each), spelt[word])
        for word, each in best.items()
    }


@pytest.fixture(scope="module")
def run(toy_run):
    return tfvis_jax.load_run(toy_run)


def test_weights_are_sums_over_documents_of_the_largest_square(run):
    firing = np.argwhere(run.examples.firing > 0)
    for index, factor in firing.tolist()[::7]:
        expected = _expected(run, index, factor)
        largest = max(weight for weight, _, _ in expected.values())
        found = run.words.at(index, factor, n=1000)
        # Words below a fiftieth of the largest weight are left out.
        assert {words_lib.fold(word.text) for word in found} == {
            word for word, (weight, _, _) in expected.items() if weight >= largest / 50
        }
        for word in found:
            weight, documents, spelt = expected[words_lib.fold(word.text)]
            assert word.weight == pytest.approx(weight, rel=1e-12)
            assert word.documents == documents
            assert spelt[word.text] == max(spelt.values())
        weights = [word.weight for word in found]
        assert weights == sorted(weights, reverse=True)
        assert run.words.at(index, factor, n=2) == found[:2]


def test_a_dead_factor_has_no_words_and_no_name(run):
    assert run.words.of(0, n=9) == []
    assert run.name(0) == ""


class _Windows:
    window_length = 4

    def __init__(self, *rows):
        self._rows = rows

    def __len__(self):
        return len(self._rows)

    def words(self, window):
        texts = self._rows[window]
        place = np.arange(4)
        return types.SimpleNamespace(
            texts=texts,
            is_spaced=np.ones(len(texts), bool),
            of_position=np.where(place < len(texts), place, -1),
        )


def _of(rows, places, *, document_of):
    """Returns the words of places, (window, position, α) from the strongest."""
    window, position, alpha = (np.array(each) for each in zip(*places, strict=True))
    top = stored.Places(alpha.astype(np.float32), window, position)
    table = word_table.WordTable(_Windows(*rows))
    return factor_words.of_layer(
        types.SimpleNamespace(top=lambda index, factor, stop: top),
        table,
        np.array(document_of),
        index=0,
        factor=0,
        n=9,
    )


def test_a_document_that_repeats_a_word_counts_once():
    rows = [["Achilles"] * 4, ["river", "river"], ["rivers", "River"], ["river"]]
    places = [
        *((0, position, 1.0) for position in range(4)),
        *((1, 0, 0.75), (2, 1, 0.75), (3, 0, 0.75)),
    ]
    found = _of(rows, places, document_of=[0, 1, 2, 3])
    assert found == [("river", 3, 3 * 0.75**2), ("Achilles", 1, 1.0)]
    # The three windows of one document count once as well.
    found = _of(rows, places, document_of=[0, 1, 1, 1])
    assert found == [("Achilles", 1, 1.0), ("river", 1, 0.75**2)]


def test_a_spelling_does_not_depend_on_what_was_read_before():
    rows = [["left"], ["Left", "left", "left"], ["LEFT"]]
    places = [(0, 0, 2.0), (1, 0, 1.0), (1, 1, 1.0), (2, 0, 0.5)]
    assert [word.text for word in _of(rows, places, document_of=[0, 1, 2])] == ["left"]


def test_the_same_factor_has_the_same_words_everywhere(toy_run, run, tmp_path, capsys):
    alive = np.flatnonzero(run.examples.firing.any(axis=0)).tolist()
    expected = {f: [word.text for word in run.words.of(f, n=8)] for f in alive}
    assert len({tuple(words) for words in expected.values()}) > 9

    # The page: the list of factors, a factor's page, and its words by layer.
    bundle.write(tmp_path / "site", pipeline.site_data(run, contexts=3))
    index = bundle.read(tmp_path / "site", "data/index")
    size = bundle.read(tmp_path / "site", "data/manifest")["shard_size"]
    for factor in alive:
        listed = [index["vocabulary"][place] for place, _ in index["words"][factor]]
        assert listed == expected[factor]
        shard = bundle.read(tmp_path / "site", f"data/factors/{factor // size:05d}")
        record = shard["factors"][factor % size]
        assert [word for word, _ in record["words"]] == expected[factor]
        at_peak = record["layer_words"][index["peak"][factor]]
        assert [word for word, _ in at_peak] == expected[factor][: len(at_peak)]

    # The command line.
    for factor in alive[:3]:
        assert cli.main(["describe", str(toy_run), f"--factor={factor}", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["words"] == expected[factor]
        for relative in said["nearest"]:
            words = expected.get(relative["factor"], [])
            assert relative["words"] == words[:3]
    assert cli.main(["encode", str(toy_run), "the bank of a river", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["words"] and said["labels"] == {}
    for factor, words in said["words"].items():
        assert words == expected.get(int(factor), [])
    assert cli.main(["encode", str(toy_run), "the bank of a river", "--layer=2"]) == 0
    printed = capsys.readouterr()
    assert "layer 2" in printed.out and "layer 0" not in printed.out
    factor, name = _first_term(printed.out)
    assert name == ", ".join(expected[factor][:2])
    assert "codes of the sentence" in printed.err

    # The notebook, and what tools that make labels are given.
    factor = run.factor(alive[0])
    assert factor.words() == expected[alive[0]]
    assert ", ".join(expected[alive[0]]) in factor._repr_html_()
    for record in label_prompts.records(run, alive[:3]):
        assert record["words"] == expected[record["factor"]]


def _first_term(text):
    """Returns factor and name of the first named term that `encode` prints."""
    factor, name = re.search("Φ([0-9]+) “([^”]*)”", text).groups()
    return int(factor), name


def test_without_examples_there_are_numbers_and_what_to_run(toy_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(toy_run, run, ignore=shutil.ignore_patterns("examples"))
    assert cli.main(["encode", str(run), "the bank of a river", "--layer=2"]) == 0
    printed = capsys.readouterr()
    assert "·Φ" in printed.out and "“" not in printed.out
    assert f"`tfvis examples {run}` computes them" in printed.err
    assert cli.main(["encode", str(run), "the bank", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == {}
    encoded = tfvis_jax.load_run(run).encode("the bank")
    assert "Φ" in encoded._repr_html_()
