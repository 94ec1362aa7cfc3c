"""The dictionary of a run in SAELens: the same codes and sums, to the tolerance."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from interop import saelens_folders
from tfvis_jax import config, duality_gap
from tfvis_jax.errors import InputError
from tfvis_jax.interop import saelens, saelens_writer
from tfvis_jax.learning import whitening
from tfvis_jax.runs import trained_dictionary

N, D = 30, 12
SOLVER = config.SolverConfig(tolerance=1e-6, max_steps=3000)


def _trained(*, whitened=True):
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(N, D)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    found = None
    if whitened:
        matrix = rng.normal(size=(D, D))
        covariance = np.stack([matrix @ matrix.T] * 2)
        mean = rng.normal(size=(2, D))
        found = whitening.fit(mean, covariance, strength=0.7)
    return trained_dictionary.TrainedDictionary(
        factors, np.float32([3.0, 5.0]), (0, 2), "/models/toy", 0.06, found
    )


def _rows(trained):
    y = np.random.default_rng(1).normal(size=(200, D)).astype(np.float32) / 3
    return y, trained.hidden_states(y, 2)


def test_what_is_written(tmp_path):
    """The files alone, without SAELens: V, D and W_dec make x̂ = b_dec + α W_dec."""
    trained = _trained()
    saelens_writer.write(tmp_path / "sae", trained, layer=2, solver=SOLVER)
    a = safetensors.numpy.load_file(tmp_path / "sae" / saelens.WEIGHTS)
    y, x = _rows(trained)
    np.testing.assert_allclose((x - a["b_dec"]) @ a["whitener"], y, atol=1e-5)
    np.testing.assert_allclose(
        (x - a["b_dec"]) @ a["W_enc"], y @ trained.factors.T, atol=1e-5
    )
    codes = np.random.default_rng(2).random((5, N)).astype(np.float32)
    np.testing.assert_allclose(
        codes @ a["W_dec"] + a["b_dec"],
        trained.hidden_states(codes @ trained.factors, 2),
        rtol=1e-4,
        atol=1e-4,
    )
    settings = json.loads((tmp_path / "sae" / saelens.CONFIG).read_text())
    assert settings["l1_penalty"] == 0.06 and settings["max_steps"] == 3000
    assert settings["metadata"]["hook_name"] == "blocks.1.hook_resid_post"
    assert settings["metadata"]["model_name"] == "toy"
    with pytest.raises(InputError, match="Expected an architecture among"):
        saelens.read(tmp_path / "sae")


def test_mistakes_are_sentences(tmp_path):
    with pytest.raises(InputError, match="Expected layers out of"):
        saelens_writer.write(tmp_path / "sae", _trained(), layer=1, solver=SOLVER)
    assert not (tmp_path / "sae").exists()
    theirs = saelens_folders.make(tmp_path / "theirs", "standard")
    with pytest.raises(InputError, match="Expected a new folder"):
        saelens_writer.write(theirs, _trained(), layer=2, solver=SOLVER)


@pytest.fixture(scope="module")
def plugin():
    pytest.importorskip("torch", reason="needs torch")
    pytest.importorskip("sae_lens", reason="needs sae-lens")
    from tfvis_jax.interop import saelens_plugin

    return saelens_plugin


@pytest.mark.parametrize("whitened", [True, False])
@pytest.mark.parametrize("l2_penalty", [0.0, 0.1])
def test_saelens_infers_the_codes_of_the_run(plugin, tmp_path, whitened, l2_penalty):
    import sae_lens
    import torch

    solver = config.SolverConfig(tolerance=1e-6, max_steps=3000, l2_penalty=l2_penalty)
    trained = _trained(whitened=whitened)
    saelens_writer.write(tmp_path / "sae", trained, layer=2, solver=solver)
    theirs = sae_lens.SAE.load_from_disk(tmp_path / "sae")
    assert isinstance(theirs, plugin.SparseCodingSAE)
    y, x = _rows(trained)
    codes = theirs.encode(torch.as_tensor(x).reshape(4, 50, D))
    assert codes.shape == (4, 50, N)
    ours = np.asarray(trained.coder(solver).infer(jnp.asarray(y)).codes)
    assert 1 < np.count_nonzero(ours) / len(ours) < N / 2
    # Both have a gap of at most 1e-6 of ½‖y‖², and codes differ by its root.
    np.testing.assert_allclose(codes.reshape(200, N), ours, atol=4e-3)
    plain = codes.reshape(200, N).numpy() / (1 + l2_penalty)
    gap = duality_gap(
        jnp.asarray(y),
        jnp.asarray(trained.factors),
        jnp.asarray(plain),
        l1_penalty=0.06,
        l2_penalty=l2_penalty,
    )
    assert np.max(gap) < 2e-6
    expected = trained.hidden_states(codes.reshape(200, N).numpy() @ trained.factors, 2)
    found = theirs.decode(codes).reshape(200, D).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_tolerance_is_kept_row_by_row(plugin):
    import torch

    trained = _trained(whitened=False)
    y, factors = torch.as_tensor(_rows(trained)[0]), torch.as_tensor(trained.factors)
    penalties = {"l1_penalty": 0.06, "l2_penalty": 0.0}
    for tolerance in (1e-2, 1e-4):
        codes = plugin.infer(
            y, factors, tolerance=tolerance, max_steps=2000, **penalties
        )
        gap = plugin.relative_gap(codes, y, factors, **penalties).numpy()
        assert gap.max() <= tolerance
        # And not by solving to the end what was not asked for.
        assert gap.max() > tolerance / 1000
        ours = duality_gap(y.numpy(), factors.numpy(), codes.numpy(), l1_penalty=0.06)
        np.testing.assert_allclose(gap, ours, atol=2e-6)


def test_saelens_may_not_rescale_it(plugin, tmp_path):
    import sae_lens

    saelens_writer.write(tmp_path / "sae", _trained(), layer=0, solver=SOLVER)
    theirs = sae_lens.SAE.load_from_disk(tmp_path / "sae")
    assert theirs.cfg.metadata.hook_name == "blocks.0.hook_resid_pre"
    with pytest.raises(NotImplementedError, match="norm 1"):
        theirs.fold_W_dec_norm()
    path = tmp_path / "sae" / "cfg.json"
    settings = json.loads(path.read_text())
    del settings["l1_penalty"]
    path.write_text(json.dumps(settings))
    with pytest.raises(InputError, match="Expected an l1_penalty"):
        sae_lens.SAE.load_from_disk(tmp_path / "sae")


def test_it_saves_what_it_loads(plugin, tmp_path):
    import sae_lens

    saelens_writer.write(tmp_path / "sae", _trained(), layer=2, solver=SOLVER)
    theirs = sae_lens.SAE.load_from_disk(tmp_path / "sae")
    theirs.save_model(tmp_path / "again")
    again = sae_lens.SAE.load_from_disk(tmp_path / "again")
    assert again.cfg.l1_penalty == 0.06
    assert (again.factors == theirs.factors).all()
