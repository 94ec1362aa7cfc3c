"""How the tensors of an architecture are named in a Hugging Face checkpoint."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

# The names of torch for the parameters of linear layers and layer norms.
_PARAMETERS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
# Buffers that old versions saved beside the parameters.
_BUFFERS = r"(.*\.)?(position_ids|token_type_ids|masked_bias|inv_freq)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightNames:
    """The names of an architecture's tensors.

    Attributes:
      prefix: of the encoder's own in a checkpoint that also has a head.
      modules: by the path of a module or table here, with ``*`` for the number of a
        layer, its name there; heads are under ``head.``.
      head: how the names of the language model head begin; None if it has no tensors
        of its own.
      decoder: the product with the vocabulary, where a checkpoint stores it although
        it is the word embedding.
      renamed: other names for the beginnings of names, old to current.
      buffers: names of further tensors that are no parameters, a regular expression.
      transposed: whether kernels are stored [out, in], as torch's Linear does.
    """

    prefix: str
    modules: Mapping[str, str]
    head: str | None
    decoder: str | None = None
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    buffers: str = r"(?!)"
    transposed: bool = True

    @property
    def word(self) -> str:
        """The name of the word embedding."""
        return self.modules["embeddings.word"]

    @functools.cached_property
    def layer(self) -> re.Pattern[str]:
        """Matches the names of a layer's tensors, with its number."""
        stems = (
            re.escape(name).partition(r"\*")[0]
            for path, name in self.modules.items()
            if path.startswith("layers.*.")
        )
        return re.compile(rf"(?:{'|'.join(sorted(set(stems)))})(\d+)\.")

    def name(self, path: tuple[Any, ...]) -> str:
        """Returns the name of a parameter.

        Args:
          path: where it is, such as ("layers", 0, "expand", "kernel").
        """
        numbers = [str(part) for part in path if isinstance(part, int)]
        parts = ["*" if isinstance(part, int) else part for part in path]
        whole = ".".join(parts)
        if whole in self.modules:
            name = self.modules[whole]
        else:
            stem = self.modules[".".join(parts[:-1])]
            name = f"{stem}.{_PARAMETERS[parts[-1]]}"
        return name.replace("*", numbers[0]) if numbers else name

    def current(self, name: str) -> str:
        """Returns the current form of a stored name.

        LayerNorm's gamma and beta are the names in checkpoints from TensorFlow.
        """
        if name.endswith(".gamma"):
            name = name.removesuffix("gamma") + "weight"
        if name.endswith(".beta"):
            name = name.removesuffix("beta") + "bias"
        for old, new in self.renamed.items():
            if name.startswith(old):
                return new + name.removeprefix(old)
        return name

    def is_buffer(self, name: str) -> bool:
        """Returns whether a tensor is no parameter."""
        return re.fullmatch(f"{_BUFFERS}|{self.buffers}", name) is not None

    def is_encoder(self, name: str) -> bool:
        """Returns whether a tensor is named as a part of the encoder."""
        return name.partition(".")[0] in {
            stem.partition(".")[0]
            for path, stem in self.modules.items()
            if not path.startswith("head.")
        }
