"""`tfvis levels`: whether factors stand for words, patterns or long range."""

import collections
from collections.abc import Sequence

import rich.table
import rich.text
from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, terminal
from tfvis_jax.data import words as words_lib
from tfvis_jax.description import featured
from tfvis_jax.errors import command_line
from tfvis_jax.levels import rule
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags(compiles=True)
_PER_FACTOR = flags.DEFINE_integer(
    "per_factor",
    6,
    "Firings of each factor on which its need for context is measured; fewer where "
    "these leave no doubt.",
    lower_bound=1,
    flag_values=FLAGS,
)
_AT_MOST = flags.DEFINE_integer(
    "at_most",
    None,
    "Number of factors to measure, those that need context most by a guess from the "
    "examples alone; levels of the others stay guesses. All by default; what is "
    "measured is not measured again.",
    lower_bound=1,
    flag_values=FLAGS,
)
_FACTORS_SHOWN = 3
_WORDS_SHOWN = 4


def main(arguments: Sequence[str]) -> None:
    """Measures how much context factors need, and prints their levels."""
    path = run_argument.one(arguments, writes=True)
    directory_lib.RunDirectory(path).read_config()
    devices.use_all_cores()
    with pipeline.bars() as progress:
        levels = pipeline.measure_levels(
            path,
            per_factor=_PER_FACTOR.value,
            at_most=_AT_MOST.value,
            progress=progress,
        )
    run = run_lib.load_run(path)
    count = collections.Counter(level.name for level in levels)
    console = terminal.console()
    shown = featured.choose(run, levels, per_level=_FACTORS_SHOWN)
    for name in rule.LEVELS:
        print(f"{name:<10} {count[name]:>6,} factors")
        table = rich.table.Table.grid(padding=(0, 1))
        for number in shown:
            if levels[number].name == name:
                words = words_lib.listed(
                    word.text for word in run.words.of(number, n=_WORDS_SHOWN)
                )
                text = terminal.printable(f"{words}. {levels[number].reason}")
                table.add_row(f"    Φ{number:<5}", rich.text.Text(text))
        if table.row_count:
            console.print(table)
    guessed = sum(level.is_guess for level in levels)
    if guessed:
        # Dead factors are neither.
        measured = sum(each.context is not None for each in run.level_evidence)
        is_usual = FLAGS["per_factor"].using_default_value
        firings = [] if is_usual else [f"--per_factor={_PER_FACTOR.value}"]
        print(
            f"\n{measured:,} levels are measured, and {guessed:,} are guesses, which "
            f"`{command_line('levels', path, *firings)}` measures"
        )
    print(f"\nlevels   {run.directory.levels}")
    print(f"next     {command_line('export', path)}")


COMMAND = command.Command(
    name="levels",
    usage="RUN [--flags]",
    description=(
        "Measures what each factor owes to the word, to the words around it and to "
        "those further away, on weak and strong firings, and tells which factors are "
        "low-level (words), mid-level (local patterns), high-level (long-range), the "
        "topic of a few documents, or unreadable, with a probability and why. About "
        "three minutes for 1,024 factors on two CPU cores; --at_most measures only "
        "those where it tells most."
    ),
    flags=FLAGS,
    run=main,
)
