"""Compares what the device computes with float64 NumPy; each passes or fails."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator import encoding, oracle, planted, training
from tfvis_jax import config as config_lib
from tfvis_jax import sparse_coding
from tfvis_jax.data import hidden_states
from tfvis_jax.learning import inference
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step as step_lib
from tfvis_jax.sparse_coding import problem as problem_lib

# Of the largest hidden state. At full precision the encoder is within 2e-5 of PyTorch
# on a CPU; a device's own exp and erf get a little more. TF32 keeps 11 bits of an
# operand, bfloat16 8, and their roundings add up over layers.
_ENCODER_LIMITS = {"highest": 5e-5, "tf32": 2e-2, "bfloat16": 1e-1, "float32": 5e-5}
# A code of FISTA is a sum of float32 roundings of a few dozen steps.
_FISTA_STEPS, _FISTA_LIMIT = 30, 2e-5
# What `sparse_coding.objective.GAP_FLOOR` says of the certificate, and the share of a
# gap that rounding may take.
_FLOOR, _ROUNDING = 2e-6, 1e-3
_TOLERANCE = 1e-4
# Numbers of a unit factor after a step, with the same codes.
_STEP_LIMIT = 2e-5


def encoder(
    *, model: str, dtype: str, precision: str | None, length: int
) -> dict[str, Any]:
    """Compares hidden states of all layers, at real tokens of padded windows.

    Args:
      model: one of `encoding.CONFIGS`.
      dtype: of weights and products.
      precision: "highest" for full float32 products, None for what the platform does.
      length: of the longer window; the other has half as many tokens.
    """
    config = encoding.CONFIGS[model]
    made = encoding.make(config, dtype=dtype)
    token_ids, mask = encoding.windows(config, n_windows=2, length=length)
    mask = mask.at[1, length // 2 :].set(False)
    layers = tuple(range(config.n_layers + 1))
    with jax.default_matmul_precision(precision):
        found = hidden_states.scaled_hidden_states(
            made, token_ids, mask, jnp.ones((len(layers),)), layers=layers
        )
    known = oracle.encode(made, np.asarray(token_ids), np.asarray(mask))
    # [n_layers, tokens, d_model] without padding.
    chosen = np.asarray(mask)
    found, known = np.asarray(found)[:, chosen], known[:, chosen]
    error = np.max(np.abs(found - known)) / max(1.0, np.max(np.abs(known)))
    limit = _ENCODER_LIMITS[precision or encoding.product_of(dtype)]
    return _verdict(float(error), limit)


def solver(
    *, precision: str, n_rows: int, d_model: int, n_factors: int
) -> dict[str, Any]:
    """Compares objectives with the optimum, and the certificate with its definition.

    The error is how far a row's objective is above the optimum beyond what its gap
    promises, or the gap from its value in float64, whichever is worse. Rows whose gap
    is above the tolerance fail.

    Args:
      precision: arithmetic of the first steps.
      n_rows: number of rows.
      d_model: numbers in a row.
      n_factors: decides between steps with and without the Gram matrix.
    """
    problem, penalty = _small(n_rows, d_model, n_factors)
    found = sparse_coding.encode(
        *problem,
        l1_penalty=penalty,
        solver=sparse_coding.Spectral(precision=precision),
        tolerance=_TOLERANCE,
    )
    x, dictionary, codes = (_float64(a) for a in (*problem, found.codes))
    optimum = oracle.solve(x, dictionary, penalty=penalty, start=codes)
    energy = 0.5 * np.sum(x**2, axis=1)
    excess = oracle.objective(x, dictionary, codes, penalty=penalty)
    excess = (excess - optimum.objective) / energy
    gap = _float64(found.gap)
    known = oracle.duality_gap(x, dictionary, codes, penalty=penalty)
    error = max(np.max(excess - gap), np.max(np.abs(gap - known)))
    verdict = _verdict(float(max(error, 0)), _FLOOR + _ROUNDING * _TOLERANCE)
    passed = verdict["passed"] and bool(np.max(gap) <= _TOLERANCE)
    return verdict | {
        "passed": passed and bool(np.max(optimum.gap) < _FLOOR),
        "gap_max": float(np.max(gap)),
        "l0": float(np.mean(np.sum(codes != 0, axis=1))),
    }


def fista(*, n_rows: int, d_model: int, n_factors: int) -> dict[str, Any]:
    """Compares the codes of the published recursion step for step.

    Args:
      n_rows: number of rows.
      d_model: numbers in a row.
      n_factors: number of factors.
    """
    problem, penalty = _small(n_rows, d_model, n_factors)
    x, dictionary = (_float64(a) for a in problem)
    lipschitz = float(np.linalg.eigvalsh(dictionary.T @ dictionary)[-1])
    known = oracle.fista(
        x, dictionary, penalty=penalty, lipschitz=lipschitz, num=_FISTA_STEPS
    )
    iterate = functools.partial(sparse_coding.Fista().iterate, num_steps=_FISTA_STEPS)
    lasso = problem_lib.lasso(*problem, l1_penalty=penalty, lipschitz=lipschitz)
    found = _float64(jax.jit(iterate)(lasso))
    return _verdict(float(np.max(np.abs(found - known)) / np.max(known)), _FISTA_LIMIT)


def training_step(*, n_rows: int, d_model: int, n_factors: int) -> dict[str, Any]:
    """Compares the dictionary after a step, given the codes that the device infers.

    Args:
      n_rows: number of rows.
      d_model: numbers in a row.
      n_factors: number of factors.
    """
    problem, penalty = _small(n_rows, d_model, n_factors)
    config = config_lib.DictionaryConfig(n_factors=n_factors, revive_after=None)
    weights = 0.5 + jax.random.uniform(jax.random.key(2), (n_rows,))
    infer = jax.jit(functools.partial(inference.infer, solver=training.SOLVER))
    codes = infer(*problem, l1_penalty=jnp.float32(penalty)).codes
    # Donated below.
    x, dictionary = (_float64(a) for a in problem)
    state = state_lib.create(
        problem.dictionary, jnp.ones((1,)), l1_penalty=penalty, config=config
    )
    after, _ = step_lib.train_step(
        state,
        problem.x,
        weights,
        jnp.ones((n_rows,), bool),
        progress=jnp.float32(0),
        solver=training.SOLVER,
        dictionary=config,
    )
    known = oracle.dictionary_step(
        x,
        dictionary,
        _float64(codes),
        weights=_float64(weights),
        step_size=config.step_size,
        floor=config.energy_floor,
    )
    error = np.max(np.abs(_float64(after.dictionary) - known))
    return _verdict(float(error), _STEP_LIMIT)


def _small(n_rows: int, d_model: int, n_factors: int) -> tuple[planted.Planted, float]:
    problem = planted.make(
        jax.random.key(1), n_rows=n_rows, d_model=d_model, n_factors=n_factors
    )
    # A share of the largest correlation of a usual row leaves some active factors.
    most = np.max(np.asarray(problem.x) @ np.asarray(problem.dictionary).T, axis=1)
    return problem, float(np.float32(0.3 * np.median(most)))


def _float64(array: Any) -> np.ndarray:
    return np.asarray(array).astype(np.float64)


def _verdict(error: float, limit: float) -> dict[str, Any]:
    return {"error": error, "limit": limit, "passed": bool(error <= limit)}
