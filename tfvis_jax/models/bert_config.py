"""Defines the sizes of a BERT and checks that a BERT is supported."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfvis_jax.errors import InputError

_REQUIRED_KEYS = {
    "vocab_size": "vocab_size",
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "d_hidden": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "n_token_types": "type_vocab_size",
}
_EXPECTED_VALUES = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The sizes of a BERT; hashable, so it can be a static argument of `jax.jit`.

    Attributes:
      vocab_size: number of token ids.
      d_model: width of a hidden state.
      n_layers: number of layers.
      n_heads: attention heads of a layer; divides `d_model`.
      d_hidden: width of the feed-forward part, 4 * d_model in the published models.
      max_positions: longest window, special tokens included.
      n_token_types: number of segment embeddings.
      layer_norm_epsilon: added to the variance in every layer norm.
    """

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    d_hidden: int
    max_positions: int = 512
    n_token_types: int = 2
    layer_norm_epsilon: float = 1e-12

    def __post_init__(self) -> None:
        for field in _REQUIRED_KEYS:
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(
                    f"Expected `{field}` to be an integer >= 1, got {value!r}; "
                    "correct the configuration."
                )
        if self.d_model % self.n_heads:
            raise InputError(
                f"Expected `d_model` to be a multiple of `n_heads`, got {self.d_model} "
                f"and {self.n_heads}; correct the configuration."
            )
        if not self.layer_norm_epsilon > 0:
            raise InputError(
                "Expected `layer_norm_epsilon` > 0, got "
                f"{self.layer_norm_epsilon!r}; correct the configuration."
            )

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> "BertConfig":
        """Returns the sizes in a Hugging Face `config.json`.

        Args:
          mapping: the content of the file.

        Raises:
          InputError: the model is not a supported BERT encoder, or a size is missing.
        """
        other = [
            name
            for name in mapping.get("architectures") or []
            if not name.startswith("Bert")
        ]
        # Old configurations lack some of these keys, which then have the usual value.
        differing = [
            f"{key} is {mapping[key]!r} (supported: {expected!r})"
            for key, expected in _EXPECTED_VALUES.items()
            if mapping.get(key, expected) not in (expected, None)
        ]
        if other:
            differing.append(f"architectures is {other!r} (supported: Bert...)")
        if differing:
            raise InputError(
                "This model cannot be loaded: " + "; ".join(differing) + ". Choose an "
                'encoder of model_type "bert" (BertModel, BertForMaskedLM, '
                "BertForPreTraining and the other BertFor... classes) with exact gelu "
                "and absolute positions."
            )
        missing = [key for key in _REQUIRED_KEYS.values() if key not in mapping]
        if missing:
            raise InputError(
                f"The model's config.json lacks {', '.join(missing)}; take the "
                "config.json that was saved with the weights."
            )
        sizes = {field: mapping[key] for field, key in _REQUIRED_KEYS.items()}
        return cls(
            **sizes,
            layer_norm_epsilon=mapping.get("layer_norm_eps", cls.layer_norm_epsilon),
        )
