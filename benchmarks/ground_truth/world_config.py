"""Settings of a synthetic world: its sizes, its forest, how often features fire.

Steps 1, 3 and 4 of `synthetic`, in NumPy and float64: nothing here is random.
"""

import dataclasses

import numpy as np

from tfvis_jax.errors import InputError

# Points of the Gauss-Legendre rule; exact for up to 2·16 − 1 exclusive siblings.
_QUADRATURE = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """The distribution of a world; the defaults are SynthSAEBench-16k."""

    n_true: int = 16384
    d_model: int = 768
    # Base rates, most frequent first.
    zipf_exponent: float = 0.5
    max_rate: float = 0.4
    min_rate: float = 5e-4
    # Expected number of firing features in a row; None leaves the rates as they are.
    mean_l0: float | None = None
    # The forest: full trees, whose roots are the most frequent features.
    n_roots: int = 128
    branching: int = 4
    depth: int = 3
    # Whether the children of one parent exclude each other.
    exclusive: bool = True
    # Whether a child's magnitude follows its parent's.
    scale_by_parent: bool = True
    correlation_rank: int = 25
    correlation_scale: float = 0.1
    # Steps that push the directions apart, and Adam's learning rate for them.
    orthogonal_steps: int = 100
    orthogonal_rate: float = 3e-4
    # Mean magnitude of the most and of the least frequent feature.
    first_magnitude: float = 5.0
    last_magnitude: float = 4.0
    # The spread of a feature's magnitude is |N(mean, std)|.
    spread_mean: float = 0.5
    spread_std: float = 0.5
    bias_norm: float = 0.5
    # Standard deviation of Gaussian noise on every coordinate of x.
    noise: float = 0.0

    def __post_init__(self):
        for name in ("n_true", "d_model", "branching", "correlation_rank"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"Expected `{name}` to be at least 1, got {getattr(self, name)}."
                )
        if not 0 < self.min_rate <= self.max_rate < 1:
            raise InputError(
                "Expected 0 < `min_rate` <= `max_rate` < 1, got "
                f"{self.min_rate} and {self.max_rate}."
            )
        if self.in_trees > self.n_true:
            raise InputError(
                f"Expected at least {self.in_trees} features for {self.n_roots} trees "
                f"of depth {self.depth} with {self.branching} children, got "
                f"{self.n_true}; use fewer roots."
            )

    @property
    def in_trees(self) -> int:
        """Number of features that stand in a tree."""
        return self.level_start(self.depth + 1)

    def level_start(self, level: int) -> int:
        """Returns the number of the first feature of a level; 0 for the roots."""
        return self.n_roots * sum(self.branching**i for i in range(level))

    def levels(self) -> list[tuple[slice, slice]]:
        """Returns the features of every level with children, and those children."""
        starts = [self.level_start(level) for level in range(self.depth + 2)]
        return [
            (slice(starts[i], starts[i + 1]), slice(starts[i + 1], starts[i + 2]))
            for i in range(self.depth)
        ]

    @classmethod
    def sized(cls, *, n_true: int, d_model: int, **changes) -> "WorldConfig":
        """Returns the published settings at another size: as many trees per feature."""
        n_roots = max(1, n_true * cls.n_roots // cls.n_true)
        return cls(n_true=n_true, d_model=d_model, **{"n_roots": n_roots, **changes})


def base_rates(config: WorldConfig) -> np.ndarray:
    """Returns the rates p that are asked for, [n_true] float64, falling.

    Raises:
      InputError: no multiple of them gives `mean_l0`.
    """
    zipf = np.arange(1, config.n_true + 1) ** -float(config.zipf_exponent)
    span = zipf[0] - zipf[-1]
    share = (zipf - zipf[-1]) / span if span > 0 else np.ones_like(zipf)
    rates = config.min_rate + (config.max_rate - config.min_rate) * share
    if config.mean_l0 is None:
        return rates
    low, high = 0.0, 0.999 / rates[0]
    if not 0 < config.mean_l0 < np.sum(expected_rates(high * rates, config)):
        raise InputError(
            "Expected `mean_l0` below the L0 at which the most frequent feature always "
            f"fires, got {config.mean_l0}; lower `max_rate` against `min_rate`."
        )
    for _ in range(50):
        middle = 0.5 * (low + high)
        too_many = np.sum(expected_rates(middle * rates, config)) > config.mean_l0
        low, high = (low, middle) if too_many else (middle, high)
    return low * rates


def copula_rates(rates: np.ndarray, config: WorldConfig) -> np.ndarray:
    """Returns how often features fire before the forest removes some, [n_true]."""
    corrected = rates.copy()
    for parents, children in config.levels():
        parent = rates[parents, None]
        child = rates[children].reshape(-1, config.branching)
        given = child / parent
        if config.exclusive:
            given = given * (
                1 + (np.sum(child, axis=1, keepdims=True) - child) / parent
            )
        corrected[children] = np.minimum(given, 1).reshape(-1)
    return corrected


def expected_rates(rates: np.ndarray, config: WorldConfig) -> np.ndarray:
    """Returns how often features fire in the end, [n_true].

    Exact but for the copula's correlations and magnitudes below zero, both small. A
    child that fires beside siblings of rates q survives their lot with the probability
    ∫₀¹ Π (1 − q_s u) du, where u is the child's own lot.

    Args:
      rates: [n_true], base rates as of `base_rates`.
      config: settings of the world.
    """
    final = copula_rates(rates, config)
    nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE)
    lots, weights = 0.5 * (nodes + 1), 0.5 * weights
    for parents, children in config.levels():
        given = final[children].reshape(-1, config.branching)
        survival = 1.0
        if config.exclusive:
            losing = 1 - given[:, :, None] * (1 - lots)
            # The product over siblings leaves the child itself out.
            others = np.prod(losing, axis=1, keepdims=True) / losing
            survival = np.sum(others * weights, axis=2)
        final[children] = (final[parents, None] * given * survival).reshape(-1)
    return final
