"""What depth does to factors, and whether layers should share a dictionary.

    python -m experiments.layers --run=runs/demo --out=layers.json
    python -m experiments.layers --run=runs/demo --tokens=50000 --rows=400000 \
        --n_factors=3072 --out=layers.json

How much the tokens that fire a factor stay the same from layer to layer; how much of
each layer's variance is explained by factors that are strongest in its lower, middle
or upper third; and one dictionary for all layers against one for each, with as many
factors in all and at equal L0. JSON, tables as Markdown and a plot are written.
"""

import dataclasses
import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run, pipeline
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.studies.layers import layers_report, layers_study

FLAGS = flags.FlagValues()
_DEFAULT = layers_study.StudyConfig()
_RUN = flags.DEFINE_string(
    "run", None, "The run's directory.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)
_LAYERS = flags.DEFINE_list(
    "layers", [], "Layers, such as 0,3,6. (default: all)", flag_values=FLAGS
)
_TOKENS = flags.DEFINE_integer(
    "tokens",
    _DEFAULT.n_tokens,
    "Tokens whose contexts are compared.",
    lower_bound=2,
    flag_values=FLAGS,
)
_CONTEXTS = flags.DEFINE_integer(
    "contexts",
    _DEFAULT.n_contexts,
    "Contexts of a factor at a layer.",
    lower_bound=1,
    flag_values=FLAGS,
)
_ROWS = flags.DEFINE_integer(
    "rows", _DEFAULT.n_rows, "Rows to learn from.", lower_bound=2, flag_values=FLAGS
)
_HELD_OUT = flags.DEFINE_integer(
    "held_out",
    _DEFAULT.n_held_out,
    "Held-out rows to measure on.",
    lower_bound=2,
    flag_values=FLAGS,
)
_LEARNED = flags.DEFINE_integer(
    "learned_layers",
    _DEFAULT.n_learned_layers,
    "Layers that dictionaries are learned for, from the first to the last.",
    lower_bound=2,
    flag_values=FLAGS,
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors",
    _DEFAULT.n_factors,
    "Factors in all.",
    lower_bound=4,
    flag_values=FLAGS,
)
_L0 = flags.DEFINE_float(
    "l0",
    _DEFAULT.target_l0,
    "Mean number of active factors.",
    lower_bound=1,
    flag_values=FLAGS,
)
_PASSES = flags.DEFINE_integer(
    "passes",
    _DEFAULT.num_passes,
    "Passes over the rows.",
    lower_bound=1,
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    _DEFAULT.n_seeds,
    "Trainings of each kind.",
    lower_bound=1,
    flag_values=FLAGS,
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "Labelled text to probe: JSON lines, CoNLL-U or word/TAG. (default: 320 sentences "
    "that come with this package)",
    flag_values=FLAGS,
)
_RESAMPLES = flags.DEFINE_integer(
    "resamples", 1000, "Bootstrap resamples.", lower_bound=10, flag_values=FLAGS
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "The first random seed.", lower_bound=0, flag_values=FLAGS
)


def main() -> None:
    """Measures, writes tables."""
    run = load_run(_RUN.value)
    trained = run.trained.of_layers(
        script.numbers("layers", _LAYERS.value, int) or None
    )
    config = layers_study.StudyConfig(
        n_tokens=_TOKENS.value,
        n_contexts=_CONTEXTS.value,
        n_rows=_ROWS.value,
        n_held_out=_HELD_OUT.value,
        n_learned_layers=_LEARNED.value,
        n_factors=_N_FACTORS.value,
        target_l0=_L0.value,
        num_passes=_PASSES.value,
        n_seeds=_SEEDS.value,
        n_resamples=_RESAMPLES.value,
        seed=_SEED.value,
    )
    with pipeline.bars() as progress:
        study = layers_study.study(
            run.opened,
            trained,
            config,
            labels=_LABELS.value,
            progress=progress,
            notify=pipeline.note,
        )
    model = "/".join(pathlib.PurePath(trained.model).parts[-2:])
    document = environment.describe("experiments.layers")
    document["source"] = f"{model}, {len(trained.factors):,} factors"
    document["config"] = dataclasses.asdict(config)
    document |= layers_report.to_json(study)
    document["claims"] = [
        each.to_json() for each in layers_report.claims(study, config)
    ]
    text = layers_report.table(study, document)
    print(text)
    outputs.write(
        pathlib.Path(_OUT.value),
        document,
        text,
        draw=lambda document, path: layers_report.draw(study, document, path),
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
