"""Runs as folders of SAELens, and back: the same codes of the same hidden states."""

import json
import pathlib
import types

import numpy as np
import pytest
import safetensors.numpy

from interop import saelens_folders
from tfvis_jax import cli, config, load_run
from tfvis_jax.errors import InputError
from tfvis_jax.interop import hooks, saelens, saelens_dictionary, saelens_writer
from tfvis_jax.learning import whitening
from tfvis_jax.pipeline import exchange
from tfvis_jax.runs import trained_dictionary

N, D = 30, 16
SOLVER = config.SolverConfig(l2_penalty=0.1, tolerance=1e-4, max_steps=700)
TEXT = "the bank of a river"
_GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "architectures"


def _trained(*, whitened, site="hidden"):
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(N, D)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    found = None
    if whitened:
        matrix = rng.normal(size=(D, D))
        covariance = np.stack([matrix @ matrix.T] * 2)
        found = whitening.fit(rng.normal(size=(2, D)), covariance, strength=0.7)
    return trained_dictionary.TrainedDictionary(
        *(factors, np.float32([3.1, 5.3]), (1, 2), "/models/toy", 0.06, found, site)
    )


def _rows():
    return np.random.default_rng(3).normal(size=(60, D)).astype(np.float32) * 2


@pytest.fixture(scope="module")
def arguments(toy_bert_folder, toy_corpus):
    return [
        *(f"--model={toy_bert_folder}", f"--text={toy_corpus}"),
        *("--window_length=16", "--held_out_fraction=0.3"),
    ]


@pytest.fixture(scope="module")
def exported(toy_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("theirs") / "sae"
    assert cli.main(["export", str(toy_run), "--format=saelens", f"--out={out}"]) == 0
    return out


@pytest.mark.parametrize("whitened", [True, False])
@pytest.mark.parametrize("site", ["hidden", "mlp_out"])
def test_a_dictionary_is_read_as_it_was_written(tmp_path, whitened, site):
    trained = _trained(whitened=whitened, site=site)
    saelens_writer.write(tmp_path / "sae", trained, layer=2, solver=SOLVER)
    assert saelens_dictionary.is_dictionary(tmp_path / "sae")
    read = saelens_dictionary.read(tmp_path / "sae")
    assert read.place == hooks.Place(2, site) and read.about.model == "toy"
    assert read.solver(config.SolverConfig()) == config.SolverConfig(
        l1_penalty=0.06, l2_penalty=0.1, tolerance=1e-4, max_steps=700
    )
    one, again = trained.of_layers([2]), read.as_trained(model="m", place=read.place)
    np.testing.assert_array_equal(again.factors, one.factors)
    x, y = _rows(), one.rows(_rows(), 2)
    np.testing.assert_allclose(again.rows(x, 2), y, rtol=1e-5, atol=1e-5)
    # The inverse of a float32 whitening, whose condition is about 10.
    np.testing.assert_allclose(again.hidden_states(y, 2), x, rtol=1e-4, atol=1e-4)
    if not whitened:
        assert again.whitening is None and again.content_hash == one.content_hash


def test_a_scale_that_is_not_told_is_found(tmp_path):
    trained = _trained(whitened=False)
    saelens_writer.write(tmp_path / "sae", trained, layer=1, solver=SOLVER)
    path = tmp_path / "sae" / saelens.CONFIG
    settings = json.loads(path.read_text())
    del settings["metadata"]["layer_scale"]
    path.write_text(json.dumps(settings))
    found = saelens_dictionary.read(tmp_path / "sae")
    assert found.whitening is None and found.layer_scale == pytest.approx(3.1, rel=1e-6)


def test_every_layer_of_a_run_has_a_folder(toy_run, exported, tmp_path, capsys):
    run = load_run(toy_run)
    assert {p.name for p in exported.iterdir()} == {
        *("layer_0", "layer_1", "layer_2", "tfvis.json")
    }
    for layer in (0, 1, 2):
        settings = json.loads((exported / f"layer_{layer}" / "cfg.json").read_text())
        # A block of BERT ends with a norm.
        assert settings["metadata"]["hook_name"] == (
            f"blocks.{layer - 1}.hook_normalized_resid_post"
            if layer
            else "blocks.0.hook_resid_pre"
        )
        assert settings["metadata"]["dictionary"] == run.trained.content_hash
        assert settings["l1_penalty"] == run.trained.l1_penalty
    # What it has written it may replace; a layer may be chosen.
    again = ["export", str(toy_run), "--format=saelens", f"--out={tmp_path / 'one'}"]
    assert cli.main(again) == 0
    assert cli.main([*again, "--layers=2"]) == 0
    capsys.readouterr()
    assert {p.name for p in (tmp_path / "one").iterdir()} == {"layer_2", "tfvis.json"}
    name = f"layer_2/{saelens.WEIGHTS}"
    assert (tmp_path / "one" / name).read_bytes() == (exported / name).read_bytes()


def test_what_comes_back_has_the_codes_of_the_run(
    toy_run, exported, arguments, tmp_path, capsys
):
    new = tmp_path / "again"
    given = ["import", str(new), f"--saelens={exported / 'layer_2'}", *arguments]
    assert cli.main(given) == 0
    said = capsys.readouterr()
    assert "duality gap" in said.out and "before that norm" not in said.err
    ours, theirs = load_run(toy_run), load_run(new)
    assert theirs.trained.layers == (2,)
    assert theirs.trained.content_hash == ours.trained.of_layers([2]).content_hash
    assert theirs.trained.l1_penalty == ours.trained.l1_penalty
    assert theirs.config.solver.tolerance == ours.config.solver.tolerance
    codes = ours.encode(TEXT).codes[2]
    assert np.count_nonzero(codes)
    np.testing.assert_allclose(theirs.encode(TEXT).codes[0], codes, atol=1e-5)
    record = json.loads((new / "imported.json").read_text())
    assert record["architecture"] == "tfvis_lasso"
    assert cli.main(["train", str(new)]) == 1
    assert "was imported" in capsys.readouterr().err


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
def test_an_autoencoder_is_one_of_saelens_again(tmp_path, architecture):
    theirs = saelens_folders.make(
        tmp_path / "theirs", architecture, apply_b_dec_to_input=False
    )
    read = saelens.read(theirs)
    trained = read.as_trained(model="toy", place=hooks.Place(2))
    saelens_writer.write(tmp_path / "ours", trained, layer=2, solver=SOLVER)
    assert not saelens_dictionary.is_dictionary(tmp_path / "ours")
    again = saelens.read(tmp_path / "ours")
    assert again.place == read.place and again.about.architecture == architecture
    codes = read.encode(_rows())
    assert 0 < np.count_nonzero(codes) < codes.size
    # The decoder's bias is subtracted in another order.
    np.testing.assert_allclose(again.encode(_rows()), codes, atol=2e-5)
    np.testing.assert_allclose(
        again.reconstruct(_rows()), read.reconstruct(_rows()), atol=1e-4
    )


def test_an_imported_run_is_written_from_the_command_line(arguments, tmp_path, capsys):
    theirs = saelens_folders.make(
        tmp_path / "theirs", "topk", hook="blocks.0.hook_mlp_out"
    )
    run, out = str(tmp_path / "run"), tmp_path / "ours"
    assert cli.main(["import", run, f"--saelens={theirs}", *arguments]) == 0
    # Weights need no examples.
    assert cli.main(["export", run, "--format=saelens", f"--out={out}"]) == 0
    capsys.readouterr()
    again = saelens.read(out / "layer_1")
    assert again.k == 5 and again.place == hooks.Place(1, "mlp_out")
    np.testing.assert_allclose(
        again.encode(_rows()), saelens.read(theirs).encode(_rows()), atol=2e-5
    )


@pytest.mark.parametrize(
    ("model", "site", "expected"),
    [
        ("gpt2", "hidden", [hooks.hook_of(1, "hidden"), None]),
        ("gpt2", "mlp_out", [hooks.hook_of(n, "mlp_out") for n in (1, 3)]),
        ("roberta", "hidden", [hooks.hook_after_norm(n) for n in (1, 3)]),
        ("roberta", "mlp_out", [hooks.hook_of(n, "mlp_out") for n in (1, 3)]),
    ],
)
def test_hooks_are_of_the_hidden_states(tmp_path, model, site, expected):
    """Of GPT-2 the output of the last block has a name, and its norm has none."""
    found = _of_run(model, site)
    exchange._write_weights(found, tmp_path, (1, 3), show=lambda done, total: None)
    written = [
        json.loads((tmp_path / f"layer_{n}" / saelens.CONFIG).read_text())["metadata"]
        for n in (1, 3)
    ]
    assert [each.get("hook_name") for each in written] == expected
    places = [saelens_dictionary.read(tmp_path / f"layer_{n}").place for n in (1, 3)]
    assert places == [
        None if hook is None else hooks.Place(n, site)
        for n, hook in zip((1, 3), expected, strict=True)
    ]


def _of_run(model, site):
    """Returns what is written of a run: its settings and its dictionary."""
    trained = _trained(whitened=False, site=site)
    values = dict(vars(trained)) | {"layers": (1, 3)}
    return types.SimpleNamespace(
        trained=trained_dictionary.TrainedDictionary(**values),
        config=types.SimpleNamespace(model=str(_GOLDEN / model), solver=SOLVER),
    )


def test_mistakes_are_sentences(toy_run, exported, arguments, tmp_path, capsys):
    def said(code, *given):
        assert cli.main(list(given)) == code
        return capsys.readouterr().err

    run = str(toy_run)
    new = str(tmp_path / "new")
    assert "Expected --out" in said(2, "export", run, "--format=saelens")
    csv = ("--format=csv", f"--out={new}")
    assert "--format=delphi or saelens" in said(2, "export", run, *csv, "--layers=2")
    assert "--layers with" in said(2, "export", run, "--layers=2")
    with pytest.raises(InputError, match="which has all layers"):
        exchange.export_tables(run, new, format="csv", layers=[2])
    form = ("--format=saelens", f"--out={new}")
    assert "layers out of" in said(1, "export", run, *form, "--layers=7")
    theirs = ("import", new, f"--saelens={exported / 'layer_2'}", *arguments)
    for flag in ("--l1_penalty=0.2", "--tolerance=0.1"):
        assert "how the codes of this dictionary are inferred" in said(2, *theirs, flag)
    assert "Leave --layers out" in said(1, *theirs, "--layers=1")
    arrays = saelens_folders.tensors("gated")
    arrays["r_mag"][3] = -200
    gated = saelens_folders.write(
        tmp_path / "gated", saelens_folders.settings("gated"), arrays
    )
    trained = saelens.read(gated).as_trained(model="toy", place=hooks.Place(2))
    with pytest.raises(InputError, match="magnitudes above 0"):
        saelens_writer.write(tmp_path / "no", trained, layer=2, solver=SOLVER)
    assert not (tmp_path / "no").exists()


def test_damaged_dictionaries_are_refused(exported, tmp_path):
    folder = exported / "layer_1"
    settings = json.loads((folder / saelens.CONFIG).read_text())
    arrays = safetensors.numpy.load_file(folder / saelens.WEIGHTS)

    def refused(message, changed=None, **about):
        (tmp_path / saelens.CONFIG).write_text(json.dumps(settings | about))
        changed = {n: a for n, a in (arrays | (changed or {})).items() if a is not None}
        safetensors.numpy.save_file(changed, tmp_path / saelens.WEIGHTS)
        with pytest.raises(InputError, match=message):
            saelens_dictionary.read(tmp_path)

    refused("factors of norm 1", {"factors": arrays["factors"] * 2})
    refused("can be undone", {"whitener": np.zeros_like(arrays["whitener"])})
    refused("Expected whitener in", {"whitener": None})
    refused("l1_penalty", l1_penalty=0)
    refused("max_steps", max_steps="many")
    refused("layer_scale", metadata={"layer_scale": 1e300})
    refused("of shape", d_in=12)
    with pytest.raises(InputError, match="cannot be read"):
        saelens_dictionary.is_dictionary(tmp_path / "nowhere")


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
def test_saelens_itself_reads_an_autoencoder(tmp_path, architecture):
    torch = pytest.importorskip("torch", reason="needs torch")
    sae_lens = pytest.importorskip("sae_lens", reason="needs sae-lens")
    theirs = saelens_folders.make(tmp_path / "theirs", architecture)
    trained = saelens.read(theirs).as_trained(model="toy", place=hooks.Place(2))
    saelens_writer.write(tmp_path / "ours", trained, layer=2, solver=SOLVER)
    x = torch.as_tensor(_rows())
    one, other = (
        sae_lens.SAE.load_from_disk(tmp_path / name) for name in ("theirs", "ours")
    )
    np.testing.assert_allclose(
        other.encode(x).detach(), one.encode(x).detach(), atol=2e-5
    )
    np.testing.assert_allclose(other(x).detach(), one(x).detach(), atol=1e-4)
    # And the codes are those of the run once rows of the decoder have norm 1.
    if architecture == "topk":
        return  # Which are the largest would depend on the norms.
    other.fold_W_dec_norm()
    expected = trained.encoder.codes(_rows() - np.asarray(trained.whitening.mean))
    np.testing.assert_allclose(other.encode(x).detach(), expected, atol=1e-4)
