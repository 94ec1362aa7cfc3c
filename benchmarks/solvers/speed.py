"""Compares sparse coding solvers on the same rows: speed, and the gap they reach.

Every solver of `tfvis_jax` and, where installed, the published algorithm in PyTorch,
SPAMS and scikit-learn infer non-negative codes of the same rows on the same dictionary.
Whatever they return is certified by the same float32 duality gap. Rows and factors are
those of a finished run, or of two files:

    tfvis demo runs/demo
    python -m benchmarks.solvers.speed
    python -m benchmarks.solvers.speed --activations rows.npy --dictionary factors.npy \
        --l1_penalty 0.06,0.03 --out speed.json

Prints a Markdown table; writes it with JSON and a plot of gap against time.
"""

from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import inputs
from benchmarks import problem as problem_lib
from benchmarks.solvers import (
    candidates,
    competitor_processes,
    curves,
    report,
    speed_plot,
    timing,
)
from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_L1_PENALTY = flags.DEFINE_list(
    "l1_penalty",
    None,
    "Values of λ; by default the run's own and half of it.",
    flag_values=FLAGS,
)
_TARGET_L0 = flags.DEFINE_list(
    "target_l0",
    None,
    "Mean numbers of active factors to find λ for, instead of --l1_penalty.",
    flag_values=FLAGS,
)
_ROWS = flags.DEFINE_integer(
    "rows", 2048, "Rows for fast solvers.", lower_bound=1, flag_values=FLAGS
)
_SLOW_ROWS = flags.DEFINE_integer(
    "slow_rows",
    300,
    "Rows for the published algorithm and scikit-learn.",
    lower_bound=1,
    flag_values=FLAGS,
)
_TOLERANCES = flags.DEFINE_list(
    "tolerances",
    ["1e-2", "1e-3", "2e-4", "2e-5"],
    "Gaps to solve to.",
    flag_values=FLAGS,
)
_PRECISION = flags.DEFINE_string(
    "precision",
    None,
    "Precision in which dense steps begin; the default if None.",
    flag_values=FLAGS,
)
INPUTS = inputs.Inputs(FLAGS)


def main() -> None:
    """Measures, prints a table, writes it with JSON and a plot."""
    out = INPUTS.start("solver_speed")
    tolerances = inputs.numbers("tolerances", _TOLERANCES.value)
    problem = INPUTS.load(num_rows=_ROWS.value)
    if len(problem.x) < jax.device_count():
        raise InputError(
            f"Expected a row for each of {jax.device_count()} devices, got "
            f"{len(problem.x)}."
        )
    penalties = _penalties(problem)
    header = environment.describe("benchmarks.solvers.speed")
    batch, d_model = problem.x.shape
    every = (*config_lib.SOLVERS, *config_lib.PURSUITS)
    solvers = INPUTS.solvers(every, allowed=every)
    programs = candidates.lasso_programs(
        solvers,
        batch=batch,
        d_model=d_model,
        n_factors=len(problem.dictionary),
        precision=_PRECISION.value,
        progress=outputs.say,
    )
    if not programs:
        raise InputError(
            "Expected a solver of the lasso among --solvers: the others are given as "
            "many factors as it uses."
        )
    rows = []
    with competitor_processes.start(outputs.say) as processes:
        for l1_penalty in penalties:
            rows += _measure(
                problem,
                solvers,
                programs,
                processes,
                l1_penalty=l1_penalty,
                tolerances=tolerances,
                peak_tflops=header["hardware"]["bf16_matmul_tflops"],
            )
    document = {
        "schema": "tfvis-solver-speed/1",
        **header,
        "problem": problem.summary() | {"rows": batch},
        "rows": rows,
    }
    text = report.speed(document)
    print(text)
    outputs.write(out, document, text, draw=speed_plot.draw)


def _penalties(problem: problem_lib.BenchmarkProblem) -> list[float]:
    """Returns the values of λ that are asked for."""
    if _TARGET_L0.value is not None:
        wanted = inputs.numbers("target_l0", _TARGET_L0.value)
        x, dictionary = problem.x, problem.dictionary
        found = [curves.penalty_for_l0(x, dictionary, l0=l0) for l0 in wanted]
        # A number that can be typed again.
        return [float(f"{l1_penalty:.3g}") for l1_penalty in found]
    if _L1_PENALTY.value is not None:
        return inputs.numbers("l1_penalty", _L1_PENALTY.value)
    if problem.l1_penalty is None:
        raise InputError(
            "Expected --l1_penalty or --target_l0 with --activations, which say "
            "nothing of λ."
        )
    return [problem.l1_penalty, problem.l1_penalty / 2]


def _measure(
    problem: problem_lib.BenchmarkProblem,
    solvers: list[str],
    programs: list[candidates.Program],
    processes: competitor_processes.Processes,
    *,
    l1_penalty: float,
    tolerances: list[float],
    peak_tflops: float | None,
) -> list[dict[str, Any]]:
    """Returns the rows of one λ."""
    outputs.say(f"λ = {l1_penalty:g}")
    x, dictionary = problem.x, problem.dictionary
    lasso = candidates.lasso_candidates(
        programs, x, dictionary, l1_penalty=l1_penalty, tolerances=tolerances
    )
    # Greedy solvers get as many factors as the lasso uses.
    codes = lasso[-1].solve().codes
    greedy = candidates.greedy_candidates(
        solvers,
        x,
        dictionary,
        l1_penalty=l1_penalty,
        k=max(1, round(float(np.mean(np.sum(np.asarray(codes) != 0, axis=1))))),
        progress=outputs.say,
    )
    others = competitor_processes.candidates(
        processes,
        x,
        dictionary,
        l1_penalty=l1_penalty,
        slow_rows=_SLOW_ROWS.value,
        same_gap=report.SAME_GAP,
        progress=outputs.say,
    )
    return timing.measure(
        [*lasso, *greedy, *others],
        x,
        dictionary,
        l1_penalty=l1_penalty,
        repeats=INPUTS.repeats,
        peak_tflops=peak_tflops,
        progress=outputs.say,
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
