"""Folders of SAELens: codes by definition, and equal to SAELens' own."""

import json

import compiling
import ml_dtypes
import numpy as np
import pytest

from interop import saelens_folders
from tfvis_jax.errors import InputError
from tfvis_jax.interop import hooks, saelens

ROWS = np.random.default_rng(1).normal(size=(50, saelens_folders.D_IN)) + 0.3
ROWS = (2 * ROWS).astype(np.float32)


def _relu(p):
    return np.maximum(p, 0)


def _expected(architecture, arrays, config):
    """Codes and reconstructions in float64, as SAELens' documentation has them."""
    a = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    x = ROWS.astype(np.float64)
    mean, size = 0.0, 1.0
    if config["normalize_activations"] == "layer_norm":
        mean, size = x.mean(1, keepdims=True), x.std(1, keepdims=True, ddof=1)
        x = (x - mean) / (size + 1e-5)
    if config["normalize_activations"] == "constant_norm_rescale":
        size = np.linalg.norm(x, axis=1, keepdims=True) / np.sqrt(x.shape[1])
        x = x / size
    if config["apply_b_dec_to_input"]:
        x = x - a["b_dec"]
    norms = np.linalg.norm(a["W_dec"], axis=1)
    rescaled = config.get("rescale_acts_by_decoder_norm")
    if architecture == "gated":
        magnitude = x @ (a["W_enc"] * np.exp(a["r_mag"])) + a["b_mag"]
        codes = (x @ a["W_enc"] + a["b_gate"] > 0) * _relu(magnitude)
    else:
        p = x @ a["W_enc"] + a["b_enc"]
        p = p * norms if rescaled else p
        codes = _relu(p)
        if architecture == "topk":
            least = np.sort(p, axis=1)[:, -config["k"]]
            codes = codes * (p >= least[:, None])
        if "threshold" in a:
            codes = codes * (p > a["threshold"])
        if "topk_threshold" in a:
            codes = codes * (p > a["topk_threshold"])
    decoder = a["W_dec"] / norms[:, None] if rescaled else a["W_dec"]
    return codes, mean + size * (codes @ decoder + a["b_dec"])


CASES = [
    *((name, {}) for name in saelens.ARCHITECTURES),
    ("topk", {"rescale_acts_by_decoder_norm": True}),
    ("batchtopk", {"rescale_acts_by_decoder_norm": False}),
    ("standard", {"normalize_activations": "layer_norm"}),
    ("jumprelu", {"normalize_activations": "constant_norm_rescale"}),
    ("jumprelu", {"apply_b_dec_to_input": False}),
    ("gated", {"apply_b_dec_to_input": False}),
    ("topk", {"apply_b_dec_to_input": False}),
]


@pytest.mark.parametrize("architecture, changes", CASES)
def test_codes_are_those_of_the_definition(tmp_path, architecture, changes):
    config = saelens_folders.settings(architecture, **changes)
    arrays = saelens_folders.tensors(architecture)
    read = saelens.read(saelens_folders.write(tmp_path, config, arrays))
    codes, reconstruction = _expected(architecture, arrays, config)
    assert 0 < np.count_nonzero(codes) < 0.7 * codes.size
    np.testing.assert_allclose(read.encode(ROWS), codes, atol=1e-5)
    np.testing.assert_allclose(read.reconstruct(ROWS), reconstruction, atol=2e-5)
    assert (read.d_in, read.n_factors, read.place) == (16, 40, (2, "hidden"))
    assert read.about.model == "toy" and read.about.architecture == architecture


@pytest.mark.parametrize("architecture, changes", CASES)
def test_a_run_has_the_same_codes_and_reconstructions(tmp_path, architecture, changes):
    """Codes are times the norms of the decoder's rows; what they stand for is equal."""
    read = saelens.read(saelens_folders.make(tmp_path, architecture, **changes))
    if read.normalize_activations != "none":
        with pytest.raises(InputError, match="rescales every row"):
            read.as_trained(model="toy", place=read.place)
        return
    trained = read.as_trained(model="toy", place=read.place)
    y = trained.rows(ROWS, 2)
    codes = np.asarray(trained.encoder.codes(y))
    norms = np.linalg.norm(read.W_dec, axis=1)
    np.testing.assert_allclose(codes, np.asarray(read.encode(ROWS)) * norms, atol=2e-5)
    np.testing.assert_allclose(
        trained.hidden_states(codes @ trained.factors, 2),
        read.reconstruct(ROWS),
        atol=2e-5,
    )
    np.testing.assert_allclose(np.linalg.norm(trained.factors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_precisions_are_read_as_they_are(tmp_path, dtype):
    arrays = saelens_folders.tensors("standard")
    halves = {name: array.astype(dtype) for name, array in arrays.items()}
    config = saelens_folders.settings("standard")
    read = saelens.read(saelens_folders.write(tmp_path, config, halves))
    np.testing.assert_array_equal(read.W_enc, halves["W_enc"].astype(np.float32))
    assert read.W_enc.dtype == np.float32


@pytest.mark.parametrize(
    "architecture, name",
    [("gated", "r_mag"), ("batchtopk", "W_dec"), ("topk", "W_dec")],
)
def test_what_overflows_is_a_sentence(tmp_path, architecture, name):
    """Neither a warning of NumPy nor an infinity."""
    arrays = saelens_folders.tensors(architecture)
    arrays[name] = np.full_like(arrays[name], 3e38)
    config = saelens_folders.settings(architecture)
    folder = saelens_folders.write(tmp_path, config, arrays)
    with (
        compiling.warnings_are_errors(),
        pytest.raises(InputError, match=r"cannot be used\.$"),
    ):
        saelens.read(folder).as_trained(model="toy", place=hooks.Place(2))


OLD = {
    "d_in": 16,
    "d_sae": 40,
    "model_name": "gpt2-small",
    "hook_point": "blocks.8.hook_resid_pre",
    "hook_point_layer": 8,
    "activation_fn_str": "relu",
    "normalize_activations": False,
    "model_from_pretrained_kwargs": {},
}


def test_settings_of_old_versions(tmp_path):
    arrays = saelens_folders.tensors("standard")
    arrays["scaling_factor"] = np.ones(40, np.float32)
    read = saelens.read(saelens_folders.write(tmp_path / "a", OLD, arrays))
    assert read.kind == "relu" and read.place.layer == 8
    assert "does not say how its model was loaded" in read.about.notes[0]
    top = OLD | {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}
    read = saelens.read(saelens_folders.write(tmp_path / "b", top, arrays))
    assert (read.kind, read.k) == ("topk", 3)
    arrays["scaling_factor"][4] = 2
    with pytest.raises(InputError, match="scaling_factor of ones"):
        saelens.read(saelens_folders.write(tmp_path / "c", OLD, arrays))


@pytest.mark.parametrize(
    "architecture, changes, message",
    [
        ("transcoder", {}, "Expected an architecture among"),
        ("temporal", {}, "Expected an architecture among"),
        ("standard", {"architecture": None}, "architecture among .* got None"),
        ("standard", {"normalize_activations": "whiten"}, "normalize_activations"),
        (
            "standard",
            {"normalize_activations": "expected_average_only_in"},
            "fold_activation_norm_scaling_factor",
        ),
        ("standard", {"normalize_activations": True}, "fold_activation_norm_scaling"),
        ("standard", {"reshape_activations": "hook_z"}, "reshape_activations"),
        ("standard", {"finetuning_scaling_factor": True}, "finetuning_scaling"),
        ("standard", {"activation_fn": "tanh-relu"}, "activation function relu"),
        ("standard", {"d_in": 17}, "W_dec of shape"),
        ("standard", {"d_sae": 41}, "of shape"),
        ("standard", {"d_sae": 0}, "damaged"),
        ("standard", {"d_sae": "40"}, "damaged"),
        ("topk", {"k": None}, "Expected k of topk"),
        ("topk", {"k": 2.5}, "Expected k of topk"),
        ("topk", {"k": 41}, "Expected k of topk"),
        ("batchtopk", {"rescale_acts_by_decoder_norm": None}, "rescale_acts_by"),
        ("standard", {"hook_layer": 3}, "Expected hook_layer 1"),
    ],
)
def test_settings_that_are_not_known_are_refused(
    tmp_path, architecture, changes, message
):
    config = saelens_folders.settings(architecture)
    config = {n: v for n, v in (config | changes).items() if v is not None}
    arrays = saelens_folders.tensors(architecture)
    with pytest.raises(InputError, match=message):
        saelens.read(saelens_folders.write(tmp_path, config, arrays))


@pytest.mark.parametrize(
    "metadata, message",
    [
        ({"hook_head_index": 3}, "attention head"),
        ({"sae_lens_version": "six"}, "version of SAELens"),
        (
            {"model_from_pretrained_kwargs": {"center_writing_weights": True}},
            "center_writing_weights",
        ),
        ({"training_architecture": "batchtopk"}, "trained as batchtopk to be saved"),
        ({"training_architecture": "topk"}, "trained as topk to be saved"),
    ],
)
def test_metadata_that_mean_something_else_are_refused(tmp_path, metadata, message):
    config = saelens_folders.settings("standard")
    config["metadata"] |= metadata
    arrays = saelens_folders.tensors("standard")
    with pytest.raises(InputError, match=message):
        saelens.read(saelens_folders.write(tmp_path, config, arrays))


def test_a_batch_topk_is_never_read_as_a_relu(tmp_path):
    arrays = saelens_folders.tensors("batchtopk")
    relu = saelens_folders.settings("standard")
    with pytest.raises(InputError, match=r"topk_threshold.* beside"):
        saelens.read(saelens_folders.write(tmp_path / "a", relu, arrays))
    batch = saelens_folders.settings("batchtopk")
    for none in (0.0, -1.0):
        arrays["topk_threshold"] = np.float64(none)
        with pytest.raises(InputError, match="threshold above 0"):
            saelens.read(saelens_folders.write(tmp_path / "b", batch, arrays))
    del arrays["topk_threshold"]
    with pytest.raises(InputError, match="Expected topk_threshold"):
        saelens.read(saelens_folders.write(tmp_path / "c", batch, arrays))
    saved = saelens_folders.settings("jumprelu")
    saved["metadata"]["training_architecture"] = "batchtopk"
    arrays["threshold"] = np.zeros(40, np.float32)
    with pytest.raises(InputError, match="threshold above 0"):
        saelens.read(saelens_folders.write(tmp_path / "d", saved, arrays))
    arrays["threshold"] += 0.5
    read = saelens.read(saelens_folders.write(tmp_path / "e", saved, arrays))
    assert read.about.architecture == "batchtopk" and read.kind == "jumprelu"


def test_tensors_that_are_not_those_of_the_architecture_are_refused(tmp_path):
    config = saelens_folders.settings("jumprelu")
    arrays = saelens_folders.tensors("jumprelu")

    def refused(message, **changed):
        changed = {n: a for n, a in (arrays | changed).items() if a is not None}
        with pytest.raises(InputError, match=message):
            saelens.read(saelens_folders.write(tmp_path, config, changed))

    refused("Expected threshold in", threshold=None)
    refused("W_skip.* beside", W_skip=np.ones((16, 16), np.float32))
    refused("W_enc of shape", W_enc=arrays["W_enc"].T)
    refused("got I32", b_dec=np.ones(16, np.int32))
    refused("finite numbers in b_enc", b_enc=np.full(40, np.nan, np.float32))
    refused("finite numbers in b_enc", b_enc=np.full(40, 1e300))
    (tmp_path / "sae_weights.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(InputError, match="no safetensors file"):
        saelens.read(tmp_path)
    (tmp_path / "sae_weights.safetensors").unlink()
    with pytest.raises(InputError, match="got none"):
        saelens.read(tmp_path)
    (tmp_path / "cfg.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        saelens.read(tmp_path)
    (tmp_path / "cfg.json").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        saelens.read(tmp_path)


@pytest.mark.parametrize(
    "hook, layer",
    [
        ("blocks.0.hook_resid_pre", 0),
        ("blocks.3.hook_resid_post", 4),
        ("blocks.3.hook_normalized_resid_post", 4),
        ("transformer.h.3", 4),
        ("encoder.layer.11", 12),
        ("model.layers.2", 3),
    ],
)
def test_hooks_name_hidden_states(hook, layer):
    assert hooks.place_of(hook) == (layer, "hidden")
    assert hooks.place_of("") is None


@pytest.mark.parametrize(
    "hook, place",
    [
        ("blocks.3.hook_mlp_out", (4, "mlp_out")),
        ("blocks.0.hook_attn_out", (1, "attention_out")),
        ("layers.5.mlp", (6, "mlp_out")),
    ],
)
def test_hooks_name_sites(hook, place):
    assert hooks.place_of(hook) == place


@pytest.mark.parametrize(
    "hook",
    [
        "blocks.3.attn.hook_z",
        "blocks.3.hook_resid_mid",
        "encoder.layer.3.output",
        "hook_embed",
        "blocks.x.hook_resid_post",
        "\x1b[2J.blocks.3",
    ],
)
def test_hooks_inside_a_block_are_refused(hook):
    with pytest.raises(InputError, match="Expected an autoencoder of hidden states"):
        hooks.place_of(hook)


def test_rows_of_another_width_are_refused(tmp_path):
    read = saelens.read(saelens_folders.make(tmp_path, "standard"))
    with pytest.raises(InputError, match=r"Expected `x` of shape \[rows, 16\]"):
        read.encode(np.ones((3, 17)))


@pytest.fixture(scope="module")
def sae_lens():
    pytest.importorskip("torch", reason="needs torch")
    return pytest.importorskip("sae_lens", reason="needs sae-lens")


def _theirs(sae_lens, architecture, changes):
    """Returns an autoencoder of SAELens with random weights, as it is in training."""
    import torch

    names = {
        "standard": "Standard",
        "topk": "TopK",
        "jumprelu": "JumpReLU",
        "gated": "Gated",
        "batchtopk": "BatchTopK",
        "matryoshka_batchtopk": "MatryoshkaBatchTopK",
    }
    name = names[architecture] + "TrainingSAE"
    own = {"k": 5} if "topk" in architecture else {}
    if architecture == "matryoshka_batchtopk":
        own["matryoshka_widths"] = [10, 40]
    config = getattr(sae_lens, f"{name}Config")(d_in=16, d_sae=40, **own, **changes)
    made = getattr(sae_lens, name)(config)
    with torch.no_grad():
        for tensor_name, array in saelens_folders.tensors(architecture, seed=3).items():
            getattr(made, tensor_name).copy_(torch.as_tensor(array))
    return made


@pytest.mark.parametrize("architecture, changes", CASES)
def test_codes_equal_those_of_saelens(sae_lens, tmp_path, architecture, changes):
    import torch

    made = _theirs(sae_lens, architecture, changes)
    made.save_inference_model(tmp_path / "used")
    made.save_model(tmp_path / "trained")
    theirs = sae_lens.SAE.load_from_disk(tmp_path / "used")
    x = torch.as_tensor(ROWS)
    with torch.no_grad():
        codes, output = theirs.encode(x).numpy(), theirs(x).numpy()
    for folder in ("used", "trained"):
        config = json.loads((tmp_path / folder / "cfg.json").read_text())
        read = saelens.read(tmp_path / folder)
        assert read.about.architecture == architecture, config
        np.testing.assert_allclose(read.encode(ROWS), codes, atol=1e-5)
        np.testing.assert_allclose(read.reconstruct(ROWS), output, atol=1e-5)
    assert 0 < np.count_nonzero(codes) < 0.7 * codes.size
