"""Fills a `Bert` with the tensors of a Hugging Face checkpoint."""

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import bert, bert_config, checkpoint_files, masked_lm

_MODULES = {
    ("embeddings", "word"): "embeddings.word_embeddings.weight",
    ("embeddings", "position"): "embeddings.position_embeddings.weight",
    ("embeddings", "token_type"): "embeddings.token_type_embeddings.weight",
    ("embeddings", "norm"): "embeddings.LayerNorm",
    ("attention", "query"): "attention.self.query",
    ("attention", "key"): "attention.self.key",
    ("attention", "value"): "attention.self.value",
    ("attention", "output"): "attention.output.dense",
    ("attention_norm",): "attention.output.LayerNorm",
    ("expand",): "intermediate.dense",
    ("contract",): "output.dense",
    ("output_norm",): "output.LayerNorm",
    ("transform",): "cls.predictions.transform.dense",
    ("norm",): "cls.predictions.transform.LayerNorm",
}
_PARAMETERS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_HEAD = "cls.predictions."
_HEAD_BIAS = f"{_HEAD}bias"
_DECODER = f"{_HEAD}decoder.weight"
_WORD_EMBEDDING = _MODULES["embeddings", "word"]
# Buffers that old versions saved beside the parameters.
_IGNORED = {"embeddings.position_ids", "embeddings.token_type_ids"}

# Where a parameter is in a module, such as ("layers", 0, "expand", "kernel").
_Path = tuple[Any, ...]
_Tensors = dict[str, checkpoint_files.StoredTensor]
_Module = TypeVar("_Module", bound=nnx.Module)


def load_bert(
    folder: pathlib.Path, *, config: bert_config.BertConfig, dtype: jax.typing.DTypeLike
) -> bert.Bert:
    """Returns the encoder stored in `folder`; its pooler and heads are ignored.

    Args:
      folder: a Hugging Face checkpoint of any BERT class.
      config: the sizes of that BERT.
      dtype: type of the parameters and of the matrix products.

    Raises:
      InputError: a file is damaged or unsafe, or the tensors do not match `config`.
    """
    tensors = _open(folder)
    _check_depth(tensors, config=config, folder=folder)
    abstract = bert.abstract(config, dtype=dtype)
    return _filled(abstract, tensors, name_of=_bert_name, folder=folder)


def load_masked_lm(
    folder: pathlib.Path, *, config: bert_config.BertConfig, dtype: jax.typing.DTypeLike
) -> masked_lm.BertForMaskedLM:
    """Returns the encoder and the masked language model head stored in `folder`.

    Args:
      folder: a Hugging Face checkpoint of a BERT class with that head.
      config: the sizes of that BERT.
      dtype: type of the parameters and of the matrix products.

    Raises:
      InputError: a file is damaged or unsafe, the tensors do not match `config`, there
        is no such head or one of another size, or its decoder is not the word
        embedding.
    """
    tensors = _open(folder)
    _check_depth(tensors, config=config, folder=folder)
    _check_head(tensors, config=config, folder=folder)
    abstract = nnx.eval_shape(
        lambda: masked_lm.BertForMaskedLM(
            config, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0)
        )
    )
    return _filled(abstract, tensors, name_of=_masked_lm_name, folder=folder)


def has_masked_lm_head(folder: pathlib.Path) -> bool:
    """Returns whether the weights in a folder have a masked language model head.

    Only the names of the tensors are read: whether it is whole and fits the encoder,
    `load_masked_lm` finds out.

    Raises:
      InputError: there are no weights, or they are damaged.
    """
    return any(name.startswith(_HEAD) for name in _open(folder))


def _open(folder: pathlib.Path) -> _Tensors:
    """Returns the tensors of `folder`, named as in a current BertModel.

    The prefix of the encoder ("bert.", "module.bert.", ...) is removed from its own
    names, and the prefix of its parent from those of its siblings ("cls.", ...).
    """
    stored = checkpoint_files.open_folder(folder)
    encoders = [
        name.removesuffix(_WORD_EMBEDDING)
        for name in stored
        if name.endswith(_WORD_EMBEDDING)
    ]
    # Two encoders, as in a retriever, would leave open which one is meant.
    if len(encoders) != 1:
        raise InputError(
            f"Expected one BERT encoder in {folder}, got {len(encoders)} tensors whose "
            f"name ends in {_WORD_EMBEDDING}; take the weights of a single BERT."
        )
    parent = encoders[0].removesuffix("bert.")
    return {
        _current(name.removeprefix(parent).removeprefix("bert.")): tensor
        for name, tensor in stored.items()
    }


def _current(name: str) -> str:
    """Renames LayerNorm's gamma and beta, the names in checkpoints from TensorFlow."""
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
    name = name.replace("LayerNorm.beta", "LayerNorm.bias")
    return name.replace("cls.predictions.decoder.bias", _HEAD_BIAS)


def _check_depth(
    tensors: _Tensors, *, config: bert_config.BertConfig, folder: pathlib.Path
) -> None:
    """Checks the number of layers before a model is built, which takes time for each.

    One layer more or less is left to the list of all mismatches.
    """
    numbers = {
        name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")
    }
    if config.n_layers > len(numbers) + 1:
        raise InputError(
            f"The weights in {folder} do not match its config.json: "
            f"{len(numbers):,} layers instead of {config.n_layers:,}. Take config.json "
            "and weights from the same model."
        )


def _check_head(
    tensors: _Tensors, *, config: bert_config.BertConfig, folder: pathlib.Path
) -> None:
    """Checks that a masked language model head has the encoder's words."""
    words = tensors[_WORD_EMBEDDING]
    for name, shape in (
        (_HEAD_BIAS, (config.vocab_size,)),
        (_DECODER, words.shape),
    ):
        if name in tensors and tensors[name].shape != shape:
            raise InputError(
                f"The masked language model head in {folder} is of another size than "
                f"its word embedding: {name} has the shape {list(tensors[name].shape)} "
                f"instead of {list(shape)}. Take both from the same model."
            )
    if _DECODER in tensors and not np.array_equal(
        tensors[_DECODER].read(), words.read()
    ):
        raise InputError(
            f"The masked language model head in {folder} has a decoder of its own; "
            "choose a model whose head reuses the word embedding."
        )


def _bert_name(path: _Path) -> str:
    """Returns the Hugging Face name of an encoder parameter.

    Args:
      path: where the parameter is, such as ("layers", 0, "expand", "kernel").
    """
    if path[0] == "layers":
        _, number, *module, parameter = path
        stem = f"encoder.layer.{number}.{_MODULES[tuple(module)]}"
        return f"{stem}.{_PARAMETERS[parameter]}"
    if path in _MODULES:
        return _MODULES[path]
    return f"{_MODULES[path[:-1]]}.{_PARAMETERS[path[-1]]}"


def _masked_lm_name(path: _Path) -> str:
    root, *rest = path
    if root == "bert":
        return _bert_name(tuple(rest))
    return _HEAD_BIAS if rest == ["bias"] else _bert_name(tuple(rest))


def _filled(
    abstract: _Module,
    tensors: _Tensors,
    *,
    name_of: Callable[[_Path], str],
    folder: pathlib.Path,
) -> _Module:
    """Returns the module that `abstract` describes, with the values in `tensors`."""
    # Values replace shapes one by one, so no random weights are ever allocated.
    graph, state = nnx.split(abstract)
    parameters = nnx.to_flat_state(state)
    names = {path: name_of(path) for path, _ in parameters}
    _check_fit(
        {names[path]: _stored_shape(path, leaf.shape) for path, leaf in parameters},
        tensors,
        folder=folder,
    )
    filled = [
        (path, leaf.replace(_parameter(path, names[path], tensors, leaf.dtype)))
        for path, leaf in parameters
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def _stored_shape(path: _Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape in the checkpoint: torch stores linear kernels transposed."""
    return shape[::-1] if path[-1] == "kernel" else shape


def _check_fit(
    expected: dict[str, tuple[int, ...]], tensors: _Tensors, *, folder: pathlib.Path
) -> None:
    """Raises a single InputError that lists every mismatch."""
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(
        name
        for name in tensors.keys() - expected.keys() - _IGNORED
        # Poolers and heads are not used, whatever they hold.
        if name.startswith(("embeddings.", "encoder."))
    )
    misshaped = [
        f"{name} {list(tensors[name].shape)} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        f"{kind}: {', '.join(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("with another shape", misshaped),
        )
        if names
    ]
    if problems:
        raise InputError(
            f"The weights in {folder} do not match its config.json and the requested "
            f"model. Tensors {'; '.join(problems)}. Take config.json and weights from "
            "the same model; only BertForMaskedLM and BertForPreTraining have a masked "
            "language model head."
        )


def _parameter(
    path: _Path, name: str, tensors: _Tensors, dtype: jax.typing.DTypeLike
) -> jax.Array:
    tensor = tensors[name].read()
    # One such value would make every hidden state NaN.
    if not np.isfinite(tensor).all():
        raise InputError(
            f"The stored tensor {name} contains NaN or infinity; the checkpoint is "
            "damaged, so use another one."
        )
    return jnp.asarray(tensor.T if path[-1] == "kernel" else tensor, dtype)
