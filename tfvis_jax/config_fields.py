"""Fields of settings that carry their meaning, their bounds and what None stands for.

One place says what a setting is: the check on construction and the flag of the command
line are both made of it.
"""

import dataclasses
import math
import numbers
import operator
from collections.abc import Callable
from typing import Any

from tfvis_jax.errors import InputError

_KEY = "setting"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What is known of a field beside its type.

    Attributes:
      help: what it means, in sentences.
      unset: what None stands for, such as "all"; empty where None is no value.
      flag: the name of its flag where it is not that of the field; None for a setting
        without a flag.
      choices: the strings that it may be; empty where it is no choice.
      above, at_least, at_most, below: bounds, where there are some.
    """

    help: str
    unset: str = ""
    flag: str | None = ""
    choices: tuple[str, ...] = ()
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None

    def bounds(self) -> str:
        """Returns the bounds as words, such as "> 0, <= 1"."""
        return ", ".join(f"{sign} {bound:,}" for sign, _, bound in self._bounds())

    def check(self, name: str, value: Any) -> None:
        """Refuses a value out of bounds; InputError names setting and bounds."""
        if value is None and self.unset:
            return
        if self.choices and value not in self.choices:
            raise InputError(
                f"Expected `{name}` to be one of {', '.join(self.choices)}; got "
                f"{value!r}."
            )
        bounds = self._bounds()
        if not bounds and not isinstance(value, float):
            return
        finite = isinstance(value, numbers.Real) and math.isfinite(value)
        if not finite or not all(holds(value, at) for _, holds, at in bounds):
            raise InputError(
                f"Expected `{name}` to be a finite number {self.bounds()}; got "
                f"{value!r}."
            )

    def _bounds(self) -> list[tuple[str, Callable[[Any, Any], bool], float]]:
        every = (
            (">", operator.gt, self.above),
            (">=", operator.ge, self.at_least),
            ("<=", operator.le, self.at_most),
            ("<", operator.lt, self.below),
        )
        return [(sign, holds, at) for sign, holds, at in every if at is not None]


def setting(default: Any, help: str, **known: Any) -> Any:
    """Declares a field of a dataclass of settings.

    Args:
      default: its value; `dataclasses.MISSING` where it has to be given.
      help: what it means.
      **known: the other attributes of `Setting`.
    """
    return dataclasses.field(
        default=default, metadata={_KEY: Setting(help=help, **known)}
    )


def settings_of(piece: Any) -> dict[str, Setting]:
    """Returns what is known of each field of a dataclass, or an instance, by name."""
    return {
        field.name: field.metadata[_KEY]
        for field in dataclasses.fields(piece)
        if _KEY in field.metadata
    }


def check(piece: Any) -> None:
    """Refuses settings out of bounds; for `__post_init__`.

    NumPy's and JAX's scalars become numbers and lists tuples, so that settings are
    hashable, are written as JSON, and equal those that are read again.
    """
    for field in dataclasses.fields(piece):
        value = getattr(piece, field.name)
        if isinstance(value, list):
            object.__setattr__(piece, field.name, tuple(value))
        elif getattr(value, "ndim", None) == 0:
            object.__setattr__(piece, field.name, value.item())
    for name, known in settings_of(piece).items():
        known.check(name, getattr(piece, name))
    for field in dataclasses.fields(piece):
        value = getattr(piece, field.name)
        # True is an integer to Python, and would be 1.
        whole = value is None or (
            isinstance(value, numbers.Integral) and not isinstance(value, bool)
        )
        if field.type in (int, int | None) and not whole:
            raise InputError(
                f"Expected `{field.name}` to be a whole number, got {value!r}."
            )
        if isinstance(value, int) and abs(value) >= 2**63:
            raise InputError(
                f"Expected `{field.name}` to be a number of at most 64 bits, got more."
            )


def check_storage(name: str, value: str | None) -> None:
    """Refuses an address that checkpoints cannot be kept at; InputError says why."""
    scheme, found, rest = (value or "").partition("://")
    if not found:
        return
    if scheme != "gs":
        raise InputError(
            f"Expected `{name}` as a folder or gs://BUCKET/FOLDER, got {value}. Orbax, "
            "which writes them, supports no other stores; mount the store as a folder."
        )
    if not all(rest.partition("/")[::2]):
        raise InputError(f"Expected `{name}` as gs://BUCKET/FOLDER, got {value}.")
