"""Measures how the cost of a solve grows, and what a warm start saves.

Rows per second and memory against the number of rows, on the dictionary of a run;
against the number of factors, on dictionaries of sampled rows, at a fixed number of
active factors; and steps of a solve that starts from codes that are one training step
old, against one from zero.

    tfvis demo runs/demo
    python -m benchmarks.solvers.scaling

Prints Markdown tables; writes them with JSON and a plot of the curves.
"""

from absl import flags

from benchmarks import inputs
from benchmarks.solvers import curves, report, scaling_plot, warm_start
from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_BATCHES = flags.DEFINE_list(
    "batches",
    ["512", "1024", "2048", "4096", "8192", "16384"],
    "Numbers of rows in a solve.",
    flag_values=FLAGS,
)
_FACTORS = flags.DEFINE_list(
    "factors",
    ["1024", "2048", "4096", "8192", "16384", "32768", "65536", "131072"],
    "Numbers of factors in a dictionary of sampled rows.",
    flag_values=FLAGS,
)
_FACTOR_ROWS = flags.DEFINE_integer(
    "factor_rows",
    512,
    "Rows of a solve on sampled factors.",
    lower_bound=2,
    flag_values=FLAGS,
)
_L0 = flags.DEFINE_float(
    "l0",
    50,
    "Mean number of active factors; λ is chosen for it.",
    lower_bound=1,
    flag_values=FLAGS,
)
_WARM_L0 = flags.DEFINE_list(
    "warm_l0",
    ["30", "90"],
    "Mean numbers of active factors for warm starts.",
    flag_values=FLAGS,
)
_ROWS_PER_STEP = flags.DEFINE_integer(
    "rows_per_step",
    config_lib.RunConfig.rows_per_step,
    "Rows of the training step before a warm start.",
    lower_bound=1,
    flag_values=FLAGS,
)
_SOLVERS = ("auto", "spectral")
INPUTS = inputs.Inputs(FLAGS)


def main() -> None:
    """Measures, prints tables, writes them with JSON and a plot."""
    out = INPUTS.start("solver_scaling")
    batches = inputs.numbers("batches", _BATCHES.value, kind=int)
    sizes = inputs.numbers("factors", _FACTORS.value, kind=int)
    warm_l0s = inputs.numbers("warm_l0", _WARM_L0.value)
    num_training = (warm_start.SETTLING_STEPS + 1) * _ROWS_PER_STEP.value
    num_rows = max(*batches, _FACTOR_ROWS.value)
    problem = INPUTS.load(num_rows=num_rows, num_samples=max(*sizes, num_training))
    if len(problem.x) < num_rows or min(batches) < 2:
        raise InputError(
            f"Expected --batches between 2 and the {len(problem.x)} rows that there "
            f"are, got {','.join(_BATCHES.value)}."
        )
    header = environment.describe("benchmarks.solvers.scaling")
    common = {
        "repeats": INPUTS.repeats,
        "solvers": INPUTS.solvers(_SOLVERS, allowed=config_lib.SOLVERS),
        "progress": outputs.say,
    }
    document = {
        "schema": "tfvis-solver-scaling/1",
        **header,
        "problem": problem.summary() | {"l0": _L0.value, "tolerance": curves.TOLERANCE},
        "rows_curve": curves.rows_curve(
            problem.x, problem.dictionary, batches=batches, l0=_L0.value, **common
        ),
        "factors_curve": curves.factors_curve(
            problem.x[: _FACTOR_ROWS.value],
            problem.samples,
            sizes=sizes,
            l0=_L0.value,
            **common,
        ),
        "warm_start": warm_start.measure(
            problem.samples,
            problem.dictionary,
            l0s=warm_l0s,
            rows_per_step=_ROWS_PER_STEP.value,
            **common,
        ),
    }
    text = report.scaling(document)
    print(text)
    outputs.write(out, document, text, draw=scaling_plot.draw)


if __name__ == "__main__":
    script.run(main, FLAGS)
