"""Every architecture against torch: hidden states of all layers, and logits."""

import functools
import json
import pathlib

import architectures
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from tfvis_jax import models
from tfvis_jax.errors import InputError
from tfvis_jax.models import deberta, mpnet, one_position, registry

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "architectures"
# Float32 sums in another order, relative to the largest number of a layer where that is
# above 1. The largest difference measured is 2e-6.
_TOLERANCE = 2e-5


@functools.partial(jax.jit, static_argnames="layers")
def _run(encoder, token_ids, mask, *, layers):
    return encoder(token_ids, mask, layers=layers)


def _states(model, token_ids, mask):
    layers = tuple(range(model.config.n_layers + 1))
    return np.asarray(
        _run(model.encoder, jnp.array(token_ids), jnp.array(mask), layers=layers)
    )


def _assert_near(found, expected, mask):
    assert found.shape == expected.shape
    for number, (layer, theirs) in enumerate(zip(found, expected, strict=True)):
        difference = np.abs(layer - theirs)[mask].max()
        scale = max(1.0, np.abs(theirs[mask]).max())
        assert difference <= _TOLERANCE * scale, f"layer {number}: {difference}"


def _assert_is_torchs(model, arrays, token_ids, mask):
    found = _states(model, token_ids, mask)
    _assert_near(found, arrays["hidden_states"], mask)
    if model.language_model is not None:
        logits = jax.jit(lambda model, hidden: model.logits(hidden))(
            model.language_model, jnp.array(found[-1])
        )
        _assert_near(np.asarray(logits)[None], arrays["logits"][None], mask)


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
def test_states_and_logits_are_torchs(name, saved):
    oracle, folder = saved(name)
    head = models.head_of(folder)
    assert (head is None) == (name == "electra-discriminator")
    model = models.load(folder, head=head)
    longest = model.config.max_positions
    # The longest window, an odd length, one token.
    token_ids, mask = architectures.windows(longest, (longest, 7, 1))
    arrays = architectures.results(oracle, token_ids, mask)
    _assert_is_torchs(model, arrays, token_ids, mask)
    with pytest.raises(InputError, match=f"at most {longest} tokens"):
        _states(
            model, np.ones((1, longest + 1), np.int32), np.ones((1, longest + 1)) > 0
        )


@pytest.mark.parametrize("name", architectures.STORED)
def test_stored_states_and_logits_are_torchs(name):
    model = models.load(_GOLDEN / name, head=models.head_of(_GOLDEN / name))
    assert model.language_model is not None
    arrays = np.load(_GOLDEN / name / "torch.npz")
    mask = arrays["attention_mask"]
    _assert_is_torchs(model, arrays, arrays["token_ids"], mask)
    assert model.ignored == ()


def test_a_published_mpnet_gives_torchs_states(mpnet_folder):
    pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers")
    oracle = transformers.AutoModel.from_pretrained(mpnet_folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(mpnet_folder)
    batch = tokenizer(
        ["He left the bank at dawn.", "Sparse codes.", "The river was rising. " * 60],
        padding=True,
        return_tensors="pt",
    )
    mask = batch["attention_mask"].numpy().astype(bool)
    # Farther apart than the last bucket of distances begins.
    assert mask.sum(1).max() > 200 and mask.sum(1).min() < 10
    token_ids = batch["input_ids"].numpy().astype(np.int32)
    expected = oracle(**batch, output_hidden_states=True).hidden_states
    model = models.load(mpnet_folder)
    assert model.config.n_layers == 12 and model.config.max_positions == 512
    states = np.stack([layer.detach().numpy() for layer in expected])
    _assert_near(_states(model, token_ids, mask), states, mask)
    assert model.ignored == ("pooler.dense.bias", "pooler.dense.weight")


@pytest.mark.parametrize("name", architectures.STORED)
def test_bfloat16_is_as_near_as_torchs(name, saved):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    # 163 tokens: of few, the mean error depends on how a processor rounds its sums.
    token_ids, mask = architectures.windows(13, (13, 6, 1) + 11 * (13,))
    model = models.load(_GOLDEN / name, dtype="bfloat16")
    found = _states(model, token_ids, mask)
    assert found.dtype == np.float32
    oracle = architectures.make(name)
    exact = architectures.results(oracle, token_ids, mask)["hidden_states"]
    oracle = oracle.to(torch.bfloat16)
    theirs = architectures.results(oracle, token_ids, mask)["hidden_states"]

    def error(states):
        differences = np.linalg.norm((states - exact)[:, mask], axis=-1)
        norms = np.linalg.norm(exact[:, mask], axis=-1)
        return differences.mean(axis=1) / norms.mean(axis=1)

    # Ours keeps embeddings and sums in float32; means over tokens are not exact.
    assert (error(found) <= 1.5 * error(theirs)).all()
    assert error(found)[-1] > 1e-4


@pytest.mark.parametrize("name", architectures.STORED)
def test_the_rest_of_a_run_and_one_position_agree_with_the_whole(name):
    model = models.load(_GOLDEN / name)
    token_ids, mask = architectures.windows(13, (13, 6, 1))
    states = _states(model, token_ids, mask)
    encoder, last = model.encoder, model.config.n_layers
    for start in range(last + 1):
        final = jax.jit(
            lambda encoder, hidden, mask, start=start: encoder.from_layer(
                hidden, mask, start=start
            )
        )(encoder, states[start], jnp.array(mask))
        np.testing.assert_allclose(final[mask], states[-1][mask], atol=5e-5)
    position = np.array([9, 5, 0], np.int32)
    words = one_position.word_embeddings(encoder, jnp.array(token_ids))
    for layer in (0, 1, last):
        found = one_position.hidden_state(
            encoder, words, jnp.array(mask), jnp.array(position), layer=layer
        )
        np.testing.assert_allclose(
            found, states[layer][np.arange(3), position], atol=5e-5
        )


@pytest.mark.parametrize("name", architectures.STORED)
def test_a_token_that_is_left_out_is_one_that_nothing_attends_to(name):
    encoder = models.load(_GOLDEN / name).encoder
    token_ids, _ = architectures.windows(13, (13, 13))
    kept = np.array([0, 2, 3, 7, 8, 12])
    mask = np.isin(np.arange(13), kept) & np.ones((2, 1), bool)
    position = np.array([8, 7], np.int32)

    def of(ids, mask, position, position_ids):
        words = one_position.word_embeddings(encoder, jnp.array(ids))
        return one_position.hidden_state(
            encoder, words, mask, position, layer=3, position_ids=position_ids
        )

    places = np.broadcast_to(np.arange(13, dtype=np.int32), (2, 13))
    whole = of(token_ids, jnp.array(mask), jnp.array(position), jnp.array(places))
    short = of(
        token_ids[:, kept],
        jnp.ones((2, len(kept)), bool),
        jnp.array(np.searchsorted(kept, position).astype(np.int32)),
        jnp.array(places[:, kept]),
    )
    np.testing.assert_allclose(short, whole, atol=5e-5)


@pytest.mark.parametrize("name", architectures.STORED)
def test_eight_devices_give_what_one_gives(name):
    model = models.load(_GOLDEN / name)
    token_ids, mask = architectures.windows(13, (13, 6, 1, 8) * 4)
    expected = _states(model, token_ids, mask)
    layers = tuple(range(model.config.n_layers + 1))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    rows = jax.NamedSharding(mesh, jax.P("data"))
    with jax.set_mesh(mesh):
        states = _run(
            model.encoder,
            jax.device_put(token_ids, rows),
            jax.device_put(mask, rows),
            layers=layers,
        )
    np.testing.assert_allclose(states, expected, rtol=0, atol=5e-5)


def test_a_decoder_sees_nothing_that_comes_after():
    for name in ("gpt2", "gpt_neox"):
        model = models.load(_GOLDEN / name)
        token_ids, mask = architectures.windows(13, (13, 13))
        states = _states(model, token_ids, mask)
        token_ids[:, 7] += 1
        changed = np.abs(_states(model, token_ids, mask) - states).max(axis=(0, 1, 3))
        assert (changed[:7] == 0).all() and (changed[7:] > 1e-4).all()


def test_the_last_state_of_a_model_with_a_final_norm_is_normed():
    for name in ("gpt2", "gpt_neox", "modernbert"):
        model = models.load(_GOLDEN / name)
        token_ids, mask = architectures.windows(13, (13,))
        before, last = _states(model, token_ids, mask)[-2:]
        norm = model.encoder.final_norm
        bias = 0.0 if norm.bias is None else np.asarray(norm.bias[...])
        plain = (last - bias) / np.asarray(norm.scale[...])
        np.testing.assert_allclose(plain.mean(-1), 0, atol=1e-4)
        np.testing.assert_allclose(plain.std(-1), 1, atol=1e-3)
        assert np.abs(before.std(-1) - 1).max() > 0.05


def test_buckets_of_distances_are_those_of_torch():
    pytest.importorskip("torch", reason="torch is not installed")
    import torch
    from transformers.models.deberta_v2 import modeling_deberta_v2
    from transformers.models.mpnet import modeling_mpnet

    places = np.arange(512, dtype=np.int32)[None]
    ahead = torch.tensor(places - places.T)
    theirs = modeling_mpnet.MPNetEncoder.relative_position_bucket(ahead)
    np.testing.assert_array_equal(mpnet.buckets(jnp.array(places))[0], theirs)
    for n_buckets, most in ((256, 512), (32, 512), (8, 20), (256, 1024)):
        config = deberta.DebertaConfig(
            vocab_size=9,
            d_model=4,
            n_layers=1,
            n_heads=1,
            d_hidden=4,
            max_positions=most,
            max_distance=most,
            n_buckets=n_buckets,
        )
        distances = torch.arange(most)
        theirs = modeling_deberta_v2.make_log_bucket_position(
            distances, n_buckets, most
        )
        assert deberta._buckets(config) == tuple(theirs.long().tolist())


def _changed(name, folder, change, **config):
    """Writes a stored model with other tensors and settings."""
    folder.mkdir(exist_ok=True)
    tensors = safetensors_numpy.load_file(_GOLDEN / name / "model.safetensors")
    settings = json.loads((_GOLDEN / name / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "vocab.txt").write_text("[PAD]\n")
    safetensors_numpy.save_file(change(tensors), folder / "model.safetensors")
    return folder


def _leaves(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model.encoder)]


@pytest.mark.parametrize("name", architectures.STORED)
def test_prefixes_may_be_missing_or_more_and_norms_may_have_old_names(name, tmp_path):
    prefix = registry.ARCHITECTURES[name].names.prefix
    expected = _leaves(models.load(_GOLDEN / name))
    for number, change in enumerate(
        (
            lambda tensors: {n.removeprefix(prefix): x for n, x in tensors.items()},
            lambda tensors: {f"module.{n}": x for n, x in tensors.items()},
            lambda tensors: {
                n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                    "LayerNorm.bias", "LayerNorm.beta"
                ): x
                for n, x in tensors.items()
            },
            lambda tensors: {n: x.astype(np.float64) for n, x in tensors.items()},
        )
    ):
        folder = _changed(name, tmp_path / str(number), change)
        for leaf, other in zip(_leaves(models.load(folder)), expected, strict=True):
            np.testing.assert_array_equal(leaf, other)


@pytest.mark.parametrize("name", architectures.STORED)
def test_what_is_not_used_is_named_and_buffers_are_not(name, tmp_path):
    extra = {
        "pooler.dense.weight": np.zeros((2, 2), np.float32),
        "classifier.bias": np.zeros(3, np.float32),
        "embeddings.position_ids": np.arange(9)[None],
    }
    folder = _changed(name, tmp_path / "more", lambda tensors: tensors | extra)
    head = registry.ARCHITECTURES[name].objective
    found = models.load(folder, head=head).ignored
    assert found == ("classifier.bias", "pooler.dense.weight")
    with_head = set(models.load(folder).ignored) - set(found)
    assert bool(with_head) == (name != "gpt2")


@pytest.mark.parametrize("name", architectures.STORED)
def test_all_that_is_missing_is_named_at_once(name, tmp_path):
    prefix = registry.ARCHITECTURES[name].names.prefix

    def without(tensors):
        word = prefix + registry.ARCHITECTURES[name].names.word
        layer = [n for n in sorted(tensors) if n.endswith("weight") and n != word][5]
        gone.extend(
            n.removeprefix(prefix)
            for n in tensors
            if n == layer or n.lower().endswith("norm.weight") or "ln_1.weight" in n
        )
        return {n: x for n, x in tensors.items() if n.removeprefix(prefix) not in gone}

    gone: list[str] = []
    folder = _changed(name, tmp_path / "less", without)
    assert len(gone) > 1
    with pytest.raises(InputError, match="missing: ") as caught:
        models.load(folder, head=registry.ARCHITECTURES[name].objective)
    assert all(n in str(caught.value) for n in gone)


@pytest.mark.parametrize("name", architectures.STORED)
def test_a_config_that_contradicts_the_weights_is_refused(name, tmp_path):
    stored = json.loads((_GOLDEN / name / "config.json").read_text())
    for key in ("vocab_size", "intermediate_size", "n_positions", "hidden_dim"):
        if key in stored:
            folder = _changed(name, tmp_path / key, dict, **{key: stored[key] + 4})
            with pytest.raises(InputError, match="with another shape"):
                models.load(folder)
    depth = next(
        key for key in ("num_hidden_layers", "n_layer", "n_layers") if key in stored
    )
    more = {depth: 50} if name != "albert" else {"num_hidden_groups": 3}
    more |= {"layer_types": None} if name == "modernbert" else {}
    with pytest.raises(InputError, match="layers instead of"):
        models.load(_changed(name, tmp_path / "deep", dict, **more))


def test_a_decoder_has_no_masked_lm_head_and_an_encoder_no_causal_one():
    with pytest.raises(InputError, match=r"a masked_lm head, got .*whose head is caus"):
        models.load(_GOLDEN / "gpt2", head="masked_lm")
    with pytest.raises(InputError, match=r"a causal_lm head, got .*whose head is mask"):
        models.load(_GOLDEN / "roberta", head="causal_lm")
    with pytest.raises(InputError, match="`head` to be None or of"):
        models.load(_GOLDEN / "roberta", head="lm")


def test_a_decoder_of_its_own_is_refused_where_it_should_be_tied(tmp_path):
    for name in ("roberta", "gpt2", "modernbert", "electra"):
        names = registry.ARCHITECTURES[name].names

        def untied(tensors, names=names):
            words = tensors[names.prefix + names.word]
            return tensors | {names.decoder: words + 1}

        folder = _changed(name, tmp_path / name, untied)
        with pytest.raises(InputError, match="a decoder of its own"):
            models.load(folder, head=registry.ARCHITECTURES[name].objective)


def test_an_unknown_type_names_what_works(tmp_path):
    folder = _changed("roberta", tmp_path / "t5", dict, model_type="t5")
    with pytest.raises(InputError, match="'t5'") as caught:
        models.load(folder)
    assert all(name in str(caught.value) for name in registry.ARCHITECTURES)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("roberta", {"max_position_embeddings": 2}, "`max_positions` to be an integer"),
        ("roberta", {"pad_token_id": -1}, "`padding_id` to be an integer >= 0"),
        ("roberta", {"is_decoder": True}, "is_decoder is True"),
        ("distilbert", {"dim": 25}, "multiple of `n_heads`"),
        ("mpnet", {"relative_attention_num_buckets": 64}, "supported: 32"),
        ("electra", {"embedding_size": "x"}, "`d_embedding` to be an integer"),
        ("albert", {"inner_group_num": 2}, "inner_group_num is 2"),
        ("albert", {"num_hidden_groups": 9}, "at most `n_layers` = 3 groups"),
        (
            "deberta-v2",
            {"relative_attention": False},
            "`relative_attention` to be true",
        ),
        ("deberta-v2", {"conv_kernel_size": 3}, "conv_kernel_size is 3"),
        ("deberta-v2", {"pos_att_type": "p2p"}, "`pos_att_type`.*of c2p, p2c"),
        ("deberta-v2", {"pos_att_type": {"c2p": 1}}, "`pos_att_type`.*got an object"),
        ("deberta-v2", {"position_buckets": 1}, "`position_buckets` to be 2 or more"),
        ("deberta-v2", {"position_buckets": "8"}, "`n_buckets` to be an integer"),
        ("deberta-v2", {"share_att_key": 1}, "`share_att_key` to be true or false"),
        ("modernbert", {"attention_bias": True}, "attention_bias is True"),
        ("modernbert", {"layer_types": ["sliding_attention"] * 4}, "`layer_types`"),
        ("modernbert", {"local_attention": 0}, "`local_window` to be an integer"),
        ("modernbert", {"rope_parameters": 5}, "`rope_parameters`.*to be an object"),
        ("nomic_bert", {"prenorm": True}, "prenorm is True"),
        ("nomic_bert", {"moe_every_n_layers": 2}, "moe_every_n_layers is 2"),
        ("nomic_bert", {"activation_function": "gelu"}, "supported: 'swiglu'"),
        ("nomic_bert", {"head_dim": 8}, "head_dim is 8"),
        ("nomic_bert", {"num_attention_heads": 8}, "heads of an even width, got 3"),
        ("nomic_bert", {"rope_parameters": 5}, "`rope_parameters`.*to be an object"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx is"),
        ("gpt2", {"activation_function": "mish"}, "`activation` to be one of"),
        ("gpt_neox", {"rope_parameters": {"rope_type": "yarn"}}, "rope_type 'default'"),
        (
            "gpt_neox",
            {"rope_parameters": {"partial_rotary_factor": 0.1}},
            "even number of each head",
        ),
        ("gpt_neox", {"use_parallel_residual": "no"}, "to be true or false, got 'no'"),
        ("gpt_neox", {"tie_word_embeddings": True}, "tie_word_embeddings is True"),
        ("gpt_neox", {"architectures": ["GPT2Model"]}, r"supported: GPTNeoX\.\.\."),
    ],
)
def test_settings_that_are_not_supported_are_refused(name, change, message, tmp_path):
    folder = _changed(name, tmp_path / "changed", dict, **change)
    with pytest.raises(InputError, match=message):
        models.load(folder)


def test_older_configurations_of_rotary_models_are_read():
    stored = json.loads((_GOLDEN / "gpt_neox" / "config.json").read_text())
    _, expected = registry.read(stored)
    rope = stored.pop("rope_parameters")
    older = {
        "rotary_pct": rope["partial_rotary_factor"],
        "rotary_emb_base": rope["rope_theta"],
    }
    assert registry.read(stored | older)[1] == expected
    stored = json.loads((_GOLDEN / "modernbert" / "config.json").read_text())
    _, expected = registry.read(stored)
    del stored["rope_parameters"], stored["layer_types"]
    older = {
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
    }
    assert registry.read(stored | older)[1] == expected


def test_a_nomic_bert_is_read_as_it_was_published():
    """The settings' names in the model's own code, and the prefix of its weights."""
    stored = json.loads((_GOLDEN / "nomic_bert" / "config.json").read_text())
    _, expected = registry.read(stored)
    named = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "layer_norm_eps": "layer_norm_epsilon",
    }
    published = {new: stored[old] for old, new in named.items()} | {
        "model_type": "nomic_bert",
        "architectures": ["NomicBertForPreTraining"],
        "vocab_size": stored["vocab_size"],
        "type_vocab_size": stored["type_vocab_size"],
        "activation_function": "swiglu",
        "rotary_emb_base": stored["rope_parameters"]["rope_theta"],
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_scaling_factor": 2.0,
        "prenorm": False,
        "qkv_proj_bias": False,
        "n_positions": 80,
        "max_trained_positions": 20,
    }
    assert registry.read(published)[1] == expected
    assert expected.theta == 1000 and expected.max_positions == 20
    del published["max_trained_positions"]
    published["n_positions"] = 8192
    assert registry.read(published)[1].max_positions == 2048
    with pytest.raises(InputError, match="rotary_emb_interleaved is True"):
        registry.read(published | {"rotary_emb_interleaved": True})


def test_the_prefix_of_a_published_nomic_bert(tmp_path):
    expected = _leaves(models.load(_GOLDEN / "nomic_bert"))
    folder = _changed(
        *("nomic_bert", tmp_path / "published"),
        lambda tensors: {
            n.replace("nomic_bert.", "bert."): x for n, x in tensors.items()
        },
    )
    found = models.load(folder, head="masked_lm")
    assert found.ignored == ()
    for leaf, other in zip(_leaves(found), expected, strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_an_untrained_model_is_of_the_same_architecture():
    for name in architectures.STORED:
        model = models.load(_GOLDEN / name)
        other = models.untrained(model, seed=0)
        assert type(other.encoder) is type(model.encoder)
        for leaf, theirs in zip(_leaves(other), _leaves(model), strict=True):
            assert leaf.shape == theirs.shape
