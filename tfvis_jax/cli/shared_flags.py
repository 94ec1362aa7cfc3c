"""Flags that more than one command has."""

from collections.abc import Sequence

from absl import flags

from tfvis_jax.cli import command


def num_workers(values: flags.FlagValues) -> flags.FlagHolder[int]:
    """Adds --num_workers."""
    return flags.DEFINE_integer(
        "num_workers",
        1,
        "Processes that turn text into tokens.",
        lower_bound=1,
        flag_values=values,
    )


def factor(values: flags.FlagValues) -> flags.FlagHolder[int | None]:
    """Adds --factor."""
    return flags.DEFINE_integer(
        "factor", None, "Number of the factor.", flag_values=values
    )


def layer(values: flags.FlagValues, what: str) -> flags.FlagHolder[int | None]:
    """Adds --layer.

    Args:
      values: the command's flags.
      what: says which layer, such as "Layer to export".
    """
    return flags.DEFINE_integer(
        "layer",
        None,
        f"{what}. (default: the one where the factor peaks)",
        flag_values=values,
    )


def json(values: flags.FlagValues, help: str) -> flags.FlagHolder[bool]:
    """Adds --json."""
    return flags.DEFINE_bool("json", False, help, flag_values=values)


def numbers(name: str, given: Sequence[str]) -> list[int]:
    """Returns the whole numbers of a flag with a list.

    Args:
      name: of the flag.
      given: its value.

    Raises:
      UsageError: something in it is no whole number.
    """
    try:
        return [int(number) for number in given]
    except ValueError:
        raise command.UsageError(
            f"Expected whole numbers for --{name}, such as 0,4; got {','.join(given)}."
        ) from None
