"""Flags that decide what a run learns, and the settings that they make.

The flags are those of the settings' fields, with their help, choices and defaults.
"""

import dataclasses
import glob
import os
import re
import typing
from typing import Any, TypeVar

from absl import flags

from tfvis_jax import config as config_lib
from tfvis_jax import config_fields, models, sites
from tfvis_jax.cli import command
from tfvis_jax.errors import InputError
from tfvis_jax.runs import directory as directory_lib

_PIECES = (
    config_lib.RunConfig,
    config_lib.CorpusConfig,
    config_lib.SolverConfig,
    config_lib.SparsityConfig,
    config_lib.DictionaryConfig,
)
_PRESETS = ("default", "paper")
_Piece = TypeVar("_Piece")


def define(values: flags.FlagValues) -> None:
    """Adds the settings' flags; a flag without a value leaves the preset's."""
    flags.DEFINE_enum(
        "preset",
        "default",
        _PRESETS,
        "default: what measures best, the defaults below. paper: the settings of Yun "
        "et al. (2021): layers 0,2,4,… (1,3,5,… at another --site); λ 0.3 on raw "
        "hidden states; 2,000 factors; 500 steps of FISTA; 100 rows a step; step size "
        "0.005; no special tokens; two passes.",
        flag_values=values,
    )
    for piece in _PIECES:
        types = typing.get_type_hints(piece)
        for field in dataclasses.fields(piece):
            known = config_fields.settings_of(piece).get(field.name)
            if known is not None and known.flag is not None:
                name = known.flag or field.name
                help = f"{_as_flags(known.help)}{_default(known, field.default)}"
                _define(values, name, types[field.name], known, help)


def of_run(
    values: flags.FlagValues, directory: directory_lib.RunDirectory
) -> config_lib.RunConfig:
    """Returns the settings of a run, or those of the flags where it is new.

    Raises:
      UsageError: a setting is missing or out of range.
    """
    if directory.config_path.is_file() and not values.text:
        return override(directory.read_config(), values)
    return build(values)


def build(values: flags.FlagValues) -> config_lib.RunConfig:
    """Returns the settings that the flags describe.

    Raises:
      UsageError: a setting is missing or out of range.
    """
    if not values.model:
        raise command.UsageError("Expected --model, a folder or hub name of a model.")
    if not values.text:
        raise command.UsageError("Expected --text, at least one file, folder or glob.")
    paths = tuple(_absolute(path) for path in values.text)
    return override(_preset(values, paths), values)


def override(
    config: config_lib.RunConfig, values: flags.FlagValues
) -> config_lib.RunConfig:
    """Returns settings with those replaced for which a flag was given.

    Raises:
      UsageError: a setting is out of range.
    """
    model = _absolute(values.model) if values.model else config.model
    try:
        return _replace(
            config,
            values,
            corpus=_replace(config.corpus, values),
            solver=_replace(config.solver, values),
            sparsity=_sparsity(config.sparsity, values),
            dictionary=_replace(config.dictionary, values),
            model=model,
            layers=_layers(values.layers, config.layers),
            checkpoints=_storage(values.checkpoints) or config.checkpoints,
        )
    except InputError as error:
        raise command.UsageError(str(error)) from error


def _define(
    values: flags.FlagValues,
    name: str,
    kind: Any,
    known: config_fields.Setting,
    help: str,
) -> None:
    kinds = typing.get_args(kind) or (kind,)
    if known.flag:  # The files of the text, several of them.
        flags.DEFINE_list(name, [], help, flag_values=values)
    elif known.choices:
        flags.DEFINE_enum(name, None, known.choices, help, flag_values=values)
    elif bool in kinds:
        flags.DEFINE_bool(name, None, help, flag_values=values)
    elif kinds[0] is int:
        flags.DEFINE_integer(name, None, help, flag_values=values)
    elif kinds[0] is float:
        flags.DEFINE_float(name, None, help, flag_values=values)
    else:
        flags.DEFINE_string(name, None, help, flag_values=values)


def _as_flags(help: str) -> str:
    """Returns the help of a setting, with other settings named as flags."""
    return re.sub(r"`(\w+)`", r"--\1", help)


def _default(known: config_fields.Setting, default: Any) -> str:
    if default is dataclasses.MISSING:
        return ""
    shown = {None: known.unset, True: "on", False: "off"}
    if default is None or isinstance(default, bool):
        default = shown[default]
    return f" (default: {default})"


def _preset(values: flags.FlagValues, paths: tuple[str, ...]) -> config_lib.RunConfig:
    if values.preset == "paper":
        return config_lib.RunConfig.paper(
            model=values.model,
            paths=paths,
            n_layers=models.read_config(values.model).n_layers,
            site=values.site or sites.HIDDEN,
        )
    return config_lib.RunConfig(
        model=values.model, corpus=config_lib.CorpusConfig(paths=paths)
    )


def _sparsity(
    preset: config_lib.SparsityConfig, values: flags.FlagValues
) -> config_lib.SparsityConfig:
    """A λ that was requested is kept, unless a target is requested too."""
    if values.l1_penalty is not None and values.target_l0 is None:
        preset = dataclasses.replace(preset, target_l0=None)
    return _replace(preset, values)


def _replace(piece: _Piece, values: flags.FlagValues, **fixed: Any) -> _Piece:
    """Returns a copy with every field for which a flag has a value."""
    named = set(config_fields.settings_of(piece)) & set(values)
    given = {name: values[name].value for name in named - set(fixed)}
    given = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(typing.cast(Any, piece), **given, **fixed)


def _layers(
    given: str | None, preset: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    if given is None or given == "all":
        return preset if given is None else None
    try:
        return tuple(int(layer) for layer in given.split(","))
    except ValueError:
        raise InputError(
            f"Expected `layers` as numbers, such as 0,2,4; got {given!r}."
        ) from None


def _storage(checkpoints: str | None) -> str | None:
    # It need not exist yet, so that `_absolute` would not know it as local.
    if checkpoints is None or "://" in checkpoints:
        return checkpoints
    return os.path.abspath(checkpoints)


def _absolute(path: str) -> str:
    """Local paths are kept absolute, so that a run works from any directory."""
    local = os.path.exists(path) or path.startswith((".", "/")) or glob.has_magic(path)
    if path.startswith("hf://") or not local:
        return path
    return os.path.abspath(path)
