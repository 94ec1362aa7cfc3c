"""`tfvis levels`: whether factors stand for words, patterns or documents."""

import collections
from collections.abc import Sequence

import rich.table
import rich.text
from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, terminal
from tfvis_jax.description import featured
from tfvis_jax.errors import command_line
from tfvis_jax.levels import rule
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags()
_PER_FACTOR = flags.DEFINE_integer(
    "per_factor",
    4,
    "Tokens of each factor on which its need for context is measured.",
    lower_bound=1,
    flag_values=FLAGS,
)
_FACTORS_SHOWN = 3
_WORDS_SHOWN = 4


def main(arguments: Sequence[str]) -> None:
    """Measures how much context factors need, and prints their levels."""
    path = command.run_argument(arguments)
    directory_lib.RunDirectory(path).read_config()
    devices.announce()
    with pipeline.bars() as progress:
        levels = pipeline.measure_levels(
            path, per_factor=_PER_FACTOR.value, progress=progress
        )
    run = run_lib.load_run(path)
    count = collections.Counter(level.name for level in levels)
    console = terminal.console()
    shown = featured.choose(run, levels, per_level=_FACTORS_SHOWN)
    for name in rule.LEVELS:
        print(f"{name:<8} {count[name]:>6,} factors")
        table = rich.table.Table.grid(padding=(0, 1))
        for number in shown:
            if levels[number].name == name:
                words = ", ".join(featured.top_words(run, number, n=_WORDS_SHOWN))
                text = terminal.printable(f"{words}. {levels[number].reason}")
                table.add_row(f"    Φ{number:<5}", rich.text.Text(text))
        if table.row_count:
            console.print(table)
    print(f"\nlevels   {run.directory.levels}")
    print(f"next     {command_line('export', path)}")


COMMAND = command.Command(
    name="levels",
    usage="RUN [--flags]",
    description=(
        "Measures how much of its context each factor needs, at the tokens that fire "
        "it most, and tells which factors are low-level (words), mid-level (local "
        "patterns) or high-level (long-range), and why. A few minutes for 1,024 "
        "factors on two CPU cores."
    ),
    flags=FLAGS,
    run=main,
)
