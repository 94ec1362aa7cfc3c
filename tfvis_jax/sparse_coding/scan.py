"""What one pass over all factors tells: how far from optimal, and which are the best.

The correlations of a block of rows with 100,000 factors fill no cache, so that every
further pass over them costs as much as a good part of the product. Three are made: for
the largest, for how many violate the optimality conditions, and for the largest of
every group of neighbours, from which the best factors are found.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import objective, selection
from tfvis_jax.sparse_coding import problem as problem_lib

# Factors of a group.
_GROUP = 16
# By how much the score of factors in use is above all others, as a share of its range.
_ABOVE = 0.1
# Keeps them above even where all scores are one.
_TINY = 1e-30


class Scan(NamedTuple):
    """What was seen of a block of rows.

    Attributes:
      correlation: [rows, n_factors], ⟨d_f, r⟩ without μα.
      highest: [rows], the largest ratio of correlation and λ, in the direction in which
        a code may leave zero.
      violating: [rows] int32, how many correlations are above λ.
      groups: [rows, groups], the largest excess over λ in every group.
    """

    correlation: jax.Array
    highest: jax.Array
    violating: jax.Array
    groups: jax.Array


def scan(problem: problem_lib.Problem, residual: jax.Array) -> Scan:
    """Correlates all factors of a problem with a residual, [rows, d_model]."""
    correlation = objective.correlate(residual, problem.dictionary)
    against, penalty = problem.against(correlation), problem.l1_penalty
    valid = objective.valid_penalty(penalty, l2_penalty=problem.l2_penalty)
    excess = against - penalty
    n_whole = excess.shape[1] // _GROUP * _GROUP
    whole = excess[:, :n_whole].reshape(len(excess), -1, _GROUP)
    groups = jnp.max(whole, axis=2)
    if n_whole < excess.shape[1]:
        rest = jnp.max(excess[:, n_whole:], axis=1, keepdims=True)
        groups = jnp.concatenate([groups, rest], axis=1)
    return Scan(
        correlation=correlation,
        highest=jnp.max(against / valid, axis=1),
        violating=jnp.sum(against > penalty, axis=1, dtype=jnp.int32),
        groups=groups,
    )


def above(scores: jax.Array) -> jax.Array:
    """Returns a score above all others of its row, [rows, 1].

    It is well apart, so that no bisection takes it for one of them.
    """
    low = jnp.min(scores, axis=1, keepdims=True)
    top = jnp.max(scores, axis=1, keepdims=True)
    return top + _ABOVE * (top - low) + _TINY


def best(
    problem: problem_lib.Problem, seen: Scan, in_use: jax.Array, *, size: int
) -> tuple[jax.Array, jax.Array]:
    """Finds the factors in use and those of the largest excess over λ.

    The largest are within as many groups whose largest are largest.

    Args:
      problem: of these rows.
      seen: by `scan`.
      in_use: [rows, any] int32, ascending, the columns of factors in use; n_factors
        where a place is empty.
      size: how many to find, at least as many as are in use.

    Returns:
      Their columns, [rows, size] int32, ascending, where n_factors fills up, and their
      correlations.
    """
    n_factors, num_groups = seen.correlation.shape[1], seen.groups.shape[1]
    own = jnp.where(in_use < n_factors, in_use // _GROUP, num_groups)
    first = above(seen.groups)
    groups = selection.put(seen.groups, own, jnp.broadcast_to(first, own.shape))
    chosen = selection.largest(groups, size=size)
    inside = jnp.arange(_GROUP)[None, None]
    columns = (chosen[:, :, None] * _GROUP + inside).reshape(len(in_use), -1)
    # The last group may be short, and where there are few, not all are found.
    counts = columns < n_factors
    found = selection.take(seen.correlation, columns)
    penalty = problem.l1_penalty
    if penalty.shape[1] > 1:
        penalty = selection.take(penalty, columns)
    excess = problem.against(found) - penalty
    least = jnp.min(jnp.where(counts, excess, jnp.inf), axis=1, keepdims=True)
    # Below all that count, of which there are enough, so that none of them is chosen.
    excess = jnp.where(counts, excess, least - _ABOVE * (first - least) - _TINY)
    # Groups of factors in use are among those chosen, which are ascending.
    place = jax.vmap(jnp.searchsorted)(chosen, own) * _GROUP + in_use % _GROUP
    place = jnp.where(in_use < n_factors, place, columns.shape[1])
    excess = selection.put(excess, place, jnp.broadcast_to(first, place.shape))
    place = selection.largest(excess, size=size)
    is_found = (place < columns.shape[1]) & selection.take(counts, place)
    return (
        jnp.where(is_found, selection.take(columns, place), n_factors),
        selection.take(found, place),
    )
