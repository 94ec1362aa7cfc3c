"""Where in the network are words, patterns and long range? Importance curves by level.

    tfvis levels runs/demo
    python -m experiments.levels --run=runs/demo --out=levels.json

Levels are judged without layers (`tfvis levels`), so that it can be asked at which
layers the factors of a level are. JSON, the table as Markdown and a plot are written.
"""

import collections
import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.levels import rule, sampling
from tfvis_jax.reporting import claims, environment, outputs, tables
from tfvis_jax.studies.layers import level_curves, level_curves_plot

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "The run's directory.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)
_RESAMPLES = flags.DEFINE_integer(
    "resamples", 1000, "Bootstrap resamples.", lower_bound=10, flag_values=FLAGS
)
_SAMPLES = (50, 100, 200)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", flag_values=FLAGS)


def main() -> None:
    """Draws the curves of a run whose levels were measured."""
    run = load_run(_RUN.value)
    levels = run.levels
    if guessed := sum(level.is_guess for level in levels):
        raise InputError(
            f"{guessed} of the {len(levels)} levels of {_RUN.value} are guesses; "
            f"`{command_line('levels', _RUN.value)}` measures them."
        )
    found = level_curves.curves(
        run.importance(), levels, n_resamples=_RESAMPLES.value, seed=_SEED.value
    )
    layers = run.trained.layers
    listed = level_curves.to_claims(found)
    count = collections.Counter(level.name for level in levels)
    document = environment.describe("experiments.levels")
    document["source"] = f"{run.directory.path.name}, {len(levels)} factors"
    document["config"] = {"resamples": _RESAMPLES.value, "seed": _SEED.value}
    document["layers"] = list(layers)
    document["counts"] = {name: count[name] for name in rule.LEVELS}
    document["curves"] = level_curves.to_json(found)
    document["claims"] = [claim.to_json() for claim in listed]
    document["sampled"] = {
        n: dict(
            collections.Counter(
                levels[f].name for f in sampling.by_context(run.level_evidence, n=n)
            )
        )
        for n in _SAMPLES
    }
    counts = ", ".join(f"{count[name]} {name}" for name in rule.LEVELS)
    text = "\n\n".join(
        [
            f"{document['source']}: {counts}.",
            "Median importance as a share of the factor's peak; onset is the mean "
            "relative depth at which it reaches half of that.",
            level_curves.table(found, layers),
            claims.table(listed),
            "Of the factors that `tfvis levels --at_most=N` measures, so many have "
            "each level:",
            tables.markdown(
                ["N", *rule.LEVELS],
                [
                    [f"{n:,}", *(f"{found.get(name, 0)}" for name in rule.LEVELS)]
                    for n, found in document["sampled"].items()
                ],
            ),
        ]
    )
    print(text)
    outputs.write(
        pathlib.Path(_OUT.value),
        document,
        text,
        draw=lambda document, path: level_curves_plot.draw(
            found, layers, document, path
        ),
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
