"""The parts that encoders share: linear layers, layer norm, attention, a layer.

Matrix products run in the `dtype` of a `Maker`. Residual sums, layer norms, attention
scores and their softmax are always float32.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax import sites
from tfvis_jax.models import activations, encoder_config

# Large but finite, so that a window of padding alone gives no NaN.
_MASKED_SCORE = -1e30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the parts of a model.

    Attributes:
      rngs: draws their initial values; if None, parameters are shapes
        (`jax.ShapeDtypeStruct`) in place of arrays, which takes no time.
      dtype: type of matrix products.
      param_dtype: type of parameters.
    """

    rngs: nnx.Rngs | None
    dtype: jax.typing.DTypeLike = jnp.float32
    param_dtype: jax.typing.DTypeLike = jnp.float32

    def linear(self, d_in: int, d_out: int, *, bias: bool = True) -> nnx.Linear:
        """Returns x W + b, from [..., d_in] to [..., d_out]."""
        return nnx.Linear(
            d_in,
            d_out,
            use_bias=bias,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            kernel_init=self._or_shape(nnx.initializers.lecun_normal()),
            bias_init=self._or_shape(nnx.initializers.zeros_init()),
            rngs=self._keys,
        )

    def norm(self, width: int, *, epsilon: float, bias: bool = True) -> nnx.LayerNorm:
        """Returns LayerNorm over [..., width]: float32, two-pass variance."""
        return nnx.LayerNorm(
            width,
            epsilon=epsilon,
            use_bias=bias,
            dtype=jnp.float32,
            param_dtype=self.param_dtype,
            # One-pass variance, E[x²] - E[x]², loses precision if the mean is large.
            use_fast_variance=False,
            bias_init=self._or_shape(nnx.initializers.zeros_init()),
            scale_init=self._or_shape(nnx.initializers.ones_init()),
            rngs=self._keys,
        )

    def table(self, n_rows: int, width: int) -> nnx.Param[jax.Array]:
        """Returns embeddings [n_rows, width]."""
        draw = self._or_shape(nnx.initializers.normal(0.02))
        return nnx.Param(draw(self._keys.params(), (n_rows, width), self.param_dtype))

    def zeros(self, width: int) -> nnx.Param[jax.Array]:
        """Returns a bias [width]."""
        zeros = self._or_shape(nnx.initializers.zeros_init())
        return nnx.Param(zeros(None, (width,), self.param_dtype))

    @property
    def _keys(self) -> Any:
        return _NoKeys() if self.rngs is None else self.rngs

    def _or_shape(self, initializer: Any) -> Any:
        """Returns an initializer, or what makes shapes where nothing is drawn."""
        return _shape if self.rngs is None else initializer


class _NoKeys:
    """In place of `nnx.Rngs`, where nothing is drawn."""

    def params(self) -> None:
        """Returns no key."""


def _shape(
    key: None, shape: tuple[int, ...], dtype: jax.typing.DTypeLike
) -> jax.ShapeDtypeStruct:
    """An initializer that makes a shape in place of an array."""
    del key
    return jax.ShapeDtypeStruct(shape, dtype)


class Seen(NamedTuple):
    """What the tokens of a batch see of each other, the same in all layers.

    Attributes:
      visible: bool [batch, 1, length or 1, length], from a token to those that it
        attends to.
      bias: float32 [batch or 1, n_heads, length, length], added to the scores.
    """

    visible: jax.Array
    bias: jax.Array | None = None


def causal(attention_mask: jax.Array, position_ids: jax.Array) -> jax.Array:
    """Returns that a token sees itself and those before it, as `Seen.visible`.

    Args:
      attention_mask: bool [batch, length], True at real tokens.
      position_ids: int32 [batch or 1, length], places in the window.
    """
    is_before = position_ids[:, None, None, :] <= position_ids[:, None, :, None]
    return attention_mask[:, None, None, :] & is_before


def mix(query: jax.Array, key: jax.Array, value: jax.Array, seen: Seen) -> jax.Array:
    """Returns softmax(Q Kᵀ / √d_head + bias) V over the tokens that are seen.

    Args:
      query: [batch, length, n_heads, d_head].
      key: the same.
      value: the same.
      seen: what is seen.

    Returns:
      [batch, length, n_heads, d_head].
    """
    scores = jnp.einsum(
        "blhk,bmhk->bhlm", query, key, preferred_element_type=jnp.float32
    )
    scores = scores * query.shape[-1] ** -0.5
    if seen.bias is not None:
        scores = scores + seen.bias
    return weigh(scores, value, visible=seen.visible)


def weigh(scores: jax.Array, value: jax.Array, *, visible: jax.Array) -> jax.Array:
    """Returns softmax(scores) V over the tokens that are visible.

    Args:
      scores: float32 [batch, n_heads, length, length].
      value: [batch, length, n_heads, d_head].
      visible: as in `Seen`.

    Returns:
      [batch, length, n_heads, d_head].
    """
    scores = jnp.where(visible, scores, _MASKED_SCORE)
    shares = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
    return jnp.einsum("bhlm,bmhk->blhk", shares, value)


def by_head(array: jax.Array, n_heads: int) -> jax.Array:
    """Splits [batch, length, d_model] into [batch, length, n_heads, d_head]."""
    return array.reshape(*array.shape[:2], n_heads, -1)


class Attention(nnx.Module):
    """Multi-head self-attention."""

    def __init__(self, config: encoder_config.EncoderConfig, make: Maker) -> None:
        d_model = config.d_model
        self.n_heads = config.n_heads
        self.query = make.linear(d_model, d_model)
        self.key = make.linear(d_model, d_model)
        self.value = make.linear(d_model, d_model)
        self.output = make.linear(d_model, d_model)

    def __call__(self, hidden: jax.Array, seen: Seen) -> jax.Array:
        query = by_head(self.query(hidden), self.n_heads)
        key = by_head(self.key(hidden), self.n_heads)
        value = by_head(self.value(hidden), self.n_heads)
        return self.output(mix(query, key, value, seen).reshape(hidden.shape))


class Outputs(NamedTuple):
    """What a layer gives, each float32 [batch, length, d_model].

    Attributes:
      attention_out: what attention adds to the residual sum.
      mlp_out: what the feed-forward part adds.
      hidden: the next hidden states.
    """

    attention_out: jax.Array
    mlp_out: jax.Array
    hidden: jax.Array


class Block(nnx.Module):
    """A layer: attention and a feed-forward part (MLP), each added to a sum.

        a = attention_out(x),   y = after_attention(x, a)
        m = mlp_out(x, y),      x' = after_mlp(y, m)

    a and m are the outputs that `sites` names: after the last product of either part,
    before the sum. Subclasses have the four equations.
    """

    def attention_out(self, hidden: jax.Array, seen: Any) -> jax.Array:
        """Returns a, float32 [batch, length, d_model], of x and what is seen."""
        raise NotImplementedError

    def after_attention(self, hidden: jax.Array, attention_out: jax.Array) -> jax.Array:
        """Returns y of x and a."""
        raise NotImplementedError

    def mlp_out(self, hidden: jax.Array, attended: jax.Array) -> jax.Array:
        """Returns m, float32, of y, or of x where both parts read the same."""
        raise NotImplementedError

    def after_mlp(self, attended: jax.Array, mlp_out: jax.Array) -> jax.Array:
        """Returns x' of y and m."""
        raise NotImplementedError

    def outputs(
        self,
        hidden: jax.Array,
        seen: Any,
        replaced: Mapping[str, jax.Array] | None = None,
    ) -> Outputs:
        """Returns all outputs of the layer.

        Args:
          hidden: x, float32 [batch, length, d_model].
          seen: from `encoder.Encoder.seen`.
          replaced: outputs that take the place of the layer's own, by their site.
        """
        given = replaced or {}
        attention_out = given.get(sites.ATTENTION_OUT)
        if attention_out is None:
            attention_out = self.attention_out(hidden, seen)
        attended = self.after_attention(hidden, attention_out)
        mlp_out = given.get(sites.MLP_OUT)
        if mlp_out is None:
            mlp_out = self.mlp_out(hidden, attended)
        return Outputs(attention_out, mlp_out, self.after_mlp(attended, mlp_out))

    def __call__(self, hidden: jax.Array, seen: Any) -> jax.Array:
        """Returns the next layer's [batch, length, d_model] from this one's."""
        return self.outputs(hidden, seen).hidden


class PreNormBlock(Block):
    """A layer with the norms before its parts: the sums are sums alone."""

    def after_attention(self, hidden: jax.Array, attention_out: jax.Array) -> jax.Array:
        """Returns x + a."""
        return hidden + attention_out

    def after_mlp(self, attended: jax.Array, mlp_out: jax.Array) -> jax.Array:
        """Returns y + m."""
        return attended + mlp_out


class Layer(Block):
    """A layer with the norms after the residual sums.

    y = LayerNorm(x + Attention(x))
    x' = LayerNorm(y + W_out activation(W_in y))
    """

    def __init__(
        self,
        config: encoder_config.EncoderConfig,
        make: Maker,
        *,
        attention: Callable[..., Any] = Attention,
    ) -> None:
        self.activation = config.activation
        epsilon = config.layer_norm_epsilon
        self.attention = attention(config, make)
        self.attention_norm = make.norm(config.d_model, epsilon=epsilon)
        self.expand = make.linear(config.d_model, config.d_hidden)
        self.contract = make.linear(config.d_hidden, config.d_model)
        self.output_norm = make.norm(config.d_model, epsilon=epsilon)

    def attention_out(self, hidden: jax.Array, seen: Any) -> jax.Array:
        """Returns Attention(x)."""
        return self.attention(hidden, seen).astype(jnp.float32)

    def after_attention(self, hidden: jax.Array, attention_out: jax.Array) -> jax.Array:
        """Returns LayerNorm(x + a)."""
        return self.attention_norm(hidden + attention_out)

    def mlp_out(self, hidden: jax.Array, attended: jax.Array) -> jax.Array:
        """Returns W_out activation(W_in y)."""
        del hidden
        expanded = activations.ACTIVATIONS[self.activation](self.expand(attended))
        return self.contract(expanded).astype(jnp.float32)

    def after_mlp(self, attended: jax.Array, mlp_out: jax.Array) -> jax.Array:
        """Returns LayerNorm(y + m)."""
        return self.output_norm(attended + mlp_out)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Normed:
    """The last layer of a model whose norms precede the sums, with its final norm."""

    layer: Block
    norm: nnx.LayerNorm

    def outputs(
        self,
        hidden: jax.Array,
        seen: Any,
        replaced: Mapping[str, jax.Array] | None = None,
    ) -> Outputs:
        """Returns the layer's outputs; only its hidden states are normed."""
        found = self.layer.outputs(hidden, seen, replaced)
        return found._replace(hidden=self.norm(found.hidden))

    def __call__(self, hidden: jax.Array, seen: Any) -> jax.Array:
        """Returns the last hidden states, [batch, length, d_model]."""
        return self.outputs(hidden, seen).hidden
