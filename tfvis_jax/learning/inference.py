"""Codes as the settings of a run ask for them; the same in training and after it."""

import jax

from tfvis_jax import config as config_lib
from tfvis_jax import sparse_coding


def solver_name(solver: config_lib.SolverConfig, *, n_factors: int) -> str:
    """Returns the name of the solver that `infer` uses on this platform."""
    if solver.solver != "auto":
        return solver.solver
    return sparse_coding.choose_solver(
        platform=jax.default_backend(), n_factors=n_factors, factors_are_split=False
    )


def infer(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    solver: config_lib.SolverConfig,
    l1_penalty: jax.Array | None = None,
    tolerance: jax.Array | None = None,
) -> sparse_coding.Encoding:
    """Infers the codes of rows.

    With an L2 penalty μ, codes are those of the elastic net times 1 + μ, which undoes
    the shrinkage that μ adds (Zou and Hastie, 2005, Equation 11); the gap is that of
    the codes before.

    Args:
      x: [batch, d_model], whitened and scaled as the run says.
      dictionary: [n_factors, d_model].
      solver: static.
      l1_penalty: λ where it moves, as in training; the solver's if None.
      tolerance: where several share a compiled program; the solver's if None.
    """
    encoding = sparse_coding.encode(
        x,
        dictionary,
        l1_penalty=solver.l1_penalty if l1_penalty is None else l1_penalty,
        l2_penalty=solver.l2_penalty,
        solver=solver.solver,
        tolerance=solver.tolerance if tolerance is None else tolerance,
        max_steps=solver.max_steps,
        lipschitz=(
            sparse_coding.largest_eigenvalue(dictionary)
            if solver.exact_lipschitz
            else None
        ),
    )
    if not solver.l2_penalty:
        return encoding
    return encoding._replace(codes=(1 + solver.l2_penalty) * encoding.codes)
