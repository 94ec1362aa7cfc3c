"""Fills a model with the tensors of a Hugging Face checkpoint."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import (
    checkpoint_files,
    encoder,
    encoder_config,
    heads,
    registry,
    weight_names,
)

# Where a parameter is in a module, such as ("layers", 0, "expand", "kernel").
_Path = tuple[Any, ...]
_Tensors = dict[str, checkpoint_files.StoredTensor]


def load_encoder(
    folder: pathlib.Path,
    *,
    architecture: registry.Architecture,
    config: encoder_config.EncoderConfig,
    dtype: jax.typing.DTypeLike,
) -> tuple[encoder.Encoder, tuple[str, ...]]:
    """Returns the encoder stored in `folder`, and which tensors are not used.

    Args:
      folder: a Hugging Face checkpoint of any class of the architecture.
      architecture: of the model.
      config: its sizes.
      dtype: type of the parameters and of the matrix products.

    Raises:
      InputError: a file is damaged or unsafe, or the tensors do not match `config`.
    """
    tensors = _open(folder, architecture.names)
    _check_depth(tensors, architecture.names, config=config, folder=folder)
    abstract = registry.eval_shape(architecture.encoder, config, dtype=dtype)
    return _filled(abstract, tensors, architecture.names, folder=folder)


def load_language_model(
    folder: pathlib.Path,
    *,
    architecture: registry.Architecture,
    config: encoder_config.EncoderConfig,
    dtype: jax.typing.DTypeLike,
) -> tuple[heads.LanguageModel, tuple[str, ...]]:
    """Returns the encoder and the language model head in `folder`, and what is unused.

    Args:
      folder: a Hugging Face checkpoint of a class with that head.
      architecture: of the model.
      config: its sizes.
      dtype: type of the parameters and of the matrix products.

    Raises:
      InputError: a file is damaged or unsafe, the tensors do not match `config`, there
        is no such head or one of another size, or its decoder should be the word
        embedding and is not.
    """
    names = architecture.names
    tensors = _open(folder, names)
    _check_depth(tensors, names, config=config, folder=folder)
    _check_head(tensors, names, config=config, folder=folder)
    abstract = registry.eval_shape(architecture.with_head, config, dtype=dtype)
    return _filled(abstract, tensors, names, folder=folder)


def has_head(folder: pathlib.Path, *, architecture: registry.Architecture) -> bool:
    """Returns whether the weights in a folder have a language model head.

    Only the names of the tensors are read: whether it is whole and fits the encoder,
    `load_language_model` finds out.

    Raises:
      InputError: there are no weights, or they are damaged.
    """
    tensors = _open(folder, architecture.names)
    head = architecture.names.head
    return head is None or any(name.startswith(head) for name in tensors)


def _open(folder: pathlib.Path, names: weight_names.WeightNames) -> _Tensors:
    """Returns the tensors of `folder`, named as in the architecture's bare encoder.

    The prefix of the encoder ("bert.", "module.bert.", ...) is removed from its own
    names, and the prefix of its parent from those of its siblings ("cls.", ...).
    """
    stored = checkpoint_files.open_folder(folder)
    prefixes = [
        name.removesuffix(names.word)
        for name in stored
        if f".{name}".endswith(f".{names.word}")
    ]
    # Two encoders, as in a retriever, would leave open which one is meant.
    if len(prefixes) != 1:
        raise InputError(
            f"Expected one encoder in {folder}, got {len(prefixes)} tensors whose "
            f"name ends in {names.word}; take the weights of a single model, with its "
            "own config.json."
        )
    parent = prefixes[0].removesuffix(names.prefix)
    return {
        names.current(name.removeprefix(parent).removeprefix(names.prefix)): tensor
        for name, tensor in stored.items()
    }


def _check_depth(
    tensors: _Tensors,
    names: weight_names.WeightNames,
    *,
    config: encoder_config.EncoderConfig,
    folder: pathlib.Path,
) -> None:
    """Checks the number of layers before a model is built, which takes time for each.

    One layer more or less is left to the list of all mismatches.
    """
    matches = (names.layer.match(name) for name in tensors)
    numbers = {match.group(1) for match in matches if match}
    if config.n_stored_layers > len(numbers) + 1:
        raise InputError(
            f"The weights in {folder} do not match its config.json: "
            f"{len(numbers):,} layers instead of {config.n_stored_layers:,}. Take "
            "config.json and weights from the same model."
        )


def _check_head(
    tensors: _Tensors,
    names: weight_names.WeightNames,
    *,
    config: encoder_config.EncoderConfig,
    folder: pathlib.Path,
) -> None:
    """Checks that a language model head has the encoder's words."""
    words = tensors[names.word]
    for name, shape in (
        (names.modules.get("head.bias"), (config.vocab_size,)),
        (names.decoder, words.shape),
    ):
        if name in tensors and tensors[name].shape != shape:
            raise InputError(
                f"The language model head in {folder} is of another size than "
                f"its word embedding: {name} has the shape {list(tensors[name].shape)} "
                f"instead of {list(shape)}. Take both from the same model."
            )
    if names.decoder in tensors and not np.array_equal(
        tensors[names.decoder].read(), words.read()
    ):
        raise InputError(
            f"The language model head in {folder} has a decoder of its own; "
            "choose a model whose head reuses the word embedding."
        )


def _filled(
    abstract: Any,
    tensors: _Tensors,
    names: weight_names.WeightNames,
    *,
    folder: pathlib.Path,
) -> tuple[Any, tuple[str, ...]]:
    """Returns the module that `abstract` describes, with the values in `tensors`.

    And the names of the tensors that are left over: poolers, heads.
    """
    # Values replace shapes one by one, so no random weights are ever allocated.
    graph, state = nnx.split(abstract)
    parameters = nnx.to_flat_state(state)
    has_head = isinstance(abstract, heads.LanguageModel)
    name_of = {path: names.name(_from_encoder(path)) for path, _ in parameters}
    left_over = _check_fit(
        {
            name_of[path]: _stored_shape(path, leaf.shape, names)
            for path, leaf in parameters
        },
        tensors,
        names,
        folder=folder,
        has_head=has_head,
    )
    filled = [
        (
            path,
            leaf.replace(
                _parameter(path, name_of[path], tensors, names, dtype=leaf.dtype)
            ),
        )
        for path, leaf in parameters
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled)), left_over


def _from_encoder(path: _Path) -> _Path:
    """Returns a parameter's path from the encoder, or from the model for a head."""
    return path[1:] if path[0] == "encoder" else path


def _is_transposed(path: _Path, names: weight_names.WeightNames) -> bool:
    return path[-1] == "kernel" and names.transposed


def _stored_shape(
    path: _Path, shape: tuple[int, ...], names: weight_names.WeightNames
) -> tuple[int, ...]:
    return shape[::-1] if _is_transposed(path, names) else shape


def _check_fit(
    expected: dict[str, tuple[int, ...]],
    tensors: _Tensors,
    names: weight_names.WeightNames,
    *,
    folder: pathlib.Path,
    has_head: bool,
) -> tuple[str, ...]:
    """Returns the tensors left over; raises one InputError for every mismatch."""
    missing = sorted(expected.keys() - tensors.keys())
    others = sorted(
        name
        for name in tensors.keys() - expected.keys()
        if not names.is_buffer(name) and not (has_head and name == names.decoder)
    )
    # Poolers and heads are not used, whatever they hold.
    unexpected = [name for name in others if names.is_encoder(name)]
    misshaped = [
        f"{name} {list(tensors[name].shape)} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        f"{kind}: {', '.join(found)}"
        for kind, found in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("with another shape", misshaped),
        )
        if found
    ]
    if problems:
        remedy = (
            "; the head must be there too (BertForMaskedLM has one, BertModel has none)"
            if has_head
            else ""
        )
        raise InputError(
            f"The weights in {folder} do not match its config.json and the requested "
            f"model. Tensors {'; '.join(problems)}. Take config.json and weights from "
            f"the same model{remedy}."
        )
    return tuple(others)


def _parameter(
    path: _Path,
    name: str,
    tensors: _Tensors,
    names: weight_names.WeightNames,
    *,
    dtype: jax.typing.DTypeLike,
) -> jax.Array:
    tensor = tensors[name].read()
    # One such value would make every hidden state NaN.
    if not np.isfinite(tensor).all():
        raise InputError(
            f"The stored tensor {name} contains NaN or infinity; the checkpoint is "
            "damaged, so use another one."
        )
    return jnp.asarray(tensor.T if _is_transposed(path, names) else tensor, dtype)
