"""Trains a dictionary with the published settings and times it beside published code.

    tfvis demo runs/demo
    python -m benchmarks.dictionaries.paper_training

Both learn from the same rows in the same order, 100 a step, from the same first
dictionary of 2,000 factors, with the step of Yun et al. (2021): FISTA of 500 steps and
their diagonal-Hessian update. Three times: their algorithm in PyTorch, with an
eigenvalue solve a batch; our `paper` preset, the same steps compiled; and the preset
with codes to a tolerance instead of 500 steps (`--solver=auto --tolerance=1e-3`). What
the dictionaries leave unexplained of held-out rows is measured alike for all. Token
weights are left out: rows of a run do not say their tokens.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks import inputs
from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step as step_lib
from tfvis_jax.reporting import environment, outputs, tables
from tfvis_jax.sparse_coding import decode, encode, metrics
from tfvis_jax.sparse_coding import dictionary as dictionary_lib

FLAGS = flags.FlagValues()
_STEPS = flags.DEFINE_integer(
    "steps", 40, "Dictionary steps.", lower_bound=2, flag_values=FLAGS
)
_TOLERANCE = flags.DEFINE_float(
    "tolerance",
    1e-3,
    "Tolerance of the third training.",
    lower_bound=1e-6,
    flag_values=FLAGS,
)
_HELD_OUT = flags.DEFINE_integer(
    "held_out_rows",
    4096,
    "Rows that the FVU is measured on.",
    lower_bound=1,
    flag_values=FLAGS,
)
INPUTS = inputs.Inputs(FLAGS)

_ROWS_PER_STEP = 100


def by_published_code(
    batches: np.ndarray, dictionary: np.ndarray, *, preset: config_lib.RunConfig
) -> np.ndarray:
    """Learns in PyTorch as the authors do; returns the dictionary.

    Args:
      batches: [steps, rows, d_model].
      dictionary: [n_factors, d_model], the first.
      preset: the paper's settings.
    """
    import torch

    torch.set_num_threads(environment.num_cores())
    solver, update = preset.solver, preset.dictionary
    basis = torch.from_numpy(dictionary.T.copy())
    energy = torch.zeros(basis.shape[1])
    for signals in torch.from_numpy(batches):
        signals = signals.T
        step_size = 1 / torch.linalg.eigvalsh(basis @ basis.T)[-1]
        codes = torch.zeros(basis.shape[1], signals.shape[1])
        extrapolated, next_t = codes, 1.0
        for _ in range(solver.max_steps):
            t, next_t = next_t, (1 + (1 + 4 * next_t**2) ** 0.5) / 2
            gradient = basis.T @ (signals - basis @ extrapolated)
            proposal = extrapolated + step_size * gradient
            previous = codes
            codes = (proposal - step_size * solver.l1_penalty).clamp(min=0)
            extrapolated = codes + (codes - previous) * ((t - 1) / next_t)
        residual = signals - basis @ codes
        share = 1 / update.energy_length
        energy = energy * (1 - share) + (codes**2).mean(dim=1) * share
        change = residual @ codes.T / signals.shape[1]
        basis = basis + update.step_size * change / (energy + update.energy_floor)
        basis = basis / basis.norm(dim=0, keepdim=True)
    return basis.T.numpy()


def by_ours(
    batches: np.ndarray, dictionary: np.ndarray, *, preset: config_lib.RunConfig
) -> np.ndarray:
    """Learns with our training step; returns the dictionary.

    Args:
      batches: [steps, rows, d_model].
      dictionary: [n_factors, d_model], the first.
      preset: settings.
    """
    state = state_lib.create(
        jnp.array(dictionary),
        jnp.ones((1,)),
        l1_penalty=preset.solver.l1_penalty,
        config=preset.dictionary,
    )
    ones = jnp.ones(batches.shape[1])
    for x in batches:
        state, _ = step_lib.train_step(
            state,
            x,
            ones,
            ones > 0,
            progress=jnp.float32(0),
            solver=preset.solver,
            dictionary=preset.dictionary,
        )
    return np.asarray(jax.block_until_ready(state.dictionary))


def unexplained(x: np.ndarray, dictionary: np.ndarray, *, l1_penalty: float) -> float:
    """Returns the FVU of rows [rows, d_model] by lasso codes with a certificate."""
    rows, factors = jnp.asarray(x), jnp.asarray(dictionary)
    codes = encode(rows, factors, l1_penalty=l1_penalty).codes
    totals = metrics.ReconstructionTotals.zeros(
        d_model=x.shape[1], n_factors=len(dictionary)
    )
    residual = rows - decode(codes, factors)
    valid = jnp.ones(len(x), bool)
    totals += jax.device_get(metrics.row_sums(rows, codes, residual, valid=valid))
    return totals.fvu()


def main() -> None:
    """Trains, prints a table, writes it with JSON."""
    out = INPUTS.out_path("paper_training")
    num_samples = _STEPS.value * _ROWS_PER_STEP
    problem = INPUTS.load(num_rows=_HELD_OUT.value, num_samples=num_samples)
    if len(problem.samples) < num_samples:
        raise InputError(
            f"Expected {num_samples} rows for {_STEPS.value} steps, got "
            f"{len(problem.samples)}. Take fewer --steps."
        )
    l1_penalty = problem.l1_penalty or config_lib.SolverConfig.l1_penalty
    paper = config_lib.RunConfig.paper(model="", paths=("",), n_layers=2)
    published = dataclasses.replace(
        paper, solver=dataclasses.replace(paper.solver, l1_penalty=l1_penalty)
    )
    certified = dataclasses.replace(
        published,
        solver=config_lib.SolverConfig(
            l1_penalty=l1_penalty, tolerance=_TOLERANCE.value
        ),
    )
    first = np.asarray(
        dictionary_lib.initialise_normal(
            jax.random.key(0),
            n_factors=paper.dictionary.n_factors,
            d_model=problem.x.shape[1],
        )
    )
    batches = problem.samples.reshape(_STEPS.value, _ROWS_PER_STEP, -1)
    methods = {
        "published code, PyTorch": (by_published_code, published),
        "paper preset": (by_ours, published),
        f"paper preset, tolerance {_TOLERANCE.value:g}": (by_ours, certified),
    }
    document = environment.describe("benchmarks.dictionaries.paper_training") | {
        "problem": {
            "source": problem.source,
            "n_factors": paper.dictionary.n_factors,
            "rows_seen": num_samples,
            "n_held_out_rows": len(problem.x),
            "l1_penalty": l1_penalty,
            "fvu_before": unexplained(problem.x, first, l1_penalty=l1_penalty),
        },
        "rows": [
            _measure(name, learn, preset, batches, first, problem.x)
            for name, (learn, preset) in methods.items()
        ],
    }
    text = _table(document)
    print(text)
    outputs.write(out, document, text)


def _measure(
    name: str,
    learn: Callable[..., np.ndarray],
    preset: config_lib.RunConfig,
    batches: np.ndarray,
    first: np.ndarray,
    held_out: np.ndarray,
) -> dict[str, Any]:
    outputs.say(f"{name}: {len(batches)} steps")
    learn(batches[:1], first, preset=preset)  # Compiles, or warms up.
    start = time.perf_counter()
    dictionary = learn(batches, first, preset=preset)
    return {
        "method": name,
        "seconds": time.perf_counter() - start,
        "fvu": unexplained(held_out, dictionary, l1_penalty=preset.solver.l1_penalty),
    }


def _table(document: dict[str, Any]) -> str:
    problem, rows = document["problem"], document["rows"]
    cells = [
        (
            row["method"],
            f"{row['seconds']:.1f}",
            f"{rows[0]['seconds'] / row['seconds']:.1f}",
            f"{row['fvu']:.4f}",
        )
        for row in rows
    ]
    heads = ("", "seconds", "times as fast", "FVU held out")
    caption = (
        f"{problem['rows_seen']:,} rows seen, {problem['n_factors']:,} factors, "
        f"λ = {problem['l1_penalty']:g}; the first dictionary leaves "
        f"{problem['fvu_before']:.4f}."
    )
    return tables.captioned(caption, document, heads, cells)


if __name__ == "__main__":
    script.run(main, FLAGS)
