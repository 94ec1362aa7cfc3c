"""Outputs of attention and MLP: against hooks in torch, and their definition."""

import functools
import pathlib

import architectures
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import models, sites
from tfvis_jax.errors import InputError
from tfvis_jax.models import one_position

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "architectures"
_WITHIN = (sites.ATTENTION_OUT, sites.MLP_OUT)
# As of hidden states in `test_architectures`: relative to the largest number of a layer
# where that is above 1. The largest difference measured is 3e-6.
_TOLERANCE = 2e-5


@functools.partial(jax.jit, static_argnames="layers")
def _run(encoder, token_ids, mask, *, layers):
    return encoder(token_ids, mask, layers=layers)


def _outputs(model, site, token_ids, mask):
    layers = sites.every_layer(site, n_layers=model.config.n_layers)
    encoder = model.encoder.at(site)
    return np.asarray(
        _run(encoder, jnp.array(token_ids), jnp.array(mask), layers=layers)
    )


def _assert_near(found, expected, mask):
    assert found.shape == expected.shape
    for number, (layer, theirs) in enumerate(zip(found, expected, strict=True), 1):
        difference = np.abs(layer - theirs)[mask].max()
        scale = max(1.0, np.abs(theirs[mask]).max())
        assert difference <= _TOLERANCE * scale, f"layer {number}: {difference}"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Makes a model of transformers and its folder, each once."""
    pytest.importorskip("torch", reason="torch is not installed")

    @functools.cache
    def make(name):
        folder = tmp_path_factory.mktemp(name)
        return architectures.save(name, folder), folder

    return make


@pytest.mark.parametrize("name", architectures.MODELS)
def test_outputs_are_those_of_hooks_in_torch(name, saved):
    oracle, folder = saved(name)
    model = models.load(folder)
    longest = model.config.max_positions
    token_ids, mask = architectures.windows(longest, (longest, 7, 1))
    arrays = architectures.results(oracle, token_ids, mask)
    for site in _WITHIN:
        assert len(arrays[site]) == model.config.n_layers
        _assert_near(_outputs(model, site, token_ids, mask), arrays[site], mask)


@pytest.mark.parametrize("name", architectures.STORED)
def test_outputs_are_the_stored_ones(name):
    model = models.load(_GOLDEN / name)
    arrays = np.load(_GOLDEN / name / "torch.npz")
    token_ids, mask = arrays["token_ids"], arrays["attention_mask"]
    for site in _WITHIN:
        _assert_near(_outputs(model, site, token_ids, mask), arrays[site], mask)
    # The two are not one another, nor the hidden states.
    found = [_outputs(model, s, token_ids, mask)[-2:] for s in sites.SITES]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(found[one] - found[other])[:, mask].max() > 0.1


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "modernbert"])
def test_without_norms_of_the_sums_hidden_states_are_the_sums(name):
    model = models.load(_GOLDEN / name)
    token_ids, mask = architectures.windows(13, (13, 6, 1))
    hidden, *added = (_outputs(model, s, token_ids, mask) for s in sites.SITES)
    sums = np.cumsum(sum(added), axis=0) + hidden[0]
    # The last one has the final norm.
    np.testing.assert_allclose(sums[:-1], hidden[1:-1], atol=2e-5)


@pytest.mark.parametrize("name", architectures.MODELS)
def test_the_rest_of_the_model_runs_on_from_an_altered_output(name, saved):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    oracle, folder = saved(name)
    if "albert" in name:
        pytest.skip("its layers are one module, which a hook would change in all")
    model = models.load(folder)
    token_ids, mask = architectures.windows(13, (13, 7, 1))
    inputs = {
        "input_ids": torch.tensor(token_ids).long(),
        "attention_mask": torch.tensor(mask).long(),
    }
    layers = tuple(range(model.config.n_layers))
    states = _run(model.encoder, jnp.array(token_ids), jnp.array(mask), layers=layers)

    def distort(module, inputs, output):
        states = output[0] if isinstance(output, tuple) else output
        states = 0.7 * states + 0.05
        return (states, *output[1:]) if isinstance(output, tuple) else states

    for site, modules in architectures.output_modules(oracle).items():
        own = _outputs(model, site, token_ids, mask)
        for layer in (1, model.config.n_layers):
            handle = modules[layer - 1].register_forward_hook(distort)
            with torch.inference_mode():
                found = oracle.base_model(**inputs, output_hidden_states=True)
            handle.remove()
            expected = found.hidden_states[-1].numpy()
            ours = jax.jit(
                lambda encoder, hidden, mask, altered, layer=layer: encoder.from_layer(
                    hidden, mask, start=layer - 1, altered=altered
                )
            )(
                model.encoder.at(site),
                states[layer - 1],
                jnp.array(mask),
                0.7 * own[layer - 1] + 0.05,
            )
            _assert_near(np.asarray(ours)[None], expected[None], mask)


@pytest.mark.parametrize("site", _WITHIN)
@pytest.mark.parametrize("name", architectures.STORED)
def test_one_position_is_the_encoders(name, site):
    model = models.load(_GOLDEN / name)
    token_ids, mask = architectures.windows(13, (13, 6, 1))
    expected = _outputs(model, site, token_ids, mask)
    encoder, position = model.encoder.at(site), np.array([9, 5, 0], np.int32)
    words = one_position.word_embeddings(encoder, jnp.array(token_ids))
    for layer in (1, model.config.n_layers):
        found = one_position.hidden_state(
            encoder, words, jnp.array(mask), jnp.array(position), layer=layer
        )
        np.testing.assert_allclose(
            found, expected[layer - 1][np.arange(3), position], atol=5e-5
        )


def test_a_site_changes_no_array_and_no_other_encoder():
    model = models.load(_GOLDEN / "gpt2", head="causal_lm")
    other = model.at(sites.MLP_OUT)
    assert model.encoder.site == sites.HIDDEN == other.at(sites.HIDDEN).encoder.site
    assert other.encoder.site == sites.MLP_OUT
    assert other.language_model.encoder is other.encoder
    for ours, theirs in zip(
        jax.tree.leaves(model.encoder), jax.tree.leaves(other.encoder), strict=True
    ):
        assert ours is theirs
    assert models.untrained(other, seed=0).encoder.site == sites.MLP_OUT


def test_there_is_no_embedding_output_within_layers():
    encoder = models.load(_GOLDEN / "gpt2").encoder
    token_ids, mask = np.ones((1, 3), np.int32), np.ones((1, 3), bool)
    with pytest.raises(InputError, match="from 1 at site mlp_out to 3"):
        encoder.at(sites.MLP_OUT)(token_ids, mask, layers=(0, 1))
    with pytest.raises(InputError, match="site of hidden, attention_out, mlp_out, got"):
        encoder.at("attention")
    states = jnp.zeros((1, 3, 24))
    with pytest.raises(InputError, match="at the hidden states"):
        encoder.from_layer(states, mask, start=0, altered=states)
    inner = encoder.at(sites.ATTENTION_OUT)
    with pytest.raises(InputError, match=r"from 0 .*to 2, got 3"):
        inner.from_layer(states, mask, start=3, altered=states)
    with pytest.raises(InputError, match=r"`altered` of shape \[batch, length, 24\]"):
        inner.from_layer(states, mask, start=1, altered=states[:, :2])
