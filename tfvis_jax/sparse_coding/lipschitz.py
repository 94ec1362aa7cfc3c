"""The largest eigenvalue L of DᵀD, whose inverse is a safe gradient step.

Too small an L makes every fixed-step solver diverge, too large an L only makes it
slower, so the estimate used in a step carries a margin. Eigen-decompositions are slow
and cannot be split over devices: the exact value is for tests and for checks by hand.
"""

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import objective
from tfvis_jax.sparse_coding.compilation import compiled

# Keeps the direction of a dictionary of zeros finite.
_TINY = 1e-30
# Factors, in units of d_model, from which DᵀD costs no more than 62 passes over the
# dictionary: on a CPU it took 2.1 times as long at 1.3, 0.6 times at 11, 1.1 times at
# 21 and 0.5 times at 85.
_SQUARE_FROM = 8


@compiled("num_steps", "margin")
def power_iteration(
    dictionary: jax.Array, *, num_steps: int = 30, margin: float = 1.05
) -> jax.Array:
    """Returns an upper estimate of L, a scalar.

    What power iteration finds never exceeds L; times ``margin`` it exceeds L in all but
    contrived cases. The start is deterministic: the sum of the factors, tilted by a
    fixed wave because that sum may be zero or orthogonal to the top direction.

    Of many factors DᵀD is formed once. Products with it do not go over the dictionary,
    and devices that share the factors exchange once and not at each step.

    Args:
      dictionary: [n_factors, d_model].
      num_steps: how many products with DᵀD.
      margin: factor on the eigenvalue found.
    """
    n_factors, d_model = dictionary.shape
    square = _square(dictionary) if n_factors >= _SQUARE_FROM * d_model else None

    def apply(direction: jax.Array) -> jax.Array:
        if square is not None:
            return jnp.einsum("bd,de->be", direction, square, precision="highest")
        codes = objective.correlate(direction, dictionary)
        return objective.decode(codes, dictionary, like=direction)

    def step(direction: jax.Array, _: None) -> tuple[jax.Array, None]:
        image = apply(direction)
        return image / jnp.maximum(jnp.linalg.norm(image), _TINY), None

    total = jnp.sum(dictionary, axis=0)
    wave = jnp.cos(jnp.arange(total.size, dtype=total.dtype))
    start = total / jnp.maximum(jnp.linalg.norm(total), _TINY)
    # Half as long, so that the two cannot cancel.
    start = (start + 0.5 * wave / jnp.linalg.norm(wave))[None]
    direction, _ = jax.lax.scan(step, start, length=num_steps)
    return margin * jnp.linalg.norm(apply(direction))


@compiled()
def largest_eigenvalue(dictionary: jax.Array) -> jax.Array:
    """Returns L, a scalar, from a full eigen-decomposition of DᵀD.

    Args:
      dictionary: [n_factors, d_model].
    """
    return jnp.linalg.eigvalsh(_square(dictionary))[-1]


def _square(dictionary: jax.Array) -> jax.Array:
    """Returns DᵀD, [d_model, d_model], whole on every device."""
    d_model = dictionary.shape[1]
    return jnp.einsum(
        "fd,fe->de",
        dictionary,
        dictionary,
        precision="highest",
        out_sharding=jax.typeof(jnp.zeros((d_model, d_model))).sharding,
    )
