"""Competitors as candidates, each library in a process of its own.

So PyTorch, SPAMS and scikit-learn have every core and their own threads: JAX does not
run in their processes, and waits in its own while one of them is timed.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import importlib.util
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator

import jax
import numpy as np

from benchmarks.solvers import competitors, timing

_LIBRARIES = ("torch", "spams", "sklearn")
# Each in the arithmetic in which it is faster: coordinate descent does not reach its
# own tolerance in float32, and goes on to its last iteration.
_SKLEARN = {"lasso_lars": np.float32, "lasso_cd": np.float64}
# Steps to try where the published number does not reach a gap.
_MORE_STEPS = (750, 1000, 1500, 2000, 3000)

Processes = dict[str, concurrent.futures.Executor]


@dataclasses.dataclass(frozen=True)
class Competitor:
    """One solver of another library.

    Attributes:
      name: what the table calls it.
      library: module that must be installed.
      solve: maps (x, dictionary, l1_penalty=λ) to what it gives.
      slow: whether it is given a part of the rows only.
    """

    name: str
    library: str
    solve: Callable[..., timing.Solved]
    slow: bool


@contextlib.contextmanager
def start(progress: Callable[[str], None]) -> Iterator[Processes]:
    """Yields a waiting process for each library that is installed; names the others."""
    with contextlib.ExitStack() as stack:
        processes = {}
        for library in _LIBRARIES:
            if importlib.util.find_spec(library) is None:
                progress(f"{library} is not installed and left out: see extra `bench`")
                continue
            # A forked process would share JAX's threads and locks.
            executor = concurrent.futures.ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_be_quiet,
            )
            processes[library] = stack.enter_context(executor)
        if "sklearn" in processes:
            # Before its own end, for which the executor waits.
            stack.callback(processes["sklearn"].submit, competitors.end_workers)
        yield processes


def candidates(
    processes: Processes,
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    l1_penalty: float,
    slow_rows: int,
    same_gap: float,
    progress: Callable[[str], None],
) -> list[timing.TimedSolver]:
    """Returns what is installed, on the first rows of ``x``.

    The published algorithm takes its 500 steps and, where their mean gap is above
    ``same_gap``, is run a second time with as many as bring it there.

    Args:
      processes: from `start`.
      x: [rows, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ.
      slow_rows: rows for the published algorithm and scikit-learn.
      same_gap: mean gap.
      progress: called with a line of text before what takes long.
    """
    slow_x = x[:slow_rows]
    wanted = []
    if "torch" in processes:
        progress(f"looking for the published algorithm's steps to {same_gap:.0e}")
        published = functools.partial(
            competitors.published, accelerator=jax.default_backend() != "cpu"
        )
        steps = _steps_to_gap(
            functools.partial(_solve, processes["torch"], published),
            slow_x,
            dictionary,
            l1_penalty=l1_penalty,
            gap=same_gap,
        )
        for num_steps in sorted({competitors.PUBLISHED_STEPS, steps}):
            solve = functools.partial(published, num_steps=num_steps)
            name = f"published, torch, {num_steps} steps"
            wanted.append(Competitor(name, "torch", solve, slow=True))
    wanted.append(
        Competitor("SPAMS lasso (LARS)", "spams", competitors.spams_lasso, slow=False)
    )
    for algorithm, dtype in _SKLEARN.items():
        solve = functools.partial(
            competitors.sklearn_lasso, algorithm=algorithm, dtype=dtype
        )
        wanted.append(
            Competitor(f"scikit-learn {algorithm}", "sklearn", solve, slow=True)
        )
    return [
        _candidate(
            competitor,
            processes[competitor.library],
            slow_x if competitor.slow else x,
            dictionary,
            l1_penalty=l1_penalty,
        )
        for competitor in wanted
        if competitor.library in processes
    ]


def _be_quiet() -> None:
    """Silences warnings here and in further processes: quality is judged by the gap."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"


def _candidate(competitor, process, x, dictionary, *, l1_penalty):
    return timing.TimedSolver(
        solver=competitor.name,
        batch=len(x),
        setting=dict.fromkeys(
            ("tolerance", "k", "mapping", "num_devices", "precision")
        ),
        solve=functools.partial(
            _solve, process, competitor.solve, x, dictionary, l1_penalty=l1_penalty
        ),
        device="cpu",
    )


def _solve(process, function, x, dictionary, **settings):
    return process.submit(function, x, dictionary, **settings).result()


def _steps_to_gap(
    solve: Callable[..., timing.Solved],
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    l1_penalty: float,
    gap: float,
) -> int:
    """Returns the published number of steps, or the first of more that reach a gap."""
    for num_steps in (competitors.PUBLISHED_STEPS, *_MORE_STEPS):
        solved = solve(x, dictionary, l1_penalty=l1_penalty, num_steps=num_steps)
        reached, _ = timing.certify(x, dictionary, solved.codes, np.float32(l1_penalty))
        if np.mean(reached) <= gap:
            break
    return num_steps
