"""Do factors hold sentence-level patterns? The paper's table 3 with controls.

    python -m experiments.patterns --run=runs/demo --tagger=perceptron_tagger \
        --text=wiki/valid-00.txt.xz --out=patterns.json
    python -m experiments.patterns --run=runs/demo --patterns='full date,city, state' \
        --out=patterns.json

Patterns are matched mechanically; those that need parts of speech need a tagger. The
stored contexts of the run are asked, and all tokens of passages of another text, or of
the run's held-out documents. JSON, the tables as Markdown and a plot are written.
"""

import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run
from tfvis_jax.description import tagging
from tfvis_jax.evaluation import rated, representations
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.studies.patterns import (
    pattern_examples,
    pattern_layers,
    pattern_plot,
    pattern_report,
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
_TEXT = flags.DEFINE_list(
    "text",
    [],
    "Files of another text. (default: the run's held-out documents)",
    flag_values=FLAGS,
)
_TAGGER = flags.DEFINE_string(
    "tagger", None, "Folder of a part-of-speech tagger.", flag_values=FLAGS
)
_PATTERNS = flags.DEFINE_list(
    "patterns",
    [],
    f"Names of patterns, out of {'; '.join(p.name for p in patterns.ALL)}. (default: "
    "all that can be matched)",
    flag_values=FLAGS,
)
_LAYERS = flags.DEFINE_list(
    "layers", [], "Layers, such as 2,4. (default: every other one)", flag_values=FLAGS
)
_TOP = flags.DEFINE_integer(
    "top", 200, "Strongest contexts.", lower_bound=20, flag_values=FLAGS
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
    lower_bound=0,
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
    "resamples", 200, "Bootstrap resamples.", lower_bound=10, flag_values=FLAGS
)
_SHIFTS = flags.DEFINE_integer(
    "shifts",
    9999,
    "Random shifts of the permutation test.",
    lower_bound=99,
    flag_values=FLAGS,
)
_RATINGS = flags.DEFINE_bool(
    "ratings",
    False,
    "Add what people say of contexts on the page of the run (`ratings.json`).",
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", flag_values=FLAGS)


def main() -> None:
    """Matches the patterns, measures features, writes tables."""
    run = load_run(_RUN.value)
    tagger = tagging.load(pathlib.Path(_TAGGER.value)) if _TAGGER.value else None
    wanted = patterns.chosen(
        patterns.split_names(_PATTERNS.value), has_tagger=tagger is not None
    )
    layers = pattern_layers.chosen(
        run.trained.layers, script.numbers("layers", _LAYERS.value, int)
    )
    # Before the model is loaded: a run without examples is told so at once.
    examples = run.examples
    outputs.say("matching the run's text")
    matched = pattern_examples.MatchedText(
        run.windows, wanted, tagger, seed=_SEED.value
    )
    stored = pattern_examples.shares(
        run,
        matched,
        wanted,
        layers=layers,
        n=_TOP.value,
        n_shifts=_SHIFTS.value,
        n_resamples=_RESAMPLES.value,
        seed=_SEED.value,
    )
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
        n_resamples=_RESAMPLES.value,
        seed=_SEED.value,
        progress=outputs.say,
    )
    document = environment.describe("experiments.patterns")
    document["source"] = probed.source
    document["n_stored_contexts"] = examples.activation.shape[2]
    document |= pattern_report.to_json(drawn, study, stored)
    text = pattern_report.table(drawn, study, stored, document)
    document["claims"] = [
        claim.to_json() for claim in pattern_report.conclusions(drawn, study, stored)
    ]
    if _RATINGS.value:
        document["ratings"] = rated.to_json(run.ratings)
        text = f"{text}\n\n{rated.section(run.ratings)}"
    print(text)
    outputs.write(
        pathlib.Path(_OUT.value),
        document,
        text,
        draw=lambda document, path: pattern_plot.draw(drawn, study, document, path),
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
