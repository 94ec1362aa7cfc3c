"""What x, reconstruction, codes and residual tell, each alone."""

import json
import shutil

import numpy as np
import pytest

from tfvis_jax import cli, load_run, probing
from tfvis_jax.codes import rows as rows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import parts


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


def test_parts_of_the_toy(run, light_labels):
    labels = parts.prepare(probing.read(light_labels), run.opened)
    found = parts.measure(run.opened, run.trained, labels)
    assert found["layers"] == [0, 1, 2] and found["majority"][0] == 0.5
    assert found["classes"] == {"adjective": 30, "noun": 30}
    # The embedding of the word knows nothing of what follows; the layers above do.
    by_layer = [value for value, _, _ in found["accuracy"]["x"]]
    # Chance, and three standard errors of a share of 60 labels.
    by_chance = 0.5 + 3 * (0.25 / 60) ** 0.5
    assert by_layer[0] < by_chance < by_layer[2]
    for place, whole in enumerate(by_layer):
        alone = found["accuracy"]["residual"][place][0]
        expected = None if whole <= 0.5 else (alone - 0.5) / (whole - 0.5)
        share = found["residual_share"][place]
        assert (
            share is None
            if expected is None
            else share == pytest.approx(expected, abs=1e-3)
        )
    for part in ("codes", "x"):
        assert set(found["sparse"][part]) == {"1", "2", "5", "16"}


def test_rows_are_encoded_as_windows_are(run, light_labels):
    labelled = probing.read(light_labels)
    encoded = run.encode_texts(list(labelled.texts), with_rows=True)
    every = np.arange(len(encoded.tokens))
    chosen = np.random.default_rng(1).permutation(every)[:40]
    hidden = rows_lib.scaled_rows(run.opened, run.trained, labelled.texts, chosen)
    for place, layer in enumerate(encoded.layers):
        # Windows of other lengths sum in another order.
        np.testing.assert_allclose(
            hidden[place], encoded.x[layer][chosen], rtol=1e-4, atol=1e-5
        )
        rows = rows_lib.encode_rows(
            run.opened, run.trained, encoded.x[layer][chosen], layer=layer
        )
        scale = run.trained.layer_scale[place]
        np.testing.assert_allclose(
            rows.residual, scale * encoded.residual[layer][chosen], atol=1e-4
        )
        np.testing.assert_allclose(
            rows.codes.toarray(), encoded.codes[layer][chosen].toarray(), atol=1e-5
        )
        np.testing.assert_allclose(
            rows.x, scale * encoded.x[layer][chosen], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            rows.reconstruction, rows.codes @ run.trained.factors * scale, atol=1e-4
        )


def test_labels_that_are_too_few_or_unknown_are_refused(run, tmp_path):
    line = {"text": "the bank", "span": [4, 8], "label": "noun"}
    path = tmp_path / "few.jsonl"
    path.write_text(json.dumps(line))
    with pytest.raises(InputError, match="noun: 1 rows in 1 documents"):
        parts.prepare(probing.read(path), run.opened)
    # A quarter of the words of the sentences are in the toy's vocabulary.
    with pytest.raises(InputError, match="tokens of the model, got 96 of 320"):
        parts.prepare(probing.verbs(), run.opened)


def test_the_command_probes_labels(toy_run, light_labels, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    arguments = ["evaluate", str(run), "--k=4", "--loss_windows=0"]
    assert cli.main(arguments) == 0
    first = json.loads((run / "evaluation.json").read_text())
    assert "probing" not in first
    assert "Nothing is probed" in capsys.readouterr().err
    assert cli.main([*arguments, f"--labels={light_labels}"]) == 0
    found = json.loads((run / "evaluation.json").read_text())
    assert set(found.pop("probing")) == {"light.jsonl"}
    # What was measured before is not measured again.
    assert found == first
    printed = capsys.readouterr().out
    assert "probing light.jsonl: 30 adjective, 30 noun; 10 documents" in printed
