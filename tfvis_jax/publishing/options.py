"""What is published of a run beside its dictionary, and how."""

import dataclasses
import re

from tfvis_jax.errors import InputError

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
_LICENCE = re.compile(r"[\w.+-]{1,60}", re.ASCII)


def is_hub_name(model: str) -> bool:
    """Returns whether a model is named as on the hub, such as "user/name"."""
    return _HUB_NAME.fullmatch(model) is not None


@dataclasses.dataclass(frozen=True)
class Options:
    """What is published beside the dictionary, and how.

    Attributes:
      public: If True, anyone may read the repository; else its owner.
      examples: If True, with `tokens/` and `examples/`, which hold the text.
      site: If True, with the exported page, which holds passages of the text, and the
        notes and ratings of people.
      licence: identifier of the dictionary's licence, such as "apache-2.0"; "" if it is
        not decided.
      base_model: hub name of the model; "" for that of the run, if it is one.
      update: If True, a new revision of a repository that exists.
    """

    public: bool = False
    examples: bool = False
    site: bool = False
    licence: str = ""
    base_model: str = ""
    update: bool = False

    def __post_init__(self) -> None:
        if self.licence and not _LICENCE.fullmatch(self.licence):
            raise InputError(
                "Expected the identifier of a licence, such as apache-2.0; got "
                f"{self.licence[:60]!r}."
            )
        if self.base_model and not is_hub_name(self.base_model):
            raise InputError(
                "Expected the hub name of the model, such as bert-base-uncased; got "
                f"{self.base_model[:60]!r}."
            )
