"""Embeddings of tokens: of the word, its position, its token type, with a norm."""

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.models import blocks


class Embeddings(nnx.Module):
    """norm(word + position + token type) W, of which a model has some parts.

    All token types are 0.
    """

    def __init__(
        self,
        make: blocks.Maker,
        *,
        vocab_size: int,
        width: int,
        n_positions: int = 0,
        first_position: int = 0,
        n_token_types: int = 0,
        epsilon: float | None = None,
        norm_bias: bool = True,
        d_model: int | None = None,
    ) -> None:
        """Makes the tables.

        Args:
          make: makes parts.
          vocab_size: number of words.
          width: of the embeddings.
          n_positions: rows of the table of positions; 0 for none.
          first_position: the row of the first token of a window.
          n_token_types: rows of the table of token types; 0 for none.
          epsilon: of the layer norm; None for none.
          norm_bias: whether that has a bias.
          d_model: width of the projection W that follows; None for none.
        """
        self.first_position = first_position
        self.word = make.table(vocab_size, width)
        self.position = make.table(n_positions, width) if n_positions else None
        self.token_type = make.table(n_token_types, width) if n_token_types else None
        self.norm = (
            None
            if epsilon is None
            else make.norm(width, epsilon=epsilon, bias=norm_bias)
        )
        self.project = None if d_model is None else make.linear(width, d_model)

    def __call__(self, token_ids: jax.Array) -> jax.Array:
        """Returns the embeddings of windows, float32 [batch, length, d_model].

        Args:
          token_ids: [batch, length] integers.
        """
        # The sharding of a gather is ambiguous on a mesh; it follows that of the ids.
        layout = jax.typeof(token_ids).sharding
        layout = layout.update(spec=jax.P(*layout.spec, None))
        words = self.word[...].at[token_ids].get(out_sharding=layout)
        words = words.astype(jnp.float32)
        first, length = self.first_position, token_ids.shape[1]
        added = None
        if self.position is not None:
            added = self.position[...][first : first + length].astype(jnp.float32)
        if self.token_type is not None:
            first_type = self.token_type[...][:1].astype(jnp.float32)
            added = first_type if added is None else added + first_type
        return self._finish(words if added is None else words + added[None])

    def words(self, token_ids: jax.Array) -> jax.Array:
        """Returns word embeddings alone, float32 [batch, length, width]."""
        return self.word[...][token_ids].astype(jnp.float32)

    def of_words(self, words: jax.Array, position_ids: jax.Array) -> jax.Array:
        """Returns the embeddings of what stands in the place of words.

        Args:
          words: float32 [batch, length, width].
          position_ids: int32 [batch or 1, length], from 0.
        """
        added = None
        if self.position is not None:
            rows = position_ids
            if self.first_position:
                rows = rows + self.first_position
            added = self.position[...][rows].astype(jnp.float32)
        if self.token_type is not None:
            first_type = self.token_type[...][:1].astype(jnp.float32)[None]
            added = first_type if added is None else added + first_type
        return self._finish(words if added is None else words + added)

    def _finish(self, summed: jax.Array) -> jax.Array:
        # Summed in float32, so that bfloat16 parameters are rounded once only.
        if self.norm is not None:
            summed = self.norm(summed)
        if self.project is not None:
            summed = self.project(summed).astype(jnp.float32)
        return summed
