"""The scripts of patterns and adversarial texts, from end to end on a toy run."""

import json

import numpy as np
import pytest
import scripts

from experiments import adversarial as adversarial_script
from experiments import patterns as patterns_script
from tfvis_jax.description import tagging
from tfvis_jax.reporting import claims
from tfvis_jax.studies.adversarial import adversarial_words

pytestmark = pytest.mark.long

FRAME = {"the": "DT", "a": "DT", "of": "IN", "and": "CC", "with": "IN", "over": "IN"}
NOUNS = ("bank", "river", "money", "light", "bulb", "house", "hand", "park", "bench")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Thirty documents, some passages of each with a list of nouns or a city."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("text") / "lists.txt"
    with path.open("w") as file:
        for document in range(30):
            lines = []
            for number in range(8):
                words = rng.choice(NOUNS, size=12).tolist()
                if number < 3:
                    words[5] = "{}, {} and {} over".format(*rng.choice(NOUNS, 3))
                if number == 4:
                    words[5] = "of Park, Texas with"
                lines.append(" of the ".join(words[:8]))
            file.write(f"= Document {document} =\n\n" + "\n".join(lines) + "\n\n")
    return path


@pytest.fixture(autouse=True)
def _tagger(monkeypatch):
    def tagger(words):
        return [FRAME.get(w, "NN" if w[0].isalpha() else w) for w in words]

    monkeypatch.setattr(tagging, "load", lambda folder: tagger)
    monkeypatch.setattr(adversarial_words, "_LEAST_WORDS", 3)


def _checked(out, printed):
    document = json.loads(out.read_text())
    found = [claims.Claim.from_json(entry) for entry in document["claims"]]
    assert all(claim.reason and np.isfinite(claim.ours) for claim in found)
    assert printed == out.with_suffix(".md").read_text()
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    return document, found


def test_patterns_from_text_to_tables(toy_run, text, tmp_path, capsys):
    out = tmp_path / "patterns.json"
    given = {"run": toy_run, "out": out, "text": text, "layers": ["0", "2"]}
    given |= {"occurrences": 30, "passages": 40, "resamples": 20, "shifts": 99}
    scripts.run(
        patterns_script,
        **given,
        tagger="tagger",
        patterns=["enumeration of nouns", "city, state", "full date"],
    )
    document, found = _checked(out, capsys.readouterr().out)
    assert set(document["left_out"]) == {"full date"}
    assert {f["pattern"] for f in document["all_tokens"]} == {
        "enumeration of nouns",
        "city, state",
    }
    # The toy corpus has no such pattern, so no stored context has one.
    assert document["stored_contexts"] == [] and len(found) == 2
    for figure in document["all_tokens"]:
        value, low, high = figure["average_precision"]
        assert 0 <= value <= 1 and low <= high
    # Without a tagger, patterns that need none.
    scripts.run(patterns_script, **given)
    again, _ = _checked(out, capsys.readouterr().out)
    assert {f["pattern"] for f in again["all_tokens"]} == {"city, state"}


def test_adversarial_texts_from_text_to_tables(toy_run, text, tmp_path, capsys):
    out = tmp_path / "adversarial.json"
    given = {"run": toy_run, "out": out, "text": text, "tagger": "tagger"}
    given |= {"occurrences": 30, "passages": 40, "resamples": 20, "contexts": 4}
    scripts.run(adversarial_script, **given, patterns=["enumeration of nouns"])
    document, found = _checked(out, capsys.readouterr().out)
    assert len(found) == 2 and document["grades"][0] == "original"
    for grades in document["means"].values():
        assert grades["original"][0] == pytest.approx(1)
    texts = {e["grade"]: e["text"] for e in document["pairs"][0]["example"]}
    assert texts["original"] != texts["near words"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"patterns": ["rhyme"]}, "out of 'unit conversion'.*got 'rhyme'"),
        ({"layers": ["9"]}, "layers of .0, 1, 2., got 9"),
        ({"text": "nowhere.txt"}, "nowhere.txt"),
        ({"run": "nowhere"}, "nowhere"),
        ({}, "least 10 passages .* held-out documents of the run; found"),
    ],
)
def test_mistakes_are_one_line(toy_run, tmp_path, given, message):
    given = {"run": toy_run, "out": tmp_path / "out.json"} | given
    for module, extra in (
        (patterns_script, {}),
        (adversarial_script, {"tagger": "tagger"}),
    ):
        with pytest.raises(SystemExit, match=message):
            scripts.run(module, **(extra | given))


def test_a_run_without_examples_is_told_so(toy_run, tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    for entry in toy_run.iterdir():
        if entry.name not in ("examples", ".lock"):
            (other / entry.name).symlink_to(entry)
    with pytest.raises(SystemExit, match="tfvis examples"):
        scripts.run(patterns_script, run=other, out=tmp_path / "out.json")
