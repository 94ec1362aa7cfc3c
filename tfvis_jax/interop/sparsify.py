"""Sparse autoencoders in the folders of EleutherAI's sparsify.

`CONFIG` and `WEIGHTS` lie in a folder named after the place in the model, such as
``layers.3`` or ``encoder.layer.3``: the output of block 3, hidden state 4;
``layers.3.mlp`` is what its MLP adds.
"""

import os
import pathlib
import re
from typing import Annotated

import msgspec
import numpy as np

from tfvis_jax import schema
from tfvis_jax.errors import InputError
from tfvis_jax.interop import foreign, tensors

CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
_REMEDY = "Download it again, or save it again with sparsify."


class _Config(msgspec.Struct):
    d_in: schema.Positive
    k: schema.Positive
    # 0: d_in times the expansion factor.
    num_latents: schema.Count = 0
    expansion_factor: Annotated[int, msgspec.Meta(ge=1, lt=2**31)] = 0
    activation: str = "topk"
    transcode: bool = False
    skip_connection: bool = False
    # Of old versions: also activations below 0.
    signed: bool = False


def read(folder: str | os.PathLike[str]) -> foreign.ForeignEncoder:
    """Reads a TopK autoencoder.

    Its `encode` equals that of ``SparseCoder.load_from_disk(folder)``, as a dense
    array.

    Args:
      folder: with `CONFIG` and `WEIGHTS`.

    Raises:
      InputError: a file is missing or damaged; or it is a transcoder or has another
        activation; or tensors are missing, are more than an autoencoder has, or are not
        of the sizes in `CONFIG`.
    """
    folder = pathlib.Path(folder)
    path = folder / CONFIG
    config = schema.read(path, _Config, remedy=_REMEDY)
    n_factors = config.num_latents or config.d_in * config.expansion_factor
    for name, value, expected in (
        ("activation", config.activation, "topk"),
        ("transcode", config.transcode, False),
        ("skip_connection", config.skip_connection, False),
        ("signed", config.signed, False),
    ):
        if value != expected:
            raise InputError(
                f"Expected {name} to be {expected} in {path}, got "
                f"{schema.short(value)}. Only TopK autoencoders can be read."
            )
    if not config.k <= n_factors:
        raise schema.damaged(
            path,
            f"Expected num_latents or expansion_factor to give at least k = {config.k} "
            f"factors, got {n_factors}",
            remedy=_REMEDY,
        )
    arrays = tensors.read(
        folder / WEIGHTS,
        {
            "encoder.weight": (n_factors, config.d_in),
            "encoder.bias": (n_factors,),
            "W_dec": (n_factors, config.d_in),
            "b_dec": (config.d_in,),
        },
    )
    name = folder.resolve().name
    return foreign.ForeignEncoder(
        W_enc=np.ascontiguousarray(arrays["encoder.weight"].T),
        b_enc=arrays["encoder.bias"],
        W_dec=arrays["W_dec"],
        b_dec=arrays["b_dec"],
        kind="topk",
        k=config.k,
        about=foreign.About(
            tool="sparsify",
            architecture="topk",
            # A folder of another name has been renamed.
            hook=name if re.search(r"\.\d", name) else "",
        ),
    )
