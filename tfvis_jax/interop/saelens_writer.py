"""Writes the dictionary of a run as a folder that SAELens loads.

The codes of a run are the solution of a lasso, not of an encoder's product:
`saelens_plugin` teaches SAELens to infer them.
"""

import json
import os
import pathlib

import numpy as np
import safetensors.numpy

from tfvis_jax import config as config_lib
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.interop import hooks, saelens
from tfvis_jax.runs import trained_dictionary

ARCHITECTURE = "tfvis_lasso"
# Of the form of cfg.json, which is that of SAELens 6.
_FORM = "6.0.0"


def write(
    folder: str | os.PathLike[str],
    trained: trained_dictionary.TrainedDictionary,
    *,
    layer: int,
    solver: config_lib.SolverConfig,
    hook: str | None = None,
) -> None:
    """Writes the dictionary as it is used at one layer.

    SAELens loads it once `saelens_plugin` is imported. Its ``encode`` infers the codes
    of the run, to the run's tolerance, and its ``decode`` gives hidden states as the
    model has them, neither scaled nor whitened.

    Args:
      folder: to write cfg.json and sae_weights.safetensors to, which it may not hold
        yet; made if it does not exist.
      trained: the dictionary, such as ``run.trained``.
      layer: of the dictionary.
      solver: the settings of the run's solver, ``run.config.solver``; λ is that of the
        dictionary.
      hook: name of the layer for the tool that runs the model; that of TransformerLens
        if None, where the output of block i, hidden state i + 1, is
        ``blocks.{i}.hook_resid_post`` (in HookedEncoder, which has BERT,
        ``blocks.{i}.hook_normalized_resid_post``, and needs to be named).

    Raises:
      InputError: the dictionary does not have this layer, or its codes come from an
        imported encoder, or the folder holds an autoencoder.
    """
    if trained.encoder is not None:
        raise InputError(
            "Expected a dictionary whose codes are inferred, got an autoencoder that "
            "was imported. Use the folder that it was imported from."
        )
    folder = pathlib.Path(folder)
    if (folder / saelens.CONFIG).exists() or (folder / saelens.WEIGHTS).exists():
        raise InputError(
            f"Expected a new folder, got {folder}, which holds an autoencoder. Name "
            "another, or remove it."
        )
    one = trained.of_layers([layer])
    solver = one.solver(solver)
    n_factors, d_model = one.factors.shape
    scale = one.layer_scale[0]
    mean, whitener = np.zeros(d_model), np.eye(d_model)
    if one.whitening is not None:
        mean, whitener = one.whitening.mean[0], np.asarray(one.whitening.matrix)
    whitener = np.float32(whitener / scale)
    arrays = {
        "W_dec": np.float32(one.directions * scale),
        "b_dec": np.float32(mean),
        # Not used to encode: α of one factor alone is that of a row's product with it.
        "W_enc": whitener @ one.factors.T,
        "factors": one.factors,
        "whitener": whitener,
    }
    if hook is None:
        hook = hooks.hook_of(layer, one.site)
    is_local = os.path.isabs(one.model)
    settings = {
        "architecture": ARCHITECTURE,
        "d_in": d_model,
        "d_sae": n_factors,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "l1_penalty": solver.l1_penalty,
        "l2_penalty": solver.l2_penalty,
        "tolerance": solver.tolerance,
        "max_steps": solver.max_steps,
        "metadata": {
            "sae_lens_version": _FORM,
            "model_name": pathlib.PurePath(one.model).name if is_local else one.model,
            "hook_name": hook,
            "dictionary": trained.content_hash,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    content = safetensors.numpy.save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    )
    with files.write_atomically(folder / saelens.WEIGHTS) as file:
        file.write(content)
    # Last: a folder that has it is whole.
    with files.write_atomically(folder / saelens.CONFIG) as file:
        file.write(json.dumps(settings, indent=1).encode())
