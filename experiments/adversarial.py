"""Does α fall as a text departs from a pattern? The paper's table 4 for many factors.

    python -m experiments.adversarial --run=runs/demo --tagger=perceptron_tagger \
        --text=wiki/valid-00.txt.xz --out=adversarial.json

The best features of every pattern are chosen on half of the documents. Contexts from
the other half are changed step by step: near words, far words of the same class, common
words, masked words, a random sentence with the same word. JSON, the tables as Markdown
and a plot are written.
"""

import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run
from tfvis_jax.description import tagging
from tfvis_jax.evaluation import representations
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.studies.adversarial import (
    adversarial,
    adversarial_plot,
    adversarial_report,
)
from tfvis_jax.studies.patterns import (
    pattern_layers,
    pattern_rows,
    pattern_study,
    pattern_text,
    patterns,
)

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "The run's directory.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)
_TAGGER = flags.DEFINE_string(
    "tagger",
    None,
    "Folder of a part-of-speech tagger.",
    required=True,
    flag_values=FLAGS,
)
_TEXT = flags.DEFINE_list(
    "text",
    [],
    "Files of another text. (default: the run's held-out documents)",
    flag_values=FLAGS,
)
_PATTERNS = flags.DEFINE_list(
    "patterns", [], "Names of patterns. (default: all)", flag_values=FLAGS
)
_LAYERS = flags.DEFINE_list(
    "layers",
    [],
    "Layers, such as 2,4. (default: every other one, without the first)",
    flag_values=FLAGS,
)
_FEATURES = flags.DEFINE_integer(
    "features", 2, "Features for each pattern.", lower_bound=1, flag_values=FLAGS
)
_CONTEXTS = flags.DEFINE_integer(
    "contexts",
    8,
    "Contexts of each feature, at most.",
    lower_bound=3,
    flag_values=FLAGS,
)
_OCCURRENCES = flags.DEFINE_integer(
    "occurrences",
    60,
    "Passages drawn for each pattern, at most.",
    lower_bound=2,
    flag_values=FLAGS,
)
_PASSAGES = flags.DEFINE_integer(
    "passages",
    200,
    "Passages drawn whatever is in them.",
    lower_bound=1,
    flag_values=FLAGS,
)
_LEAST = flags.DEFINE_integer(
    "least",
    10,
    "Passages of a pattern in each half of the documents, at least.",
    lower_bound=1,
    flag_values=FLAGS,
)
_RESAMPLES = flags.DEFINE_integer(
    "resamples", 1000, "Bootstrap resamples.", lower_bound=10, flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", flag_values=FLAGS)
# Features are only chosen, not measured, on all tokens.
_RESAMPLES_OF_CHOICE = 2


def main() -> None:
    """Chooses features, writes variants, measures them, writes tables."""
    run = load_run(_RUN.value)
    tagger = tagging.load(pathlib.Path(_TAGGER.value))
    wanted = patterns.chosen(patterns.split_names(_PATTERNS.value), has_tagger=True)
    layers = script.numbers("layers", _LAYERS.value, int)
    layers = pattern_layers.chosen(run.trained.layers, layers)
    # At the embedding output no word knows of its neighbours.
    layers = layers if _LAYERS.value else (layers[1:] or layers)
    drawn = pattern_text.of_run(
        run.opened,
        wanted,
        tagger,
        paths=_TEXT.value,
        occurrences=_OCCURRENCES.value,
        random_passages=_PASSAGES.value,
        least=_LEAST.value,
        seed=_SEED.value,
        notify=outputs.say,
    )
    rows = pattern_rows.encode(
        run.opened, run.trained, drawn, layers=layers, progress=outputs.say
    )
    probed = representations.open_probed(run.opened, run.trained, seed=_SEED.value)
    study = pattern_study.study(
        rows,
        drawn,
        probed,
        n_resamples=_RESAMPLES_OF_CHOICE,
        seed=_SEED.value,
        progress=outputs.say,
    )
    found = adversarial.run(
        run.opened,
        run.trained,
        rows,
        drawn,
        study,
        probed,
        tagger,
        n_features=_FEATURES.value,
        n_contexts=_CONTEXTS.value,
        seed=_SEED.value,
        progress=outputs.say,
    )
    of_grades = adversarial_report.means(
        found, n_resamples=_RESAMPLES.value, seed=_SEED.value
    )
    document = environment.describe("experiments.adversarial")
    document["source"] = probed.source
    document |= adversarial_report.to_json(found, drawn, of_grades)
    text = adversarial_report.table(found, drawn, of_grades, document)
    document["claims"] = [
        claim.to_json() for claim in adversarial_report.conclusions(found, of_grades)
    ]
    print(text)
    outputs.write(
        pathlib.Path(_OUT.value),
        document,
        text,
        draw=lambda document, path: adversarial_plot.draw(
            found, drawn, of_grades, document, path
        ),
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
