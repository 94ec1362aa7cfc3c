"""Settings as JSON: written with a schema, read in any version, compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfvis_jax import config as config_lib
from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError

SCHEMA = "tfvis-config/2"

_PIECES = {
    "corpus": config_lib.CorpusConfig,
    "solver": config_lib.SolverConfig,
    "sparsity": config_lib.SparsityConfig,
    "dictionary": config_lib.DictionaryConfig,
}
# What stood among the solver's settings before there was a schema.
_ONCE_OF_THE_SOLVER = ("target_l0", "equal_l0", "l1_warmup")


def to_json(config: config_lib.RunConfig) -> dict[str, Any]:
    """Returns the settings as plain lists, numbers and strings, with their schema."""
    return {"schema": SCHEMA, **dataclasses.asdict(config)}


def from_json(values: Mapping[str, Any]) -> config_lib.RunConfig:
    """Rebuilds the settings that `to_json` wrote, in this version or an earlier one.

    Raises:
      InputError: a newer version wrote them, or a setting is missing or unknown.
    """
    what = "Expected the settings of a run as `tfvis train` writes them"
    if not isinstance(values, Mapping):
        raise InputError(f"{what}, got {schema_lib.short(values)}.")
    try:
        values = _migrate(values)
        _check_names(values)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what}: {error}.") from error
    return schema_lib.convert(
        values,
        config_lib.RunConfig,
        where="The settings of a run",
        remedy="Restore them, or make another run with `tfvis train`.",
    )


def differences(
    old: config_lib.RunConfig,
    new: config_lib.RunConfig,
    *,
    ignoring: tuple[str, ...] = (),
) -> list[str]:
    """Returns one line for each setting in which two runs differ.

    Args:
      old: settings of an existing run.
      new: what is requested.
      ignoring: names that may differ, such as "corpus.paths".
    """
    before, after = _flatten(to_json(old)), _flatten(to_json(new))
    return [
        f"{name}: {before.get(name)!r} there, {after.get(name)!r} requested"
        for name in sorted((before | after).keys() - set(ignoring))
        if before.get(name) != after.get(name)
    ]


def of_saving(config: config_lib.RunConfig) -> tuple[str, ...]:
    """Returns the settings that decide when a state is saved, not what is learned."""
    return () if config.patience is not None else ("checkpoint_every",)


def _migrate(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings in the present schema, without its name."""
    values = dict(values)
    schema = values.pop("schema", None)
    if schema is None:
        solver = dict(values["solver"])
        sparsity = {name: solver.pop(name) for name in _ONCE_OF_THE_SOLVER}
        return values | {"solver": solver, "sparsity": sparsity}
    if schema != SCHEMA:
        raise InputError(
            f"Expected settings of schema {SCHEMA} or older, got {schema!r}; use the "
            "version of tfvis_jax that wrote them."
        )
    return values


def _check_names(values: Mapping[str, Any]) -> None:
    """Raises KeyError if a piece is missing or a setting is unknown."""
    for prefix, piece, found in (
        ("", config_lib.RunConfig, values),
        *((f"{name}.", piece, values[name]) for name, piece in _PIECES.items()),
    ):
        known = {field.name for field in dataclasses.fields(piece)}
        if unknown := sorted(set(found) - known):
            raise KeyError(f"unknown setting {prefix}{unknown[0]}")


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
