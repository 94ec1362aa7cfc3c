"""Rotary position embeddings (Su et al. 2021, arXiv:2104.09864).

The first `d_rotated` numbers of each query and key are taken in pairs (i, i + half),
and pair i is turned by the angle position · theta^(-2i / d_rotated).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError


class Turns(NamedTuple):
    """The angles of a window's tokens.

    Attributes:
      cos, sin: float32 [batch or 1, length, 1, d_rotated / 2].
    """

    cos: jax.Array
    sin: jax.Array


def turns(position_ids: jax.Array, *, d_rotated: int, theta: float) -> Turns:
    """Returns the angles by which tokens are turned.

    Args:
      position_ids: int32 [batch or 1, length].
      d_rotated: how many numbers of a head are turned; even.
      theta: the base of the frequencies.
    """
    exponents = np.arange(0, d_rotated, 2, dtype=np.float32) / np.float32(d_rotated)
    frequencies = 1 / np.float32(theta) ** exponents
    places = position_ids.astype(jnp.float32)[:, :, None, None]
    angles = places * frequencies[None, None, None]
    return Turns(jnp.cos(angles), jnp.sin(angles))


def turned(vectors: jax.Array, turns: Turns) -> jax.Array:
    """Returns queries or keys turned by their tokens' angles.

    Args:
      vectors: [batch, length, n_heads, d_head].
      turns: the angles.
    """
    half = turns.cos.shape[-1]
    first, second, rest = jnp.split(vectors, [half, 2 * half], axis=-1)
    cos, sin = turns.cos.astype(vectors.dtype), turns.sin.astype(vectors.dtype)
    return jnp.concatenate(
        [first * cos - second * sin, second * cos + first * sin, rest], axis=-1
    )


def parameters(mapping: Mapping[str, Any], kind: str | None = None) -> dict[str, Any]:
    """Returns the `rope_parameters` of a Hugging Face `config.json`.

    Args:
      mapping: the content of the file; older ones have none.
      kind: of the layers, where each kind has its own.

    Raises:
      InputError: they are damaged, or stretch the positions in some way.
    """
    found = mapping.get("rope_parameters")
    if isinstance(found, dict) and kind is not None:
        found = found.get(kind)
    if found is None:
        return {}
    if not isinstance(found, dict) or found.get("rope_type", "default") != "default":
        raise InputError(
            "Expected `rope_parameters` in the model's config.json to be an object of "
            "rope_type 'default', got another one; choose a model without stretched "
            "positions."
        )
    return found
