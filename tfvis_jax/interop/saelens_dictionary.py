"""Dictionaries in folders of SAELens, as `saelens_writer` writes them, read back.

Their codes solve a lasso for y = (x − b_dec) V, with V the run's whitening divided by
its layer's scale.
"""

import dataclasses
import os
import pathlib
from typing import Annotated

import msgspec
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import schema
from tfvis_jax.errors import InputError
from tfvis_jax.interop import foreign, hooks, saelens, saelens_writer, tensors
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.runs import trained_dictionary

_REMEDY = "Write it again with `tfvis export --format=saelens`."
# Norms are 1 within the rounding of float32; more is another λ.
_UNIT = 1e-2


class _Metadata(msgspec.Struct):
    model_name: str = ""
    hook_name: str = ""
    layer_scale: Annotated[float, msgspec.Meta(gt=1e-30, lt=1e30)] | None = None


class _Config(msgspec.Struct):
    d_in: schema.Positive
    d_sae: schema.Positive
    l1_penalty: schema.AboveZero
    l2_penalty: schema.NotNegative
    tolerance: schema.NotNegative
    max_steps: schema.Positive
    metadata: _Metadata


class _Architecture(msgspec.Struct):
    architecture: str = ""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ForeignDictionary:
    """A dictionary of one layer, and how its codes are inferred.

    Attributes:
      factors: [n_factors, d_in] float32, rows of norm 1.
      layer_scale: what centred, whitened rows are divided by.
      whitening: of one layer; None if there is none.
      l1_penalty: λ.
      l2_penalty: μ.
      tolerance: relative duality gap at which a row has converged.
      max_steps: steps of the solver at most.
      about: what else the files say.
    """

    factors: np.ndarray
    layer_scale: float
    whitening: whitening_lib.Whitening | None
    l1_penalty: float
    l2_penalty: float
    tolerance: float
    max_steps: int
    about: foreign.About

    @property
    def d_in(self) -> int:
        """Width of the hidden states."""
        return self.factors.shape[1]

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return len(self.factors)

    @property
    def place(self) -> hooks.Place | None:
        """Where in the model the hook is; None if the files do not name it.

        Raises:
          InputError: the hook has no place in a run.
        """
        return hooks.place_of(self.about.hook)

    def solver(self, config: config_lib.SolverConfig) -> config_lib.SolverConfig:
        """Returns solver settings with what the files say of the codes."""
        return dataclasses.replace(
            config,
            l1_penalty=self.l1_penalty,
            l2_penalty=self.l2_penalty,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
        )

    def as_trained(
        self, *, model: str, place: hooks.Place
    ) -> trained_dictionary.TrainedDictionary:
        """Returns the dictionary of a run.

        Args:
          model: folder or hub name of the model.
          place: what is encoded.
        """
        return trained_dictionary.TrainedDictionary(
            factors=self.factors,
            layer_scale=np.array([self.layer_scale], np.float32),
            layers=(place.layer,),
            site=place.site,
            model=model,
            l1_penalty=self.l1_penalty,
            whitening=self.whitening,
        )


def is_dictionary(folder: str | os.PathLike[str]) -> bool:
    """Returns whether a folder of SAELens holds a dictionary, not an autoencoder.

    Raises:
      InputError: cfg.json is missing or damaged.
    """
    path = pathlib.Path(folder) / saelens.CONFIG
    found = schema.read(path, _Architecture, remedy=_REMEDY)
    return found.architecture == saelens_writer.ARCHITECTURE


def read(folder: str | os.PathLike[str]) -> ForeignDictionary:
    """Reads a dictionary.

    Args:
      folder: that `saelens_writer.write` has written, or SAELens with the plug-in.

    Raises:
      InputError: a file is missing or damaged, or its numbers are none of a dictionary.
    """
    folder = pathlib.Path(folder)
    config = schema.read(folder / saelens.CONFIG, _Config, remedy=_REMEDY)
    d_in, d_sae, path = config.d_in, config.d_sae, folder / saelens.WEIGHTS
    arrays = tensors.read(
        path,
        {
            "W_enc": (d_in, d_sae),
            "W_dec": (d_sae, d_in),
            "b_dec": (d_in,),
            "factors": (d_sae, d_in),
            "whitener": (d_in, d_in),
        },
    )
    factors, mean, whitener = (arrays[n] for n in ("factors", "b_dec", "whitener"))
    norms = np.linalg.norm(factors.astype(np.float64), axis=1)
    if not np.all((norms == 0) | (np.abs(norms - 1) <= _UNIT)):
        raise InputError(
            f"Expected factors of norm 1 in {path}, got others, for which λ is not "
            f"meant. {_REMEDY}"
        )
    meta = config.metadata
    scale, whitening = _scaling(mean, whitener, told=meta.layer_scale, path=path)
    return ForeignDictionary(
        factors=factors,
        layer_scale=scale,
        whitening=whitening,
        l1_penalty=config.l1_penalty,
        l2_penalty=config.l2_penalty,
        tolerance=config.tolerance,
        max_steps=config.max_steps,
        about=foreign.About(
            tool="SAELens",
            architecture=saelens_writer.ARCHITECTURE,
            model=meta.model_name,
            hook=meta.hook_name,
        ),
    )


def _scaling(
    mean: np.ndarray, whitener: np.ndarray, *, told: float | None, path: pathlib.Path
) -> tuple[float, whitening_lib.Whitening | None]:
    """Returns scale and whitening whose quotient is V."""
    d_in = len(whitener)
    # Any one will do.
    norm = float(np.linalg.norm(whitener.astype(np.float64))) / d_in**0.5 or 1.0
    scale = 1 / norm if told is None else told
    matrix = whitener.astype(np.float64) * scale
    if not mean.any() and np.abs(matrix - np.eye(d_in)).max() < 1e-6:
        return scale, None
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        inverse = np.full_like(matrix, np.nan)
    with np.errstate(over="ignore"):
        found = [each.astype(np.float32) for each in (mean[None], matrix, inverse)]
    if not all(np.isfinite(each).all() for each in found):
        raise InputError(
            f"Expected a whitener in {path} that can be undone, got another. {_REMEDY}"
        )
    return scale, whitening_lib.Whitening(*found)  # pyright: ignore[reportArgumentType]
