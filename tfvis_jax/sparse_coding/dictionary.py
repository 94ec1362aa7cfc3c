"""Learning the dictionary: first factors, gradient and Hessian, projection.

With codes α fixed, the weighted reconstruction loss of a batch of n rows,

    1/(2n) Σ_b w_b ‖x_b − α_b D‖²,

has the gradient −1/n Σ_b w_b α_bf (x_b − α_b D) in factor f, and the diagonal of its
Hessian is the energy 1/n Σ_b w_b α_bf². `updates` turns them into the direction of a
step, after which the factors are put back on the unit sphere.
"""

import functools

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding.compilation import compiled


def reconstruction_gradient(
    codes: jax.Array,
    residual: jax.Array,
    *,
    token_weights: jax.Array,
    n_rows: jax.Array,
    like: jax.Array,
) -> jax.Array:
    """Returns the gradient of the weighted loss in the dictionary.

    Args:
      codes: [batch, n_factors]; rows of padding are zero.
      residual: [batch, d_model], ``x − codes @ dictionary``.
      token_weights: [batch].
      n_rows: scalar, rows that are not padding.
      like: [n_factors, d_model], an array whose sharding the gradient takes.

    Returns:
      [n_factors, d_model].
    """
    weighted = residual * (-token_weights / n_rows)[:, None]
    return jnp.einsum(
        "bf,bd->fd",
        codes,
        weighted,
        precision="highest",
        out_sharding=jax.typeof(like).sharding,
    )


def code_energy(
    codes: jax.Array, *, n_rows: jax.Array, token_weights: jax.Array | None
) -> jax.Array:
    """Returns the mean squared code of each factor, [n_factors].

    With the ``token_weights`` [batch] of the gradient it is the diagonal of that loss's
    Hessian; the published code leaves them out (None).
    """
    weights = 1 if token_weights is None else token_weights[:, None]
    return jnp.sum(weights * codes**2, axis=0) / n_rows


def second_moment(
    codes: jax.Array,
    *,
    n_rows: jax.Array,
    token_weights: jax.Array,
    like: jax.Array,
) -> jax.Array:
    """Returns 1/n Σ_b w_b α_bᵀα_b, [n_factors, n_factors]: the Hessian of the loss.

    One such matrix acts on every column of the dictionary; its diagonal is the energy.
    It is laid out as ``like``, the dictionary, whose factors must be whole.
    """
    weighted = codes * (token_weights / n_rows)[:, None]
    return jnp.einsum(
        "bf,bg->fg",
        codes,
        weighted,
        precision="highest",
        out_sharding=jax.typeof(like).sharding,
    )


@compiled()
def project_unit_norm(dictionary: jax.Array) -> jax.Array:
    """Scales every row of [n_factors, d_model] to unit norm; a zero row stays zero."""
    norms = jnp.linalg.norm(dictionary, axis=1, keepdims=True)
    return dictionary / jnp.where(norms > 0, norms, 1)


@compiled("n_factors", "d_model")
def initialise_normal(key: jax.Array, *, n_factors: int, d_model: int) -> jax.Array:
    """Returns directions drawn uniformly from the unit sphere, [n_factors, d_model]."""
    return project_unit_norm(jax.random.normal(key, (n_factors, d_model)))


@compiled("n_factors")
def initialise_from_samples(
    x: jax.Array, *, n_factors: int, key: jax.Array
) -> jax.Array:
    """Returns rows of the data as unit factors, less the mean row.

    Without the mean, which all rows share, the first codes would be spent on it; the
    mean itself becomes the first factor. Rows are repeated, with noise, only when
    there are fewer than factors.

    Args:
      x: [rows, d_model] sample, rows in any order.
      n_factors: number of factors.
      key: decides which rows, and the noise.

    Returns:
      [n_factors, d_model], unit rows.
    """
    mean = jnp.mean(x, axis=0, keepdims=True)
    chosen = choose_samples(key, num_rows=len(x), n_factors=n_factors)
    return from_samples(jnp.concatenate([mean, x[chosen] - mean]), key=key)


@functools.partial(jax.jit, static_argnames=("num_rows", "n_factors"))
def choose_samples(key: jax.Array, *, num_rows: int, n_factors: int) -> jax.Array:
    """Returns which rows become factors after the first, [n_factors - 1] int32."""
    key_rows, _ = jax.random.split(key)
    return jnp.resize(jax.random.permutation(key_rows, num_rows), (n_factors - 1,))


def from_samples(rows: jax.Array, *, key: jax.Array) -> jax.Array:
    """Returns unit factors: the mean row, and others with a little noise.

    Args:
      rows: [n_factors, d_model], the mean and what the chosen rows have beside it.
      key: the same as in `choose_samples`.

    Returns:
      [n_factors, d_model], unit rows.
    """
    _, key_noise = jax.random.split(key)
    noise = jax.random.normal(key_noise, (rows.shape[0] - 1, rows.shape[1]))
    scale = 1e-3 * jnp.linalg.norm(rows, axis=1, keepdims=True) + 1e-6
    return project_unit_norm(rows + scale * jnp.pad(noise, ((1, 0), (0, 0))))


@compiled("n_factors")
def initialise_spread(x: jax.Array, *, n_factors: int, key: jax.Array) -> jax.Array:
    """Returns rows of the data as unit factors, far apart from each other.

    As `initialise_from_samples`, but each next row is drawn with a probability
    proportional to 1 − (its largest cosine with the factors so far)², the k-means++
    seeding of Arthur & Vassilvitskii (2007) for lines instead of points.

    Args:
      x: [rows, d_model] sample, rows in any order.
      n_factors: number of factors.
      key: decides which rows.

    Returns:
      [n_factors, d_model], unit rows.
    """
    mean = jnp.mean(x, axis=0, keepdims=True)
    rows = project_unit_norm(x - mean)

    def draw(
        index: jax.Array, carry: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        factors, distance = carry
        weights = jnp.where(jnp.sum(distance) > 0, distance, 1)
        row = jax.random.categorical(
            jax.random.fold_in(key, index), jnp.log(weights + 1e-12)
        )
        cosine = jnp.einsum("bd,d->b", rows, rows[row], precision="highest")
        distance = jnp.minimum(distance, jnp.maximum(1 - cosine**2, 0))
        return factors.at[index].set(rows[row]), distance

    factors = jnp.zeros((n_factors, x.shape[1]), x.dtype).at[0].set(mean[0])
    factors, _ = jax.lax.fori_loop(
        1, n_factors, draw, (factors, jnp.ones_like(rows[:, 0]))
    )
    return project_unit_norm(factors)
