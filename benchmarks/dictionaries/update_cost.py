"""Measures which share of a training step the dictionary's update takes.

    tfvis demo runs/demo
    python -m benchmarks.dictionaries.update_cost

A step infers the codes of its rows, which is timed alone as well, on the same rows and
dictionary; what the step takes longer is the update: gradient, direction, projection,
revival, metrics. The two are timed in turn, on several batches of a run's hidden
states, and medians are compared. Reading text and running BERT are no part of either.
"""

import functools
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks import inputs
from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.learning import inference
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step as step_lib
from tfvis_jax.reporting import environment, outputs, tables

FLAGS = flags.FlagValues()
_UPDATES = flags.DEFINE_list(
    "updates",
    list(config_lib.UPDATES),
    "Directions of the step to measure.",
    flag_values=FLAGS,
)
_BATCHES = flags.DEFINE_integer(
    "batches", 8, "Steps that are timed.", lower_bound=1, flag_values=FLAGS
)
_ROWS_PER_STEP = flags.DEFINE_integer(
    "rows_per_step",
    config_lib.RunConfig.rows_per_step,
    "Rows of a step.",
    lower_bound=1,
    flag_values=FLAGS,
)
INPUTS = inputs.Inputs(FLAGS)


def measure(
    batches: np.ndarray,
    dictionary: np.ndarray,
    *,
    update: str,
    l1_penalty: float,
) -> dict[str, Any]:
    """Times steps with and without the update.

    Args:
      batches: [n, rows, d_model]; the first is not timed, since it compiles.
      dictionary: [n_factors, d_model].
      update: one of `config.UPDATES`.
      l1_penalty: λ.

    Returns:
      Medians of the seconds of a step and of inference alone, and the update's share.
    """
    solver = config_lib.SolverConfig(l1_penalty=l1_penalty)
    config = config_lib.DictionaryConfig(
        n_factors=len(dictionary), update=update, step_size=_STEP_SIZES[update]
    )
    state = state_lib.create(
        jnp.array(dictionary), jnp.ones((1,)), l1_penalty=l1_penalty, config=config
    )
    infer = jax.jit(functools.partial(inference.infer, solver=solver))
    inferences, steps = [], []
    for x in jnp.asarray(batches):
        start = time.perf_counter()
        jax.block_until_ready(infer(x, state.dictionary, l1_penalty=state.l1_penalty))
        middle = time.perf_counter()
        state, _ = jax.block_until_ready(
            step_lib.train_step(
                state,
                x,
                jnp.ones(len(x)),
                jnp.ones(len(x), bool),
                progress=jnp.float32(0.5),
                solver=solver,
                dictionary=config,
            )
        )
        inferences.append(middle - start)
        steps.append(time.perf_counter() - middle)
    whole, codes = (statistics.median(seconds[1:]) for seconds in (steps, inferences))
    return {
        "update": update,
        "step_s": whole,
        "inference_s": codes,
        "update_share": 1 - codes / whole,
    }


# As the settings' comments give them.
_STEP_SIZES = {
    "energy": 0.2,
    "gradient": 0.2,
    "adam": 0.01,
    "online": 1.0,
    "newton": 0.5,
}


def main() -> None:
    """Measures, prints a table, writes it with JSON."""
    out = INPUTS.out_path("update_cost")
    unknown = sorted(set(_UPDATES.value) - set(config_lib.UPDATES))
    if unknown:
        raise InputError(
            f"Expected --updates of {', '.join(config_lib.UPDATES)}, got {unknown}."
        )
    num_rows = (_BATCHES.value + 1) * _ROWS_PER_STEP.value
    problem = INPUTS.load(num_rows=1, num_samples=num_rows)
    if len(problem.samples) < num_rows:
        raise InputError(
            f"Expected {num_rows} rows for {_BATCHES.value} steps and one that is not "
            f"timed, got {len(problem.samples)}. Take fewer --batches."
        )
    batches = problem.samples.reshape(-1, _ROWS_PER_STEP.value, problem.x.shape[1])
    l1_penalty = problem.l1_penalty or config_lib.SolverConfig.l1_penalty
    document = environment.describe("benchmarks.dictionaries.update_cost") | {
        "problem": {
            "source": problem.source,
            "n_factors": len(problem.dictionary),
            "rows_per_step": _ROWS_PER_STEP.value,
            "l1_penalty": l1_penalty,
        },
        "rows": [],
    }
    for update in _UPDATES.value:
        outputs.say(f"{update}: {_BATCHES.value} steps")
        document["rows"].append(
            measure(batches, problem.dictionary, update=update, l1_penalty=l1_penalty)
        )
    text = _table(document)
    print(text)
    outputs.write(out, document, text)


def _table(document: dict[str, Any]) -> str:
    problem = document["problem"]
    heads = ("update", "ms a step", "ms for its codes", "update's share")
    cells = [
        (
            row["update"],
            f"{1e3 * row['step_s']:,.0f}",
            f"{1e3 * row['inference_s']:,.0f}",
            f"{row['update_share']:.0%}",
        )
        for row in document["rows"]
    ]
    caption = (
        f"{problem['rows_per_step']:,} rows a step, {problem['n_factors']:,} factors, "
        f"λ = {problem['l1_penalty']:g}."
    )
    return tables.captioned(caption, document, heads, cells)


if __name__ == "__main__":
    script.run(main, FLAGS)
