"""Names of places in a model, as TransformerLens and transformers give them."""

import re
from typing import NamedTuple

from tfvis_jax import sites
from tfvis_jax.errors import InputError

# TransformerLens' names of what leaves a block, and of what its parts add.
_NAMES = {
    sites.HIDDEN: "hook_resid_post",
    sites.ATTENTION_OUT: "hook_attn_out",
    sites.MLP_OUT: "hook_mlp_out",
}
# What follows a block's number in the names of hooks: the hidden state before or after
# the block, or what a part of the block adds to it.
_SUM = f".{_NAMES[sites.HIDDEN]}"
_NORMALIZED = ".hook_normalized_resid_post"
_AFTER = ("", _SUM, _NORMALIZED, ".hook_out")
_BEFORE = (".hook_resid_pre", ".hook_in")
_PARTS = {
    f".{_NAMES[sites.ATTENTION_OUT]}": sites.ATTENTION_OUT,
    f".{_NAMES[sites.MLP_OUT]}": sites.MLP_OUT,
    ".mlp": sites.MLP_OUT,
}
_BLOCK = re.compile(
    r"(?:[\w.-]*\.)?(?:blocks|layers|layer|h)\.(\d{1,6})((?:\.\w+)*)", re.ASCII
)


class Place(NamedTuple):
    """Where in a model an autoencoder belongs.

    Attributes:
      layer: number of the layer: 0 is the embedding output, so that the output of block
        i is layer i + 1.
      site: one of `sites.SITES`.
    """

    layer: int
    site: str = sites.HIDDEN


def hook_of(layer: int, site: str) -> str:
    """Returns TransformerLens' name of a layer's site; the inverse of `place_of`."""
    return f"blocks.{layer - 1}.{_NAMES[site]}" if layer else "blocks.0.hook_resid_pre"


def hook_after_norm(layer: int) -> str:
    """Returns HookedEncoder's name of a layer whose block ends with a norm.

    `may_be_before_norm` says what ``hook_resid_post`` is there.
    """
    return f"blocks.{layer - 1}{_NORMALIZED}"


def place_of(hook: str) -> Place | None:
    """Returns where in a model a hook is; None if its name is empty.

    TransformerLens and transformers name the output of block i
    ``blocks.{i}.hook_resid_post`` or, such as, ``encoder.layer.{i}``: layer i + 1.
    ``blocks.{i}.hook_resid_pre`` is layer i. ``blocks.{i}.hook_mlp_out`` and
    ``blocks.{i}.hook_attn_out`` are sites of layer i + 1.

    Raises:
      InputError: it is neither a hidden state nor a site of a layer.
    """
    if not hook:
        return None
    match = _BLOCK.fullmatch(hook)
    if match is not None:
        block, rest = int(match[1]), match[2]
        if rest in _AFTER:
            return Place(block + 1)
        if rest in _BEFORE:
            return Place(block)
        if rest in _PARTS:
            return Place(block + 1, _PARTS[rest])
    raise InputError(
        "Expected an autoencoder of hidden states, such as blocks.3.hook_resid_post, "
        "or of what attention or MLP adds to them (hook_attn_out, hook_mlp_out), got "
        f"one of {hook!a}. Other places are none of a run."
    )


def may_be_before_norm(hook: str) -> bool:
    """Returns whether a hook is before the norm of a block that ends with one.

    Such blocks are those of BERT. In HookedEncoder, TransformerLens' class for it,
    ``hook_resid_post`` is the sum before this norm; the hidden state, after it, is
    ``hook_normalized_resid_post``.
    """
    return hook.endswith(_SUM)
