"""A run of attention or MLP outputs, from training to its page: all is of its site."""

import contextlib
import dataclasses
import io
import json
import shutil

import jax
import numpy as np
import pytest
import scipy.special

from tfvis_jax import cli, load_run, models, pipeline, sites
from tfvis_jax.errors import InputError
from tfvis_jax.pipeline import live
from tfvis_jax.publishing import card, options
from tfvis_jax.runs import dictionary_file, encoding
from tfvis_jax.saliency import variants
from tfvis_jax.viewer import bundle

TEXT = "the bank of a river and the light"


@pytest.fixture(scope="module", params=[sites.ATTENTION_OUT, sites.MLP_OUT])
def trained(request, masked_lm_folder, toy_corpus, tmp_path_factory):
    """A small run of a BERT with a masked-LM head, and what training printed."""
    path = tmp_path_factory.mktemp(request.param) / "run"
    train = [
        *("train", str(path), f"--model={masked_lm_folder}", f"--text={toy_corpus}"),
        *("--window_length=16", "--l1_penalty=0.1", "--max_tokens=1500"),
        *("--until=train", f"--site={request.param}", "--held_out_fraction=0.3"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=64"),
    ]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert cli.main(train) == 0
    assert cli.main(["examples", str(path), "--top_n=40"]) == 0
    return path, request.param, said.getvalue()


@pytest.fixture(scope="module")
def run(trained):
    return load_run(trained[0])


@pytest.fixture
def copy(trained, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(trained[0], tmp_path / "run")


@jax.jit
def _outputs(encoder, token_ids, mask):
    return encoder(token_ids, mask, layers=(1, 2))


def _ids(run):
    tokenizer = run.opened.tokenizer
    ids = [*tokenizer.prefix, *tokenizer.encode(TEXT).ids, *tokenizer.suffix]
    return np.array([ids], np.int32), np.ones((1, len(ids)), bool)


def _own_rows(run, site):
    """Returns the rows of TEXT from a model that knows of no run."""
    encoder = models.load(run.config.model).encoder.at(site)
    return np.asarray(_outputs(encoder, *_ids(run)))[:, 0, 1:-1]


def test_the_run_says_its_site(trained, run):
    path, site, said = trained
    assert json.loads((path / "config.json").read_text())["site"] == site
    assert run.trained.site == run.opened.pretrained.encoder.site == site
    assert run.trained.layers == (1, 2) and run.report["site"] == site
    words = sites.WORDS[site]
    assert f"layers [1, 2] ({words}) of" in said and f" {words} of" in said
    assert words in run._repr_html_()
    published = card.of_report(run.report, "me/mine", options=options.Options())
    assert f"of the {words} of" in published and "hidden states" not in published


def test_codes_are_of_the_outputs(trained, run):
    _, site, _ = trained
    encoded = run.encode(TEXT)
    rows = _own_rows(run, site) / run.trained.layer_scale[:, None, None]
    np.testing.assert_allclose(encoded.x, rows, atol=2e-5)
    np.testing.assert_allclose(
        encoded.codes @ run.trained.factors + encoded.residual, rows, atol=2e-5
    )
    # They are nothing like the hidden states of the same layers.
    hidden = _own_rows(run, sites.HIDDEN) / run.trained.layer_scale[:, None, None]
    assert np.abs(hidden - rows).mean() > 0.1
    # The stream of windows has them too: the run's own scale is their own.
    windows = run.windows
    rows = encoding.sample_rows(
        run.opened, run.trained, windows, windows.train, count=10**6
    )
    np.testing.assert_allclose(np.mean(np.sum(rows**2, axis=1)), 1, rtol=0.1)


def test_saliency_and_the_live_page_see_the_same_activations(trained, run):
    encoded = run.encode(TEXT)
    for index, layer in enumerate(run.trained.layers):
        token, factor = np.unravel_index(
            encoded.codes[index].argmax(), encoded.codes[index].shape
        )
        found = run.explain(
            TEXT, factor=int(factor), layer=layer, methods=("occlusion", "lime")
        )
        alpha = encoded.codes[index, token, factor]
        assert found.activation == pytest.approx(alpha, abs=1e-3)
    probe = variants.open_probe(run.opened, run.trained, layer=2)
    assert probe.setup.pretrained.encoder.site == run.trained.site
    _, *layers = live.RunEncoder(run).encode(TEXT)
    assert [record["layer"] for record in layers] == [1, 2]
    gradients = run.explain(
        TEXT, factor=int(factor), layer=2, methods=("integrated_gradients",)
    )
    assert np.isfinite(gradients.maps["integrated_gradients"].weights).all()


def test_steering_runs_on_from_the_output(trained, run):
    _, site, _ = trained
    factor = int(run.encode(TEXT).codes[0].sum(axis=0).argmax())
    found = run.steer(TEXT, factor=factor, layer=1, by=0.7, n_controls=2)
    ids, mask = _ids(run)
    model = models.load(run.config.model, head="masked_lm")
    one = run.trained.of_layers([1])
    embedded = model.encoder(ids, mask, layers=(0,))[0]
    altered = np.array(_outputs(model.encoder.at(site), ids, mask)[0])
    altered[0, 1:-1] += np.float32(
        one.layer_scale[0] * np.outer(found.added, one.directions[factor])
    )
    after = model.encoder.at(site).from_layer(embedded, mask, start=0, altered=altered)
    before = _outputs(model.encoder, ids, mask)[1]
    old, new = (
        scipy.special.log_softmax(
            np.asarray(model.language_model.logits(final)[0, 1:-1], np.float64), -1
        )
        for final in (before, after)
    )
    kl = np.sum(np.exp(old) * (old - new), axis=-1)
    # Predictions of float32.
    np.testing.assert_allclose(found.predictions.kl, kl, rtol=2e-3, atol=1e-5)
    assert kl.max() > 1e-3


def test_every_step_after_training_is_of_the_site(copy, trained, capsys):
    _, site, _ = trained
    words = sites.WORDS[site]
    found = pipeline.evaluate(copy, k=4, loss_windows=2)
    assert found["site"] == site and found["layers"] == [1, 2]
    assert found["loss"]["name"] == "masked-LM cross-entropy"
    assert all(np.isfinite(found["codes"]["lasso"]["loss_recovered"]["per_layer"]))
    pipeline.measure_levels(copy, per_factor=1)
    pipeline.export_site(copy, contexts=2, sentences=[TEXT])
    capsys.readouterr()
    manifest = bundle.read(copy / "site", "data/manifest")
    assert manifest["model"].endswith(f"({words})") and manifest["layers"] == [1, 2]
    record = bundle.read(copy / "site", "data/run")
    assert record["notes"][0].startswith(f"This run is of {words}: ")
    facts = {title: dict(pairs) for title, pairs in record["facts"]}
    assert facts["Settings"]["site"] == site and f"{words} held out" in facts["Text"]
    assert cli.main(["evaluate", str(copy), "--loss_windows=0"]) == 0
    assert words in capsys.readouterr().out


def test_words_that_a_factor_raises_are_read_at_the_last_hidden_state(run):
    head = run.language_model_head
    windows = run.windows
    chosen = np.arange(len(windows))[:64]
    chosen = np.linspace(0, len(windows) - 1, len(chosen)).astype(np.int64)
    encoder = models.load(run.config.model).encoder
    states = _outputs(encoder, windows.token_ids(chosen), windows.token_mask(chosen))
    rows = np.asarray(states[1])[windows.row_mask(chosen)]
    np.testing.assert_allclose(head.state, rows.mean(axis=0), atol=1e-4)


def test_another_site_is_refused_and_changes_nothing(copy, trained, capsys):
    other = {sites.ATTENTION_OUT: sites.MLP_OUT}.get(trained[1], sites.ATTENTION_OUT)
    assert cli.main(["train", str(copy), f"--site={other}"]) == 1
    said = capsys.readouterr().err
    assert f"site: {trained[1]!r} there, {other!r} requested" in said
    # A dictionary of another run, in the place of ours.
    path = load_run(copy).directory.dictionary
    strange = dataclasses.replace(dictionary_file.load(path), site=other)
    dictionary_file.save(path, strange)
    with pytest.raises(InputError, match=f"to be of {trained[1]}.* got {other}"):
        load_run(copy).encode(TEXT)


def test_stored_outputs_teach_the_same_dictionary(copy, tmp_path):
    config = load_run(copy).config
    kept = dictionary_file.load(copy / "dictionary.safetensors").factors
    folder = pipeline.store_hidden_states(copy, config)
    pipeline.train(tmp_path / "again", config, hidden_states=folder)
    again = dictionary_file.load(tmp_path / "again" / "dictionary.safetensors")
    # Batches of another size round otherwise, and steps amplify it: the factors are
    # the same, their last digits are not.
    assert np.sum(again.factors * kept, axis=1).min() > 0.99
    with pytest.raises(InputError, match="rows of the run's site, hidden;"):
        pipeline.train(
            tmp_path / "hidden",
            dataclasses.replace(config, site=sites.HIDDEN, layers=(1, 2)),
            hidden_states=folder,
        )
