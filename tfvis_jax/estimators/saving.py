"""Estimators as files: arrays and settings in safetensors, nothing that is executed."""

import json
import os
import pathlib
from typing import Any, Self

import jax
import numpy as np
import safetensors
import safetensors.numpy

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.estimators import conventions

_SCHEMA = "tfvis-estimator/1"


class Saved(conventions.Estimator):
    """`save` and `load` of an estimator, with its settings and what it has learnt."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the estimator as a safetensors file, whole or not at all.

        Args:
          path: of the file; its folder must exist. An older file is replaced.

        Raises:
          InputError: a setting is neither an array nor plain JSON, there is no such
            folder, or the disk is full.
        """
        path = pathlib.Path(path)
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(
                f"Expected the path of a file in a folder that exists, got {path}."
            )
        settings, fitted = self.get_params(), self._fitted()
        arrays, plain = {}, {}
        for kind, values in (("settings", settings), ("fitted", fitted)):
            plain[kind] = {}
            for name, value in values.items():
                array = np.asarray(value)
                if array.ndim and array.dtype.kind in "biuf":
                    arrays[f"{kind}.{name}"] = np.ascontiguousarray(array)
                else:
                    plain[kind][name] = value.tolist() if array.ndim else value
        try:
            text = json.dumps(
                {"class": type(self).__name__, **plain},
                default=_as_number,
                allow_nan=False,
            )
        except (TypeError, ValueError) as error:
            raise InputError(
                "Expected settings that are numbers, names or arrays, as a file can "
                f"hold them: {error}."
            ) from error
        # One entry: the library writes several in an order that changes.
        content = safetensors.numpy.save(arrays, metadata={_SCHEMA: text})
        with files.write_atomically(path) as file:
            file.write(content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads an estimator that `save` wrote.

        Raises:
          InputError: the file is missing, damaged, or of something else.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise InputError(f"Expected a file at {path}, which is not there.")
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                plain = json.loads(file.metadata()[_SCHEMA])
                arrays = {name: file.get_tensor(name) for name in list(file.keys())}
            values: dict[str, dict[str, Any]] = {}
            for kind in ("settings", "fitted"):
                found = {
                    name.removeprefix(f"{kind}."): array
                    for name, array in arrays.items()
                    if name.startswith(f"{kind}.")
                }
                values[kind] = plain[kind] | found
            if plain["class"] != cls.__name__:
                raise InputError(
                    f"Expected a {cls.__name__} in {path}, got a {plain['class']}; "
                    f"call `{plain['class']}.load`."
                )
            unknown = [n for n in values["fitted"] if not n.endswith("_")]
            if any("." not in name for name in unknown):
                raise ValueError(f"{unknown[0]} is nothing that is learnt")
            estimator = cls(**values["settings"])
            estimator._restore(values["fitted"])
        except InputError:
            raise
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} is not an estimator that `save` wrote: {error}."
            ) from error
        return estimator

    def _fitted(self) -> dict[str, Any]:
        """Returns what was learnt, by name: arrays, numbers and lists of names."""
        return {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and not name.startswith("_")
        }

    def _restore(self, fitted: dict[str, Any]) -> None:
        """Takes over what `_fitted` gave."""
        names = fitted.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        vars(self).update(fitted)


def _as_number(value: Any) -> Any:
    # JAX's scalars too, such as λ of `for_l0`.
    if isinstance(value, np.generic | jax.Array) and not np.ndim(value):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is not")
