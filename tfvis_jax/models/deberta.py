"""DeBERTa-v2 and -v3 (He et al. 2021, arXiv:2006.03654, arXiv:2111.09543).

BERT whose scores have terms of content and distance, in each layer:

    scores[i, j] = (Qᵢ·Kⱼ + Qᵢ·K'[δ(i, j)] + Kⱼ·Q'[δ(i, j)]) / √(3 d_head)

where K' and Q' are the keys and queries of embedded distances, which all layers share,
and δ(i, j) is the distance i - j, in buckets that grow with it. A model may lack either
term, and 3 is the number of those that it has.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import (
    bert,
    blocks,
    embeddings,
    encoder,
    encoder_config,
    weight_names,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DebertaConfig(encoder_config.EncoderConfig):
    """The sizes of a DeBERTa-v2 or -v3.

    Attributes:
      n_token_types: number of segment embeddings; 0 for none.
      max_distance: beyond it distances are alike.
      n_buckets: buckets in either direction; 0 for one of each distance.
      is_position_added: whether embeddings have a term of the position.
      is_distance_normed: whether embedded distances pass a layer norm.
      has_content_to_position: whether scores have the term Qᵢ·K'.
      has_position_to_content: whether scores have the term Kⱼ·Q'.
      is_shared: whether K' and Q' come from the products that K and Q come from.
    """

    layer_norm_epsilon: float = 1e-7
    n_token_types: int = 0
    max_distance: int = 512
    n_buckets: int = 0
    is_position_added: bool = True
    is_distance_normed: bool = False
    has_content_to_position: bool = False
    has_position_to_content: bool = False
    is_shared: bool = False

    OPTIONAL: ClassVar[Mapping[str, str]] = {
        **encoder_config.EncoderConfig.OPTIONAL,
        "n_token_types": "type_vocab_size",
        "is_position_added": "position_biased_input",
        "is_shared": "share_att_key",
    }
    FIXED: ClassVar[Mapping[str, object]] = {
        "relative_attention": True,
        "conv_kernel_size": 0,
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("DebertaV2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_size("n_token_types", least=0)
        self._check_size("n_buckets", least=0)
        self._check_size("max_distance", least=2)
        if self.n_buckets == 1 or self.n_buckets // 2 >= self.max_distance - 1:
            raise InputError(
                "Expected `position_buckets` to be 2 or more and fewer than twice the "
                f"distances, {self.max_distance}, got {self.n_buckets}; correct the "
                "configuration."
            )
        for field, key in (
            ("is_position_added", "position_biased_input"),
            ("is_shared", "share_att_key"),
        ):
            if not isinstance(getattr(self, field), bool):
                raise InputError(
                    f"Expected `{key}` to be true or false, got "
                    f"{encoder_config.said(getattr(self, field))}; correct the "
                    "configuration."
                )

    @property
    def span(self) -> int:
        """Embedded distances in either direction."""
        return self.n_buckets or self.max_distance

    @property
    def n_terms(self) -> int:
        """Terms of a score."""
        return 1 + self.has_content_to_position + self.has_position_to_content

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`."""
        if mapping.get("relative_attention") is not True:
            raise InputError(
                "Expected `relative_attention` to be true in the model's config.json, "
                "as in every published DeBERTa-v2 and -v3; choose one of these."
            )
        config = super().from_hugging_face(mapping)
        terms = _words(mapping, "pos_att_type", known={"c2p", "p2c"})
        norms = _words(mapping, "norm_rel_ebd", known={"layer_norm", "none"})
        distance = mapping.get("max_relative_positions", -1)
        buckets = mapping.get("position_buckets", -1)
        return dataclasses.replace(
            config,
            # Numbers below 1 stand for none.
            max_distance=config.max_positions if _is_none(distance) else distance,
            n_buckets=0 if _is_none(buckets) else buckets,
            has_content_to_position="c2p" in terms,
            has_position_to_content="p2c" in terms,
            is_distance_normed="layer_norm" in norms,
        )


def _is_none(value: Any) -> bool:
    return value is None or (type(value) is int and value < 1)


def _words(mapping: Mapping[str, Any], key: str, *, known: set[str]) -> set[str]:
    """Returns the words of a setting such as "p2c|c2p" or ["p2c", "c2p"]."""
    value = mapping.get(key) or []
    listed = value.lower().split("|") if isinstance(value, str) else value
    words = [str(word).strip() for word in listed] if isinstance(listed, list) else [""]
    if not set(words) <= known:
        raise InputError(
            f"Expected `{key}` in the model's config.json to be of "
            f"{', '.join(sorted(known))}, got {encoder_config.said(value)}; choose "
            "another model."
        )
    return set(words)


class Seen(NamedTuple):
    """What tokens see of each other.

    Attributes:
      visible: bool [batch, 1, 1, length].
      bucket: int32 [batch or 1, 1, length, length], the row in `distances` of each
        token and those that it attends to.
      distances: float32 [2 * span, d_model].
    """

    visible: jax.Array
    bucket: jax.Array
    distances: jax.Array


class Deberta(encoder.Encoder):
    """A DeBERTa-v2 or -v3 encoder without its pooler."""

    def __init__(self, config: DebertaConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            n_positions=config.max_positions if config.is_position_added else 0,
            n_token_types=config.n_token_types,
            epsilon=config.layer_norm_epsilon,
        )
        self.layers = nnx.List(
            [
                blocks.Layer(config, make, attention=Attention)
                for _ in range(config.n_layers)
            ]
        )
        self.distance = make.table(2 * config.span, config.d_model)
        self.distance_norm = (
            make.norm(config.d_model, epsilon=config.layer_norm_epsilon)
            if config.is_distance_normed
            else None
        )
        self.span, self.n_terms = config.span, config.n_terms
        self.buckets = _buckets(config) if config.n_buckets else None

    def attention_flops(self, length: int) -> float:
        """Returns the FLOPs a token takes in a layer that no kernel accounts for."""
        to_distances = (self.n_terms - 1) * 2 * self.span
        return self.config.d_model * (4 * length + 2 * to_distances)

    def seen(self, attention_mask: jax.Array, position_ids: jax.Array) -> Seen:
        """Returns which tokens are visible, and the distances between all."""
        distance = position_ids[:, None, :, None] - position_ids[:, None, None, :]
        if self.buckets is not None:
            buckets = jnp.asarray(self.buckets, jnp.int32)
            distance = jnp.sign(distance) * buckets[jnp.abs(distance)]
        embedded = self.distance[...].astype(jnp.float32)
        if self.distance_norm is not None:
            embedded = self.distance_norm(embedded)
        return Seen(
            attention_mask[:, None, None, :],
            jnp.clip(distance + self.span, 0, 2 * self.span - 1),
            embedded,
        )


def _buckets(config: DebertaConfig) -> tuple[int, ...]:
    """Returns the bucket of each distance from 0 to max_positions - 1.

    Distances up to half of the buckets have one each; beyond, buckets grow with the
    logarithm.
    """
    middle = config.n_buckets // 2
    distances = np.arange(config.max_positions)
    # In float32, as where the models were trained: a rounding can be another bucket.
    most = np.log(np.float32((config.max_distance - 1) / middle))
    ratio = np.maximum(distances, middle).astype(np.float32) / np.float32(middle)
    far = np.ceil(np.log(ratio) / most * np.float32(middle - 1)) + middle
    return tuple(np.where(distances <= middle, distances, far).astype(int).tolist())


class Attention(nnx.Module):
    """Multi-head self-attention whose scores depend on content and distance."""

    def __init__(self, config: DebertaConfig, make: blocks.Maker) -> None:
        d_model = config.d_model
        self.n_heads, self.n_terms = config.n_heads, config.n_terms
        self.has_content_to_position = config.has_content_to_position
        self.has_position_to_content = config.has_position_to_content
        self.query = make.linear(d_model, d_model)
        self.key = make.linear(d_model, d_model)
        self.value = make.linear(d_model, d_model)
        self.output = make.linear(d_model, d_model)
        has_own_key = config.has_content_to_position and not config.is_shared
        has_own_query = config.has_position_to_content and not config.is_shared
        self.distance_key = make.linear(d_model, d_model) if has_own_key else None
        self.distance_query = make.linear(d_model, d_model) if has_own_query else None

    def __call__(self, hidden: jax.Array, seen: Seen) -> jax.Array:
        """Returns [batch, length, d_model]."""
        query = blocks.by_head(self.query(hidden), self.n_heads)
        key = blocks.by_head(self.key(hidden), self.n_heads)
        value = blocks.by_head(self.value(hidden), self.n_heads)
        scores = jnp.einsum(
            "blhk,bmhk->bhlm", query, key, preferred_element_type=jnp.float32
        )
        if self.has_content_to_position:
            far_keys = self._of_distances(self.distance_key or self.key, seen)
            terms = _scores(query, far_keys)
            scores = scores + jnp.take_along_axis(terms, seen.bucket, axis=3)
        if self.has_position_to_content:
            far_queries = self._of_distances(self.distance_query or self.query, seen)
            terms = _scores(key, far_queries)
            # By the token that is attended to, which the scores have last.
            of_key = jnp.take_along_axis(terms, jnp.swapaxes(seen.bucket, 2, 3), axis=3)
            scores = scores + jnp.swapaxes(of_key, 2, 3)
        scores = scores * (query.shape[-1] * self.n_terms) ** -0.5
        mixed = blocks.weigh(scores, value, visible=seen.visible)
        return self.output(mixed.reshape(hidden.shape))

    def _of_distances(self, linear: nnx.Linear, seen: Seen) -> jax.Array:
        """Returns queries or keys of the distances, [2 * span, n_heads, d_head]."""
        return blocks.by_head(linear(seen.distances)[None], self.n_heads)[0]


def _scores(tokens: jax.Array, distances: jax.Array) -> jax.Array:
    return jnp.einsum(
        "blhk,shk->bhls", tokens, distances, preferred_element_type=jnp.float32
    )


_LAYER = "encoder.layer.*.attention.self"
NAMES = weight_names.WeightNames(
    prefix="deberta.",
    modules={
        **bert.ENCODER_NAMES,
        **bert.HEAD_NAMES,
        "layers.*.attention.query": f"{_LAYER}.query_proj",
        "layers.*.attention.key": f"{_LAYER}.key_proj",
        "layers.*.attention.value": f"{_LAYER}.value_proj",
        "layers.*.attention.distance_key": f"{_LAYER}.pos_key_proj",
        "layers.*.attention.distance_query": f"{_LAYER}.pos_query_proj",
        "distance": "encoder.rel_embeddings.weight",
        "distance_norm": "encoder.LayerNorm",
    },
    head="cls.predictions.",
    decoder="cls.predictions.decoder.weight",
    renamed={
        "cls.predictions.decoder.bias": "cls.predictions.bias",
        # The head of the third version.
        "lm_predictions.lm_head.bias": "cls.predictions.bias",
        "lm_predictions.lm_head.": "cls.predictions.transform.",
    },
)
