"""Compares sparse coding solvers on the same rows: speed, and the gap they reach.

Every solver of `tfvis_jax` that is asked for and, where installed, the published
algorithm in PyTorch, SPAMS and scikit-learn infer non-negative codes of the same rows
on the same dictionary. Whatever they return is certified by the same float32 duality
gap. Runs are taken in turn and the fastest of each counts, so that a busy machine slows
all of them alike.

    python -m benchmarks.solver_speed --activations rows.npy --dictionary factors.npy \
        --l1_penalty 0.05 --out speed.json
"""

import dataclasses
import functools
import importlib.util
import json
import pathlib
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from tfvis_jax.sparse_coding import encode, objective

_ACTIVATIONS = flags.DEFINE_string(
    "activations", None, "Rows to encode, .npy of [rows, d_model].", required=True
)
_DICTIONARY = flags.DEFINE_string(
    "dictionary", None, "Factors, .npy of [n_factors, d_model].", required=True
)
_L1_PENALTY = flags.DEFINE_float(
    "l1_penalty", None, "Weight of the L1 term.", required=True, lower_bound=1e-9
)
_OUT = flags.DEFINE_string("out", None, "JSON file to write.", required=True)
_ROWS = flags.DEFINE_integer("rows", 4096, "Rows for fast solvers.", lower_bound=1)
_SLOW_ROWS = flags.DEFINE_integer(
    "slow_rows",
    300,
    "Rows for the published algorithm and scikit-learn.",
    lower_bound=1,
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Runs; the best counts.", lower_bound=1)
_TOLERANCES = flags.DEFINE_list(
    "tolerances", ["1e-2", "1e-3", "2e-4", "1e-4", "2e-5"], "Gaps to solve to."
)
_MAPPED_TOLERANCE = 2e-4
_PUBLISHED_BATCH = 100
_PUBLISHED_STEPS = 500


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One solver at one setting."""

    name: str
    # Maps rows [batch, d_model] to codes and, where it counts them, steps of every row.
    solve: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
    batch: int
    memory_mb: float | None = None
    compile_s: float = 0.0


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, writes JSON and a plot beside it."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    x = np.load(_ACTIVATIONS.value).astype(np.float32)[: _ROWS.value]
    dictionary = np.load(_DICTIONARY.value).astype(np.float32)
    candidates = _jax_candidates(x, dictionary) + _other_candidates(x, dictionary)
    results = _measure(candidates, x, dictionary)
    print(_table(results))
    out = pathlib.Path(_OUT.value)
    out.write_text("\n".join(json.dumps(row) for row in results) + "\n")
    if importlib.util.find_spec("matplotlib") is not None:
        _plot(results, out.with_suffix(".png"))


def _measure(candidates, x, dictionary):
    fastest = dict.fromkeys(range(len(candidates)), np.inf)
    answers = {}
    for _ in range(_REPEATS.value):
        for index, candidate in enumerate(candidates):
            start = time.perf_counter()
            answers[index] = candidate.solve(x[: candidate.batch])
            seconds = time.perf_counter() - start
            fastest[index] = min(fastest[index], seconds)
    results = []
    for index, candidate in enumerate(candidates):
        codes, steps = answers[index]
        gap = objective.duality_gap(
            x[: candidate.batch], dictionary, codes, l1_penalty=_L1_PENALTY.value
        )
        results.append(
            {
                "solver": candidate.name,
                "device": jax.devices()[0].device_kind,
                "dtype": str(codes.dtype),
                "batch": candidate.batch,
                "rows_per_s": candidate.batch / fastest[index],
                "gap_mean": float(jnp.mean(gap)),
                "gap_max": float(jnp.max(gap)),
                "steps_mean": None if steps is None else float(np.mean(steps)),
                "l0": float(np.mean(np.sum(codes > 0, axis=1))),
                "compile_s": candidate.compile_s,
                "peak_memory_mb": candidate.memory_mb,
            }
        )
    return results


def _jax_candidates(x, dictionary):
    solvers = ("fista_restart", "spectral", "working_set")
    candidates = [
        _jitted(
            f"{solver} {tolerance}",
            functools.partial(_encode, solver=solver, tolerance=float(tolerance)),
            x,
            dictionary,
        )
        for solver in solvers
        for tolerance in _TOLERANCES.value
    ]
    return candidates + _mapped_candidates(x, dictionary)


def _encode(x, dictionary, *, solver, tolerance):
    return encode.encode(
        x,
        dictionary,
        l1_penalty=_L1_PENALTY.value,
        solver=solver,
        tolerance=tolerance,
        max_steps=2000,
    )


def _jitted(name, function, x, dictionary):
    """Compiles ahead of time, so that the program's memory is known."""
    x, dictionary = jnp.asarray(x), jnp.asarray(dictionary)
    start = time.perf_counter()
    compiled = jax.jit(function).lower(x, dictionary).compile()
    compile_s = time.perf_counter() - start
    memory = compiled.memory_analysis()

    def solve(rows):
        got = compiled(jnp.asarray(rows), dictionary)
        return np.asarray(got.codes), np.asarray(got.num_steps)

    return Candidate(
        name=name,
        solve=solve,
        batch=len(x),
        memory_mb=(memory.temp_size_in_bytes + memory.output_size_in_bytes) / 1e6,
        compile_s=compile_s,
    )


def _mapped_candidates(x, dictionary):
    """The working-set solver under pmap and shard_map, over all devices."""
    count = jax.device_count()
    batch = len(x) // count * count
    dictionary = jnp.asarray(dictionary)
    function = functools.partial(
        _encode, solver="working_set", tolerance=_MAPPED_TOLERANCE
    )
    by_pmap = jax.pmap(function, in_axes=(0, None))
    mesh = jax.make_mesh((count,), ("rows",))

    def with_pmap(rows):
        got = by_pmap(rows.reshape(count, -1, rows.shape[1]), dictionary)
        return (
            np.asarray(got.codes).reshape(len(rows), -1),
            np.asarray(got.num_steps).reshape(-1),
        )

    by_shard = jax.jit(
        jax.shard_map(
            function,
            mesh=mesh,
            in_specs=(jax.P("rows"), jax.P()),
            out_specs=jax.P("rows"),
        )
    )

    def with_shard_map(rows):
        rows = jax.device_put(rows, jax.NamedSharding(mesh, jax.P("rows")))
        whole = jax.device_put(dictionary, jax.NamedSharding(mesh, jax.P()))
        got = by_shard(rows, whole)
        return np.asarray(got.codes), np.asarray(got.num_steps)

    candidates = []
    for name, solve in (("pmap", with_pmap), ("shard_map", with_shard_map)):
        start = time.perf_counter()
        solve(x[:batch])
        compile_s = time.perf_counter() - start
        candidates.append(
            Candidate(
                name=f"working_set {_MAPPED_TOLERANCE} {name} x{count}",
                solve=solve,
                batch=batch,
                compile_s=compile_s,
            )
        )
    return candidates


def _other_candidates(x, dictionary):
    candidates = []
    slow = min(_SLOW_ROWS.value, len(x))
    if importlib.util.find_spec("torch") is not None:
        candidates.append(
            Candidate(
                name=f"published, torch, {_PUBLISHED_STEPS} steps",
                solve=functools.partial(_published, dictionary=dictionary),
                batch=slow,
            )
        )
    if importlib.util.find_spec("spams") is not None:
        candidates.append(
            Candidate(
                name="SPAMS lasso (LARS), all cores",
                solve=functools.partial(_spams, dictionary=dictionary),
                batch=len(x),
            )
        )
    if importlib.util.find_spec("sklearn") is not None:
        candidates += [
            Candidate(
                name=f"scikit-learn {algorithm}, all cores",
                solve=functools.partial(
                    _sklearn, dictionary=dictionary, algorithm=algorithm
                ),
                batch=slow,
            )
            for algorithm in ("lasso_lars", "lasso_cd")
        ]
    return candidates


def _published(x, *, dictionary):
    """FISTA as published: columns, batches of 100, an eigenvalue solve for each."""
    import torch

    basis = torch.from_numpy(dictionary.T.copy())
    parts = []
    for first in range(0, len(x), _PUBLISHED_BATCH):
        signals = torch.from_numpy(x[first : first + _PUBLISHED_BATCH].T.copy())
        step_size = 1 / torch.linalg.eigvalsh(basis @ basis.T)[-1]
        codes = torch.zeros(basis.shape[1], signals.shape[1])
        extrapolated = codes
        next_t = 1.0
        for _ in range(_PUBLISHED_STEPS):
            t, next_t = next_t, (1 + (1 + 4 * next_t**2) ** 0.5) / 2
            residual = signals - basis @ extrapolated
            proposal = extrapolated + step_size * (basis.T @ residual)
            previous = codes
            codes = (proposal - step_size * _L1_PENALTY.value).clamp(min=0)
            extrapolated = codes + (codes - previous) * ((t - 1) / next_t)
        parts.append(codes.T.numpy())
    return np.concatenate(parts), np.full(len(x), _PUBLISHED_STEPS)


def _spams(x, *, dictionary):
    import spams

    codes = spams.lasso(
        np.asfortranarray(x.T),
        D=np.asfortranarray(dictionary.T),
        lambda1=_L1_PENALTY.value,
        mode=2,
        pos=True,
        numThreads=-1,
    )
    return np.ascontiguousarray(codes.toarray().T), None


def _sklearn(x, *, dictionary, algorithm):
    from sklearn import decomposition

    codes = decomposition.sparse_encode(
        x,
        dictionary,
        algorithm=algorithm,
        alpha=_L1_PENALTY.value,
        positive=True,
        n_jobs=-1,
    )
    return codes.astype(np.float32), None


def _table(results):
    width = max(len(row["solver"]) for row in results)
    lines = [
        f"{'solver':{width}}  rows/s  gap mean  gap max  steps    L0  compile s     MB"
    ]
    for row in results:
        steps = "" if row["steps_mean"] is None else f"{row['steps_mean']:.1f}"
        memory = "" if row["peak_memory_mb"] is None else f"{row['peak_memory_mb']:.0f}"
        lines.append(
            f"{row['solver']:{width}}  {row['rows_per_s']:6.0f}  {row['gap_mean']:8.1e}"
            f"  {row['gap_max']:7.1e}  {steps:>5}  {row['l0']:4.0f}"
            f"  {row['compile_s']:9.1f}  {memory:>5}"
        )
    return "\n".join(lines)


def _plot(results, path):
    """Draws mean gap against time a row: lower and further left is better."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    families = {}
    for row in results:
        first = row["solver"].split(" ")[0]
        mapped = "map" in row["solver"].split(" ")[-2]
        name = row["solver"] if row["steps_mean"] is None or mapped else first
        families.setdefault(name.split(",")[0], []).append(row)
    for name, rows in families.items():
        milliseconds = [1e3 / row["rows_per_s"] for row in rows]
        gaps = [row["gap_mean"] for row in rows]
        axes.loglog(milliseconds, gaps, marker="o", label=name)
    axes.set_xlabel("milliseconds per row")
    axes.set_ylabel("mean relative duality gap")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    app.run(main)
