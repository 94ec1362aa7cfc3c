"""Sparse autoencoders of other tools, measured on the rows of a comparison."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.interop import foreign, hooks
from tfvis_jax.runs import trained_dictionary


@dataclasses.dataclass(frozen=True, eq=False)
class ImportedSAE:
    """An imported autoencoder as a `method.Method`; nothing of it is fitted.

    Attributes:
      trained: the autoencoder, of hidden states as the model gives them.
      scale: what the rows were divided by.
    """

    trained: trained_dictionary.TrainedDictionary
    scale: float

    @property
    def factors(self) -> jax.Array:
        """[n_factors, d_model], rows of the decoder at norm 1."""
        return jnp.asarray(self.trained.factors)

    @property
    def offset(self) -> jax.Array:
        """[d_model], the decoder's bias in the scale of the rows."""
        return jnp.asarray(self._bias / np.float32(self.scale))

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] of scaled rows ``x`` [rows, d_model]."""
        encoder = self.trained.encoder
        assert encoder is not None
        centred = self.scale * x - self._bias[None]
        return encoder.codes(centred) / self.scale

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns ``offset + codes(x) @ factors``, [rows, d_model]."""
        return self.offset[None] + self.codes(x) @ self.factors

    @property
    def _bias(self) -> np.ndarray:
        assert self.trained.whitening is not None
        return np.asarray(self.trained.whitening.mean)[0]


def of_rows(
    read: foreign.ForeignEncoder,
    *,
    d_model: int,
    place: hooks.Place | None,
    scale: float,
) -> ImportedSAE:
    """Returns an autoencoder as a method on scaled rows.

    Args:
      read: the autoencoder.
      d_model: width of the rows.
      place: what they are of; None if not of one layer of a run.
      scale: what they were divided by.

    Raises:
      InputError: the rows are of several layers, of another place than the autoencoder,
        or of another width; or the autoencoder rescales every row.
    """
    if place is None:
        raise InputError(
            "Expected rows of one layer of a run, since an imported autoencoder is of "
            "one, got others. Name a run and its layer."
        )
    if read.place not in (None, place):
        raise InputError(
            f"Expected an autoencoder of layer {place.layer} at site {place.site}, got "
            f"one of {read.about.hook}. Name a run that has its layer."
        )
    if read.d_in != d_model:
        raise InputError(
            f"Expected an autoencoder of {d_model} numbers, the width of the rows, got "
            f"one of {read.d_in}. Name its model's run."
        )
    return ImportedSAE(read.as_trained(model=read.about.model, place=place), scale)
