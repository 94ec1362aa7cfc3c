"""Read and write `levels.json`: the context shares of a run's factors."""

import dataclasses
import hashlib
import pathlib

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import stored
from tfvis_jax.levels import context_shares

SCHEMA = "tfvis-levels/1"


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """The measurements for the levels of a run.

    Attributes:
      shares: [n_factors, len(context_shares.RADII)], share of α within each radius; NaN
        for factors that never fire.
      per_factor: maximum number of tokens measured per factor.
    """

    shares: np.ndarray
    per_factor: int


def save(path: pathlib.Path, measured: Measured, examples: stored.Examples) -> None:
    """Writes context shares atomically.

    Args:
      path: path of the file.
      measured: context shares, measured on ``examples``.
      examples: examples of the run.
    """
    files.write_json(
        path,
        {
            "schema": SCHEMA,
            "dictionary_hash": examples.dictionary_hash,
            "examples_hash": _hash(examples, measured.per_factor),
            "per_factor": measured.per_factor,
            "radii": list(context_shares.RADII),
            # JSON has no NaN.
            "shares": [
                None if np.isnan(row).any() else np.round(row, 4).tolist()
                for row in measured.shares
            ],
        },
    )


def load(path: pathlib.Path, examples: stored.Examples) -> Measured:
    """Reads context shares.

    Args:
      path: path of the file.
      examples: examples of the run.

    Raises:
      InputError: if they are missing, damaged or of another schema, or if they were
        measured for another dictionary or on other examples.
    """
    again = f"`{command_line('levels', path.parent)}` measures them"
    if not path.is_file():
        raise InputError(f"There are no context shares in {path} yet; {again}.")
    content = files.read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"Expected schema {SCHEMA} in {path}; {again} again.")
    if content.get("dictionary_hash") != examples.dictionary_hash:
        raise InputError(
            f"The context shares in {path} belong to another dictionary; {again} again."
        )
    # The file may hold any JSON value under these names, of any shape.
    try:
        shares = np.array(
            [
                [np.nan] * len(context_shares.RADII) if row is None else row
                for row in content["shares"]
            ],
            np.float64,
        )
        expected = (examples.firing.shape[1], len(context_shares.RADII))
        if shares.shape != expected or content["radii"] != list(context_shares.RADII):
            raise ValueError(f"shares of shape {shares.shape}, expected {expected}")
        per_factor = int(content["per_factor"])
        same_examples = content["examples_hash"] == _hash(examples, per_factor)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is damaged ({error}); {again} again.") from error
    if not same_examples:
        raise InputError(
            f"The context shares in {path} were measured on other examples; {again} "
            "again."
        )
    return Measured(shares, per_factor)


def _hash(examples: stored.Examples, per_factor: int) -> str:
    """Returns the SHA-256 of the references that the tokens were chosen from."""
    # Only these references decide which tokens are measured: a pass that stores more
    # examples does not make the shares obsolete.
    n = context_shares.CANDIDATES * per_factor
    places = np.stack([examples.window[:, :, :n], examples.position[:, :, :n]])
    return hashlib.sha256(places.astype("<i4").tobytes()).hexdigest()
