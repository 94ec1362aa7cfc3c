"""Writes all that is known of every factor of a run: words, contexts, saliency maps.

    python -m experiments.explain_factors --run=runs/demo --level=high

One line of JSON per factor, see tfvis_jax/notebook/explanations_file.py. Interrupt it
at any time: the same command resumes. The run needs its examples (`tfvis examples`).
"""

import functools
import pathlib

from absl import flags

from experiments import script
from tfvis_jax import pipeline
from tfvis_jax.description import tagging
from tfvis_jax.errors import InputError
from tfvis_jax.levels import rule
from tfvis_jax.notebook import explanations_file
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.saliency import explanation

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "The run's directory.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "File. (default: RUN/explanations.jsonl)", flag_values=FLAGS
)
_FACTORS = flags.DEFINE_list(
    "factors", [], "Factors, such as 3,12. (default: all)", flag_values=FLAGS
)
_LEVEL = flags.DEFINE_enum(
    "level", None, rule.LEVELS, "Factors of one level only.", flag_values=FLAGS
)
_EXAMPLES = flags.DEFINE_integer(
    "examples",
    10,
    "Top-activating examples per factor.",
    lower_bound=1,
    flag_values=FLAGS,
)
_MAPS = flags.DEFINE_integer(
    "maps",
    1,
    "How many of them get saliency maps.",
    lower_bound=0,
    flag_values=FLAGS,
)
_METHODS = flags.DEFINE_list(
    "methods",
    ["lime"],
    f"Methods of the maps, of {', '.join(explanation.METHODS)}.",
    flag_values=FLAGS,
)
_TAGGER = flags.DEFINE_string(
    "tagger", None, "Folder of a part-of-speech tagger.", flag_values=FLAGS
)


def _chosen() -> list[int]:
    try:
        return [int(number) for number in _FACTORS.value]
    except ValueError:
        raise InputError(
            f"Expected numbers as --factors, such as 3,12; got {_FACTORS.value}."
        ) from None


def main() -> None:
    """Chooses the factors and writes their lines."""
    run = run_lib.load_run(_RUN.value)
    out = pathlib.Path(_OUT.value or run.directory.explanations)
    settings = explanations_file.LineSettings(
        examples=_EXAMPLES.value, maps=_MAPS.value, methods=tuple(_METHODS.value)
    )
    factors = _chosen() or list(range(len(run.trained.factors)))
    if _LEVEL.value is not None:
        factors = [f for f in factors if run.factor(f).level.name == _LEVEL.value]
        if not factors:
            raise InputError(
                f"Expected factors of level {_LEVEL.value}; the run has none."
            )
    tagger = tagging.load(pathlib.Path(_TAGGER.value)) if _TAGGER.value else None
    with pipeline.bars() as progress:
        added = explanations_file.explain_factors(
            run,
            factors,
            out,
            settings=settings,
            tagger=tagger,
            progress=functools.partial(progress, "explain"),
        )
    print(f"{added:,} factors added\nlines    {out}")


if __name__ == "__main__":
    script.run(main, FLAGS)
