"""`tfvis explain` as a person meets it."""

import json
import shutil

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli
from tfvis_jax.saliency import example_target, explanation


@pytest.fixture(scope="module")
def run(toy_run):
    return toy_run


def _explain(capsys, run, *arguments):
    code = cli.main(["explain", str(run), *arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def often(run):
    """The factor that fires most at layer 2."""
    return int(tfvis_jax.load_run(run).examples.firing[2].argmax())


def test_the_strongest_example_at_the_peak_is_explained(run, often, capsys):
    code, out, err = _explain(capsys, run, f"--factor={often}", "--json")
    assert code == 0, err
    found = json.loads(out)
    opened = tfvis_jax.load_run(run)
    layer = int(np.argmax(opened.importance()[:, often]))
    assert found["layer"] == layer and found["example"] == 1
    window = int(opened.examples.window[layer, often, 0])
    stored = opened.windows.token_ids(np.array([window]))[0]
    n = int(opened.windows.lengths[window])
    # The ids of the window itself, never tokenised again.
    assert found["token_ids"] == stored[:n].tolist()
    assert found["position"] == opened.examples.position[layer, often, 0]
    # The run's own codes are solved to a gap of 1e-3.
    expected = opened.examples.activation[layer, often, 0]
    assert found["activation"] == pytest.approx(expected, abs=0.05)
    assert list(found["maps"]) == list(explanation.METHODS)
    for weights in (each["weights"] for each in found["maps"].values()):
        assert len(weights) == n and weights[0] == weights[-1] == 0
    assert found["maps"]["lime"]["n_samples"] >= 256


def test_the_map_is_shown_with_its_text(run, often, capsys):
    arguments = [f"--factor={often}", "--layer=2", "--example=2", "--methods=occlusion"]
    code, out, err = _explain(capsys, run, *arguments)
    assert code == 0, err
    target = example_target.of_example(
        tfvis_jax.load_run(run), factor=often, layer=2, rank=2
    )
    assert f"factor {often} at layer 2" in out
    assert " ".join(target.texts[1:4]) in out.replace("\n", " ")
    assert "insertion" in out and "context need" in out and "LIME" not in out


def test_a_text_of_ones_own_needs_no_examples(run, often, capsys, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns("examples"))
    opened = tfvis_jax.load_run(run)
    layer = int(np.argmax(opened.importance()[:, often]))
    best = opened.factor(often).examples(layer=layer, n=1)[0]
    text = " ".join([best.before + best.word + best.after] * 12)
    arguments = [f"--factor={often}", f"--layer={layer}", "--methods=occlusion"]
    code, out, err = _explain(capsys, bare, *arguments, f"--text={text}")
    assert code == 0, err
    # Lines may break anywhere.
    assert "longer than the model's positions and was cut into" in " ".join(out.split())
    code, _, err = _explain(capsys, bare, *arguments)
    assert code == 1 and "no examples" in err and "tfvis examples" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--factor=NUMBER"),
        (["--factor=1", "--text=a", "--example=1"], 2, "got both"),
        (["--factor=1", "--methods=shap"], 2, "--methods out of"),
        (["--factor=1", "--example=0"], 2, "example"),
        (["--factor=24"], 1, "0 … 23"),
        (["--factor=0"], 1, "Factor 0 is dead"),
        (["--factor=0", "--layer=1"], 1, "Factor 0 is dead"),
        (["--factor=1", "--layer=2"], 1, "fires, one of [0, 1]; got 2"),
        (["--factor=1", "--layer=9"], 1, "Expected a layer of (0, 1, 2)"),
        (["--factor=1", "--layer=9", "--text=a"], 1, "Expected a layer of (0, 1, 2)"),
        (["--factor=1", "--layer=1", "--example=41"], 1, "Expected an example in 1 …"),
        (["--factor=1", "--layer=1", "--text="], 1, "at least one word"),
        (["--factor=1", "--layer=1", "--text=Ω Ψ"], 1, "[UNK]"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(run, capsys, arguments, code, message):
    found, out, err = _explain(capsys, run, *arguments)
    assert (found, out) == (code, "")
    assert message in err


def test_a_notebook_explains_alike_and_shows_markup_as_text(run, often):
    opened = tfvis_jax.load_run(run)
    found = opened.factor(often).explain(layer=2, methods=("occlusion",))
    target = example_target.of_example(opened, factor=often, layer=2, rank=1)
    [expected] = explanation.explain(
        opened.opened, opened.trained, [target], layer=2, methods=("occlusion",)
    )
    weights = found.maps["occlusion"].weights
    np.testing.assert_allclose(weights, expected.maps["occlusion"].weights, atol=1e-5)
    assert found.target.texts[found.target.position] in found._repr_html_()
    text = " ".join(target.texts) + " <b>bank</b> of a river"
    own = opened.explain(text, factor=often, layer=2, methods=("occlusion",))
    assert "<b>bank" not in own._repr_html_() and "&lt;" in own._repr_html_()
    page = opened.factor(often)._repr_html_()
    assert f"Φ{often}" in page and "<script>" not in page
    shown = opened.factor(often).examples(layer=2, n=1)
    assert shown
