"""The published algorithm in float64 NumPy, in its authors' own column convention.

Signals are the columns of ``signals`` [d_model, batch], factors the columns of
``basis`` [d_model, n_factors], codes the columns of ``codes`` [n_factors, batch].
Written from the published recursion (Yun, Chen, Olshausen & LeCun, 2021) as an oracle
for tests.
"""

import numpy as np

# Steps that the running mean of squared codes looks back.
ENERGY_LENGTH = 300


def largest_eigenvalue(basis: np.ndarray) -> float:
    """Returns the largest eigenvalue of basis · basisᵀ."""
    return float(np.linalg.eigvalsh(basis @ basis.T)[-1])


def ista(
    signals: np.ndarray, basis: np.ndarray, l1_penalty: float, num_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns codes and residual after proximal gradient steps of 1/L from zero."""
    step_size = 1 / largest_eigenvalue(basis)
    codes = np.zeros((basis.shape[1], signals.shape[1]))
    for _ in range(num_steps):
        residual = signals - basis @ codes
        codes = codes + step_size * basis.T @ residual
        codes = np.maximum(codes - step_size * l1_penalty, 0)
    return codes, signals - basis @ codes


def fista(
    signals: np.ndarray, basis: np.ndarray, l1_penalty: float, num_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns codes and residual after accelerated steps of 1/L from zero."""
    step_size = 1 / largest_eigenvalue(basis)
    next_momentum = 1.0
    codes = np.zeros((basis.shape[1], signals.shape[1]))
    extrapolated = codes
    for _ in range(num_steps):
        momentum = next_momentum
        next_momentum = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        previous = codes
        residual = signals - basis @ extrapolated
        extrapolated = extrapolated + step_size * basis.T @ residual
        codes = np.maximum(extrapolated - step_size * l1_penalty, 0)
        extrapolated = codes + (codes - previous) * ((momentum - 1) / next_momentum)
    return codes, signals - basis @ codes


def update_energy(energy: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Returns the running mean of squared codes, [n_factors], after one batch."""
    weight = 1 / ENERGY_LENGTH
    return energy * (1 - weight) + np.mean(codes**2, axis=1) * weight


def weight_residual(residual: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Returns the residual with column b scaled by 1/√(frequency of b's token)."""
    return residual / np.sqrt(frequency)[None, :]


def quadratic_basis_update(
    basis: np.ndarray,
    residual: np.ndarray,
    codes: np.ndarray,
    *,
    floor: float,
    energy: np.ndarray,
    step_size: float,
) -> np.ndarray:
    """Returns the basis after one diagonal-Hessian step, columns of unit norm."""
    change = step_size * residual @ codes.T / codes.shape[1]
    basis = basis + change / (energy + floor)[None, :]
    return basis / np.linalg.norm(basis, axis=0, keepdims=True)
