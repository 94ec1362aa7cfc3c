"""Reading Hugging Face checkpoints: every layout, and every way they can be wrong."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from tfvis_jax import models
from tfvis_jax.errors import InputError


def _leaves(model):
    return [np.array(leaf) for leaf in jax.tree.leaves(model.encoder)]


def _assert_same(model, expected):
    assert model.config == expected.config
    for leaf, other in zip(_leaves(model), _leaves(expected), strict=True):
        assert leaf.dtype == other.dtype
        np.testing.assert_array_equal(leaf, other)


def _bare(tensors):
    return {
        name.removeprefix("bert."): tensor
        for name, tensor in tensors.items()
        if name.startswith("bert.")
    }


def test_kernels_are_transposed_and_every_name_finds_its_place(
    tiny_tensors, write_folder
):
    model = models.load(write_folder(tiny_tensors), head="masked_lm")
    layer, head = model.encoder.layers[1], model.language_model.head
    stored = {
        "bert.embeddings.word_embeddings.weight": model.encoder.embeddings.word,
        "bert.embeddings.position_embeddings.weight": model.encoder.embeddings.position,
        "bert.embeddings.LayerNorm.weight": model.encoder.embeddings.norm.scale,
        "bert.encoder.layer.1.attention.self.key.bias": layer.attention.key.bias,
        "bert.encoder.layer.1.attention.output.LayerNorm.bias": (
            layer.attention_norm.bias
        ),
        "bert.encoder.layer.1.output.LayerNorm.weight": layer.output_norm.scale,
        "cls.predictions.bias": head.bias,
        "cls.predictions.transform.LayerNorm.weight": head.norm.scale,
    }
    for name, parameter in stored.items():
        np.testing.assert_array_equal(parameter[...], tiny_tensors[name])
    kernels = {
        "bert.encoder.layer.1.attention.self.query.weight": layer.attention.query,
        "bert.encoder.layer.1.intermediate.dense.weight": layer.expand,
        "bert.encoder.layer.1.output.dense.weight": layer.contract,
        "cls.predictions.transform.dense.weight": head.transform,
    }
    for name, linear in kernels.items():
        np.testing.assert_array_equal(linear.kernel[...], tiny_tensors[name].T)
    assert model.encoder is model.language_model.encoder


def test_random_hugging_face_model_gives_the_same_states(tmp_path, write_folder):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers")
    config = json.loads((write_folder() / "config.json").read_text())
    torch.manual_seed(0)
    oracle = transformers.BertForMaskedLM(
        transformers.BertConfig(**config, initializer_range=0.5)
    ).eval()
    oracle.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "vocab.txt").write_text("[PAD]\n")
    model = models.load(tmp_path / "saved", head="masked_lm")
    token_ids = torch.randint(0, 53, (3, 12))
    mask = torch.arange(12)[None, :] < torch.tensor([12, 5, 1])[:, None]
    with torch.inference_mode():
        result = oracle(token_ids, attention_mask=mask, output_hidden_states=True)
    ours = jax.jit(lambda encoder, ids, mask: encoder(ids, mask, layers=(0, 1, 2, 3)))(
        model.encoder, jnp.array(token_ids.numpy(), jnp.int32), jnp.array(mask)
    )
    logits = np.array(model.language_model.logits(ours[-1]))
    for layer, theirs in enumerate(result.hidden_states):
        difference = np.abs(np.array(ours[layer]) - theirs.numpy())[mask.numpy()]
        # Weights drawn 25 times as large as BERT's own: scores are large.
        assert difference.max() <= 2e-5, f"layer {layer}"
    np.testing.assert_allclose(
        logits[mask.numpy()], result.logits.numpy()[mask.numpy()], atol=1e-4, rtol=0
    )


def _gamma_beta(tensors):
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }


def _with_extras(tensors):
    return _bare(tensors) | {
        "embeddings.position_ids": np.arange(12)[None, :],
        "pooler.dense.weight": np.zeros((16, 16), np.float32),
        "cls.seq_relationship.weight": np.zeros((2, 16), np.float32),
        "classifier.bias": np.zeros(3, np.float32),
    }


@pytest.mark.parametrize(
    "change",
    [
        _bare,
        _gamma_beta,
        _with_extras,
        lambda tensors: {f"module.{name}": x for name, x in tensors.items()},
    ],
    ids=["no prefix", "gamma and beta", "buffers, pooler, heads", "module."],
)
def test_other_layouts_load_to_the_same_model(change, tiny_tensors, write_folder):
    expected = models.load(write_folder(tiny_tensors))
    _assert_same(models.load(write_folder(change(tiny_tensors))), expected)


def test_shards_load_as_one_file_does(tiny_tensors, write_folder):
    folder = write_folder(tiny_tensors)
    expected = models.load(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(tiny_tensors)
    weight_map = {}
    for shard, part in enumerate((names[:20], names[20:]), 1):
        file = f"model-0000{shard}-of-00002.safetensors"
        safetensors_numpy.save_file({n: tiny_tensors[n] for n in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    _assert_same(models.load(folder), expected)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"not beside it: model-00002-of"):
        models.load(folder)
    index.write_text("{}")
    with pytest.raises(InputError, match="not an index"):
        models.load(folder)


@pytest.mark.parametrize("half", [np.float16, jnp.bfloat16])
def test_half_precision_checkpoints_load_in_float32(half, tiny_tensors, write_folder):
    rounded = {name: np.array(x, half) for name, x in tiny_tensors.items()}
    widened = {name: np.array(x, np.float32) for name, x in rounded.items()}
    expected = models.load(write_folder(widened))
    assert {leaf.dtype for leaf in _leaves(expected)} == {np.dtype("float32")}
    _assert_same(models.load(write_folder(rounded)), expected)


def test_bfloat16_halves_the_parameters(tiny_tensors, write_folder):
    folder = write_folder(tiny_tensors)
    exact = _leaves(models.load(folder))
    for leaf, wide in zip(
        _leaves(models.load(folder, dtype="bfloat16")), exact, strict=True
    ):
        assert leaf.dtype == jnp.bfloat16
        np.testing.assert_array_equal(leaf, wide.astype(jnp.bfloat16))


def test_one_error_names_everything_that_does_not_fit(tiny_tensors, write_folder):
    del tiny_tensors["bert.encoder.layer.0.output.dense.bias"]
    del tiny_tensors["bert.embeddings.LayerNorm.weight"]
    tiny_tensors["bert.encoder.layer.3.output.dense.bias"] = np.zeros(16, np.float32)
    tiny_tensors["bert.encoder.layer.1.intermediate.dense.bias"] = np.zeros(9)
    with pytest.raises(InputError) as caught:
        models.load(write_folder(tiny_tensors))
    for part in (
        "missing: embeddings.LayerNorm.weight, encoder.layer.0.output.dense.bias",
        "unexpected: encoder.layer.3.output.dense.bias",
        "with another shape: encoder.layer.1.intermediate.dense.bias [9] instead of",
        "Take config.json and weights from the same model",
    ):
        assert part in str(caught.value)


def test_the_head_must_be_there_when_asked_for(tiny_tensors, write_folder):
    folder = write_folder(_bare(tiny_tensors))
    assert models.load(folder).language_model is None
    with pytest.raises(InputError, match=r"missing: cls\.predictions\.bias"):
        models.load(folder, head="masked_lm")


def test_the_decoder_must_be_the_word_embedding(tiny_tensors, write_folder):
    words = tiny_tensors["bert.embeddings.word_embeddings.weight"]
    tiny_tensors["cls.predictions.decoder.weight"] = words.copy()
    tiny_tensors["cls.predictions.decoder.bias"] = tiny_tensors["cls.predictions.bias"]
    del tiny_tensors["cls.predictions.bias"]
    model = models.load(write_folder(tiny_tensors), head="masked_lm")
    np.testing.assert_array_equal(
        model.language_model.head.bias[...],
        tiny_tensors["cls.predictions.decoder.bias"],
    )
    tiny_tensors["cls.predictions.decoder.weight"] = words + 1
    folder = write_folder(tiny_tensors)
    with pytest.raises(InputError, match="a decoder of its own"):
        models.load(folder, head="masked_lm")
    assert models.load(folder).language_model is None


@pytest.mark.parametrize("more", [1, -1])
@pytest.mark.parametrize("name", ["bias", "decoder.bias", "decoder.weight"])
def test_a_head_of_another_size_is_said(tiny_tensors, write_folder, name, more):
    words = tiny_tensors["bert.embeddings.word_embeddings.weight"]
    wrong = {
        "bias": np.zeros(len(words) + more, np.float32),
        "decoder.bias": np.zeros(len(words) + more, np.float32),
        "decoder.weight": np.resize(words, (len(words) + more, words.shape[1])),
    }
    if name == "decoder.bias":
        del tiny_tensors["cls.predictions.bias"]
    folder = write_folder(tiny_tensors | {f"cls.predictions.{name}": wrong[name]})
    with pytest.raises(InputError, match=r"head in .* of another size .* instead of"):
        models.load(folder, head="masked_lm")
    assert models.head_of(folder)
    assert models.load(folder).language_model is None


def test_a_head_with_a_part_missing_is_said(tiny_tensors, write_folder):
    for name in ("bias", "transform.dense.weight"):
        tensors = dict(tiny_tensors)
        del tensors[f"cls.predictions.{name}"]
        folder = write_folder(tensors)
        assert models.head_of(folder)
        with pytest.raises(InputError, match=f"missing: cls.predictions.{name}"):
            models.load(folder, head="masked_lm")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_number_is_refused_by_the_name_of_its_tensor(
    value, tiny_tensors, write_folder
):
    name = "bert.encoder.layer.2.attention.self.value.weight"
    tiny_tensors[name][3, 4] = value
    with pytest.raises(InputError, match=r"layer\.2\.attention\.self\.value"):
        models.load(write_folder(tiny_tensors))


def test_another_model_is_refused(write_folder):
    folder = write_folder({"wte.weight": np.zeros((3, 3), np.float32)})
    with pytest.raises(InputError, match=r"one encoder in .*got 0 tensors"):
        models.load(folder)


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\noid sha256:", b"", None]
)
def test_a_damaged_safetensors_file_is_named(content, tiny_tensors, write_folder):
    file = write_folder(tiny_tensors) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10] if content is None else content)
    with pytest.raises(InputError, match=r"model\.safetensors .*download it"):
        models.load(file.parent)


def test_a_damaged_config_is_named(tiny_tensors, write_folder):
    folder = write_folder(tiny_tensors)
    for content in ('{"vocab_size": ', "[]"):
        (folder / "config.json").write_text(content)
        with pytest.raises(InputError, match=r"config\.json[ ,].*download it"):
            models.load(folder)


def test_load_tells_where_the_model_came_from(tiny_tensors, write_folder):
    folder = write_folder(tiny_tensors)
    model = models.load(str(folder))
    assert (model.name, model.folder) == (str(folder), folder)
    assert model.config == model.encoder.config
    assert model.config.d_hidden == 24
    with pytest.raises(InputError, match=r"one of .*float32.*got 'float16'"):
        models.load(folder, dtype="float16")
