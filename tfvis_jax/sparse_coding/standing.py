"""Where rows stand between two rounds on working sets: a few candidates each.

Few codes of a row are not zero, and few others may soon be. Both are its *candidates*;
nothing else of its codes and correlations is kept. A look at all factors gives the
certificate and the next candidates, a block of rows at a time.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import objective, row_blocks, scan, selection
from tfvis_jax.sparse_coding import problem as problem_lib

# A working set grows by at most this share of the factors in use, 1/_GROWTH, or by this
# many if that is more, and has a few places to spare.
_GROWTH = 2
_LEAST_GROWTH = 40
_SPARE = 2
# How many candidates are enough where no row of a block wants more than so many: some
# more, as a row may be among others then, and will take as many.
_ENOUGH = {96: 128, 256: 256}
# What a row wants that has no code and misses none: none has been looked for yet.
UNSEEN = _SPARE


class Standing(NamedTuple):
    """Candidates of every row, and what was seen of all its factors.

    Attributes:
      columns: [batch, width] int32, ascending; n_factors where a place is empty.
        [batch, 0] where all factors are candidates, and the width is their number.
      codes: [batch, width], of the candidates.
      correlation: [batch, width], of those codes; 0 where a place is empty.
      gap: [batch].
      used: [batch] int32, how many codes are not zero. Where they are more than the
        width, the candidates are not all of them.
      missing: [batch] int32, how many codes of zero violate the optimality conditions.
      num_steps: [batch] int32.
    """

    columns: jax.Array
    codes: jax.Array
    correlation: jax.Array
    gap: jax.Array
    used: jax.Array
    missing: jax.Array
    num_steps: jax.Array

    @property
    def are_all(self) -> bool:
        """Whether all factors are candidates."""
        return self.columns.shape[1] == 0

    @property
    def wanted(self) -> jax.Array:
        """How many factors the next working set of a row should have, [batch] int32."""
        # Far from the optimum most factors that seem to be missing are not.
        most = jnp.maximum(self.used // _GROWTH, _LEAST_GROWTH)
        return self.used + jnp.minimum(self.missing, most) + _SPARE

    def expand(self, n_factors: int) -> jax.Array:
        """Returns the codes of all factors, [batch, n_factors]."""
        return selection.put(zeros(self.gap, n_factors), self.columns, self.codes)


def unseen(x: jax.Array, *, width: int | None, n_factors: int) -> Standing:
    """Returns codes of zero, of rows [batch, d_model], before the first look.

    They want `UNSEEN` factors, which no row does after it unless it is finished, and a
    round from here, which is that look, ends with none counted. All factors are
    candidates where ``width`` is None.
    """
    # Made of the rows, so that they lie where these do.
    zero = jnp.zeros_like(x[:, 0])
    count = zero.astype(jnp.int32)
    none = zeros(x, n_factors if width is None else width)
    columns = none[:, : width or 0].astype(jnp.int32) + n_factors
    return Standing(columns, none, none, zero + jnp.inf, count, count, count - 1)


def look(
    problem: problem_lib.Problem,
    before: Standing,
    residual: jax.Array,
    *,
    tolerance: jax.Array | float,
) -> Standing:
    """Looks at all factors of rows whose codes are of candidates alone.

    Args:
      problem: of these rows.
      before: their candidates and codes; what else there is is out of date.
      residual: [rows, d_model], of these codes.
      tolerance: gap of a row that needs no further candidates.
    """
    n_factors, width = problem.dictionary.shape[0], before.codes.shape[1]
    is_used = before.codes != 0
    seen = scan.scan(problem, residual)
    own = selection.take(seen.correlation, before.columns)
    penalty = _penalty_of(problem, before.columns)
    violating = is_used & (problem.against(own) > penalty)
    own = problem.less_ridge(own, before.codes)
    highest = seen.highest
    if problem.l2_penalty is not None:
        in_use = jnp.where(is_used, before.columns, n_factors)
        highest = _highest(problem, selection.put(seen.correlation, in_use, own))
    after, most = _certified(
        problem,
        before._replace(correlation=own),
        penalty,
        residual,
        highest=highest,
        missing=seen.violating - jnp.sum(violating, axis=1, dtype=jnp.int32),
        tolerance=tolerance,
    )

    def choose(size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        # Rows use no more than they want, which is no more than the size.
        place = selection.columns(is_used, size=size)
        in_use = selection.take(before.columns, place)
        in_use = jnp.where(place < width, in_use, n_factors)
        columns, correlation = scan.best(problem, seen, in_use, size=size)
        same = jnp.minimum(jax.vmap(jnp.searchsorted)(in_use, columns), size - 1)
        found = (selection.take(in_use, same) == columns) & (columns < n_factors)
        codes, own_correlation = (
            selection.take(selection.take(values, place), same)
            for values in (before.codes, own)
        )
        correlation = jnp.where(found, own_correlation, correlation)
        return columns, jnp.where(found, codes, 0), correlation

    return _with_candidates(after, choose, most=most, n_factors=n_factors)


def look_at_all(
    problem: problem_lib.Problem,
    codes: jax.Array,
    before: Standing,
    residual: jax.Array,
    *,
    tolerance: jax.Array | float,
) -> Standing:
    """Looks at all factors of rows that may use more of them than candidates.

    Args:
      problem: of these rows.
      codes: [rows, n_factors].
      before: gives the width and the number of steps.
      residual: [rows, d_model], of these codes.
      tolerance: as in `look`.
    """
    correlation = objective.correlate(residual, problem.dictionary)
    correlation = problem.less_ridge(correlation, codes)
    is_used, against = codes != 0, problem.against(correlation)
    missing = ~is_used & (against > problem.l1_penalty)
    after, most = _certified(
        problem,
        before._replace(codes=codes, correlation=correlation),
        problem.l1_penalty,
        residual,
        highest=_highest(problem, correlation),
        missing=jnp.sum(missing, axis=1, dtype=jnp.int32),
        tolerance=tolerance,
    )
    if before.are_all:
        return after

    def choose(size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        score = _score(is_used, against - problem.l1_penalty)
        columns = selection.largest(score, size=size)
        usable = columns < codes.shape[1]
        found = jnp.where(usable, selection.take(codes, columns), 0)
        return columns, found, selection.take(correlation, columns)

    after = after._replace(codes=before.codes)
    return _with_candidates(after, choose, most=most, n_factors=codes.shape[1])


def rank(
    rows: Standing, problem: problem_lib.Problem, *, size: jax.Array | int
) -> jax.Array:
    """Counts the best candidates of every row; see `selection.rank_of_largest`.

    Args:
      rows: where they stand.
      problem: of these rows.
      size: how many candidates at most; may be traced.

    Returns:
      [batch, width] int32.
    """
    penalty = problem.l1_penalty
    if not rows.are_all:
        penalty = _penalty_of(problem, rows.columns)
    score = _score(rows.codes != 0, problem.against(rows.correlation) - penalty)
    return selection.rank_of_largest(score, size=size)


def best(
    rows: Standing, ranked: jax.Array, *, size: int, n_factors: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns columns, codes and correlations of the best candidates.

    Args:
      rows: where they stand.
      ranked: by `rank`, of this size.
      size: how many; less than the width, or the width.
      n_factors: of all.

    Returns:
      [batch, size] each, the columns ascending; n_factors where a place is empty.
    """
    width = rows.codes.shape[1]
    if size == width and not rows.are_all:
        return rows.columns, rows.codes, rows.correlation
    columns = place = selection.first(ranked, size=size)
    if not rows.are_all:
        columns = selection.take(rows.columns, place)
        columns = jnp.where(place < width, columns, n_factors)
    usable = columns < n_factors
    return (
        columns,
        jnp.where(usable, selection.take(rows.codes, place), 0),
        jnp.where(usable, selection.take(rows.correlation, place), 0),
    )


def _certified(
    problem: problem_lib.Problem,
    rows: Standing,
    penalty: jax.Array,
    residual: jax.Array,
    *,
    highest: jax.Array,
    missing: jax.Array,
    tolerance: jax.Array | float,
) -> tuple[Standing, jax.Array]:
    """Returns rows with gap and counts, and the most that an unfinished one wants.

    Args:
      problem: of these rows.
      rows: with all codes that are not zero, and their correlations.
      penalty: λ of these codes.
      residual: [rows, d_model].
      highest: [rows], the largest ratio of correlation and λ of all factors.
      missing: [rows] int32, as the result has it.
      tolerance: gap of a finished row.
    """
    gap = objective.gap_at_scale(
        problem.x,
        rows.codes,
        residual=residual,
        correlation=rows.correlation,
        penalty=objective.valid_penalty(penalty, l2_penalty=problem.l2_penalty),
        scale=1 / jnp.maximum(1, highest),
        l2_penalty=problem.l2_penalty,
    )
    used = jnp.sum(rows.codes != 0, axis=1, dtype=jnp.int32)
    rows = rows._replace(gap=gap, used=used, missing=missing)
    most = jnp.max(jnp.where(gap > tolerance, rows.wanted, used), initial=0)
    return rows, most


def _with_candidates(
    rows: Standing,
    choose: Callable[[int], tuple[jax.Array, jax.Array, jax.Array]],
    *,
    most: jax.Array,
    n_factors: int,
) -> Standing:
    """Returns rows with new candidates.

    Args:
      rows: where they stand otherwise.
      choose: from a number of candidates to their columns, codes and correlations.
      most: scalar, what a row wants at most.
      n_factors: of all.
    """
    width = rows.codes.shape[1]

    def candidates(size: int) -> Callable[[], tuple[jax.Array, jax.Array, jax.Array]]:
        def find() -> tuple[jax.Array, jax.Array, jax.Array]:
            columns, codes, correlation = choose(size)
            correlation = jnp.where(columns < n_factors, correlation, 0)
            filling = ((0, 0), (0, width - size))
            columns = jnp.pad(columns, filling, constant_values=n_factors)
            return columns, jnp.pad(codes, filling), jnp.pad(correlation, filling)

        return find

    limits = [limit for limit, enough in _ENOUGH.items() if enough < width]
    columns, codes, correlation = row_blocks.by_size(
        most[None],
        limits,
        few=lambda limit: candidates(_ENOUGH[limit]),
        many=candidates(width),
    )
    return rows._replace(columns=columns, codes=codes, correlation=correlation)


def _highest(problem: problem_lib.Problem, correlation: jax.Array) -> jax.Array:
    """Returns the largest ratio of correlation and λ of every row."""
    valid = objective.valid_penalty(problem.l1_penalty, l2_penalty=problem.l2_penalty)
    return jnp.max(problem.against(correlation) / valid, axis=1)


def _score(is_used: jax.Array, excess: jax.Array) -> jax.Array:
    """Returns how much a factor belongs among the candidates, [rows, n_factors].

    Factors in use come first, then those that violate the optimality conditions, then
    those nearest to it.

    Args:
      is_used: [rows, n_factors] bool.
      excess: [rows, n_factors], of the correlation over λ.
    """
    excess = jnp.where(is_used, 0, excess)
    return jnp.where(is_used, scan.above(excess), excess)


def _penalty_of(problem: problem_lib.Problem, columns: jax.Array) -> jax.Array:
    penalty = problem.l1_penalty
    return selection.take(penalty, columns) if penalty.shape[1] > 1 else penalty


def zeros(rows: jax.Array, n_factors: int) -> jax.Array:
    """Returns codes of zero that lie as an array of leading size batch."""
    like = rows[:, :1] if rows.ndim > 1 else rows[:, None]
    return jnp.zeros_like(jnp.broadcast_to(like, (len(rows), n_factors)))
