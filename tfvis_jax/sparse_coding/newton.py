"""Newton's direction of a dictionary step, with the Hessian of past batches.

With codes fixed, the loss of `dictionary` is quadratic in the factors, and one matrix
A = 1/n Σ_b w_b α_bᵀα_b is its Hessian for every dimension. `CodeEnergy` divides by its
diagonal. Factors that fire together share a residual, though, and each then moves by
all of it; A divides it among them. Hence fewer rows are needed: see docs/quality.md.
"""

import dataclasses
from typing import NamedTuple, Self, cast

import jax
import jax.numpy as jnp
import optax

from tfvis_jax import config
from tfvis_jax.sparse_coding import updates


@dataclasses.dataclass(frozen=True, kw_only=True)
class Newton(updates.WholeHessian):
    """The gradient by the inverse of the running Hessian.

    Attributes:
      length: number of steps that the running mean looks back.
      floor: added to the diagonal; keeps factors that never fired in place.
      ridge: added to the diagonal, as a multiple of it.
    """

    length: int = 30
    floor: float = 1e-5
    ridge: float = 0.1

    @classmethod
    def configured(cls, settings: config.DictionaryConfig) -> Self:
        """Returns the update with those of the settings that concern it."""
        return cls(length=settings.energy_length, floor=settings.energy_floor)

    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """Returns `scale_by_second_moment`."""
        return scale_by_second_moment(self.length, floor=self.floor, ridge=self.ridge)

    def numbers_alive(self, *, n_factors: int) -> int:
        """Returns the size of the second moment and of its factorisation."""
        return 2 * n_factors**2


class SecondMomentState(NamedTuple):
    """Running mean of αᵀα.

    Attributes:
      second_moment: [n_factors, n_factors].
      weight: scalar, the share of the mean that real batches have; 1 in the long run.
    """

    second_moment: jax.Array
    weight: jax.Array


def scale_by_second_moment(
    length: int, *, floor: float, ridge: float
) -> optax.GradientTransformationExtraArgs:
    """Multiplies the gradient by (A + ridge · diag A + floor · I)⁻¹.

    A is the running mean of the codes' second moments. The ridge is Levenberg's and
    Marquardt's (1963): where factors nearly depend on each other in the rows seen, A
    says little, and the step is that of its diagonal.

    Args:
      length: number of steps that the running mean looks back.
      floor: added to the diagonal.
      ridge: multiple of the diagonal that is added to it.

    Returns:
      A transformation whose ``update`` takes ``second_moment``. Factors must be whole.
    """
    decay = 1 - 1 / length

    def init(dictionary: jax.Array) -> SecondMomentState:
        n_factors = dictionary.shape[0]
        return SecondMomentState(
            jnp.zeros((n_factors, n_factors), dictionary.dtype),
            jnp.zeros((), dictionary.dtype),
        )

    def update(
        gradient: jax.Array,
        state: SecondMomentState,
        params: jax.Array | None = None,
        *,
        second_moment: jax.Array,
    ) -> tuple[jax.Array, SecondMomentState]:
        del params
        past = decay * state.second_moment + (1 - decay) * second_moment
        weight = decay * state.weight + (1 - decay)
        hessian = past / weight
        raised = ridge * jnp.diagonal(hessian) + floor
        direction = jax.scipy.linalg.solve(
            hessian + jnp.diag(raised), gradient, assume_a="pos"
        )
        return direction, SecondMomentState(past, weight)

    return optax.GradientTransformationExtraArgs(
        cast(optax.TransformInitFn, init), cast(optax.TransformUpdateFn, update)
    )
