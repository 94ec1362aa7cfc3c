"""Autoencoders of other tools as runs: every step on codes of their own encoder."""

import dataclasses
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from interop import saelens_folders
from tfvis_jax import cli, config, load_run, pipeline
from tfvis_jax.errors import InputError
from tfvis_jax.examples import stored
from tfvis_jax.interop import saelens
from tfvis_jax.publishing import contents
from tfvis_jax.publishing.options import Options
from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.runs import dictionary_file, encoding, linear_encoder, report_file
from tfvis_jax.viewer import payload

LAYER = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What BatchTopK is used as; thresholds so that about a third of factors fire."""
    return saelens_folders.make(
        tmp_path_factory.mktemp("theirs") / "sae",
        "jumprelu",
        d_sae=30,
        hook=f"blocks.{LAYER - 1}.hook_resid_post",
    )


@pytest.fixture(scope="module")
def arguments(toy_bert_folder, toy_corpus):
    return [
        *(f"--model={toy_bert_folder}", f"--text={toy_corpus}"),
        *("--window_length=16", "--held_out_fraction=0.3"),
    ]


@pytest.fixture(scope="module")
def imported(arguments, folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("imported") / "run"
    assert cli.main(["import", str(path), f"--saelens={folder}", *arguments]) == 0
    assert cli.main(["examples", str(path), "--top_n=20"]) == 0
    return path


def test_codes_are_those_of_the_encoder(imported, folder):
    run, read = load_run(imported), saelens.read(folder)
    assert run.trained.layers == (LAYER,) and run.trained.l1_penalty is None
    encoded = run.encode("the bank of a river")
    # What the run encodes is centred by b_dec.
    x = encoded.x[0] + read.b_dec
    norms = np.linalg.norm(read.W_dec, axis=1)
    codes = np.asarray(read.encode(x)) * norms
    assert np.count_nonzero(codes)
    np.testing.assert_allclose(encoded.codes[0], codes, atol=1e-5)
    np.testing.assert_allclose(x - encoded.residual[0], read.reconstruct(x), atol=1e-5)
    assert encoded.solve is None and np.isnan(encoded.gap).all()


def test_where_there_is_no_text_an_encoder_gives_no_codes():
    """The bias fires factors on rows of zeros, which is what padding is."""
    ones = np.ones(2, np.float32)
    encoder = linear_encoder.LinearEncoder(
        weight=np.zeros((3, 2), np.float32), bias=ones, scale=ones, kind="relu"
    )
    factors = jnp.eye(2, 3, dtype=jnp.float32)
    rows = encoding.encode_layer(
        np.ones((1, 3, 3), np.float32),
        np.array([[True, False, True]]),
        coder_lib.Coder(factors, config.SolverConfig(), None, encoder),
    )
    np.testing.assert_array_equal(rows.codes, [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(rows.residual[1], np.zeros(3))


def test_metrics_are_those_of_its_reconstructions(imported, folder):
    run, read = load_run(imported), saelens.read(folder)
    report = run.report
    x = _hidden_states(run, run.windows.measured)
    error = x - np.asarray(read.reconstruct(x), np.float64)
    fvu = np.sum(error**2) / np.sum((x - x.mean(axis=0)) ** 2)
    codes = np.asarray(read.encode(x))
    assert report["fvu"]["all"] == pytest.approx(fvu, rel=1e-4)
    assert report["l0"]["all"] == pytest.approx((codes > 0).sum(axis=1).mean())
    assert report["alive"] == pytest.approx((codes > 0).any(axis=0).mean())
    assert report["gap"] == {"mean": None, "max": None}
    assert report["l1_penalty"] is None
    assert report["encoder"] == {"kind": "jumprelu", "k": None}
    record = json.loads((imported / "imported.json").read_text())
    assert record["format"] == "SAELens" and record["architecture"] == "jumprelu"


def _hidden_states(run, chosen):
    """Rows of text tokens of the layer, [n, d_model] float64, by the model alone."""
    ids, mask = run.windows.token_ids(chosen), run.windows.token_mask(chosen)
    states = run.opened.pretrained.encoder(ids, mask, layers=(LAYER,))[0]
    return np.asarray(states, np.float64)[run.windows.row_mask(chosen)]


def test_a_report_says_which_encoder(imported, tmp_path):
    path, report = tmp_path / "report.json", load_run(imported).report
    for encoder in ({"kind": 3, "k": None}, {"kind": "topk"}, {"kind": "topk", "k": 0}):
        path.write_text(json.dumps(report | {"encoder": encoder}))
        with pytest.raises(InputError, match="encoder"):
            report_file.read(path, layers=[LAYER])
    # Reports of earlier versions do not say it.
    del report["encoder"]
    path.write_text(json.dumps(report))
    assert report_file.read(path, layers=[LAYER]) == report


def test_examples_of_another_layer_are_refused(imported):
    """The arrays, and so the hash, are those of an autoencoder of any layer."""
    run = load_run(imported)
    other = dataclasses.replace(run.trained, layers=(LAYER - 1,))
    assert other.content_hash == run.trained.content_hash
    with pytest.raises(InputError, match=r"of layers \[1\], got those of \[2\]"):
        stored.load(run.directory.examples, other)


def test_examples_hold_its_activations(imported, folder):
    run, read = load_run(imported), saelens.read(folder)
    norms = np.linalg.norm(read.W_dec, axis=1)
    every = np.arange(len(run.windows))
    mask = run.windows.row_mask(every)
    # [n_windows, window_length, n_factors], 0 where there is no text.
    codes = np.zeros((*mask.shape, read.n_factors), np.float32)
    codes[mask] = np.asarray(read.encode(_hidden_states(run, every))) * norms
    found = run.examples
    strongest = codes.max(axis=(0, 1))
    np.testing.assert_allclose(found.max_activation[0], strongest, rtol=1e-4, atol=1e-4)
    firing = np.count_nonzero(codes, axis=(0, 1))
    assert np.count_nonzero((firing > 0) & (firing < mask.sum())) > 5
    # A code beside its threshold may round to either side.
    np.testing.assert_allclose(found.firing[0], firing, atol=2)
    contexts = found.context_activation[0]
    length = min(contexts.shape[-1], codes.shape[1])
    n_compared = 0
    for factor, rank in zip(*np.nonzero(found.window[0] >= 0), strict=True):
        window, at = found.window[0, factor, rank], found.position[0, factor, rank]
        own = codes[window, :, factor]
        assert own[at] == pytest.approx(found.activation[0, factor, rank], rel=1e-4)
        if rank < contexts.shape[1]:
            np.testing.assert_allclose(
                contexts[factor, rank, :length], own[:length], rtol=2e-3, atol=1e-3
            )
            n_compared += 1
    assert n_compared > 100


def test_every_command_takes_it(imported, toy_corpus, tmp_path, capsys):
    run = str(imported)
    assert cli.main(["levels", run]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", run, "--loss_windows=0"]) == 0
    shown = capsys.readouterr().out
    assert "codes by the imported encoder (jumprelu)" in shown
    assert "lasso" not in shown and "no duality gap" in shown
    assert cli.main(["encode", run, "the bank of a river"]) == 0
    shown = capsys.readouterr().out
    assert "no λ and no duality gap" in shown
    assert not re.search(r"\bgap  |nan|converged", shown)
    assert cli.main(["encode", run, "the bank", "--json"]) == 0
    [layer] = json.loads(capsys.readouterr().out)["layers"]
    assert "gap" not in layer["tokens"][0]
    out = tmp_path / "codes"
    assert cli.main(["codes", run, f"--text={toy_corpus}", f"--out={out}"]) == 0
    alive = np.argmax(load_run(imported).examples.max_activation[0])
    how = [f"--factor={alive}"]
    assert cli.main(["explain", run, *how]) == 0
    tables = [f"--format={form}" for form in ("csv", "neuronpedia")]
    for form in tables:
        out = tmp_path / form
        assert cli.main(["export", run, form, f"--out={out}"]) == 0
    prompts = tmp_path / "prompts.json"
    assert cli.main(["labels", run, f"--export={prompts}"]) == 0
    assert json.loads(prompts.read_text())["l1_penalty"] is None
    before = (imported / "dictionary.safetensors").read_bytes()
    assert cli.main(["train", run]) == 1
    assert "was imported" in capsys.readouterr().err
    assert (imported / "dictionary.safetensors").read_bytes() == before


def test_its_page_has_its_factors(imported):
    assert cli.main(["export", str(imported)]) == 0
    site = imported / "site"
    _, manifest = payload.loads((site / "data" / "manifest.js").read_text())
    assert manifest["counts"]["factors"] == 30 and manifest["l1_penalty"] is None
    assert manifest["layers"] == [LAYER]
    assert "mean duality gap" not in json.dumps(manifest["report"])
    facts = (site / "data" / "run.js").read_text()
    assert "blocks.1.hook_resid_post" in facts and "SAELens" in facts
    assert "tolerance" not in facts
    assert "imported encoder" in (site / "assets" / "app.js").read_text()


def test_a_published_run_says_what_it_is(imported):
    run = load_run(imported)
    items = {
        item.name: item.source
        for item in contents.of_run(run, "me/sae", Options(), labels={})
    }
    card = items["README.md"].decode()
    assert "A sparse autoencoder of 30" in card and "Yun" not in card
    assert "which has no λ" in card and "imported.json" in items


def test_derivatives_are_those_of_the_encoder(imported, folder):
    from tfvis_jax.saliency import variants

    run, read = load_run(imported), saelens.read(folder)
    probe = variants.open_probe(run.opened, run.trained, layer=LAYER)
    y = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32) * 3
    codes = np.asarray(run.trained.encoder.codes(y))
    factor = codes.argmax(axis=1).astype(np.int32)
    norms = np.linalg.norm(read.W_dec, axis=1)
    expected = (read.W_enc * norms)[:, factor].T
    np.testing.assert_allclose(probe.derivatives(y, factor), expected, rtol=1e-4)
    np.testing.assert_allclose(probe.solve(y, factor), codes.max(axis=1), rtol=1e-6)


def test_what_an_mlp_adds_has_its_site(arguments, tmp_path, capsys):
    folder = saelens_folders.make(
        tmp_path / "sae", "standard", hook="blocks.1.hook_mlp_out"
    )
    given = ["import", str(tmp_path / "run"), f"--saelens={folder}", *arguments]
    for other in ("attention_out", "hidden"):
        assert cli.main([*given, f"--site={other}"]) == 2
        assert f"hook_mlp_out is, got {other}. Leave" in capsys.readouterr().err
    settings = config.RunConfig(
        model="toy",
        corpus=config.CorpusConfig(paths=("a.txt",)),
        site="attention_out",
    )
    with pytest.raises(InputError, match=r"got attention_out\. Leave --site out"):
        pipeline.import_autoencoder(tmp_path / "run", settings, saelens.read(folder))
    assert cli.main(given) == 0
    trained = load_run(tmp_path / "run").trained
    assert (trained.layers, trained.site) == ((2,), "mlp_out")


def test_a_sum_before_a_norm_is_said(arguments, tmp_path, capsys):
    def notes(hook):
        folder = saelens_folders.make(tmp_path / hook, "standard", hook=hook)
        given = [f"--saelens={folder}", *arguments]
        assert cli.main(["import", str(tmp_path / "runs" / hook), *given]) == 0
        return capsys.readouterr().err.replace("\n", " ")

    said = notes("blocks.1.hook_resid_post")
    assert "is the sum before that norm" in " ".join(said.split())
    assert "blocks.1.hook_normalized_resid_post" in said
    for other in ("hook_normalized_resid_post", "hook_resid_pre", "hook_mlp_out"):
        assert "before that norm" not in " ".join(notes(f"blocks.1.{other}").split())


def test_what_is_saved_is_read_again(imported, tmp_path):
    trained = load_run(imported).trained
    dictionary_file.save(tmp_path / "again", trained)
    again = dictionary_file.load(tmp_path / "again")
    assert again.content_hash == trained.content_hash
    assert again.encoder.kind == "jumprelu" and again.l1_penalty is None
    for name, array in trained.encoder.arrays().items():
        np.testing.assert_array_equal(getattr(again.encoder, name), array)


def test_mistakes_are_sentences(arguments, folder, tmp_path, capsys):
    new = str(tmp_path / "new")
    theirs = f"--saelens={folder}"

    def said(code, *given):
        assert cli.main(["import", new, *given]) == code
        assert not (tmp_path / "new" / "dictionary.safetensors").exists()
        return capsys.readouterr().err

    assert "got none" in said(2, *arguments)
    assert "--dictionary and --saelens" in said(2, theirs, "--dictionary=a.npy")
    assert "no λ and no solver" in said(2, theirs, *arguments, "--l1_penalty=0.1")
    for flag in ("--n_factors=30", "--whitening=0.5", "--equal_l0"):
        refused = said(2, theirs, *arguments, flag)
        assert f"Expected no {flag.partition('=')[0]}: the files" in refused
    assert "Leave --layers out" in said(1, theirs, *arguments, "--layers=1")
    assert "cfg.json cannot be read" in said(1, "--saelens=nowhere", *arguments)
    wide = saelens_folders.make(tmp_path / "wide", "standard", d_in=20)
    assert "Expected an autoencoder of 16 numbers" in said(
        1, f"--saelens={wide}", *arguments
    )
    inside = saelens_folders.make(
        tmp_path / "inside", "standard", hook="blocks.0.attn.hook_z"
    )
    assert "hidden states, such as" in said(1, f"--saelens={inside}", *arguments)
    deep = saelens_folders.make(
        tmp_path / "deep", "standard", hook="blocks.9.hook_resid_post"
    )
    assert "layers between 0 and 2" in said(1, f"--saelens={deep}", *arguments)
    unnamed = saelens_folders.settings("standard")
    del unnamed["metadata"]["hook_name"]
    arrays = saelens_folders.tensors("standard")
    saelens_folders.write(tmp_path / "unnamed", unnamed, arrays)
    assert "which its files do not name" in said(
        1, f"--saelens={tmp_path / 'unnamed'}", *arguments
    )


def test_damaged_encoders_of_runs_are_refused(imported, tmp_path):
    import safetensors.numpy

    path = imported / "dictionary.safetensors"
    arrays = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        [(name, text)] = file.metadata().items()

    def refused(message, changed=None, **about):
        changed = {n: a for n, a in (arrays | (changed or {})).items() if a is not None}
        told = json.loads(text) | about
        safetensors.numpy.save_file(
            changed, tmp_path / "bad", metadata={name: json.dumps(told)}
        )
        with pytest.raises(InputError, match=message):
            dictionary_file.load(tmp_path / "bad")

    refused("have .*threshold", {"encoder.threshold": None})
    refused("its encoder is none", {"encoder.weight": None})
    refused("its encoder is none", {"encoder.other": np.ones(3, np.float32)})
    refused("`weight` as float32", {"encoder.weight": np.ones((3, 30), np.float32)})
    refused("finite", {"encoder.bias": np.full(30, np.nan, np.float32)})
    refused("at least 0", {"encoder.scale": -np.ones(30, np.float32)})
    refused("do not say what", encoder=None)
    refused("among .* got 'tanh'", encoder={"kind": "tanh"})
    refused("none for other kinds; got k 3", encoder={"kind": "jumprelu", "k": 3})
    refused("either λ or an encoder, got both", l1_penalty=0.1)
