"""Steps on all factors of all rows together, with a look at the gap now and then.

After every block of steps each row's duality gap is computed, finished rows are frozen,
and the loop ends when none is left or the budget is spent.

Where steps may be taken in a coarse arithmetic they are, as long as that brings some
row nearer to what the arithmetic can reach; float32 steps then go on from there. The
gap that decides is always in float32, so coarse steps can cost time but never accuracy.
A look also gives back to the state what rounding took since the last.
"""

import abc
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import checks
from tfvis_jax.sparse_coding import precision as precision_lib
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import solver as solver_lib

# A row whose gap has not fallen to this share of itself in a block of coarse steps has
# got from them what there is.
_FALLING = 0.9


class Recursion(NamedTuple):
    """How to start, go on, and forget rounding errors; a state has ``codes``.

    A recursion that refines rounds nothing but moves: errors of its coarse steps shrink
    with them, and every look in float32 takes away those of the block before.
    """

    init: Callable[..., Any]  # from a problem and ``codes0`` to a state
    step: Callable[..., Any]  # from a state and a problem to the next
    # From a state and the float32 residual and correlation of its codes to the same
    # state with those, where it keeps any.
    refresh: Callable[..., Any] = lambda state, residual, correlation: state
    # From a refreshed state and a problem to the state that further steps start from;
    # None to start at its codes again.
    restart: Callable[..., Any] | None = None
    refines: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseSolver(solver_lib.Solver):
    """A solver whose every step goes through the whole dictionary.

    Attributes:
      block_steps: steps between two looks at the gap.
      precision: arithmetic of the first steps, one of `precision.NAMES`; the solver's
        own choice for the platform if None. The last steps are in float32.
    """

    block_steps: int = 10
    precision: str | None = None

    def __post_init__(self) -> None:
        checks.check_count("block_steps", self.block_steps)
        if self.precision not in (None, *precision_lib.NAMES):
            raise InputError(
                f"Expected `precision` to be None or one of {precision_lib.NAMES}, "
                f"got {self.precision!r}."
            )

    @abc.abstractmethod
    def init(
        self, problem: problem_lib.Problem, *, codes0: jax.Array | None = None
    ) -> Any:
        """Returns the state at ``codes0``, zeros if None."""

    @abc.abstractmethod
    def step(self, state: Any, problem: problem_lib.Problem) -> Any:
        """Returns the state after one more step."""

    @property
    @abc.abstractmethod
    def arrays_of_codes(self) -> int:
        """How many arrays like the codes are alive at once."""

    @abc.abstractmethod
    def usual_precision(self, platform: str) -> str:
        """Returns the arithmetic of the first steps where the caller names none."""

    @property
    def needs_whole_dictionary(self) -> bool:
        """A mesh may split rows and factors."""
        return False

    def first_precision(self, platform: str) -> str:
        """Returns the arithmetic of the first steps."""
        return self.precision or self.usual_precision(platform)

    def numbers_alive(self, *, rows: int, n_factors: int, num_parts: int = 1) -> int:
        """Returns how many float32 numbers a solve holds on a device at once."""
        return self.arrays_of_codes * (rows * n_factors // num_parts)

    def num_passes(self, num_steps: float) -> float:
        """Returns one for each step and each look at the gap."""
        return num_steps + math.ceil(num_steps / self.block_steps) + 1

    def recursion(self, problem: problem_lib.Problem) -> Recursion:
        """Returns the best form of the steps for a problem."""
        del problem
        return Recursion(self.init, self.step)

    def iterate(
        self,
        problem: problem_lib.Problem,
        *,
        num_steps: int,
        codes0: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the codes after a fixed number of steps, [batch, n_factors].

        Args:
          problem: see `problem.lasso`.
          num_steps: at least 1.
          codes0: [batch, n_factors] start; zeros if None.
        """
        return jax.lax.fori_loop(
            0,
            num_steps,
            lambda _, state: self.step(state, problem),
            self.init(problem, codes0=codes0),
        ).codes

    def solve(
        self,
        problem: problem_lib.Problem,
        *,
        tolerance: jax.Array | float,
        max_steps: int,
        codes0: jax.Array | None = None,
    ) -> solver_lib.Solution:
        """Infers codes until each row's duality gap is within the tolerance."""
        init, step, refresh, restart, refines = self.recursion(problem)
        exact = dataclasses.replace(problem, precision="float32")

        def look(state: Any) -> tuple[Any, jax.Array]:
            residual = exact.residual(state.codes)
            gap, correlation = exact.certify(state.codes, residual)
            return refresh(state, residual, correlation), gap

        def run(
            problem: problem_lib.Problem,
            state: Any,
            progress: _Progress,
            unfinished: Callable[[_Progress], jax.Array],
        ) -> tuple[Any, _Progress]:
            def advance(
                carry: tuple[Any, _Progress], *, num_now: int
            ) -> tuple[Any, _Progress]:
                state, progress = carry
                active = progress.gap > tolerance
                state = jax.lax.fori_loop(
                    0, num_now, lambda _, state: step(state, problem), state
                )
                state, gap = look(state)
                gap = jnp.where(active, gap, progress.gap)
                progress = _Progress(
                    codes=jnp.where(active[:, None], state.codes, progress.codes),
                    gap=gap,
                    num_steps=progress.num_steps + jnp.where(active, num_now, 0),
                    spent=progress.spent + num_now,
                    falling=gap < _FALLING * progress.gap,
                )
                return state, progress

            def going(carry: tuple[Any, _Progress], *, until: int) -> jax.Array:
                _, progress = carry
                return (progress.spent < until) & jnp.any(unfinished(progress))

            # Blocks have a length that XLA knows: a GPU would copy the condition of any
            # other loop to its host before each step. So what is left of the budget
            # after whole blocks is a loop of its own, of one block at most.
            carry, rest = (state, progress), max_steps % self.block_steps
            for until, num_now in (
                (max_steps - rest, self.block_steps),
                (max_steps, rest),
            ):
                if num_now and until:
                    carry = jax.lax.while_loop(
                        functools.partial(going, until=until),
                        functools.partial(advance, num_now=num_now),
                        carry,
                    )
            return carry

        state, gap = look(init(problem, codes0=codes0))
        progress = _Progress(
            codes=state.codes,
            gap=gap,
            num_steps=jnp.zeros_like(gap, jnp.int32),
            spent=0,
            falling=jnp.ones_like(gap, bool),
        )
        if problem.precision != "float32":
            reach = precision_lib.reach(problem.precision, refines=refines)
            reach = jnp.maximum(tolerance, reach)
            state, progress = run(
                problem,
                state,
                progress,
                lambda progress: (progress.gap > reach) & progress.falling,
            )
            if restart is None:
                state = init(exact, codes0=progress.codes)
            else:
                state = restart(state, exact)
        _, progress = run(
            exact, state, progress, lambda progress: progress.gap > tolerance
        )
        return solver_lib.Solution(progress.codes, progress.gap, progress.num_steps)


class _Progress(NamedTuple):
    codes: jax.Array  # [batch, n_factors]; of finished rows as they were then
    gap: jax.Array  # [batch]
    num_steps: jax.Array  # [batch] int32
    spent: jax.Array | int  # steps so far
    falling: jax.Array  # [batch] bool, whether the last block lowered the gap
