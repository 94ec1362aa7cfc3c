"""Read and write `levels.json`: the context shares of a run's factors."""

import dataclasses
import hashlib
import pathlib
from typing import Annotated, Any

import msgspec
import numpy as np

from tfvis_jax import files
from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import stored
from tfvis_jax.levels import context_shares

SCHEMA = "tfvis-levels/1"


_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Schema(msgspec.Struct):
    schema: Any = None
    dictionary_hash: Any = None


class _Levels(msgspec.Struct):
    examples_hash: schema_lib.Hash
    per_factor: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    radii: list[int]
    shares: list[list[_Share] | None]


class NotMeasured(InputError):
    """There are no context shares that belong to the examples, and none are damaged."""


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
      NotMeasured: they are missing, or were measured for another dictionary or on other
        examples.
      InputError: they are damaged or of another schema.
    """
    again = f"`{command_line('levels', path.parent)}` measures them"
    if not path.is_file():
        raise NotMeasured(f"There are no context shares in {path} yet; {again}.")
    remedy = f"Remove it; {again} again."
    known = schema_lib.read(path, _Schema, remedy=remedy)
    if known.schema != SCHEMA:
        raise InputError(
            f"Expected schema {SCHEMA} in {path}, got "
            f"{schema_lib.short(known.schema)}. {remedy}"
        )
    if known.dictionary_hash != examples.dictionary_hash:
        raise NotMeasured(
            f"The context shares in {path} belong to another dictionary; {again} again."
        )
    found = schema_lib.read(path, _Levels, remedy=remedy)
    radii, n_factors = list(context_shares.RADII), examples.firing.shape[1]
    sizes = {len(row) for row in found.shares if row is not None} - {len(radii)}
    if found.radii != radii or len(found.shares) != n_factors or sizes:
        raise schema_lib.damaged(
            path,
            f"Expected `shares` of {n_factors} factors within the radii {radii}, got "
            f"{len(found.shares)} within {schema_lib.short(found.radii)}",
            remedy=remedy,
        )
    if found.examples_hash != _hash(examples, found.per_factor):
        raise NotMeasured(
            f"The context shares in {path} were measured on other examples; {again} "
            "again."
        )
    none = [np.nan] * len(radii)
    rows = [none if row is None else row for row in found.shares]
    return Measured(np.array(rows, np.float64), found.per_factor)


def _hash(examples: stored.Examples, per_factor: int) -> str:
    """Returns the SHA-256 of the references that the tokens were chosen from."""
    # Only these references decide which tokens are measured: a pass that stores more
    # examples does not make the shares obsolete.
    n = context_shares.CANDIDATES * per_factor
    places = np.stack([examples.window[:, :, :n], examples.position[:, :, :n]])
    return hashlib.sha256(places.astype("<i4").tobytes()).hexdigest()
