"""Do special tokens and the length of windows matter to what is learned?

    python -m experiments.windows --run=runs/demo --out=windows.json
    python -m experiments.windows --run=runs/demo --lengths=32,64,128,256,512 \
        --tokens=100000 --n_factors=1024 --out=windows.json

The text of the run (or --text) is cut into windows of several lengths, with and without
[CLS] and [SEP]. A small dictionary is learned in each setting and measured on the same
tokens of other documents. JSON, tables as Markdown and a plot are written.
"""

import dataclasses
import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run, pipeline
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.studies import text_rows
from tfvis_jax.studies.dictionaries import windows_report, windows_study

FLAGS = flags.FlagValues()
_DEFAULT = windows_study.StudyConfig()
_RUN = flags.DEFINE_string(
    "run", None, "The run's directory.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)
_TEXT = flags.DEFINE_list(
    "text", [], "Files to read. (default: those of the run)", flag_values=FLAGS
)
_LENGTHS = flags.DEFINE_list(
    "lengths",
    [str(length) for length in _DEFAULT.lengths],
    "Tokens in a window.",
    flag_values=FLAGS,
)
_LAYERS = flags.DEFINE_list(
    "layers",
    [],
    "Layers, such as 0,3,6. (default: three, from the first to the last)",
    flag_values=FLAGS,
)
_TOKENS = flags.DEFINE_integer(
    "tokens",
    _DEFAULT.n_tokens,
    "Tokens to learn from.",
    lower_bound=2,
    flag_values=FLAGS,
)
_HELD_OUT = flags.DEFINE_integer(
    "held_out",
    _DEFAULT.n_held_out,
    "Tokens of other documents to measure on.",
    lower_bound=2,
    flag_values=FLAGS,
)
_PER_DOCUMENT = flags.DEFINE_integer(
    "per_document",
    _DEFAULT.per_document,
    "Tokens of a document, at most.",
    lower_bound=2,
    flag_values=FLAGS,
)
_MAX_TOKENS = flags.DEFINE_integer(
    "max_tokens",
    _DEFAULT.max_tokens,
    "Stop reading the text after about this many tokens.",
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
_RESAMPLES = flags.DEFINE_integer(
    "resamples", 1000, "Bootstrap resamples.", lower_bound=10, flag_values=FLAGS
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "The first random seed.", lower_bound=0, flag_values=FLAGS
)


def main() -> None:
    """Learns, measures, writes tables."""
    run = load_run(_RUN.value)
    layers = script.numbers("layers", _LAYERS.value, int)
    trained = run.trained.of_layers(
        layers or text_rows.spread_layers(run.trained.layers, 3)
    )
    config = windows_study.StudyConfig(
        lengths=script.numbers("lengths", _LENGTHS.value, int),
        n_tokens=_TOKENS.value,
        n_held_out=_HELD_OUT.value,
        per_document=_PER_DOCUMENT.value,
        max_tokens=_MAX_TOKENS.value,
        n_factors=_N_FACTORS.value,
        target_l0=_L0.value,
        num_passes=_PASSES.value,
        n_resamples=_RESAMPLES.value,
        seed=_SEED.value,
    )
    with pipeline.bars() as progress:
        study = windows_study.study(
            run.opened,
            trained,
            config,
            text=_TEXT.value or None,
            progress=progress,
            notify=pipeline.note,
        )
    model = "/".join(pathlib.PurePath(trained.model).parts[-2:])
    document = environment.describe("experiments.windows")
    document["source"] = (
        f"{model}, layers {', '.join(map(str, trained.layers))}, "
        f"{config.n_factors:,} factors from {config.n_tokens:,} tokens"
    )
    document["config"] = dataclasses.asdict(config)
    document |= windows_report.to_json(study)
    document["claims"] = [each.to_json() for each in windows_report.claims(study)]
    text = windows_report.table(study, document)
    print(text)
    outputs.write(
        pathlib.Path(_OUT.value),
        document,
        text,
        draw=lambda document, path: windows_report.draw(study, document, path),
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
