"""Directions of a dictionary step, as optax transformations.

Each turns the gradient of the reconstruction loss into the direction that a step goes
against. Both take what they need of the loss's
Hessian as an extra argument: ``energy`` [n_factors], its diagonal, or ``second_moment``
[n_factors, n_factors], the whole of it, 1/n Σ_b w_b α_bᵀα_b.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


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

    def init(dictionary):
        return CodeEnergyState(
            jnp.zeros_like(dictionary[:, 0]), jnp.zeros((), dictionary.dtype)
        )

    def update(updates, state, params=None, *, energy):
        del params
        mean = decay * state.energy + (1 - decay) * energy
        weight = decay * state.weight + (1 - decay)
        curvature = mean / weight if bias_correction else mean
        scaled = updates / (curvature + floor)[:, None]
        return scaled, CodeEnergyState(mean, weight)

    return optax.GradientTransformationExtraArgs(init, update)


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

    def init(dictionary):
        n_factors = dictionary.shape[0]
        return SurrogateState(
            jnp.zeros((n_factors, n_factors), dictionary.dtype),
            jnp.zeros_like(dictionary),
        )

    def update(updates, state, params, *, second_moment):
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

        def move(index, dictionary):
            image = jnp.einsum("g,gd->d", past[index], dictionary, precision="highest")
            change = (cross[index] - image) / jnp.where(fired[index], energy[index], 1)
            factor = dictionary[index] + change
            norm = jnp.linalg.norm(factor)
            moved = fired[index] & (norm > 0)
            factor = jnp.where(moved, factor / norm, dictionary[index])
            return dictionary.at[index].set(factor)

        swept = jax.lax.fori_loop(0, params.shape[0], move, params)
        return params - swept, SurrogateState(past, cross)

    return optax.GradientTransformationExtraArgs(init, update)
