"""Does another training find the same factors? Seeds, halves of the text, sizes.

    python -m experiments.stability --run=runs/demo --out=stability.json
    python -m experiments.stability --run=runs/demo --seeds=5 --least=3 \
        --n_factors=1024 --rows=300000 --passes=4 --out=stability.json

The run gives the model, the text and the layers; the encoder runs once, and small
dictionaries are learned from its hidden states. Samples of the hidden states and random
directions stand beside them. A consensus of the seeds is measured on held-out text.
JSON, tables as Markdown and a plot are written.
"""

import dataclasses
import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run, pipeline
from tfvis_jax.evaluation import matching
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.studies import text_rows
from tfvis_jax.studies.dictionaries import stability_report, stability_study

FLAGS = flags.FlagValues()
_DEFAULT = stability_study.StudyConfig()
_RUN = flags.DEFINE_string(
    "run", None, "The run's directory.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)
_LAYERS = flags.DEFINE_list(
    "layers",
    [],
    "Layers, such as 0,3,6. (default: three, from the first to the last)",
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
_N_FACTORS = flags.DEFINE_integer(
    "n_factors",
    _DEFAULT.n_factors,
    "Factors of a dictionary.",
    lower_bound=4,
    flag_values=FLAGS,
)
_SIZES = flags.DEFINE_list(
    "sizes",
    [str(size) for size in _DEFAULT.sizes],
    "Other numbers of factors to compare with.",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    _DEFAULT.n_seeds,
    "Trainings on the same rows.",
    lower_bound=2,
    flag_values=FLAGS,
)
_LEAST = flags.DEFINE_integer(
    "least",
    _DEFAULT.least,
    "Seeds that a factor of the consensus is found in.",
    lower_bound=2,
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
_COSINE = flags.DEFINE_float(
    "cosine",
    matching.SAME,
    "Two matched factors are the same from this cosine on.",
    lower_bound=0,
    upper_bound=1,
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
    """Trains, compares, writes tables."""
    run = load_run(_RUN.value)
    layers = script.numbers("layers", _LAYERS.value, int)
    trained = run.trained.of_layers(
        layers or text_rows.spread_layers(run.trained.layers, 3)
    )
    config = stability_study.StudyConfig(
        n_rows=_ROWS.value,
        n_held_out=_HELD_OUT.value,
        n_factors=_N_FACTORS.value,
        sizes=script.numbers("sizes", _SIZES.value, int),
        n_seeds=_SEEDS.value,
        least=_LEAST.value,
        target_l0=_L0.value,
        num_passes=_PASSES.value,
        cosine=_COSINE.value,
        n_resamples=_RESAMPLES.value,
        seed=_SEED.value,
    )
    with pipeline.bars() as progress:
        study = stability_study.study(
            run.opened,
            trained,
            config,
            labels=_LABELS.value,
            progress=progress,
            notify=pipeline.note,
        )
    model = "/".join(pathlib.PurePath(trained.model).parts[-2:])
    document = environment.describe("experiments.stability")
    document["source"] = (
        f"{model}, layers {', '.join(map(str, trained.layers))}, "
        f"{config.n_factors:,} factors from {config.n_rows:,} rows"
    )
    document["config"] = dataclasses.asdict(config)
    document |= stability_report.to_json(study)
    document["claims"] = [
        each.to_json() for each in stability_report.claims(study, config)
    ]
    text = stability_report.table(study, document)
    print(text)
    outputs.write(
        pathlib.Path(_OUT.value),
        document,
        text,
        draw=lambda document, path: stability_report.draw(study, document, path),
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
