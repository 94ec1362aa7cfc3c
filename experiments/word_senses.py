"""Do factors tell the senses of a word? One feature, a few, and all, with controls.

    python -m experiments.word_senses --run=runs/demo --brown=brown.zip --out=left.json
    python -m experiments.word_senses --run=runs/demo --brown=brown.zip \
        --ambiguous=30 --layers=2,4 --out=words.json
    python -m experiments.word_senses --run=runs/demo --senseval=senseval.zip \
        --out=senses.json

By default it asks of "left" whether it is a verb, at every layer of the run. JSON, the
tables as Markdown and a plot are written. --ambiguous asks about words of the Brown
corpus, or of --conllu where there is no --brown.
"""

import dataclasses
import pathlib

from absl import flags

from experiments import script
from tfvis_jax import load_run, probing
from tfvis_jax.comparison import sae
from tfvis_jax.description import tagging
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import representations
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.studies.words import (
    word_claims,
    word_probes,
    word_senses,
    word_senses_plot,
    word_senses_report,
    word_sets,
)

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
    "Universal Dependencies, such as GUM: a folder of CoNLL-U files.",
    flag_values=FLAGS,
)
_SENSEVAL = flags.DEFINE_string(
    "senseval",
    None,
    "Senseval-2: senseval.zip, or a folder of .pos files.",
    flag_values=FLAGS,
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "Labels of your own: JSON lines with text, span and label.",
    flag_values=FLAGS,
)
_WORD = flags.DEFINE_string("word", "left", "The word to ask about.", flag_values=FLAGS)
_POSITIVE = flags.DEFINE_string(
    "positive", "verb", "The part of speech to look for.", flag_values=FLAGS
)
_AMBIGUOUS = flags.DEFINE_integer(
    "ambiguous",
    0,
    "Also ask about so many of the most ambiguous words of the Brown corpus.",
    lower_bound=0,
    flag_values=FLAGS,
)
_PARTS_OF_SPEECH = flags.DEFINE_integer(
    "sentences",
    0,
    "Also ask for the part of speech of every word of so many sentences.",
    lower_bound=0,
    flag_values=FLAGS,
)
_SENSES = flags.DEFINE_list(
    "senses",
    ["hard", "interest", "line", "serve"],
    "Words of Senseval-2.",
    flag_values=FLAGS,
)
_TAGGER = flags.DEFINE_string(
    "tagger", None, "Folder of a part-of-speech tagger.", flag_values=FLAGS
)
_LAYERS = flags.DEFINE_list(
    "layers", [], "Layers, such as 2,4. (default: all)", flag_values=FLAGS
)
_SAE = flags.DEFINE_enum(
    "sae",
    None,
    sae.KINDS,
    "Also train a sparse autoencoder of this kind.",
    flag_values=FLAGS,
)
_OCCURRENCES = flags.DEFINE_integer(
    "occurrences",
    200,
    "Occurrences of a word, at most; all of --word.",
    lower_bound=2,
    flag_values=FLAGS,
)
_RESAMPLES = flags.DEFINE_integer(
    "resamples", 1000, "Bootstrap resamples.", lower_bound=10, flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", flag_values=FLAGS)


def main() -> None:
    """Reads the labels, probes every word, writes tables."""
    run = load_run(_RUN.value)
    config = word_probes.StudyConfig(
        layers=script.numbers("layers", _LAYERS.value, int) or None,
        n_resamples=_RESAMPLES.value,
        seed=_SEED.value,
    )
    words = _words()
    probed = representations.open_probed(
        run.opened, run.trained, seed=_SEED.value, sae_kind=_SAE.value
    )
    header = environment.describe("experiments.word_senses")
    header["source"] = probed.source
    header["config"] = dataclasses.asdict(config)
    header["compared_with"] = probed.settings
    out = pathlib.Path(_OUT.value)
    studies = []
    for word in words:
        studies.append(
            word_senses.study_word(
                run.opened, run.trained, probed, word, config, progress=outputs.say
            )
        )
        document = header | {
            "words": word_senses_report.to_json(studies),
            "claims": [claim.to_json() for claim in word_claims.claims(studies)],
        }
        text = word_senses_report.table(studies, document)
        outputs.write(out, document, text, announce=False)
    print(text)
    outputs.write(
        out,
        document,
        text,
        draw=lambda document, path: word_senses_plot.draw(studies, document, path),
    )


def _words() -> list[word_sets.Word]:
    tagger = tagging.load(pathlib.Path(_TAGGER.value)) if _TAGGER.value else None
    words = []
    for path, read, tagset in (
        (_BROWN.value, probing.read_word_tags, "brown"),
        (_CONLLU.value, probing.read_conllu, "universal"),
    ):
        if path is not None:
            words += word_sets.parts_of_speech(
                read(path),
                _WORD.value,
                positive=_POSITIVE.value,
                tagset=tagset,
                # Of one corpus.
                ambiguous=0 if words else _AMBIGUOUS.value,
                sentences=0 if words else _PARTS_OF_SPEECH.value,
                max_of_ambiguous=_OCCURRENCES.value,
                tagger=tagger,
                seed=_SEED.value,
            )
    if _SENSEVAL.value is not None:
        words += word_sets.senses(
            _SENSEVAL.value,
            _SENSES.value,
            max_occurrences=_OCCURRENCES.value,
            seed=_SEED.value,
        )
    if _LABELS.value is not None:
        labelled = probing.read_json_lines(_LABELS.value)
        words.append(word_sets.Word(labelled.source, labelled))
    if not words:
        raise InputError("Expected --brown, --conllu, --senseval or --labels.")
    return words


if __name__ == "__main__":
    script.run(main, FLAGS)
