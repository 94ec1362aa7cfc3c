"""Read and write `levels.json`: the evidence about the levels of a run's factors."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from tfvis_jax import files
from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import stored
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import measuring
from tfvis_jax.levels import spread as spread_lib

SCHEMA = "tfvis-levels/3"
_OLDER = ("tfvis-levels/1", "tfvis-levels/2")
# Of a list of top-activating examples so many are compared: a pass that stores more of
# them does not make the evidence obsolete.
_COMPARED = 32

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Cosine = Annotated[float, msgspec.Meta(ge=-1.001, le=1.001)]


class _Schema(msgspec.Struct):
    schema: Any = None
    dictionary_hash: Any = None


class _Factor(msgspec.Struct):
    firing: schema_lib.Count
    documents: schema_lib.Count
    tip_few: _Share
    position: _Share
    same_word: _Share
    tip_word: _Share
    same_neighbour: _Share
    word: str
    word_share: _Share
    frequency: _Share
    evenness: _Share
    any_token: schema_lib.NotNegative
    # Both are null where context was not measured.
    kinship: _Cosine | None
    shares: list[_Share] | None


class _Levels(msgspec.Struct):
    examples_hash: schema_lib.Hash
    per_factor: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    alterations: list[str]
    factors: list[_Factor | None]


_SPREAD = tuple(field.name for field in dataclasses.fields(spread_lib.Spread))


class NotMeasured(InputError):
    """There is no evidence that belongs to the examples, and none is damaged."""


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """The measured evidence of a run.

    Attributes:
      evidence: [n_factors]; None for factors that never fire. Those that were not
        measured have no context.
      per_factor: number of firings measured per factor, where no fewer were enough.
    """

    evidence: Sequence[evidence_lib.Evidence | None]
    per_factor: int

    @property
    def n_alive(self) -> int:
        """Number of factors that fire."""
        return sum(each is not None for each in self.evidence)

    @property
    def n_measured(self) -> int:
        """Number of factors whose context was measured."""
        return sum(bool(each and each.context) for each in self.evidence)


def save(path: pathlib.Path, measured: Measured, examples: stored.Examples) -> None:
    """Writes the evidence atomically.

    Args:
      path: path of the file.
      measured: evidence, measured on ``examples``.
      examples: examples of the run.
    """
    files.write_json(
        path,
        {
            "schema": SCHEMA,
            "dictionary_hash": examples.dictionary_hash,
            "examples_hash": _hash(examples),
            "per_factor": measured.per_factor,
            "alterations": list(measuring.ALTERATIONS),
            "factors": [found and _entry(found) for found in measured.evidence],
        },
    )


def load(path: pathlib.Path, examples: stored.Examples) -> Measured:
    """Reads the evidence.

    Args:
      path: path of the file.
      examples: examples of the run.

    Raises:
      NotMeasured: it is missing, was written by an older version, or was measured for
        another dictionary or on other examples.
      InputError: it is damaged or of another schema.
    """
    again = f"`{command_line('levels', path.parent)}` measures it"
    if not path.is_file():
        raise NotMeasured(f"There is no evidence of levels in {path} yet; {again}.")
    remedy = f"Remove it; {again} again."
    known = schema_lib.read(path, _Schema, remedy=remedy)
    if known.schema in _OLDER:
        raise NotMeasured(
            f"{path} was written by an older version, which measured otherwise; "
            f"{again} again."
        )
    if known.schema != SCHEMA:
        raise InputError(
            f"Expected schema {SCHEMA} in {path}, got "
            f"{schema_lib.short(known.schema)}. {remedy}"
        )
    if known.dictionary_hash != examples.dictionary_hash:
        raise NotMeasured(
            f"The evidence in {path} belongs to another dictionary; {again} again."
        )
    found = schema_lib.read(path, _Levels, remedy=remedy)
    names, n_factors = list(measuring.ALTERATIONS), examples.firing.shape[1]
    for number, each in enumerate(found.factors):
        if each is not None and (each.kinship is None) != (each.shares is None):
            missing = "kinship" if each.kinship is None else "shares"
            raise schema_lib.damaged(
                path,
                f"Expected `kinship` and `shares` of factor {number}, or null for "
                f"both, got null for `{missing}` alone",
                remedy=remedy,
            )
    sizes = {
        len(each.shares)
        for each in found.factors
        if each is not None and each.shares is not None
    }
    if (
        found.alterations != names
        or len(found.factors) != n_factors
        or sizes - {len(names)}
    ):
        raise schema_lib.damaged(
            path,
            f"Expected `factors` of {n_factors} factors with {len(names)} shares each, "
            f"got {len(found.factors)} with {sorted(sizes)}",
            remedy=remedy,
        )
    if found.examples_hash != _hash(examples):
        raise NotMeasured(
            f"The evidence in {path} was measured on other examples; {again} again."
        )
    return Measured(
        [each and _evidence(each) for each in found.factors], found.per_factor
    )


def _entry(found: evidence_lib.Evidence) -> dict[str, Any]:
    spread, context = found.spread, found.context
    assert spread is not None
    return {
        "firing": found.firing,
        **{
            # Enough digits to tell factors apart; a frequency is small.
            name: round(value, 8) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(spread).items()
        },
        "kinship": context and round(context.kinship, 4),
        "shares": context
        and [round(context.shares[name], 4) for name in measuring.ALTERATIONS],
    }


def _evidence(entry: _Factor) -> evidence_lib.Evidence:
    context = None
    if entry.shares is not None and entry.kinship is not None:
        shares = dict(zip(measuring.ALTERATIONS, entry.shares, strict=True))
        context = evidence_lib.Context(shares=shares, kinship=entry.kinship)
    return evidence_lib.Evidence(
        firing=entry.firing,
        spread=spread_lib.Spread(**{name: getattr(entry, name) for name in _SPREAD}),
        context=context,
    )


def _hash(examples: stored.Examples) -> str:
    """Returns the SHA-256 of the references that firings are drawn from."""
    digest = hashlib.sha256()
    for array in (
        examples.window[:, :, :_COMPARED],
        examples.position[:, :, :_COMPARED],
        examples.random_window,
        examples.random_position,
    ):
        digest.update(np.asarray(array, "<i4").tobytes())
    return digest.hexdigest()
