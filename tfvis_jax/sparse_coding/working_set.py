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
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import (
    checks,
    layout,
    objective,
    row_blocks,
    selection,
    small_problem,
    spectral,
)
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import solver as solver_lib

# The inner problem is solved to half of the tolerance, or less well while factors are
# missing: to this share of the row's gap, times the missing ones per factor in use.
_INNER_TOLERANCE = 0.5
_INNER_GAP = 0.06
_LARGEST_INNER_GAP = 0.2
# A working set grows by at most this share of the factors in use, 1/_GROWTH, or by this
# many if that is more, and has a few places to spare.
_GROWTH = 2
_LEAST_GROWTH = 40
_SPARE = 2


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

    sizes: tuple[int, ...] = small_problem.SIZES
    inner_steps: int = 96
    dense_steps: int = 16

    def __post_init__(self) -> None:
        checks.check_count("inner_steps", self.inner_steps)
        checks.check_count("dense_steps", self.dense_steps)
        for size in self.sizes:
            checks.check_count("sizes", size)
        if list(self.sizes) != sorted(set(self.sizes)):
            raise InputError(f"Expected ascending `sizes`, got {self.sizes}.")

    @property
    def needs_whole_dictionary(self) -> bool:
        """Rows gather their factors wherever these are."""
        return True

    def first_precision(self, platform: str) -> str:
        """Returns float32: inner problems are small, and solved to the end."""
        del platform
        return "float32"

    def numbers_alive(self, *, rows: int, n_factors: int, num_parts: int = 1) -> int:
        """Returns how many float32 numbers a solve holds on a device at once.

        Each row of a part has a Gram matrix of its own, and codes and correlations of
        all rows are beside them.
        """
        del num_parts
        codes = rows * n_factors
        sizes = small_problem.sizes(n_factors, of=self.sizes)
        gram = max((small_problem.rows_at_once(s) * s**2 for s in sizes), default=0)
        held = max(4 * codes, 2 * codes + gram)
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


class _State(NamedTuple):
    codes: jax.Array  # [batch, n_factors]
    correlation: jax.Array  # [batch, n_factors]
    gap: jax.Array  # [batch]
    num_steps: jax.Array  # [batch] int32


class _Part(NamedTuple):
    block: _State
    rows: tuple[jax.Array, jax.Array]
    columns: jax.Array  # [rows, size]
    energy: jax.Array  # [rows]
    target: jax.Array  # [rows]


def _solve_rows(
    problem: problem_lib.Problem,
    codes0: jax.Array | None,
    *,
    solver: WorkingSet,
    tolerance: jax.Array | float,
    max_steps: int,
) -> solver_lib.Solution:
    problem = dataclasses.replace(problem, precision="float32")
    gram = small_problem.whole_gram(problem)

    def active(state: _State) -> jax.Array:
        return (state.gap > tolerance) & (state.num_steps < max_steps)

    def advance_block(
        block: _State, rows: tuple[jax.Array, jax.Array], wanted: jax.Array
    ) -> _State:
        part = problem.of_rows(rows)
        codes, spent = _improve(
            block, part, gram=gram, wanted=wanted, tolerance=tolerance, solver=solver
        )
        going = active(block)
        codes = jnp.where(going[:, None], codes, block.codes)
        gap, correlation = part.certify(codes, part.residual(codes))
        num_steps = block.num_steps + jnp.where(going, spent, 0)
        return _State(codes, correlation, gap, num_steps)

    def advance(state: _State) -> _State:
        used, missing = _count(state, problem)
        # Far from the optimum most factors that seem to be missing are not.
        growth = jnp.minimum(missing, jnp.maximum(used // _GROWTH, _LEAST_GROWTH))
        wanted = jnp.where(active(state), used + growth + _SPARE, 0)
        return row_blocks.sweep(advance_block, state, problem.rows(), wanted=wanted)

    codes, residual = problem.start(codes0)
    gap, correlation = problem.certify(codes, residual)
    state = _State(codes, correlation, gap, jnp.zeros_like(gap, jnp.int32))
    state = jax.lax.while_loop(lambda state: jnp.any(active(state)), advance, state)
    return solver_lib.Solution(state.codes, state.gap, state.num_steps)


def _against(state: _State, problem: problem_lib.Problem) -> jax.Array:
    """Returns the correlations in the direction in which a code may leave zero."""
    return state.correlation if problem.non_negative else jnp.abs(state.correlation)


def _count(state: _State, problem: problem_lib.Problem) -> tuple[jax.Array, jax.Array]:
    """Returns how many factors a row uses, and how many more it seems to need."""
    missing = (state.codes == 0) & (_against(state, problem) > problem.l1_penalty)
    return jnp.sum(state.codes != 0, axis=1), jnp.sum(missing, axis=1)


def _improve(
    block: _State,
    problem: problem_lib.Problem,
    *,
    gram: jax.Array | None,
    wanted: jax.Array,
    tolerance: jax.Array | float,
    solver: WorkingSet,
) -> tuple[jax.Array, jax.Array]:
    """Returns better codes of a block of rows and the dense steps that were spent."""
    energy = 0.5 * jnp.sum(problem.x**2, axis=1)
    used, missing = _count(block, problem)
    share = (missing / jnp.maximum(1, used)).astype(block.gap.dtype)
    loose = jnp.minimum(_INNER_GAP * share, _LARGEST_INNER_GAP) * block.gap
    target = jnp.maximum(_INNER_TOLERANCE * tolerance, loose) * energy

    def minimise(part: _Part) -> jax.Array:
        some = problem.of_rows(part.rows)
        small = small_problem.restrict(
            some,
            part.columns,
            codes=part.block.codes,
            correlation=part.block.correlation,
            gram=gram,
        )
        codes = small_problem.minimise(
            small,
            unfinished=lambda state: (
                _gap(state, small, some, energy=part.energy) > part.target
            ),
            lipschitz=some.lipschitz,
            max_steps=solver.inner_steps,
            non_negative=some.non_negative,
        )
        return small_problem.put_back(part.block.codes, small, codes)

    def on_working_set(size: int) -> Callable[[], tuple[jax.Array, jax.Array]]:
        def improve() -> tuple[jax.Array, jax.Array]:
            columns = selection.largest(_score(block, problem), size=size)
            parts = _Part(block, problem.rows(), columns, energy, target)
            codes = row_blocks.in_parts(
                minimise, parts, rows=small_problem.rows_at_once(size)
            )
            return codes, jnp.int32(1)

        return improve

    def on_all_factors() -> tuple[jax.Array, jax.Array]:
        codes = _SPECTRAL.iterate(
            problem, num_steps=solver.dense_steps, codes0=block.codes
        )
        return codes, jnp.int32(solver.dense_steps)

    return row_blocks.by_size(
        wanted,
        small_problem.sizes(problem.dictionary.shape[0], of=solver.sizes),
        few=on_working_set,
        many=on_all_factors,
    )


def _score(block: _State, problem: problem_lib.Problem) -> jax.Array:
    """Returns how much a factor belongs in the working set, [rows, n_factors].

    Factors in use come first, then those that violate the optimality conditions, then
    those nearest to it.
    """
    excess = _against(block, problem) - problem.l1_penalty
    magnitude = jnp.abs(block.codes)
    return jnp.where(block.codes != 0, magnitude + jnp.abs(excess), excess)


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
