"""A round of a block of rows: better codes on working sets, of one size or a few.

The size is the smallest that holds the rows of the block. Rows are solved together as
far as their Gram matrices fit a cache; of those that want very many factors each few
have a size of their own.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import (
    objective,
    row_blocks,
    small_problem,
    spectral,
    standing,
)
from tfvis_jax.sparse_coding import problem as problem_lib

# The inner problem is solved to half of the tolerance, or less well while factors are
# missing: to this share of the row's gap, times the missing ones per factor in use.
_INNER_TOLERANCE = 0.5
_INNER_GAP = 0.06
_LARGEST_INNER_GAP = 0.2
# Rows that want more than most do.
_FEW = 256
# Rows that want more are taken so many at a time.
_ROWS_OF_MANY = 4


class Improved(NamedTuple):
    """Codes of a block of rows after a round.

    Attributes:
      codes: [rows, width], of the candidates.
      columns: [rows, width], the candidates, as of `standing.Standing`.
      residual: [rows, d_model], of the codes; [rows, 0] where all are candidates.
    """

    codes: jax.Array
    columns: jax.Array
    residual: jax.Array


class _Part(NamedTuple):
    block: standing.Standing
    rows: tuple[jax.Array, jax.Array]
    wanted: jax.Array  # [rows] int32
    ranked: jax.Array  # [rows, width] int32, of the best candidates
    energy: jax.Array  # [rows]
    target: jax.Array  # [rows]


def numbers_in_gram(sizes: Sequence[int]) -> int:
    """Returns how many numbers there are in Gram matrices alive at once, at most."""
    return max((_rows_at_once(size) * size**2 for size in sizes), default=0)


def _rows_at_once(size: int) -> int:
    return small_problem.rows_at_once(size) if size <= _FEW else _ROWS_OF_MANY


def improve(
    block: standing.Standing,
    problem: problem_lib.Problem,
    *,
    gram: jax.Array | None,
    wanted: jax.Array,
    tolerance: jax.Array | float,
    sizes: Sequence[int],
    inner_steps: int,
) -> Improved:
    """Solves the problem of a block of rows on their working sets."""
    energy = 0.5 * jnp.sum(problem.x**2, axis=1)
    share = (block.missing / jnp.maximum(1, block.used)).astype(block.gap.dtype)
    loose = jnp.minimum(_INNER_GAP * share, _LARGEST_INNER_GAP) * block.gap
    target = jnp.maximum(_INNER_TOLERANCE * tolerance, loose) * energy
    width, n_factors = block.codes.shape[1], problem.dictionary.shape[0]
    largest = sizes[-1]

    def on_part(part: _Part, *, size: int) -> Improved:
        some = problem.of_rows(part.rows)
        columns, codes, correlation = standing.best(
            part.block, part.ranked, size=size, n_factors=n_factors
        )
        small = small_problem.of_columns(
            some, columns, codes=codes, correlation=correlation, gram=gram
        )
        codes = small_problem.minimise(
            small,
            unfinished=lambda state: (
                _gap(state, small, some, energy=part.energy) > part.target
            ),
            lipschitz=jnp.minimum(small_problem.curvature(small), some.lipschitz),
            max_steps=inner_steps,
            non_negative=some.non_negative,
        )
        if part.block.are_all:
            codes = small_problem.put_back(part.block.codes, small, codes)
            return Improved(codes, part.block.columns, some.x[:, :0])
        codes = jnp.where(columns < n_factors, codes, 0)
        residual = some.x - small_problem.decode(codes, small.factors)
        filling = ((0, 0), (0, width - size))
        columns = jnp.pad(columns, filling, constant_values=n_factors)
        return Improved(jnp.pad(codes, filling), columns, residual)

    def ranked(part: _Part, sizes: Sequence[int]) -> _Part:
        # One search, whatever the size: that of the branch is known before it.
        size = row_blocks.size_for(part.wanted, sizes)
        some = problem.of_rows(part.rows)
        return part._replace(ranked=standing.rank(part.block, some, size=size))

    def on_few(size: int) -> Callable[[], Improved]:
        work = functools.partial(on_part, size=size)
        rows = _rows_at_once(size)
        return lambda: row_blocks.in_parts(work, parts, rows=rows)

    def on_many() -> Improved:
        # Rows that want so many differ, and each costs much.
        def work(part: _Part) -> Improved:
            part = ranked(part, many)
            return row_blocks.by_size(
                part.wanted,
                many[:-1],
                few=lambda size: functools.partial(on_part, part, size=size),
                many=functools.partial(on_part, part, size=largest),
            )

        return row_blocks.in_parts(work, parts, rows=_ROWS_OF_MANY)

    def on_none() -> Improved:
        residual = problem.x[:, :0] if block.are_all else problem.x
        return Improved(block.codes, block.columns, residual)

    def of_size(size: int) -> Callable[[], Improved]:
        return on_few(size) if size > standing.UNSEEN else on_none

    few = [standing.UNSEEN, *(size for size in sizes if size <= _FEW)]
    many = [size for size in sizes if size > _FEW]
    unranked = jnp.zeros(block.codes.shape, jnp.int32)
    parts = _Part(block, problem.rows(), wanted, unranked, energy, target)
    parts = ranked(parts, few)
    if largest <= _FEW:
        return row_blocks.by_size(wanted, few[:-1], few=of_size, many=on_few(largest))
    return row_blocks.by_size(wanted, few, few=of_size, many=on_many)


def _gap(
    state: spectral.GramState,
    small: small_problem.SmallProblem,
    problem: problem_lib.Problem,
    *,
    energy: jax.Array,
) -> jax.Array:
    """Returns a bound on the absolute duality gap of a small problem, [rows]."""
    scale = objective.feasible_scale(
        state.correlation, l1_penalty=small.penalty, non_negative=problem.non_negative
    )
    linear = small.penalty * jnp.abs(state.codes)
    slack = linear - scale[:, None] * state.codes * state.correlation
    # ‖r‖² ≤ ‖x‖² stands in for the residual, which is not at hand.
    return (1 - scale) ** 2 * energy + jnp.sum(slack, axis=1)
