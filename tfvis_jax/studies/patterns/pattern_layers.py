"""Which layers an experiment on patterns looks at."""

from collections.abc import Sequence

from tfvis_jax.errors import InputError


def chosen(available: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """Returns layers of a run, every other one of them if none is named.

    Args:
      available: layers of the dictionary.
      wanted: layers that were asked for.

    Raises:
      InputError: there is no such layer.
    """
    if not wanted:
        # The paper shows every other layer, too.
        return tuple(available[::2])
    unknown = sorted(set(wanted) - set(available))
    if unknown:
        raise InputError(
            f"Expected layers of {tuple(available)}, got "
            f"{', '.join(map(str, unknown))}."
        )
    return tuple(sorted(set(wanted)))
