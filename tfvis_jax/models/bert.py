"""BERT's encoder in Flax NNX, which returns the hidden states of requested layers.

The post-LN transformer of Devlin et al. 2019 (arXiv:1810.04805): layer 0 is the
embedding output, and layer n follows from layer n - 1 by

    y = LayerNorm(x + Attention(x))
    x' = LayerNorm(y + W_out gelu(W_in y))

It is for inference only: without dropout, sown values or shared submodules a `Bert` is
a plain pytree, which can be an argument of a jitted function.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import bert_config

# Large but finite, so that a window of padding alone gives no NaN.
_MASKED_SCORE = -1e30


class Bert(nnx.Module):
    """A BERT encoder without its pooler.

    Matrix products run in `dtype`. Embeddings, residual sums, layer norms, attention
    scores and their softmax are always float32.
    """

    def __init__(
        self,
        config: bert_config.BertConfig,
        *,
        dtype: jax.typing.DTypeLike = jnp.float32,
        param_dtype: jax.typing.DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.config = config
        self.embeddings = _Embeddings(config, param_dtype=param_dtype, rngs=rngs)
        self.layers = nnx.List(
            [
                _Layer(config, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
                for _ in range(config.n_layers)
            ]
        )

    def __call__(
        self,
        token_ids: jax.Array,
        attention_mask: jax.Array,
        *,
        layers: tuple[int, ...],
    ) -> jax.Array:
        """Returns the hidden states of `layers`, computing none above the deepest.

        Token types are all 0, and positions count from 0. Values at padded positions
        are finite but meaningless. The result's batch axis has the same sharding as
        that of `token_ids`.

        Args:
          token_ids: int32 [batch, length].
          attention_mask: bool [batch, length], True at real tokens.
          layers: layer indices from 0 (the embedding output) to n_layers (the last
            output); static.

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
        # In a dict, since ``layers`` may repeat or be in any order.
        states = {0: hidden}
        for number in range(1, max(layers) + 1):
            hidden = self.layers[number - 1](hidden, attention_mask)
            states[number] = hidden
        return jnp.stack([states[number] for number in layers])

    def from_layer(
        self, hidden_states: jax.Array, attention_mask: jax.Array, *, start: int
    ) -> jax.Array:
        """Runs the layers above `start` on (altered) hidden states of that layer.

        Args:
          hidden_states: float32 [batch, length, d_model], taken as layer `start`.
          attention_mask: bool [batch, length], True at real tokens.
          start: the layer index of `hidden_states`, 0 to n_layers; static.

        Returns:
          The last layer's output, float32 [batch, length, d_model].

        Raises:
          InputError: a shape, dtype or the layer index is invalid.
        """
        self._check_layers((start,))
        if hidden_states.ndim != 3 or hidden_states.shape[2] != self.config.d_model:
            raise InputError(
                "Expected `hidden_states` of shape [batch, length, "
                f"{self.config.d_model}], got {list(hidden_states.shape)}."
            )
        self._check_mask(attention_mask, shape=hidden_states.shape[:2])
        # Residual sums are float32, whatever type the caller altered them in.
        hidden = hidden_states.astype(jnp.float32)
        for layer in self.layers[start:]:
            hidden = layer(hidden, attention_mask)
        return hidden

    def _check_layers(self, layers: tuple[int, ...]) -> None:
        n_layers = self.config.n_layers
        if not layers or not all(0 <= number <= n_layers for number in layers):
            raise InputError(
                "Expected one or more layers from 0 (the embedding output) to "
                f"{n_layers} (the last output), got {layers}; choose among these."
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
                f"positions of this BERT, got {shape[1]}; use shorter windows."
            )


class _Embeddings(nnx.Module):
    """LayerNorm of the sum of word, position and token type embeddings."""

    def __init__(
        self,
        config: bert_config.BertConfig,
        *,
        param_dtype: jax.typing.DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        def table(n_rows: int) -> nnx.Param[jax.Array]:
            draw = nnx.initializers.normal(0.02)
            return nnx.Param(draw(rngs.params(), (n_rows, config.d_model), param_dtype))

        self.word = table(config.vocab_size)
        self.position = table(config.max_positions)
        self.token_type = table(config.n_token_types)
        self.norm = layer_norm(config, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, token_ids: jax.Array) -> jax.Array:
        # The sharding of a gather is ambiguous on a mesh; it follows that of the ids.
        layout = jax.typeof(token_ids).sharding
        layout = layout.update(spec=jax.P(*layout.spec, None))
        words = self.word[...].at[token_ids].get(out_sharding=layout)
        # Summed in float32, so that bfloat16 parameters are rounded once only.
        positions = self.position[...][: token_ids.shape[1]].astype(jnp.float32)
        first_type = self.token_type[...][:1].astype(jnp.float32)
        return self.norm(words.astype(jnp.float32) + (positions + first_type)[None])


class _Layer(nnx.Module):
    """One transformer layer, from [batch, length, d_model] to the same shape."""

    def __init__(
        self,
        config: bert_config.BertConfig,
        *,
        dtype: jax.typing.DTypeLike,
        param_dtype: jax.typing.DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        linear = functools.partial(
            nnx.Linear, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        self.attention = Attention(
            config, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        self.attention_norm = layer_norm(config, param_dtype=param_dtype, rngs=rngs)
        self.expand = linear(config.d_model, config.d_hidden)
        self.contract = linear(config.d_hidden, config.d_model)
        self.output_norm = layer_norm(config, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, hidden: jax.Array, attention_mask: jax.Array) -> jax.Array:
        attended = self.attention(hidden, attention_mask).astype(jnp.float32)
        hidden = self.attention_norm(hidden + attended)
        # BERT uses the exact gelu, not the tanh approximation.
        expanded = jax.nn.gelu(self.expand(hidden), approximate=False)
        return self.output_norm(hidden + self.contract(expanded).astype(jnp.float32))


class Attention(nnx.Module):
    """Multi-head self-attention over the tokens that are not padding."""

    def __init__(
        self,
        config: bert_config.BertConfig,
        *,
        dtype: jax.typing.DTypeLike,
        param_dtype: jax.typing.DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        linear = functools.partial(
            nnx.Linear, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        self.n_heads = config.n_heads
        self.query = linear(config.d_model, config.d_model)
        self.key = linear(config.d_model, config.d_model)
        self.value = linear(config.d_model, config.d_model)
        self.output = linear(config.d_model, config.d_model)

    def __call__(self, hidden: jax.Array, attention_mask: jax.Array) -> jax.Array:
        batch, length, d_model = hidden.shape
        d_head = d_model // self.n_heads
        heads = (batch, length, self.n_heads, d_head)
        query = self.query(hidden).reshape(heads)
        key = self.key(hidden).reshape(heads)
        value = self.value(hidden).reshape(heads)
        scores = jnp.einsum(
            "blhk,bmhk->bhlm", query, key, preferred_element_type=jnp.float32
        )
        scores = jnp.where(
            attention_mask[:, None, None, :], scores * d_head**-0.5, _MASKED_SCORE
        )
        shares = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        mixed = jnp.einsum("bhlm,bmhk->blhk", shares, value)
        return self.output(mixed.reshape(hidden.shape))


def layer_norm(
    config: bert_config.BertConfig, *, param_dtype: jax.typing.DTypeLike, rngs: nnx.Rngs
) -> nnx.LayerNorm:
    """Returns BERT's LayerNorm over [..., d_model]: float32, two-pass variance."""
    return nnx.LayerNorm(
        config.d_model,
        epsilon=config.layer_norm_epsilon,
        dtype=jnp.float32,
        param_dtype=param_dtype,
        # One-pass variance, E[x²] - E[x]², loses precision if the mean is large.
        use_fast_variance=False,
        rngs=rngs,
    )


def abstract(
    config: bert_config.BertConfig, *, dtype: jax.typing.DTypeLike = jnp.float32
) -> Bert:
    """Returns a BERT that holds shapes instead of arrays.

    Args:
      config: the sizes of the BERT.
      dtype: type of the parameters and of the matrix products.
    """
    return nnx.eval_shape(
        lambda: Bert(config, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0))
    )
