"""The other solvers that a person could take: published code, SPAMS, scikit-learn.

Arrays are put into the layout that a solver likes before its clock starts, and its
codes into ours after the clock has stopped.
"""

import pathlib
import time
from collections.abc import Callable

import numpy as np

from benchmarks.solvers import timing
from tfvis_jax.reporting import environment

PUBLISHED_STEPS = 500
_PUBLISHED_BATCH = 100


def published(
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    l1_penalty: float,
    num_steps: int = PUBLISHED_STEPS,
    accelerator: bool = False,
) -> timing.Solved:
    """Runs FISTA as published with Yun et al. (2021), in PyTorch.

    Columns, batches of 100, and an eigenvalue solve for each batch.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ.
      num_steps: 500 in the publication.
      accelerator: whether to use PyTorch's, where it has one.
    """
    import torch

    torch.set_num_threads(environment.num_cores())
    on_gpu = accelerator and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    basis = torch.from_numpy(dictionary.T.copy()).to(device)
    batches = torch.from_numpy(x.T.copy()).to(device).split(_PUBLISHED_BATCH, dim=1)

    def solve():
        parts = []
        for signals in batches:
            step_size = 1 / torch.linalg.eigvalsh(basis @ basis.T)[-1]
            codes = torch.zeros(basis.shape[1], signals.shape[1], device=device)
            extrapolated, next_t = codes, 1.0
            for _ in range(num_steps):
                t, next_t = next_t, (1 + (1 + 4 * next_t**2) ** 0.5) / 2
                residual = signals - basis @ extrapolated
                proposal = extrapolated + step_size * (basis.T @ residual)
                previous = codes
                codes = (proposal - step_size * l1_penalty).clamp(min=0)
                extrapolated = codes + (codes - previous) * ((t - 1) / next_t)
            parts.append(codes)
        if on_gpu:
            torch.cuda.synchronize()
        return parts

    parts, seconds, memory_mb = _clock(solve)
    return timing.Solved(
        codes=np.ascontiguousarray(torch.cat(parts, dim=1).T.cpu().numpy()),
        num_steps=np.full(len(x), num_steps, np.int32),
        seconds=seconds,
        memory_mb=None if on_gpu else memory_mb,
    )


def spams_lasso(
    x: np.ndarray, dictionary: np.ndarray, *, l1_penalty: float
) -> timing.Solved:
    """Runs `lasso` of SPAMS, which is LARS: exact up to rounding where it ends well.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ.
    """
    import spams

    signals, basis = np.asfortranarray(x.T), np.asfortranarray(dictionary.T)

    def solve():
        return spams.lasso(
            signals,
            D=basis,
            lambda1=l1_penalty,
            mode=2,
            pos=True,
            numThreads=environment.num_cores(),
        )

    codes, seconds, memory_mb = _clock(solve)
    codes = np.ascontiguousarray(codes.toarray().T)
    return timing.Solved(codes, None, seconds, memory_mb)


def sklearn_lasso(
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    l1_penalty: float,
    algorithm: str,
    dtype: type = np.float32,
) -> timing.Solved:
    """Runs `sparse_encode` of scikit-learn.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ.
      algorithm: "lasso_lars" or "lasso_cd".
      dtype: of its arithmetic.
    """
    from sklearn import decomposition

    x, dictionary = x.astype(dtype), dictionary.astype(dtype)

    def solve():
        return decomposition.sparse_encode(
            x,
            dictionary,
            algorithm=algorithm,
            alpha=l1_penalty,
            positive=True,
            n_jobs=environment.num_cores(),
        )

    codes, seconds, _ = _clock(solve)
    # The work is done by processes of its own, whose memory is not seen from here.
    return timing.Solved(codes, None, seconds, None)


def end_workers() -> None:
    """Ends the processes that scikit-learn keeps for further calls.

    The process that started them would wait five minutes for them at its end.
    """
    from joblib.externals import loky

    loky.get_reusable_executor().shutdown(kill_workers=True)


def _clock(function: Callable):
    """Returns the result, the seconds, and by how many MB the process grew at most."""
    before = _memory_mb("VmRSS") if _forget_peak() else None
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    grown = None if before is None else max(0.0, _memory_mb("VmHWM") - before)
    return result, seconds, grown


def _forget_peak() -> bool:
    """Makes Linux count this process's largest memory from now on; false elsewhere."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _memory_mb(field: str) -> float:
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6
