"""Sparse coding in JAX: a library of its own.

For rows x and a dictionary D whose rows are factors, `encode` infers codes α that
minimise ½‖x − αD‖² + λ‖α‖₁ and certifies them by their duality gap, `refit` removes the
penalty's shrinkage, and `pursue` spends a budget of k factors instead. What is named
here is public; modules beside it are how it is done.

    encoding = encode(x, dictionary, l1_penalty=0.06)
    codes = refit(x, dictionary, encoding.codes)
    reconstruction = decode(codes, dictionary)

Every function is compiled once for the shapes that it is called with, and runs inside
`jit`, `vmap`, `pmap`, `shard_map` and `grad`.
"""

from tfvis_jax.sparse_coding.certificate import (
    correlate,
    decode,
    duality_gap,
    kkt_residual,
    lasso_objective,
)
from tfvis_jax.sparse_coding.dense import DenseSolver
from tfvis_jax.sparse_coding.dictionary import (
    initialise_from_samples,
    initialise_normal,
    initialise_spread,
    project_unit_norm,
)
from tfvis_jax.sparse_coding.encoding import Encoding, encode
from tfvis_jax.sparse_coding.fista import Fista
from tfvis_jax.sparse_coding.greedy import GradientPursuit, Omp, Pursuit, TopK
from tfvis_jax.sparse_coding.ista import Ista
from tfvis_jax.sparse_coding.lipschitz import largest_eigenvalue, power_iteration
from tfvis_jax.sparse_coding.metrics import (
    DensityHistogram,
    Duplicates,
    Figures,
    ReconstructionTotals,
    RowSums,
    density_histogram,
    duplicates,
    figures,
    max_cosine,
    row_sums,
)
from tfvis_jax.sparse_coding.newton import Newton, scale_by_second_moment
from tfvis_jax.sparse_coding.objective import GAP_FLOOR
from tfvis_jax.sparse_coding.problem import Problem, lasso
from tfvis_jax.sparse_coding.prox import non_negative_soft_threshold, soft_threshold
from tfvis_jax.sparse_coding.pursuit import pursue
from tfvis_jax.sparse_coding.refitting import refit
from tfvis_jax.sparse_coding.registry import choose_solver
from tfvis_jax.sparse_coding.solver import Solution, Solver
from tfvis_jax.sparse_coding.spectral import Spectral
from tfvis_jax.sparse_coding.summary import Summary, summarise
from tfvis_jax.sparse_coding.target_l0 import for_l0
from tfvis_jax.sparse_coding.updates import (
    Adam,
    CodeEnergy,
    Gradient,
    Surrogate,
    Update,
    minimise_surrogate,
    scale_by_code_energy,
)
from tfvis_jax.sparse_coding.working_set import WorkingSet

__all__ = [
    "GAP_FLOOR",
    "Adam",
    "CodeEnergy",
    "DenseSolver",
    "DensityHistogram",
    "Duplicates",
    "Encoding",
    "Figures",
    "Fista",
    "Gradient",
    "GradientPursuit",
    "Ista",
    "Newton",
    "Omp",
    "Problem",
    "Pursuit",
    "ReconstructionTotals",
    "RowSums",
    "Solution",
    "Solver",
    "Spectral",
    "Summary",
    "Surrogate",
    "TopK",
    "Update",
    "WorkingSet",
    "choose_solver",
    "correlate",
    "decode",
    "density_histogram",
    "duality_gap",
    "duplicates",
    "encode",
    "figures",
    "for_l0",
    "initialise_from_samples",
    "initialise_normal",
    "initialise_spread",
    "kkt_residual",
    "largest_eigenvalue",
    "lasso",
    "lasso_objective",
    "max_cosine",
    "minimise_surrogate",
    "non_negative_soft_threshold",
    "power_iteration",
    "project_unit_norm",
    "pursue",
    "refit",
    "row_sums",
    "scale_by_code_energy",
    "scale_by_second_moment",
    "soft_threshold",
    "summarise",
]


def __dir__() -> list[str]:
    return sorted(__all__)
