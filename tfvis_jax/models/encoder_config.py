"""The sizes of an encoder, and how they are read from a Hugging Face config.json.

An architecture names its keys in tables: which field comes from which key, and which
keys must have the one value that its equations are for.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from tfvis_jax.errors import InputError
from tfvis_jax.models import activations

# Far above any model; larger numbers are damage.
_MAX_SIZE = 10_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What every encoder has; hashable, so it can be a static argument of `jax.jit`.

    Attributes:
      vocab_size: number of token ids.
      d_model: width of a hidden state.
      n_layers: number of layers.
      n_heads: attention heads of a layer; divides `d_model`.
      d_hidden: width of the feed-forward part, 4 * d_model in most models.
      max_positions: longest window, special tokens included.
      layer_norm_epsilon: added to the variance in every layer norm.
      activation: of the feed-forward part, one of `activations.ACTIVATIONS`.
    """

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    d_hidden: int
    max_positions: int = 512
    layer_norm_epsilon: float = 1e-12
    activation: str = "gelu"

    REQUIRED: ClassVar[Mapping[str, str]] = {
        "vocab_size": "vocab_size",
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "d_hidden": "intermediate_size",
        "max_positions": "max_position_embeddings",
    }
    # Old configurations lack some of these keys, which then have the usual value.
    OPTIONAL: ClassVar[Mapping[str, str]] = {
        "layer_norm_epsilon": "layer_norm_eps",
        "activation": "hidden_act",
    }
    FIXED: ClassVar[Mapping[str, object]] = {}
    # How the names in `architectures` begin.
    CLASSES: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in (
            *("vocab_size", "d_model", "n_layers", "n_heads", "d_hidden"),
            "max_positions",
        ):
            self._check_size(field)
        if self.d_model % self.n_heads:
            raise InputError(
                f"Expected `d_model` to be a multiple of `n_heads`, got {self.d_model} "
                f"and {self.n_heads}; correct the configuration."
            )
        self._check_number("layer_norm_epsilon", below=1.0)
        if (
            not isinstance(self.activation, str)
            or self.activation not in activations.ACTIVATIONS
        ):
            raise InputError(
                "Expected `activation` to be one of "
                f"{', '.join(activations.ACTIVATIONS)}, got {said(self.activation)}; "
                "choose a model with one of these."
            )

    @property
    def n_stored_layers(self) -> int:
        """Layers with weights of their own."""
        return self.n_layers

    @property
    def d_expanded(self) -> int:
        """Width of what the first product of the feed-forward part gives."""
        return self.d_hidden

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`.

        Args:
          mapping: the content of the file.

        Raises:
          InputError: a key has a value that is not supported, or a size is missing.
        """
        _check_supported(mapping, classes=cls.CLASSES, fixed=cls.FIXED)
        missing = [key for key in cls.REQUIRED.values() if key not in mapping]
        if missing:
            raise InputError(
                f"The model's config.json lacks {', '.join(missing)}; take the "
                "config.json that was saved with the weights."
            )
        optional = {f: key for f, key in cls.OPTIONAL.items() if key in mapping}
        keys = {**cls.REQUIRED, **optional}
        return cls(**{field: mapping[key] for field, key in keys.items()})

    def _check_size(self, field: str, *, least: int = 1) -> None:
        value = getattr(self, field)
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or not least <= value <= _MAX_SIZE
        ):
            raise InputError(
                f"Expected `{field}` to be an integer >= {least} and at most "
                f"{_MAX_SIZE:,}, got {said(value)}; correct the configuration."
            )

    def _check_number(self, field: str, *, below: float) -> None:
        value = getattr(self, field)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
            or not 0 < value < below
        ):
            key = {**self.REQUIRED, **self.OPTIONAL}.get(field, field)
            raise InputError(
                f"Expected `{field}` > 0 and below {below:g}, a number, got "
                f"{said(value)}; correct `{key}` in the configuration."
            )


def _check_supported(
    mapping: Mapping[str, Any],
    *,
    classes: tuple[str, ...],
    fixed: Mapping[str, object],
) -> None:
    architectures = mapping.get("architectures")
    if architectures is None:
        architectures = []
    if not isinstance(architectures, list) or not all(
        isinstance(name, str) for name in architectures
    ):
        raise InputError(
            "Expected `architectures` in the model's config.json to be a list of "
            f"names, got {said(architectures)}; take the config.json that was "
            "saved with the weights."
        )
    other = [name for name in architectures if not name.startswith(classes)]
    differing = [
        f"{key} is {said(mapping[key])} (supported: {expected!r})"
        for key, expected in fixed.items()
        if mapping.get(key, expected) not in (expected, None)
    ]
    if other:
        begin = " or ".join(f"{name}..." for name in classes)
        differing.append(f"architectures is {other!r} (supported: {begin})")
    if differing:
        raise InputError(
            "This model cannot be loaded: " + "; ".join(differing) + ". Choose a model "
            "without these settings, or the config.json that was saved with the "
            "weights."
        )


def said(value: object) -> str:
    """Returns a value as it stands in JSON, shortened."""
    if isinstance(value, list | dict):
        # Deeply nested ones have no representation.
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
