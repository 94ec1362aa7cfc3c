"""Directions of a dictionary step, as optax transformations.

Each turns the gradient of the reconstruction loss into the direction that a step goes
against. Those that need the loss's Hessian take it as an extra argument: ``energy``
[n_factors], its diagonal, or ``second_moment`` [n_factors, n_factors], the whole of it,
1/n Σ_b w_b α_bᵀα_b.

An update is a frozen dataclass, as a solver is: it carries its settings, makes the
transformation, and says what of the Hessian to compute.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Self, cast

import jax
import jax.numpy as jnp
import optax

from tfvis_jax import config
from tfvis_jax.sparse_coding import dictionary as dictionary_lib


class Update(abc.ABC):
    """A direction of the dictionary step."""

    @classmethod
    @abc.abstractmethod
    def configured(cls, settings: config.DictionaryConfig) -> Self:
        """Returns the update with those of the settings that concern it."""

    @property
    @abc.abstractmethod
    def needs_whole_dictionary(self) -> bool:
        """Whether every device has to hold all factors."""

    @abc.abstractmethod
    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """Returns the transformation of the loss's gradient into a direction."""

    @abc.abstractmethod
    def curvature(
        self,
        codes: jax.Array,
        *,
        n_rows: jax.Array,
        token_weights: jax.Array,
        like: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns the extra arguments of the transformation's ``update``.

        Args:
          codes: [batch, n_factors]; rows of padding are zero.
          n_rows: scalar, rows that are not padding.
          token_weights: [batch].
          like: [n_factors, d_model], the dictionary.
        """

    @abc.abstractmethod
    def numbers_alive(self, *, n_factors: int) -> int:
        """Returns how many float32 numbers `curvature` adds to those of a step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeEnergy(Update):
    """The gradient over the running code energy: a diagonal Newton step.

    Attributes:
      length: number of steps that the running mean looks back.
      floor: added to the energy; bounds the step of a factor that rarely fires.
      bias_correction: divide the running mean by the weight that it has seen.
      weigh: weigh the energy by the token weights, as the gradient is.
    """

    length: int = 30
    floor: float = 1e-5
    bias_correction: bool = True
    weigh: bool = True

    @classmethod
    def configured(cls, settings: config.DictionaryConfig) -> Self:
        """Returns the update with those of the settings that concern it."""
        return cls(
            length=settings.energy_length,
            floor=settings.energy_floor,
            bias_correction=settings.bias_correction,
            weigh=settings.weigh_energy,
        )

    @property
    def needs_whole_dictionary(self) -> bool:
        """Factors are scaled one by one."""
        return False

    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """Returns `scale_by_code_energy`."""
        return scale_by_code_energy(
            self.length, self.floor, bias_correction=self.bias_correction
        )

    def curvature(
        self,
        codes: jax.Array,
        *,
        n_rows: jax.Array,
        token_weights: jax.Array,
        like: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns the mean squared codes as ``energy``."""
        del like
        weights = token_weights if self.weigh else None
        return {
            "energy": dictionary_lib.code_energy(
                codes, n_rows=n_rows, token_weights=weights
            )
        }

    def numbers_alive(self, *, n_factors: int) -> int:
        """Returns none: a number for each factor does not count."""
        del n_factors
        return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gradient(Update):
    """The gradient itself."""

    @classmethod
    def configured(cls, settings: config.DictionaryConfig) -> Self:
        """Returns the update, which has no settings."""
        del settings
        return cls()

    @property
    def needs_whole_dictionary(self) -> bool:
        """Every number moves on its own."""
        return False

    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """Returns the identity."""
        return optax.with_extra_args_support(optax.identity())

    def curvature(
        self,
        codes: jax.Array,
        *,
        n_rows: jax.Array,
        token_weights: jax.Array,
        like: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns nothing: only the gradient is needed."""
        del codes, n_rows, token_weights, like
        return {}

    def numbers_alive(self, *, n_factors: int) -> int:
        """Returns none."""
        del n_factors
        return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam(Gradient):
    """The direction of Adam (Kingma & Ba, 2015), with optax's defaults."""

    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """Returns Adam's scaling."""
        return optax.with_extra_args_support(optax.scale_by_adam())


class WholeHessian(Update):
    """A direction that takes the whole Hessian, which mixes all factors."""

    @property
    def needs_whole_dictionary(self) -> bool:
        """The Hessian is whole on each device."""
        return True

    def curvature(
        self,
        codes: jax.Array,
        *,
        n_rows: jax.Array,
        token_weights: jax.Array,
        like: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns the second moment of the codes."""
        return {
            "second_moment": dictionary_lib.second_moment(
                codes, n_rows=n_rows, token_weights=token_weights, like=like
            )
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surrogate(WholeHessian):
    """The way to the minimum of a quadratic surrogate over past batches.

    Attributes:
      length: number of steps that the running means look back.
    """

    length: int = 30

    @classmethod
    def configured(cls, settings: config.DictionaryConfig) -> Self:
        """Returns the update with those of the settings that concern it."""
        return cls(length=settings.energy_length)

    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """Returns `minimise_surrogate`."""
        return minimise_surrogate(self.length)

    def numbers_alive(self, *, n_factors: int) -> int:
        """Returns the size of the second moment."""
        return n_factors**2


class CodeEnergyState(NamedTuple):
    """Running mean of squared codes.

    Attributes:
      energy: [n_factors].
      weight: scalar, the share of the mean that real batches have; 1 in the long run.
    """

    energy: jax.Array
    weight: jax.Array


def scale_by_code_energy(
    length: int, floor: float, *, bias_correction: bool
) -> optax.GradientTransformationExtraArgs:
    """Divides each factor's update by its running code energy plus ``floor``.

    The energy is the diagonal of the loss's Hessian in the dictionary, so this is a
    diagonal Newton step (`quadraticBasisUpdate` and `HessianDiag` of the code published
    with Yun et al., 2021, when ``bias_correction`` is off).

    Args:
      length: number of steps that the running mean looks back.
      floor: added to the energy; bounds the step of a factor that rarely fires.
      bias_correction: divide by the weight that the mean has seen, without which the
        first ``length`` steps are too long by up to a factor of ``length``.

    Returns:
      A transformation whose ``update`` takes the codes' mean squares as ``energy``.
    """
    decay = 1 - 1 / length

    def init(dictionary: jax.Array) -> CodeEnergyState:
        return CodeEnergyState(
            jnp.zeros_like(dictionary[:, 0]), jnp.zeros((), dictionary.dtype)
        )

    def update(
        updates: jax.Array,
        state: CodeEnergyState,
        params: jax.Array | None = None,
        *,
        energy: jax.Array,
    ) -> tuple[jax.Array, CodeEnergyState]:
        del params
        mean = decay * state.energy + (1 - decay) * energy
        weight = decay * state.weight + (1 - decay)
        curvature = mean / weight if bias_correction else mean
        scaled = updates / (curvature + floor)[:, None]
        return scaled, CodeEnergyState(mean, weight)

    return _of_one_array(init, update)


class SurrogateState(NamedTuple):
    """The quadratic surrogate of the loss over past batches.

    Attributes:
      second_moment: [n_factors, n_factors], running mean of αᵀα.
      cross_moment: [n_factors, d_model], running mean of αᵀx.
    """

    second_moment: jax.Array
    cross_moment: jax.Array


def minimise_surrogate(length: int) -> optax.GradientTransformationExtraArgs:
    """Moves every factor to the minimum of a surrogate that remembers past batches.

    With A and B the running means of αᵀα and αᵀx, one sweep of block coordinate descent
    over the factors sets

        d_f ← Π(d_f + (b_f − a_f D) / A_ff),

    Π scaling to unit norm (Mairal, Bach, Ponce & Sapiro, 2010, algorithm 2, with a
    forgetting factor of 1 − 1/length in place of their counter). A step size of 1 takes
    the whole sweep. Factors that have not fired stay.

    Args:
      length: number of steps that the means look back.

    Returns:
      A transformation whose ``update`` takes the dictionary and ``second_moment``.
      Factors must be whole: each is moved in turn.
    """
    decay = 1 - 1 / length

    def init(dictionary: jax.Array) -> SurrogateState:
        n_factors = dictionary.shape[0]
        return SurrogateState(
            jnp.zeros((n_factors, n_factors), dictionary.dtype),
            jnp.zeros_like(dictionary),
        )

    def update(
        updates: jax.Array,
        state: SurrogateState,
        params: jax.Array,
        *,
        second_moment: jax.Array,
    ) -> tuple[jax.Array, SurrogateState]:
        # The gradient is αᵀα D − αᵀx, so this is αᵀx.
        cross_moment = (
            jnp.einsum("fg,gd->fd", second_moment, params, precision="highest")
            - updates
        )
        past = decay * state.second_moment + (1 - decay) * second_moment
        cross = decay * state.cross_moment + (1 - decay) * cross_moment
        energy = jnp.diagonal(past)
        # A code this small against the others' says nothing about its factor.
        fired = energy > 1e-9 * jnp.max(energy)

        def move(index: jax.Array, dictionary: jax.Array) -> jax.Array:
            image = jnp.einsum("g,gd->d", past[index], dictionary, precision="highest")
            change = (cross[index] - image) / jnp.where(fired[index], energy[index], 1)
            factor = dictionary[index] + change
            norm = jnp.linalg.norm(factor)
            moved = fired[index] & (norm > 0)
            factor = jnp.where(moved, factor / norm, dictionary[index])
            return dictionary.at[index].set(factor)

        swept = jax.lax.fori_loop(0, params.shape[0], move, params)
        return params - swept, SurrogateState(past, cross)

    return _of_one_array(init, update)


def _of_one_array(
    init: Callable[[jax.Array], Any],
    update: Callable[..., tuple[jax.Array, Any]],
) -> optax.GradientTransformationExtraArgs:
    """Returns a transformation of one array, where optax's types expect any tree."""
    return optax.GradientTransformationExtraArgs(
        cast(optax.TransformInitFn, init), cast(optax.TransformUpdateFn, update)
    )
