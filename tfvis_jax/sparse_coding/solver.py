"""What a solver of the lasso is: a frozen value that knows all there is to know of it.

A solver is a frozen dataclass with plain settings, so that it can be compared, hashed
and passed as a static argument of a jitted function. Everything that differs between
solvers is a method here; one that is left out makes the class abstract, and Python
refuses to create a value of it.
"""

import abc
from typing import NamedTuple

import jax

from tfvis_jax.sparse_coding import problem as problem_lib


class Solution(NamedTuple):
    """Codes with their certificate.

    Attributes:
      codes: [batch, n_factors].
      gap: [batch], relative duality gap.
      num_steps: [batch] int32.
    """

    codes: jax.Array
    gap: jax.Array
    num_steps: jax.Array


class Solver(abc.ABC):
    """A way to minimise the lasso, row by row, to a duality gap."""

    @property
    @abc.abstractmethod
    def needs_whole_dictionary(self) -> bool:
        """Whether every device has to hold all factors."""

    @property
    def needs_curvature(self) -> bool:
        """Whether the problem has to come with its largest curvature, or a bound.

        Where it need not, and the caller knows none, the problem's is infinite.
        """
        return True

    @abc.abstractmethod
    def first_precision(self, platform: str) -> str:
        """Returns the arithmetic of the first steps, one of `precision.NAMES`.

        Args:
          platform: "cpu", "gpu" or "tpu".
        """

    @abc.abstractmethod
    def solve(
        self,
        problem: problem_lib.Problem,
        *,
        tolerance: jax.Array | float,
        max_steps: int,
        codes0: jax.Array | None = None,
    ) -> Solution:
        """Infers codes until each row's duality gap is within the tolerance.

        Args:
          problem: see `problem.lasso`; its precision is that of the first steps.
          tolerance: largest relative duality gap of a finished row.
          max_steps: budget of dense steps for a row.
          codes0: [batch, n_factors] start; zeros if None.
        """

    @abc.abstractmethod
    def numbers_alive(self, *, rows: int, n_factors: int, num_parts: int = 1) -> int:
        """Returns how many float32 numbers a solve holds on a device at once.

        Rows and dictionary are left out. How many arrays are alive is a matter of XLA's
        buffers: the figures are those of its compiled programs on a CPU.

        Args:
          rows: of the device.
          n_factors: of the whole dictionary.
          num_parts: devices that share the factors.
        """

    @abc.abstractmethod
    def num_passes(self, num_steps: float) -> float:
        """Returns how often a solve goes through the dictionary, there and back.

        A pass is two products with it: one to decode, one to correlate.

        Args:
          num_steps: as `Encoding.num_steps` counts them.
        """
