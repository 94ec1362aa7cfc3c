"""What every encoder is: embeddings, and layers that follow one from another.

Hidden state 0 is the embedding output; hidden state n is ``layer(n)`` of hidden state
n - 1 and of what the tokens see of each other (`seen`). An encoder returns hidden
states, or at another of the `sites` what attention or the feed-forward part of a layer
adds to them (`Encoder.at`). It is for inference only: without dropout, sown values or
shared submodules it is a plain pytree, which can be an argument of a jitted function.
"""

from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax import sites
from tfvis_jax.errors import InputError
from tfvis_jax.models import blocks, embeddings, encoder_config

# From hidden states and what is seen to the next hidden states; a pytree, and for all
# layers of a kind one of the same structure, so that one compilation serves them all.
Step = blocks.Block | blocks.Normed


class Encoder(nnx.Module):
    """An encoder without pooler or head; subclasses make its parts.

    Attributes:
      config: its sizes.
      embeddings: of tokens.
      layers: those with weights of their own.
      site: which outputs it returns, one of `sites.SITES`; static.
    """

    config: encoder_config.EncoderConfig
    embeddings: embeddings.Embeddings
    layers: nnx.List[Any]
    site: str = sites.HIDDEN

    def at(self, site: str) -> Self:
        """Returns the same encoder, with the same arrays, at another site.

        Raises:
          InputError: there is no such site.
        """
        if site not in sites.SITES:
            raise InputError(
                f"Expected a site of {', '.join(sites.SITES)}, got {site!r}."
            )
        if site == self.site:
            return self
        other = jax.tree.map(lambda leaf: leaf, self)
        other.site = site
        return other

    def layer(self, number: int) -> Step:
        """Returns the step to hidden state `number`, from 1 to n_layers."""
        return self.layers[number - 1]

    def seen(self, attention_mask: jax.Array, position_ids: jax.Array) -> Any:
        """Returns what the tokens see of each other, as `layer` takes it.

        Args:
          attention_mask: bool [batch, length], True at real tokens.
          position_ids: int32 [batch or 1, length], places in the window, from 0.
        """
        del position_ids
        return blocks.Seen(attention_mask[:, None, None, :])

    def attention_flops(self, length: int) -> float:
        """Returns the FLOPs a token takes in a layer that no kernel accounts for."""
        # Q Kᵀ, and the product of its softmax with V.
        return 4 * length * self.config.d_model

    def __call__(
        self,
        token_ids: jax.Array,
        attention_mask: jax.Array,
        *,
        layers: tuple[int, ...],
    ) -> jax.Array:
        """Returns the hidden states of `layers`, computing none above the deepest.

        At another site their outputs at it. Token types are all 0, and positions count
        from 0. Values at padded positions are finite but meaningless. The result's
        batch axis has the same sharding as that of `token_ids`.

        Args:
          token_ids: int32 [batch, length].
          attention_mask: bool [batch, length], True at real tokens.
          layers: layer indices from 0 (the embedding output) to n_layers (the last
            output), from 1 at a site within layers; static.

        Returns:
          float32 [len(layers), batch, length, d_model], in the order of `layers`.

        Raises:
          InputError: a shape, dtype or layer index is invalid.
        """
        self._check_layers(layers)
        if not jnp.issubdtype(token_ids.dtype, jnp.integer) or token_ids.ndim != 2:
            raise InputError(
                "Expected `token_ids` to be integers [batch, length], got "
                f"{token_ids.dtype}{list(token_ids.shape)}."
            )
        self._check_mask(attention_mask, shape=token_ids.shape)
        hidden = self.embeddings(token_ids)
        seen = self.seen(attention_mask, _places(token_ids.shape[1]))
        # In a dict, since ``layers`` may repeat or be in any order.
        found = {0: hidden}
        for number in range(1, max(layers) + 1):
            outputs = self.layer(number).outputs(hidden, seen)
            found[number] = getattr(outputs, self.site)
            hidden = outputs.hidden
        return jnp.stack([found[number] for number in layers])

    def from_layer(
        self,
        hidden_states: jax.Array,
        attention_mask: jax.Array,
        *,
        start: int,
        altered: jax.Array | None = None,
    ) -> jax.Array:
        """Runs the layers above `start` on (altered) hidden states of that layer.

        Args:
          hidden_states: float32 [batch, length, d_model], taken as layer `start`.
          attention_mask: bool [batch, length], True at real tokens.
          start: the layer index of `hidden_states`, 0 to n_layers; static.
          altered: float32 [batch, length, d_model], taken as the output of layer
            ``start + 1`` at the encoder's site, where that is within layers.

        Returns:
          The last layer's output, float32 [batch, length, d_model].

        Raises:
          InputError: a shape, dtype or the layer index is invalid.
        """
        self._check_start(start, altered)
        for name, states in (("hidden_states", hidden_states), ("altered", altered)):
            if states is not None and (
                states.ndim != 3
                or states.shape[2] != self.config.d_model
                or states.shape[:2] != hidden_states.shape[:2]
            ):
                raise InputError(
                    f"Expected `{name}` of shape [batch, length, "
                    f"{self.config.d_model}], got {list(states.shape)}."
                )
        self._check_mask(attention_mask, shape=hidden_states.shape[:2])
        # Residual sums are float32, whatever type the caller altered them in.
        hidden = hidden_states.astype(jnp.float32)
        seen = self.seen(attention_mask, _places(hidden_states.shape[1]))
        if altered is not None:
            replaced = {self.site: altered.astype(jnp.float32)}
            start += 1
            hidden = self.layer(start).outputs(hidden, seen, replaced).hidden
        for number in range(start + 1, self.config.n_layers + 1):
            hidden = self.layer(number)(hidden, seen)
        return hidden

    def _check_layers(self, layers: tuple[int, ...]) -> None:
        n_layers, first = self.config.n_layers, sites.first_layer(self.site)
        if not layers or not all(first <= number <= n_layers for number in layers):
            which = (
                "0 (the embedding output)" if first == 0 else f"1 at site {self.site}"
            )
            raise InputError(
                f"Expected one or more layers from {which} to "
                f"{n_layers} (the last output), got {layers}; choose among these."
            )

    def _check_start(self, start: int, altered: jax.Array | None) -> None:
        last = self.config.n_layers
        if altered is not None:
            if self.site == sites.HIDDEN:
                raise InputError(
                    "Expected `altered` of an encoder at a site within layers, got it "
                    "at the hidden states, which are altered themselves."
                )
            last -= 1
        if not 0 <= start <= last:
            raise InputError(
                f"Expected `start` from 0 (the embedding output) to {last}, got "
                f"{start}; choose among these."
            )

    def _check_mask(self, attention_mask: jax.Array, *, shape: tuple[int, ...]) -> None:
        if attention_mask.dtype != jnp.bool_ or attention_mask.shape != shape:
            raise InputError(
                f"Expected `attention_mask` to be bool{list(shape)}, got "
                f"{attention_mask.dtype}{list(attention_mask.shape)}."
            )
        if shape[1] > self.config.max_positions:
            raise InputError(
                f"Expected at most {self.config.max_positions} tokens in a window, the "
                f"positions of this model, got {shape[1]}; use shorter windows."
            )


def _places(length: int) -> jax.Array:
    return jnp.arange(length, dtype=jnp.int32)[None]
