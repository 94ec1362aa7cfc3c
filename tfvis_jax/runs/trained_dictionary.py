"""The trained factors, with all that using them takes.

`dictionary_file` stores them.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import sharding, sites
from tfvis_jax.errors import InputError
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.runs import linear_encoder, setup


@dataclasses.dataclass(frozen=True)
class TrainedDictionary:
    """Factors and the scales of the layers that they describe.

    Attributes:
      factors: [n_factors, d_model] float32, unit rows.
      layer_scale: [n_layers] float32; hidden states are divided by it before encoding.
      layers: which hidden states, 0 being the embedding output.
      model: folder or Hugging Face Hub name of the BERT.
      l1_penalty: λ at the end of training; None where an encoder finds the codes.
      whitening: what hidden states are centred by and multiplied with before they are
        divided by the scale; None if the run does not whiten.
      site: where in these layers, one of `sites.SITES`. At another one than "hidden",
        outputs of attention or MLP take the place of hidden states in all that follows.
      encoder: of an imported autoencoder, finds codes in place of the solver; the mean
        of ``whitening`` is then the decoder's bias. None where codes are inferred.
    """

    factors: np.ndarray
    layer_scale: np.ndarray
    layers: tuple[int, ...]
    model: str
    l1_penalty: float | None
    whitening: whitening_lib.Whitening | None = None
    site: str = sites.HIDDEN
    encoder: linear_encoder.LinearEncoder | None = None

    def solver(self, config: config_lib.SolverConfig) -> config_lib.SolverConfig:
        """Returns a run's solver at the λ at which training ended."""
        if self.l1_penalty is None:
            return config
        return dataclasses.replace(config, l1_penalty=self.l1_penalty)

    def coder(self, config: config_lib.SolverConfig) -> coder_lib.Coder:
        """Returns how the codes of a run are found: its solver, or its encoder."""
        # `jnp.asarray` would compile a program for every shape.
        dictionary, l1_penalty, encoder = jax.device_put(
            (self.factors, jax.tree.map(np.float32, self.l1_penalty), self.encoder)
        )
        return coder_lib.Coder(
            dictionary, solver=config, l1_penalty=l1_penalty, encoder=encoder
        )

    def of_layers(self, layers: Sequence[int] | None) -> "TrainedDictionary":
        """Returns the dictionary for some of its layers; for all if None.

        Raises:
          InputError: a layer is none of the dictionary's, or none is given.
        """
        if layers is None:
            return self
        chosen = tuple(sorted(set(layers)))
        if not chosen or not set(chosen) <= set(self.layers):
            raise InputError(
                f"Expected layers out of {list(self.layers)}, got {list(layers)}."
            )
        places = [self.layers.index(layer) for layer in chosen]
        whitening = self.whitening and dataclasses.replace(
            self.whitening, mean=self.whitening.mean[np.array(places)]
        )
        return dataclasses.replace(
            self,
            layers=chosen,
            layer_scale=self.layer_scale[places],
            whitening=whitening,
        )

    @property
    def scaling(self) -> whitening_lib.Scaling:
        """What hidden states are divided by and whitened with."""
        return jax.device_put(self.layer_scale), self.whitening

    @functools.cached_property
    def directions(self) -> np.ndarray:
        """Factors as directions of hidden states divided by the scale.

        [n_factors, d_model] float32: the factors without the whitening, φ W⁻¹, not of
        norm 1. The reconstruction of a hidden state of layer l is
        m_l + s_l · codes @ directions.
        """
        return np.asarray(
            whitening_lib.unwhiten(jax.device_put(self.factors), self.whitening)
        )

    def rows(self, hidden_states: np.ndarray, layer: int) -> np.ndarray:
        """Returns what codes are inferred for, (x − m) W / s.

        Args:
          hidden_states: [rows, d_model] of the layer, as the model gives them.
          layer: of `layers`.
        """
        one = self.of_layers([layer])
        return np.asarray(
            whitening_lib.standardise(
                jax.device_put(hidden_states)[None], *one.scaling
            )[0]
        )

    def hidden_states(self, rows: np.ndarray, layer: int) -> np.ndarray:
        """Returns hidden states x = m + s y W⁻¹; the inverse of `rows`.

        Args:
          rows: [rows, d_model], such as reconstructions ``codes @ factors``.
          layer: of `layers`.
        """
        index = self.layers.index(layer)
        states = whitening_lib.unwhiten(jax.device_put(rows), self.whitening)
        states = np.asarray(states) * self.layer_scale[index]
        return states if self.whitening is None else states + self.whitening.mean[index]

    @property
    def encoder_settings(self) -> dict[str, Any] | None:
        """Kind and k of the encoder as JSON; None where codes are inferred."""
        encoder = self.encoder
        return encoder and {"kind": encoder.kind, "k": encoder.k}

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of all arrays: identifies what was computed from them.

        It covers neither layers nor site nor λ, which a run's directory has one of: its
        settings cannot change. Examples and codes name their layers.
        """
        arrays = self.factors, self.layer_scale, *jax.tree.leaves(self.whitening)
        content = b"".join(np.asarray(array).tobytes() for array in arrays)
        if self.encoder is not None:
            named = sorted(self.encoder.arrays().items())
            content += f"{self.encoder.kind} {self.encoder.k}".encode()
            content += b"".join(array.tobytes() for _, array in named)
        return hashlib.sha256(content).hexdigest()


def from_state(state: state_lib.TrainState, opened: setup.Setup) -> TrainedDictionary:
    """Returns what a training state has learned, on the host of every process.

    All processes that hold a part of the state must call this.
    """
    factors, layer_scale, l1_penalty, whitening = sharding.fetch(
        (state.dictionary, state.layer_scale, state.l1_penalty, state.whitening)
    )
    return TrainedDictionary(
        factors=np.asarray(factors),
        layer_scale=np.asarray(layer_scale),
        layers=opened.layers,
        model=opened.config.model,
        l1_penalty=float(l1_penalty),
        whitening=whitening,
        site=opened.config.site,
    )


def check_fits(trained: TrainedDictionary, opened: setup.Setup) -> None:
    """Refuses a dictionary that cannot be of a model.

    Raises:
      InputError: it has other layers or another site than the run, or factors of
        another length than the model's hidden states.
    """
    model = opened.pretrained.config
    d_model, last = trained.factors.shape[1], trained.layers[-1]
    if d_model != model.d_model or last > model.n_layers:
        raise InputError(
            f"Expected {opened.run.dictionary} to be of {opened.pretrained.name}, with "
            f"{model.n_layers} layers of {model.d_model} numbers; got layers up to "
            f"{last} and factors of {d_model} numbers. Restore what belongs together."
        )
    if trained.site != opened.config.site:
        raise InputError(
            f"Expected {opened.run.dictionary} to be of {opened.config.site}, the site "
            f"in the run's config.json; got {trained.site}. Restore what belongs "
            "together."
        )
