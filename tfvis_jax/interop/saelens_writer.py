"""Writes the dictionary of a run, or its autoencoder, as a folder that SAELens loads.

The codes of a dictionary are the solution of a lasso, not of an encoder's product:
`saelens_plugin` teaches SAELens to infer them, and `saelens_dictionary` reads the
folder back. An autoencoder that a run was imported from is one of SAELens' own
architectures again.
"""

import json
import os
import pathlib
from typing import Any

import numpy as np
import safetensors.numpy

from tfvis_jax import config as config_lib
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.interop import hooks, saelens
from tfvis_jax.runs import linear_encoder, trained_dictionary

ARCHITECTURE = "tfvis_lasso"
# Of the form of cfg.json, which is that of SAELens 6.
_FORM = "6.0.0"
_ARCHITECTURES = {
    "relu": "standard",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "gated": "gated",
}


def write(
    folder: str | os.PathLike[str],
    trained: trained_dictionary.TrainedDictionary,
    *,
    layer: int,
    solver: config_lib.SolverConfig,
    hook: str | None = None,
) -> None:
    """Writes the dictionary, or the autoencoder, as it is used at one layer.

    SAELens loads a dictionary once `saelens_plugin` is imported. Its ``encode`` infers
    the codes of the run, to the run's tolerance, and its ``decode`` gives hidden states
    as the model has them, neither scaled nor whitened.

    An autoencoder needs no plug-in. A factor's activation in SAELens is that of the run
    divided by the norm of its row of W_dec, as it was before it was imported.

    Args:
      folder: to write cfg.json and sae_weights.safetensors to, which it may not hold
        yet; made if it does not exist.
      trained: the dictionary, such as ``run.trained``.
      layer: of the dictionary.
      solver: the settings of the run's solver, ``run.config.solver``; λ is that of the
        dictionary. Not used for an autoencoder.
      hook: name of the layer for the tool that runs the model; that of TransformerLens
        if None, where the output of block i, hidden state i + 1, is
        ``blocks.{i}.hook_resid_post`` (in HookedEncoder, which has BERT,
        ``blocks.{i}.hook_normalized_resid_post``, and needs to be named); "" leaves it
        out.

    Raises:
      InputError: the dictionary does not have this layer, or the folder holds an
        autoencoder, or its encoder has numbers that SAELens cannot have.
    """
    folder = pathlib.Path(folder)
    if (folder / saelens.CONFIG).exists() or (folder / saelens.WEIGHTS).exists():
        raise InputError(
            f"Expected a new folder, got {folder}, which holds an autoencoder. Name "
            "another, or remove it."
        )
    one = trained.of_layers([layer])
    scale = one.layer_scale[0]
    n_factors, d_model = one.factors.shape
    mean, whitener = np.zeros(d_model), np.eye(d_model)
    if one.whitening is not None:
        mean, whitener = one.whitening.mean[0], np.asarray(one.whitening.matrix)
    whitener = np.asarray(whitener / scale, np.float32)
    decoder = np.asarray(one.directions * scale, np.float32)
    if one.encoder is None:
        about, arrays = _lasso(one, one.solver(solver), whitener=whitener)
    else:
        about, arrays = _autoencoder(one.encoder, whitener=whitener)
        decoder = decoder * one.encoder.scale[:, None]
    arrays |= {"W_dec": decoder, "b_dec": np.asarray(mean, np.float32)}
    if hook is None:
        hook = hooks.hook_of(layer, one.site)
    is_local = os.path.isabs(one.model)
    settings = about | {
        "d_in": d_model,
        "d_sae": n_factors,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": _FORM,
            "model_name": pathlib.PurePath(one.model).name if is_local else one.model,
            **({"hook_name": hook} if hook else {}),
            "dictionary": trained.content_hash,
            "layer_scale": float(scale),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    content = safetensors.numpy.save(
        {
            name: np.ascontiguousarray(array, np.float32)
            for name, array in arrays.items()
        }
    )
    with files.write_atomically(folder / saelens.WEIGHTS) as file:
        file.write(content)
    # Last: a folder that has it is whole.
    with files.write_atomically(folder / saelens.CONFIG) as file:
        file.write(json.dumps(settings, indent=1).encode())


_Written = tuple[dict[str, Any], dict[str, np.ndarray]]


def _lasso(
    one: trained_dictionary.TrainedDictionary,
    solver: config_lib.SolverConfig,
    *,
    whitener: np.ndarray,
) -> _Written:
    """Returns settings and arrays from which the plug-in infers codes."""
    about = {
        "architecture": ARCHITECTURE,
        "l1_penalty": solver.l1_penalty,
        "l2_penalty": solver.l2_penalty,
        "tolerance": solver.tolerance,
        "max_steps": solver.max_steps,
    }
    return about, {
        # Not used to encode: α of one factor alone is that of a row's product with it.
        "W_enc": whitener @ one.factors.T,
        "factors": one.factors,
        "whitener": whitener,
    }


def _autoencoder(
    encoder: linear_encoder.LinearEncoder, *, whitener: np.ndarray
) -> _Written:
    """Returns settings and arrays of an architecture of SAELens."""
    about: dict[str, Any] = {"architecture": _ARCHITECTURES[encoder.kind]}
    if encoder.kind == "topk":
        about |= {"k": encoder.k, "rescale_acts_by_decoder_norm": False}
    found = encoder.arrays()
    arrays = {"W_enc": whitener @ found["weight"]}
    if encoder.kind != "gated":
        arrays["b_enc"] = found["bias"]
        if encoder.kind == "jumprelu":
            arrays["threshold"] = found["threshold"]
        return about, arrays
    if not np.all(found["magnitude_weight"] > 0):
        raise InputError(
            "Expected a gated encoder with magnitudes above 0, of which SAELens keeps "
            "the logarithm, got others. It cannot be written."
        )
    return about, arrays | {
        "b_gate": found["bias"],
        "r_mag": np.log(found["magnitude_weight"]),
        "b_mag": found["magnitude_bias"],
    }
