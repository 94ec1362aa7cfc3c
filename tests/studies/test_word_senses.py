"""Words of a toy corpus, from labels to tables."""

import json

import numpy as np
import pytest
import scripts

from experiments import word_senses as script
from tfvis_jax import load_run, probing
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import labelled_rows, representations
from tfvis_jax.studies.words import word_probes, word_senses, word_sets


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


@pytest.fixture(scope="module")
def tagged_folder(tmp_path_factory):
    """Twelve documents; "left" is a verb before "the", else an adjective."""
    folder = tmp_path_factory.mktemp("tagged")
    rng = np.random.default_rng(0)
    for number in range(12):
        lines = []
        for _ in range(8):
            if rng.random() < 0.5:
                lines.append("the/at bank/nn left/vbd the/at house/nn")
            else:
                lines.append("a/at left/jj hand/nn over/in the/at bench/nn")
            lines[-1] += f" {rng.choice(['red', 'blue'])}/jj light/"
            lines[-1] += rng.choice(["nn", "vb"])
        (folder / f"ca{number:02}").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def labelled(tagged_folder):
    return probing.read_word_tags(tagged_folder).mapped(probing.coarse_tag)


def test_hidden_states_are_those_of_the_run(run, labelled):
    tokens = probing.tokenize(labelled, run.opened.tokenizer)
    found = labelled_rows.scaled_rows(run.opened, run.trained, labelled, tokens)
    for text in (0, 40, len(labelled.texts) - 1):
        expected = run.encode(labelled.texts[text]).x
        np.testing.assert_allclose(
            found[:, tokens.text_of == text], expected, rtol=1e-4, atol=1e-5
        )


def test_a_long_text_is_cut_into_windows_of_the_run(run):
    capacity = run.config.corpus.window_length - 2
    words = (["the", "bank", "of", "a", "river"] * capacity)[: 2 * capacity + 1]
    labelled = probing.labelled.build("t", [("d", " ".join(words), [(0, 3, "x")])])
    tokens = probing.tokenize(labelled, run.opened.tokenizer)
    found = labelled_rows.scaled_rows(run.opened, run.trained, labelled, tokens)
    assert found.shape[1] == 2 * capacity + 1
    for first in (0, capacity, 2 * capacity):
        part = words[first : first + capacity]
        expected = run.encode(" ".join(part)).x
        np.testing.assert_allclose(
            found[:, first : first + len(part)], expected, rtol=1e-4, atol=1e-5
        )


@pytest.fixture(scope="module")
def probed(run):
    return representations.open_probed(run.opened, run.trained)


def test_representations_are_what_they_are_called(run, probed, labelled):
    tokens = probing.tokenize(labelled, run.opened.tokenizer)
    x = labelled_rows.scaled_rows(run.opened, run.trained, labelled, tokens)[1][:50]
    names = ("factors", "sample factors", "projections", "random directions")
    names += ("hidden state", "reconstruction", "residual")
    found = probed.represent(x, names, layer=1)
    assert tuple(found) == names
    codes = found["factors"].toarray()
    # In the model's own scale, which is that of 1e1; the solver's is 1.
    scale = run.trained.layer_scale[1]
    np.testing.assert_allclose(
        found["reconstruction"], scale * (codes @ run.trained.factors), atol=1e-4
    )
    np.testing.assert_allclose(found["hidden state"], scale * x, atol=1e-5)
    np.testing.assert_allclose(
        found["reconstruction"] + found["residual"], found["hidden state"], atol=1e-6
    )
    np.testing.assert_allclose(found["projections"], x @ run.trained.factors.T)
    # Of the stationarity of the lasso: no factor explains more than λ of the residual.
    correlation = found["residual"] / scale @ run.trained.factors.T
    assert correlation.max() < run.trained.l1_penalty * 1.1
    norms = np.linalg.norm(probed.random_directions, axis=1)
    np.testing.assert_allclose(norms, np.ones(24), atol=1e-5)
    # λ of the sample factors gives the L0 of the run where it was found.
    rows = x.shape[0]
    assert found["sample factors"].nnz / rows == pytest.approx(
        found["factors"].nnz / rows, rel=0.5
    )
    alone = probed.represent(x, ("residual",), layer=1)
    np.testing.assert_array_equal(alone["residual"], found["residual"])


def test_a_word_is_probed_at_every_layer(run, probed, labelled):
    word = word_sets.part_of_speech(labelled, "left", ("verb",), positive="verb")
    config = word_probes.StudyConfig(layers=(0, 2), ks=(1, 2), n_resamples=20)
    study = word_senses.study_word(run.opened, run.trained, probed, word, config)
    assert sum(study.support.values()) == len(word.labelled.spans)
    # The words around it tell.
    whole = study.figures.find(
        question="occurrences", representation="hidden state", features="all", layer=2
    )
    assert whole.accuracy.value > 0.95
    majority = study.figures.find(representation="majority")
    assert majority.accuracy.value == pytest.approx(
        max(study.support.values()) / sum(study.support.values()), abs=0.1
    )
    everywhere = [f for f in study.figures if f.question == "all tokens"]
    # Five single features at two layers and at the chosen one, and the probe of all
    # dimensions at one layer and that.
    assert len(everywhere) == 17
    assert all(f.accuracy is None and f.average_precision for f in everywhere)
    assert study.best_layer in (0, 2) and study.splits["layer"] == study.best_layer
    assert study.splits["n_hits"] + study.splits["n_misses"] == study.support["verb"]
    activations = study.activations[2]
    assert len(activations["verb"]) == study.support["verb"]
    fvu = study.fvu[2]
    assert 0 < fvu.centred <= fvu.raw
    again = word_senses.study_word(run.opened, run.trained, probed, word, config)
    for first, second in zip(study.figures, again.figures, strict=True):
        assert (first.accuracy is None) == (second.accuracy is None)
        if first.accuracy is not None:
            assert first.accuracy.low == second.accuracy.low
        assert first.chosen == second.chosen
    with pytest.raises(InputError, match=r"layers of \(0, 1, 2\), got \(7,\)"):
        word_senses.study_word(
            run.opened,
            run.trained,
            probed,
            word,
            word_probes.StudyConfig(layers=(7,)),
        )


def test_ambiguous_words_are_the_evenly_spread_ones(labelled):
    found = word_sets.ambiguous_words(labelled, 2, least_rows=5)
    counts = {
        word: np.unique(labelled.occurrences(word).labels, return_counts=True)[1]
        for word, _ in found
    }
    assert set(counts) == {"left", "light"}
    first, second = (counts[word] for word, _ in found)
    assert min(first) / sum(first) >= min(second) / sum(second)
    with pytest.raises(InputError, match=r"Expected 3 ambiguous words .*found 2"):
        word_sets.ambiguous_words(labelled, 3, least_rows=5)


def test_the_tagger_sees_the_sentence_and_answers_for_the_word(labelled):
    seen = []

    def tagger(words):
        seen.append(words)
        return ["VBD" if word == "left" else "NN" for word in words]

    spans = np.flatnonzero(labelled.words == "left")[:3]
    found = word_sets.tag_occurrences(labelled, spans, tagger)
    assert found.tolist() == ["verb"] * 3
    assert [" ".join(words) for words in seen] == [
        labelled.texts[labelled.text_of[span]] for span in spans
    ]
    word = word_sets.part_of_speech(labelled, "left", ("adjective",), tagger=tagger)
    assert set(word.tagged.tolist()) == {"other"}
    assert set(word.labelled.labels.tolist()) == {"adjective", "other"}


def test_the_script_writes_tables(toy_run, tagged_folder, tmp_path, capsys):
    out = tmp_path / "words.json"
    scripts.run(
        script,
        run=toy_run,
        brown=tagged_folder,
        layers=["1", "2"],
        resamples=20,
        sentences=50,
        sae="topk",
        out=out,
    )
    document = json.loads(out.read_text())
    left, words = document["words"]
    assert (left["word"], words["word"]) == ("left", "parts of speech")
    assert {f["representation"] for f in left["figures"]} >= {"SAE", "majority"}
    for figure in left["figures"]:
        value, low, high = figure.get("accuracy") or figure["average_precision"]
        assert 0 <= low <= high <= 1 and 0 <= value <= 1
    printed = capsys.readouterr().out
    assert printed == out.with_suffix(".md").read_text()
    for text in ("average precision, all tokens", "residual", "| Claim"):
        assert text in printed
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Expected --brown, --conllu, --senseval or --labels"),
        ({"word": "lefft"}, "got 'lefft'.*such as left"),
        ({"positive": "verbs"}, "got verbs; it has adjective"),
        ({"brown": "nowhere"}, "Brown corpus .* at nowhere"),
    ],
)
def test_mistakes_are_one_line(toy_run, tagged_folder, tmp_path, given, message):
    if given:
        given = {"brown": tagged_folder} | given
    with pytest.raises(SystemExit, match=message):
        scripts.run(script, run=toy_run, out=tmp_path / "words.json", **given)
