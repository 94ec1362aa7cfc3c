"""Sparse autoencoders in the folders of SAELens: cfg.json and sae_weights.safetensors.

What is read: the architectures standard, topk, jumprelu and gated as SAELens saves them
to be used, and batchtopk and matryoshka_batchtopk as it saves them in training (to be
used it saves them as jumprelu); settings as versions 6 and later write them, and as
earlier ones do. Everything else is refused: what is not known would be misread.
"""

import os
import pathlib
import re
from typing import Any

import msgspec
import numpy as np

from tfvis_jax import schema
from tfvis_jax.errors import InputError
from tfvis_jax.interop import foreign, tensors

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
# As BatchTopK is trained, and as what its autoencoders are used.
_BATCH_TOP_K = ("batchtopk", "matryoshka_batchtopk")
# The nonlinearity of each architecture, as `runs.linear_encoder` names it.
ARCHITECTURES = {
    "standard": "relu",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "gated": "gated",
    **dict.fromkeys(_BATCH_TOP_K, "jumprelu"),
}
# As which architectures one is saved that was trained as another.
_SAVED_AS = {name: {name} for name in ARCHITECTURES} | {
    name: {name, "jumprelu"} for name in _BATCH_TOP_K
}
_FIRST_VERSION = 6
# As SAELens bounds norms that it divides by.
_LEAST_NORM = 1e-8
_REMEDY = "Download it again, or save it with a current version of SAELens."


class _Metadata(msgspec.Struct):
    """The names under which version 6 says where an autoencoder belongs."""

    sae_lens_version: str | None = None
    model_name: str | None = None
    hook_name: str | None = None
    hook_head_index: int | None = None
    model_from_pretrained_kwargs: dict[str, Any] | None = None
    training_architecture: str | None = None


class _Activation(msgspec.Struct, forbid_unknown_fields=True):
    """What an activation function takes, before version 6."""

    k: float | None = None


class _Config(msgspec.Struct):
    """`cfg.json` of any version; earlier ones have all in one level."""

    d_in: schema.Positive
    d_sae: schema.Positive
    architecture: str | None = None
    apply_b_dec_to_input: bool = True
    normalize_activations: str | bool | None = None
    reshape_activations: str | None = None
    k: float | None = None
    rescale_acts_by_decoder_norm: bool | None = None
    metadata: _Metadata | None = None
    # Before version 6.
    sae_lens_version: str | None = None
    activation_fn: str | None = None
    activation_fn_str: str | None = None
    activation_fn_kwargs: _Activation | None = None
    finetuning_scaling_factor: bool | None = None
    model_name: str | None = None
    hook_name: str | None = None
    hook_point: str | None = None
    hook_layer: int | None = None
    hook_head_index: int | None = None
    hook_point_head_index: int | None = None
    model_from_pretrained_kwargs: dict[str, Any] | None = None


def read(folder: str | os.PathLike[str]) -> foreign.ForeignEncoder:
    """Reads an autoencoder.

    Its `encode` equals that of ``SAE.load_from_disk(folder)``; for architectures of
    training, that of the autoencoder which SAELens saves to be used.

    Args:
      folder: with `CONFIG` and `WEIGHTS`.

    Raises:
      InputError: a file is missing or damaged; or the architecture, the normalisation
        or another setting is none of those known; or tensors are missing, are more than
        the architecture has, or are not of the sizes in `CONFIG`.
    """
    folder = pathlib.Path(folder)
    path = folder / CONFIG
    config = schema.read(path, _Config, remedy=_REMEDY)
    architecture = _architecture(config, path)
    trained_as = _trained_as(config, architecture, path)
    about = _about(config, trained_as, path)
    normalisation = _normalisation(config, path)
    k = _k(config, path) if architecture == "topk" else None
    rescaled = _is_rescaled(config, architecture, path)
    arrays = tensors.read(
        folder / WEIGHTS,
        _shapes(config, architecture),
        optional={"scaling_factor": (config.d_sae,)},
    )
    if not np.all(arrays.get("scaling_factor", 1) == 1):
        raise InputError(
            f"Expected a scaling_factor of ones in {folder / WEIGHTS}, got others. An "
            "autoencoder that was rescaled after training is not supported."
        )
    W_enc, W_dec = arrays["W_enc"], arrays["W_dec"]
    b_enc = arrays["b_gate" if architecture == "gated" else "b_enc"]
    if rescaled:
        # Activations are in units of the decoder's rows, which then have norm 1.
        # What is too large for float32 is found below.
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.maximum(np.linalg.norm(W_dec, axis=1), _LEAST_NORM)
            W_enc, b_enc, W_dec = W_enc * norms, b_enc * norms, W_dec / norms[:, None]
    threshold = arrays.get("threshold")
    if architecture in _BATCH_TOP_K:
        threshold = np.full(config.d_sae, arrays["topk_threshold"], np.float32)
    has_threshold = threshold is not None and bool(np.any(threshold > 0))
    if trained_as in _BATCH_TOP_K and not has_threshold:
        raise InputError(
            f"Expected a threshold above 0 in {folder / WEIGHTS}, which training as "
            f"{trained_as} sets, got none. Without it codes would be those of a ReLU."
        )
    is_gated = architecture == "gated"
    with np.errstate(over="ignore"):
        magnitude_weight = np.exp(arrays["r_mag"]) if is_gated else None
    return foreign.ForeignEncoder(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec,
        b_dec=arrays["b_dec"],
        kind=ARCHITECTURES[architecture],
        k=k,
        threshold=threshold,
        magnitude_weight=magnitude_weight,
        magnitude_bias=arrays["b_mag"] if is_gated else None,
        apply_b_dec_to_input=config.apply_b_dec_to_input,
        normalize_activations=normalisation,
        about=about,
    )


def _version(config: _Config, path: pathlib.Path) -> int:
    """Returns the major version that wrote the settings; 0 if they do not say."""
    text = config.metadata and config.metadata.sae_lens_version
    text = text or config.sae_lens_version
    if text is None:
        return 0
    major = text.partition(".")[0]
    if not (major.isascii() and major.isdigit() and len(major) < 6):
        raise schema.damaged(
            path,
            f"Expected a version of SAELens such as 6.1.0, got {schema.short(text)}",
            remedy=_REMEDY,
        )
    return int(major)


def _architecture(config: _Config, path: pathlib.Path) -> str:
    found = config.architecture
    activation = config.activation_fn or config.activation_fn_str or "relu"
    if _version(config, path) < _FIRST_VERSION:
        # Then it was an activation of "standard", which need not be named.
        found = found or "standard"
        if (found, activation) == ("standard", "topk"):
            found, activation = "topk", "relu"
    if found not in ARCHITECTURES:
        raise InputError(
            f"Expected an architecture among {', '.join(ARCHITECTURES)} in {path}, got "
            f"{schema.short(found)}. Others cannot be read."
        )
    if activation != "relu" and not (found == activation == "topk"):
        raise InputError(
            f"Expected the activation function relu or topk in {path}, got "
            f"{schema.short(activation)}. Others cannot be read."
        )
    for name, value, usual in (
        ("reshape_activations", config.reshape_activations, ("none",)),
        ("finetuning_scaling_factor", config.finetuning_scaling_factor, (False,)),
    ):
        if value is not None and value not in usual:
            raise InputError(
                f"Expected {name} to be {usual[0]} in {path}, got "
                f"{schema.short(value)}. Other settings are not supported."
            )
    return found


def _trained_as(config: _Config, architecture: str, path: pathlib.Path) -> str:
    """Returns the architecture of training, which may be used as another."""
    name = (config.metadata and config.metadata.training_architecture) or architecture
    if architecture not in _SAVED_AS.get(name, {architecture}):
        raise InputError(
            f"Expected what was trained as {name} to be saved as one of "
            f"{sorted(_SAVED_AS[name])}, got {architecture} in {path}. Save it with "
            "save_inference_model."
        )
    return name


def _about(config: _Config, trained_as: str, path: pathlib.Path) -> foreign.About:
    meta = config.metadata or _Metadata()
    heads = (meta.hook_head_index, config.hook_head_index, config.hook_point_head_index)
    if any(head is not None for head in heads):
        raise InputError(
            f"Expected an autoencoder of hidden states in {path}, got one of an "
            "attention head. It has no place in a run."
        )
    loaded = meta.model_from_pretrained_kwargs or config.model_from_pretrained_kwargs
    centred = (loaded or {}).get("center_writing_weights")
    if centred:
        raise InputError(
            f"Expected an autoencoder of hidden states as the model gives them, {path} "
            "says center_writing_weights, which subtracts the mean of each. Codes of "
            "others would be wrong."
        )
    hook = meta.hook_name or config.hook_name or config.hook_point or ""
    number = re.search(r"\.(\d+)(?:\.|$)", hook)
    layer = config.hook_layer
    if number is not None and layer is not None and int(number[1]) != layer:
        raise schema.damaged(
            path,
            f"Expected hook_layer {number[1]}, as in {schema.short(hook)}, got {layer}",
            remedy=_REMEDY,
        )
    notes = []
    # Later versions centre nothing unless they say so.
    if centred is None and _version(config, path) < _FIRST_VERSION:
        notes.append(
            f"{path} does not say how its model was loaded. If the weights were "
            "centred (center_writing_weights), its hidden states differ from those "
            "here, and so do the codes."
        )
    return foreign.About(
        tool="SAELens",
        architecture=trained_as,
        model=meta.model_name or config.model_name or "",
        hook=hook,
        notes=tuple(notes),
    )


def _normalisation(config: _Config, path: pathlib.Path) -> str:
    found = config.normalize_activations
    # True is how old versions said it.
    if found is True or found == "expected_average_only_in":
        raise InputError(
            f"Expected weights for hidden states as they are, {path} says "
            "expected_average_only_in: they are to be multiplied by a number that the "
            "folder does not hold. Apply fold_activation_norm_scaling_factor and save "
            "it again."
        )
    if found is None or found is False:
        return "none"
    if found not in foreign.NORMALISATIONS:
        raise InputError(
            f"Expected normalize_activations among {', '.join(foreign.NORMALISATIONS)} "
            f"in {path}, got {schema.short(found)}. Others cannot be read."
        )
    return found


def _k(config: _Config, path: pathlib.Path) -> int:
    k = config.k
    if k is None and config.activation_fn_kwargs is not None:
        k = config.activation_fn_kwargs.k
    if k is None or not 1 <= k <= config.d_sae or k != int(k):
        raise InputError(
            f"Expected k of topk as a whole number from 1 to d_sae = {config.d_sae} in "
            f"{path}, got {schema.short(k)}. Save it with a current version of SAELens."
        )
    return int(k)


def _is_rescaled(config: _Config, architecture: str, path: pathlib.Path) -> bool:
    """Returns whether rows of the decoder are used as if their norm were 1."""
    found = config.rescale_acts_by_decoder_norm
    if architecture in _BATCH_TOP_K and found is None:
        raise InputError(
            f"Expected rescale_acts_by_decoder_norm in {path}, on which the threshold "
            "of BatchTopK depends, got none. Save it with save_inference_model."
        )
    return bool(found) and architecture in ("topk", *_BATCH_TOP_K)


def _shapes(config: _Config, architecture: str) -> dict[str, tuple[int, ...]]:
    d_in, d_sae = config.d_in, config.d_sae
    own = {
        "gated": ("b_gate", "b_mag", "r_mag"),
        "jumprelu": ("b_enc", "threshold"),
    }.get(architecture, ("b_enc",))
    shared = {"topk_threshold": ()} if architecture in _BATCH_TOP_K else {}
    return {
        "W_enc": (d_in, d_sae),
        "W_dec": (d_sae, d_in),
        "b_dec": (d_in,),
        **dict.fromkeys(own, (d_sae,)),
        **shared,
    }
