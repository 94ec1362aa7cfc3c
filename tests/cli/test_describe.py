"""`tfvis describe` and `tfvis labels` as a person meets them."""

import json
import re
import shutil

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli
from tfvis_jax.description import log_odds
from tfvis_jax.runs import encoding

EVIL = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture(scope="module")
def run(toy_run, tmp_path_factory):
    """A copy that labels may be put into."""
    path = tmp_path_factory.mktemp("copy") / "toy"
    shutil.copytree(toy_run, path)
    return path


@pytest.fixture(scope="module")
def often(run):
    """The factor that fires most."""
    return int(tfvis_jax.load_run(run).examples.firing.sum(axis=0).argmax())


def _tfvis(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    return code, captured.out, captured.err


def test_a_factor_is_described(run, often, capsys):
    code, out, err = _tfvis(capsys, "describe", run, f"--factor={often}", "--json")
    assert code == 0, err
    found, opened = json.loads(out), tfvis_jax.load_run(run)
    factor = opened.factor(often)
    assert found["factor"] == often and found["layer"] == factor.importance().peak
    assert found["level"] == factor.level.name
    curve = [layer["importance"] for layer in found["layers"]]
    np.testing.assert_allclose(curve, list(factor.importance().values()))
    # Twelve documents are few: windows count.
    assert found["terms"]["counted_by"] == "window"
    nearest = found["nearest"]
    cosine = opened.trained.factors @ factor.vector
    assert nearest[0]["score"] == pytest.approx(np.sort(cosine)[-2])
    index = opened.trained.layers.index(found["layer"])
    partners = [each["factor"] for each in found["together"]]
    stored = opened.examples.partner[index, often]
    assert partners == stored[stored >= 0][: len(partners)].tolist() and partners
    # The toy model has no masked-LM head.
    assert found["vocabulary"] is None and found["label"] is None


def test_its_terms_are_those_of_a_count_by_hand(run):
    opened = tfvis_jax.load_run(run)
    n_words = 0
    for factor in np.argsort(-opened.examples.firing[2])[:4].tolist():
        n_words += _compare_terms_by_hand(opened, factor)
    assert n_words


def _compare_terms_by_hand(opened, factor) -> int:
    """Returns the number of words among the terms."""
    found = opened.factor(factor).describe(layer=2)
    windows, weight = opened.windows, {}
    examples = opened.factor(factor).examples(layer=2, n=10**6)
    seen = set()
    for example in examples:
        words = windows.words(example.window)
        place = words.of_position[example.position]
        folded = [word.casefold() for word in words.texts]
        nearby = min(place, 10), *folded[max(place - 10, 0) : place + 11]
        if nearby not in seen:
            seen.add(nearby)
            weight.setdefault(example.window, []).append(folded[place])
    share = {}
    for window, words in weight.items():
        for word in words:
            share.setdefault(word, {}).setdefault(window, 0)
            share[word][window] += 1 / len(words)
    corpus = [w.casefold() for i in range(len(windows)) for w in windows.words(i).texts]
    for term in found.terms.at:
        if term.n > 1:
            continue
        s = np.array(list(share[term.text.casefold()].values()))
        count = s.sum() ** 2 / (s**2).sum()
        _, z = log_odds.compare(
            np.array([count]),
            np.array([corpus.count(term.text.casefold())]),
            total=count * len(weight) / s.sum(),
            background_total=len(corpus),
        )
        assert term.z == pytest.approx(z[0]) and term.documents == len(s)
    assert found.terms.n_contexts == len(seen)
    return sum(term.n == 1 for term in found.terms.at)


def test_the_text_is_readable(run, often, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    code, out, err = _tfvis(capsys, "describe", run, f"--factor={often}", "--layer=2")
    assert code == 0, err
    for part in (f"Φ{often}", "At layer 2", "nearest factors (cosine)"):
        assert part in out
    assert max(map(len, out.splitlines())) <= 100
    example = tfvis_jax.load_run(run).factor(often).examples(layer=2)[0]
    assert f"{example.activation:.3f}" in out


def test_all_factors_go_into_a_file(run, tmp_path, capsys):
    out = tmp_path / "all.json"
    code, printed, err = _tfvis(capsys, "describe", run, f"--out={out}")
    assert code == 0, err
    factors = json.loads(out.read_text())["factors"]
    numbers = [each["factor"] for each in factors]
    assert 0 not in numbers and numbers == sorted(numbers)
    assert f"{len(numbers)} factors" in printed
    # An earlier file of the same kind is replaced.
    whole = out.read_bytes()
    out.write_bytes(whole[:50])
    assert _tfvis(capsys, "describe", run, f"--out={out}")[0] == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("command", "flag"), [("describe", "--out"), ("labels", "--export")]
)
def test_what_is_not_ours_is_not_written_over(run, tmp_path, capsys, command, flag):
    foreign = tmp_path / "thesis.json"
    foreign.write_text('{"my": "thesis"}')
    for path, message in (
        (foreign, "holds something else"),
        (tmp_path, "name of a file"),
        (tmp_path / "none" / "x.json", "folder"),
        ("", "name of a file"),
    ):
        code, _, err = _tfvis(capsys, command, run, f"{flag}={path}")
        assert code == 1 and message in err and "unexpectedly" not in err
    assert foreign.read_text() == '{"my": "thesis"}'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--factor=24"], 1, "0 … 23, got 24"),
        (["--factor=-1"], 1, "0 … 23, got -1"),
        (["--factor=0"], 1, "Factor 0 is dead"),
        (["--factor=3", "--layer=9"], 1, "(0, 1, 2), got 9"),
        (["--factor=1", "--layer=2"], 1, "fires, one of [0, 1]; got 2"),
        ([], 2, "--factor=NUMBER"),
        (["--factor=1", "--out=x.json"], 2, "--factor=NUMBER"),
        (["--factor=1", "--tagger=/nowhere"], 1, "json in /nowhere; missing"),
    ],
)
def test_mistakes_are_named(run, capsys, arguments, code, message):
    got, out, err = _tfvis(capsys, "describe", run, *arguments)
    assert got == code and message in err and out == ""


def test_a_run_without_examples_is_named(run, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns("examples"))
    code, _, err = _tfvis(capsys, "describe", bare, "--factor=1")
    assert code == 1 and "`tfvis examples" in err
    code, _, err = _tfvis(capsys, "labels", bare, f"--export={tmp_path / 'p.json'}")
    assert code == 1 and "`tfvis examples" in err
    assert not (tmp_path / "p.json").exists()


def test_the_model_need_not_be_at_hand(run, often, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(config | {"model": "/nowhere"}))
    code, out, err = _tfvis(capsys, "describe", moved, f"--factor={often}", "--json")
    assert code == 0, err
    assert json.loads(out)["vocabulary"] is None


def test_parts_of_speech_by_a_folder_of_weights(run, often, shared_data, capsys):
    pytest.importorskip("nltk", reason="NLTK is not installed")
    code, out, err = _tfvis(
        *(capsys, "describe", run, f"--factor={often}", "--json"),
        f"--tagger={shared_data / 'perceptron_tagger'}",
    )
    assert code == 0, err
    tags = json.loads(out)["parts_of_speech"]
    assert sum(tags.values()) == pytest.approx(1) and all(
        re.fullmatch(r"[A-Z]{2,4}\$?|\W+", tag) for tag in tags
    )


def test_material_has_the_activations_of_every_token(run, often, tmp_path, capsys):
    out = tmp_path / "prompts.json"
    code, printed, err = _tfvis(
        *(capsys, "labels", run, f"--export={out}", f"--factors={often},0,5"),
        *("--top=4", "--per_quantile=2", "--negative=3"),
    )
    assert code == 0, err
    assert "2 factors; 1 do not fire" in printed
    [record, _] = json.loads(out.read_text())["factors"]
    opened = tfvis_jax.load_run(run)
    factor = opened.factor(often)
    layer = factor.importance().peak
    assert record["name"] == f"layer{layer}_factor{often}"
    kinds = [example["quantile"] for example in record["examples"]]
    assert kinds[:4] == ["top"] * 4
    assert set(kinds) <= {"top", "q1", "q2", "q3", "q4", "negative"}
    best = factor.examples(layer=layer)[0]
    top = record["examples"][0]
    assert top["window"] == best.window
    # Codes are solved to the run's tolerance in other batches.
    assert top["max_activation"] == pytest.approx(best.activation, rel=0.02)
    windows = opened.windows
    codes = {}
    for batch, layers in encoding.encode_windows(
        opened.opened, opened.trained, windows, np.arange(len(windows))
    ):
        rows = list(layers)[opened.trained.layers.index(layer)]
        of_batch = np.asarray(rows.codes).reshape(*batch.row_mask.shape, -1)
        for place, window in enumerate(batch.window_ids.tolist()):
            codes[window] = of_batch[place, batch.row_mask[place], often]
    for example in record["examples"]:
        # Half precision, and codes within the run's tolerance.
        np.testing.assert_allclose(
            example["activations"], codes[example["window"]], atol=2e-3
        )
        window = example["window"]
        first = int(np.flatnonzero(windows.row_mask(np.array([window]))[0])[0])
        whole = windows.context(window, first, before=99, after=99)
        text = whole.before + whole.word + whole.after
        assert "".join(example["tokens"]) == text
        assert len(example["tokens"]) == len(example["activations"])
        assert example["max_activation"] == max(example["activations"])
        assert (example["max_activation"] == 0) == (example["quantile"] == "negative")
    means = [
        np.mean([e["max_activation"] for e in record["examples"] if e["quantile"] == q])
        for q in ("top", "q1", "q4")
    ]
    assert means == sorted(means, reverse=True)


def test_labels_go_in_and_are_shown_as_text(run, often, tmp_path, capsys):
    code, out, err = _tfvis(capsys, "labels", run)
    assert code == 0 and "No factor has a label" in out
    given = tmp_path / "labels.json"
    one, two = [str(number) for number in (7, 8, 9) if number != often][:2]
    given.write_text(
        json.dumps({f"layer2_factor{often}": {"label": EVIL, "score": 0.5}, one: "b"})
    )
    code, out, err = _tfvis(capsys, "labels", run, f"--import={given}")
    assert code == 0 and "2 of 24 factors" in out, err
    given.write_text(json.dumps({one: "seven", two: "eight"}))
    code, out, _ = _tfvis(capsys, "labels", run, f"--import={given}")
    assert "2 labels read, 1 of them in place of others; 3 of 24" in out
    _, listed, _ = _tfvis(capsys, "labels", run)
    assert "seven" in listed and "<script>" in listed and "\x1b[31m" not in listed
    _, described, _ = _tfvis(capsys, "describe", run, f"--factor={often}")
    assert "<script>alert(1)</script>" in described and "\x1b[31m" not in described
    shown = tfvis_jax.load_run(run).factor(often)._repr_html_()
    assert "<script" not in shown and "&lt;script&gt;" in shown
    assert _tfvis(capsys, "export", run)[0] == 0
    index = (run / "site" / "data" / "index.js").read_text()
    assert "seven" in index and "<" not in index


def test_bad_labels_change_nothing(run, tmp_path, capsys):
    before = (run / "labels.json").read_bytes()
    given = tmp_path / "labels.json"
    given.write_text('{"24": "out of range"}')
    code, _, err = _tfvis(capsys, "labels", run, f"--import={given}")
    assert code == 1 and "0 … 23" in err
    code, _, err = _tfvis(capsys, "labels", run, "--import=a", "--export=b")
    assert code == 2 and "got both" in err
    assert (run / "labels.json").read_bytes() == before
