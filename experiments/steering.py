"""Does removing a factor change what the model predicts? Steering, with controls.

    python -m experiments.steering --run=runs/tiny --out=steering.json
    python -m experiments.steering --run=runs/tiny --brown=brown.zip --out=steering.json

A factor is taken out of one layer, or added to it, and the layers above and the masked
language model head run on: the run's model must have this head (BertForMaskedLM), such
as bert-base-uncased. Factors drawn at random are removed in the run's held-out text.
With --brown or --conllu, the factor that best tells --word as --positive is removed and
added as well. Controls are changes of the same size. JSON, tables as Markdown and a
plot are written.
"""

import dataclasses
import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run, pipeline, probing
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.runs import setup
from tfvis_jax.studies.steering import steering_plot, steering_report, steering_study
from tfvis_jax.studies.words import word_sets

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "The run's directory.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)
_BROWN = flags.DEFINE_string(
    "brown",
    None,
    "The Brown corpus: brown.zip, or a folder of word/TAG files.",
    flag_values=FLAGS,
)
_CONLLU = flags.DEFINE_string(
    "conllu",
    None,
    "Universal Dependencies, such as GUM, instead: a folder of CoNLL-U files.",
    flag_values=FLAGS,
)
_WORD = flags.DEFINE_string("word", "left", "The word to steer.", flag_values=FLAGS)
_POSITIVE = flags.DEFINE_string(
    "positive", "verb", "The part of speech to look for.", flag_values=FLAGS
)
_OCCURRENCES = flags.DEFINE_integer(
    "occurrences",
    500,
    "Occurrences of the word, at most.",
    lower_bound=2,
    flag_values=FLAGS,
)
_LAYERS = flags.DEFINE_list(
    "layers", [], "Layers, such as 1,2. (default: all)", flag_values=FLAGS
)
_FACTORS = flags.DEFINE_integer(
    "factors",
    24,
    "Factors that are drawn at each layer.",
    lower_bound=1,
    flag_values=FLAGS,
)
_WINDOWS = flags.DEFINE_integer(
    "windows", 8, "Windows of each factor.", lower_bound=1, flag_values=FLAGS
)
_TEXT_WINDOWS = flags.DEFINE_integer(
    "text_windows",
    256,
    "Held-out windows to draw them from.",
    lower_bound=2,
    flag_values=FLAGS,
)
_STRENGTHS = flags.DEFINE_list(
    "strengths",
    ["0.5", "1", "2"],
    "Multiples of the factor's activation.",
    flag_values=FLAGS,
)
_RESAMPLES = flags.DEFINE_integer(
    "resamples", 1000, "Bootstrap resamples.", lower_bound=10, flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", flag_values=FLAGS)


def main() -> None:
    """Steers, writes tables."""
    run = load_run(_RUN.value)
    trained = run.trained.of_layers(
        script.numbers("layers", _LAYERS.value, int) or None
    )
    opened = setup.with_language_model(run.opened)
    config = steering_study.StudyConfig(
        n_factors=_FACTORS.value,
        n_windows=_WINDOWS.value,
        text_windows=_TEXT_WINDOWS.value,
        strengths=tuple(sorted(script.numbers("strengths", _STRENGTHS.value))),
        n_resamples=_RESAMPLES.value,
        seed=_SEED.value,
    )
    steering_study.check(opened, config)
    labelled, word = _labelled()
    with pipeline.bars() as progress:
        study = steering_study.study_factors(opened, trained, config, progress=progress)
        if labelled is not None and word is not None:
            of_word = steering_study.study_word(
                opened, trained, word, labelled, config, progress=progress
            )
            study = dataclasses.replace(
                study,
                figures=[*study.figures, *of_word.figures],
                words=of_word.words,
            )
    model = "/".join(pathlib.PurePath(trained.model).parts[-2:])
    document = environment.describe("experiments.steering")
    document["source"] = f"{model}, {len(trained.factors):,} factors"
    document["config"] = dataclasses.asdict(config)
    document |= steering_report.to_json(study)
    document["claims"] = [each.to_json() for each in steering_report.claims(study)]
    text = steering_report.table(study, document)
    print(text)
    outputs.write(
        pathlib.Path(_OUT.value),
        document,
        text,
        draw=lambda document, path: steering_plot.draw(study, document, path),
    )


def _labelled() -> tuple[probing.LabelledText | None, word_sets.Word | None]:
    if _BROWN.value is not None and _CONLLU.value is not None:
        raise InputError("Expected --brown or --conllu, got both.")
    if _BROWN.value is not None:
        found, tagset = probing.read_word_tags(_BROWN.value), "brown"
    elif _CONLLU.value is not None:
        found, tagset = probing.read_conllu(_CONLLU.value), "universal"
    else:
        return None, None
    labelled = found.mapped(lambda tag: probing.coarse_tag(tag, tagset=tagset))
    word = word_sets.part_of_speech(
        labelled,
        _WORD.value,
        (_POSITIVE.value,),
        positive=_POSITIVE.value,
        max_occurrences=_OCCURRENCES.value,
        seed=_SEED.value,
    )
    return labelled, word


if __name__ == "__main__":
    script.run(main, FLAGS)
