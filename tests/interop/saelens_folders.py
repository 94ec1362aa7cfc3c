"""Small autoencoders in SAELens' form, written from its description, not by it."""

import json

import numpy as np
import safetensors.numpy

D_IN, D_SAE = 16, 40


def tensors(architecture, *, seed=0, d_in=D_IN, d_sae=D_SAE):
    """Returns random tensors of an architecture, of sizes as after training."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    found = {
        "W_enc": normal(d_in, d_sae) / 4,
        "W_dec": normal(d_sae, d_in) / 3,
        "b_dec": normal(d_in),
    }
    if architecture == "gated":
        return found | {
            "b_gate": normal(d_sae) / 4,
            "b_mag": normal(d_sae) / 4,
            "r_mag": normal(d_sae) / 4,
        }
    found["b_enc"] = normal(d_sae) / 4
    if architecture == "jumprelu":
        found["threshold"] = np.abs(normal(d_sae)) / 2
    if architecture in ("batchtopk", "matryoshka_batchtopk"):
        found["topk_threshold"] = np.float64(0.7)
    return found


def settings(architecture, *, d_in=D_IN, d_sae=D_SAE, hook=None, **changes):
    """Returns cfg.json of version 6; ``changes`` of its fields, None leaves one out."""
    found = {
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": "6.54.12",
            "model_name": "toy",
            "hook_name": hook or "blocks.1.hook_resid_post",
            "hook_head_index": None,
            "prepend_bos": True,
        },
        "architecture": architecture,
    }
    if architecture == "topk":
        found |= {"k": 5, "rescale_acts_by_decoder_norm": False}
    if architecture in ("batchtopk", "matryoshka_batchtopk"):
        found |= {"k": 5.5, "rescale_acts_by_decoder_norm": True}
    return {name: v for name, v in (found | changes).items() if v is not None}


def write(folder, config, arrays):
    """Writes a folder; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(config))
    safetensors.numpy.save_file(
        {name: np.asarray(array) for name, array in arrays.items()},
        folder / "sae_weights.safetensors",
    )
    return folder


def make(folder, architecture, *, seed=0, d_in=D_IN, d_sae=D_SAE, **changes):
    """Writes a random autoencoder of an architecture; returns its folder."""
    return write(
        folder,
        settings(architecture, d_in=d_in, d_sae=d_sae, **changes),
        tensors(architecture, seed=seed, d_in=d_in, d_sae=d_sae),
    )
