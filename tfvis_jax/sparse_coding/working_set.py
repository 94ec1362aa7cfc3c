"""Spectral steps on a working set of factors, row by row.

A row uses a few dozen of thousands of factors. Those that correlate most with it are a
first guess; the problem is solved on these alone, with their Gram matrix, where a step
costs a hundredth of a dense one. A dense product then gives the certificate and the
factors that were missed, and the row goes round again until its gap is within the
tolerance. The scheme is that of Blitz (Johnson & Guestrin, 2015) and Celer (Massias,
Gramfort & Salmon, 2018).

Each round takes only unfinished rows, in blocks of rows that need about as many
factors; a block works with the smallest size that holds its rows, and where none does
takes dense steps. All sizes are static and all decisions are taken on the device.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import (
    checks,
    improvement,
    layout,
    objective,
    row_blocks,
    selection,
    small_problem,
    spectral,
    standing,
)
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import solver as solver_lib

# Up to so many factors, codes and correlations of all are kept between rounds.
_KEPT = 4096
# Fewer than a device has of a step of training, such as those of a sentence or of
# altered windows.
_FEW_ROWS = 256

_SPECTRAL = spectral.Spectral()


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkingSet(solver_lib.Solver):
    """Spectral steps on the factors that a row seems to need.

    The defaults were tuned on rows of a BERT with 30 to 90 factors in use.

    Attributes:
      sizes: numbers of factors that a working set may have, ascending. Each costs a
        branch of the compiled program; rows that need more take dense steps.
      inner_steps: most steps on a working set between two looks at all factors.
      dense_steps: steps on all factors in place of a working set that is too large.
    """

    sizes: tuple[int, ...] = (*small_problem.SIZES, *small_problem.LARGE_SIZES)
    inner_steps: int = 96
    dense_steps: int = 16

    def __post_init__(self) -> None:
        checks.check_count("inner_steps", self.inner_steps)
        checks.check_count("dense_steps", self.dense_steps)
        for size in self.sizes:
            checks.check_count("sizes", size)
        if list(self.sizes) != sorted(set(self.sizes)):
            raise InputError(f"Expected ascending `sizes`, got {self.sizes}.")

    def sizes_for(self, n_factors: int, *, rows: int) -> list[int]:
        """Returns the sizes that are of use with so many factors and rows, ascending.

        Of few rows, such as a sentence, every other: compiling all takes longer than
        they save, a tenth of the time of a solve.
        """
        useful = self._useful(n_factors)
        return useful[::-1][::2][::-1] if rows <= _FEW_ROWS else useful

    def _useful(self, n_factors: int) -> list[int]:
        useful = small_problem.sizes(n_factors, of=self.sizes)
        return [size for size in useful if size > standing.UNSEEN]

    def width(self, n_factors: int) -> int | None:
        """Returns how many candidates of a row are kept between rounds; None for all.

        Of few factors all codes and correlations are kept, as that costs less.
        """
        sizes = self._useful(n_factors)
        return None if n_factors <= _KEPT or not sizes else sizes[-1]

    @property
    def needs_whole_dictionary(self) -> bool:
        """Rows gather their factors wherever these are."""
        return True

    @property
    def needs_curvature(self) -> bool:
        """That of a working set is seen from its Gram matrix."""
        return False

    def first_precision(self, platform: str) -> str:
        """Returns float32: inner problems are small, and solved to the end."""
        del platform
        return "float32"

    def numbers_alive(self, *, rows: int, n_factors: int, num_parts: int = 1) -> int:
        """Returns how many float32 numbers a solve holds on a device at once.

        Each row of a part has a Gram matrix of its own. Beside them are codes and
        correlations of all rows, or of many factors the codes and candidates.
        """
        del num_parts
        codes = rows * n_factors
        sizes = self.sizes_for(n_factors, rows=rows)
        gram = improvement.numbers_in_gram(sizes)
        if self.width(n_factors) is None:
            held = max(3 * codes, 2 * codes + gram)
        else:
            held = 2 * codes + 3 * rows * sizes[-1] + gram
        if small_problem.forms_gram(rows=rows, n_factors=n_factors):
            held += n_factors**2
        return held

    def num_passes(self, num_steps: float) -> float:
        """Returns one for each round and one before them."""
        return num_steps + 1

    def solve(
        self,
        problem: problem_lib.Problem,
        *,
        tolerance: jax.Array | float,
        max_steps: int,
        codes0: jax.Array | None = None,
    ) -> solver_lib.Solution:
        """Infers codes until each row's duality gap is within the tolerance.

        A round on a working set counts as one step. Every device sorts its own rows.
        """

        def solve_rows(
            problem: problem_lib.Problem,
            codes0: jax.Array | None,
            tolerance: jax.Array | float,
        ) -> solver_lib.Solution:
            return _solve_rows(
                problem,
                codes0,
                solver=self,
                tolerance=tolerance,
                max_steps=max_steps,
            )

        return layout.on_each_device(solve_rows, problem, codes0, tolerance)


_Rows = tuple[jax.Array, jax.Array]
_Tree = TypeVar("_Tree")


class _State(NamedTuple):
    standing: standing.Standing
    # [batch, n_factors], of rows that use more than the candidates; None where all
    # factors are candidates.
    codes: jax.Array | None


def _solve_rows(
    problem: problem_lib.Problem,
    codes0: jax.Array | None,
    *,
    solver: WorkingSet,
    tolerance: jax.Array | float,
    max_steps: int,
) -> solver_lib.Solution:
    problem = dataclasses.replace(problem, precision="float32")
    n_factors = problem.dictionary.shape[0]
    sizes = solver.sizes_for(n_factors, rows=problem.x.shape[0])
    largest = sizes[-1] if sizes else 0
    width = solver.width(n_factors)
    gram = small_problem.whole_gram(problem)

    def active(rows: standing.Standing) -> jax.Array:
        return (rows.gap > tolerance) & (rows.num_steps < max_steps)

    def small(rows: standing.Standing) -> jax.Array:
        return active(rows) & (rows.wanted <= largest)

    def look_at_all(
        block: standing.Standing, part: problem_lib.Problem, codes: jax.Array
    ) -> standing.Standing:
        residual = part.residual(codes)
        return standing.look_at_all(part, codes, block, residual, tolerance=tolerance)

    def advance_few(
        block: standing.Standing, rows: _Rows, wanted: jax.Array
    ) -> standing.Standing:
        part = problem.of_rows(rows)
        better = improvement.improve(
            block,
            part,
            gram=gram,
            wanted=wanted,
            tolerance=tolerance,
            sizes=sizes,
            inner_steps=solver.inner_steps,
        )
        after = block._replace(num_steps=block.num_steps + 1)
        if after.are_all:
            after = look_at_all(after, part, better.codes)
        else:
            after = standing.look(
                part,
                after._replace(columns=better.columns, codes=better.codes),
                better.residual,
                tolerance=tolerance,
            )
        return _where(wanted > 0, after, block)

    def advance_many(state: _State, rows: _Rows, wanted: jax.Array) -> _State:
        part = problem.of_rows(rows)
        block, held = state
        codes = block.codes
        if held is not None:
            is_few = (block.used <= largest)[:, None]
            codes = jnp.where(is_few, block.expand(n_factors), held)
        codes = _dense_steps(part, codes, num_steps=solver.dense_steps)
        after = block._replace(num_steps=block.num_steps + solver.dense_steps)
        after = look_at_all(after, part, codes)
        state_after = _State(after, None if held is None else codes)
        return _where(wanted > 0, state_after, state)

    def on_few(rows: standing.Standing) -> standing.Standing:
        return jax.lax.while_loop(
            lambda rows: jnp.any(small(rows)),
            lambda rows: row_blocks.sweep(
                advance_few,
                rows,
                problem.rows(),
                wanted=jnp.where(small(rows), rows.wanted, 0),
            ),
            rows,
        )

    def go_round(state: _State) -> _State:
        rows = on_few(state.standing) if sizes else state.standing
        return row_blocks.sweep(
            advance_many,
            _State(rows, state.codes),
            problem.rows(),
            wanted=jnp.where(active(rows) & ~small(rows), rows.wanted, 0),
        )

    rows = standing.unseen(problem.x, width=width, n_factors=n_factors)
    if codes0 is not None or width is None:
        # Otherwise a first round does it, on no working set.
        rows = rows._replace(num_steps=jnp.zeros_like(rows.num_steps))
    if width is None:
        codes, residual = problem.start(codes0)
        rows = standing.look_at_all(problem, codes, rows, residual, tolerance=tolerance)
        state = _State(rows, None)
    else:
        codes = codes0
        if codes is None:
            codes = objective.zero_codes(problem.x, problem.dictionary)
        else:
            rows = row_blocks.sweep(
                lambda block, fixed, _: look_at_all(
                    block, problem.of_rows(fixed[0]), fixed[1]
                ),
                rows,
                (problem.rows(), codes),
                wanted=jnp.ones_like(rows.used),
            )
        state = _State(rows, codes)
    rows, codes = jax.lax.while_loop(
        lambda state: jnp.any(active(state.standing)), go_round, state
    )
    codes = rows.codes if codes is None else _of_candidates(rows, codes, sizes=sizes)
    return solver_lib.Solution(codes, rows.gap, rows.num_steps)


def _of_candidates(
    rows: standing.Standing, codes: jax.Array, *, sizes: Sequence[int]
) -> jax.Array:
    """Returns codes, [batch, n_factors], given those of rows that use too many."""
    n_factors, width = codes.shape[1], rows.codes.shape[1]
    is_few = (rows.used <= width)[:, None]
    codes = jnp.where(is_few, 0, codes)
    in_use = is_few & (rows.codes != 0)

    def put(size: int) -> Callable[[], jax.Array]:
        def write() -> jax.Array:
            place = selection.columns(in_use, size=size)
            columns = jnp.where(
                place < width, selection.take(rows.columns, place), n_factors
            )
            return selection.put(codes, columns, selection.take(rows.codes, place))

        return write

    used = jnp.sum(in_use, axis=1)
    return row_blocks.by_size(used, sizes[:-1], few=put, many=put(width))


def _where(chosen: jax.Array, after: _Tree, before: _Tree) -> _Tree:
    """Returns the new state of the rows that are chosen, and the old of all others."""

    def choose(after: jax.Array, before: jax.Array) -> jax.Array:
        return jnp.where(chosen.reshape(-1, *[1] * (after.ndim - 1)), after, before)

    return jax.tree.map(choose, after, before)


def _dense_steps(
    problem: problem_lib.Problem, codes: jax.Array, *, num_steps: int
) -> jax.Array:
    """Returns the codes after steps on all factors."""
    bound = jnp.asarray(problem.lipschitz, jnp.float32)
    # Found only if it is needed: of many factors it costs as much as some rows.
    largest = jax.lax.cond(
        jnp.isfinite(bound),
        lambda: bound,
        lambda: problem_lib.largest_curvature(problem),
    )
    problem = dataclasses.replace(problem, lipschitz=largest)
    return _SPECTRAL.iterate(problem, num_steps=num_steps, codes0=codes)
