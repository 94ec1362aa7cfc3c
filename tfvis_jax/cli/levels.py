"""`tfvis levels`: whether factors stand for words, patterns or documents."""

import collections
import contextlib
from collections.abc import Sequence

import numpy as np
import rich.table
import rich.text
from absl import flags

from tfvis_jax.cli import command, progress, terminal
from tfvis_jax.description import featured
from tfvis_jax.errors import InputError
from tfvis_jax.levels import context_shares, level_file, rule
from tfvis_jax.notebook import run as run_lib

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


def run(arguments: Sequence[str]) -> None:
    """Measures how much context factors need, and prints their levels."""
    path = command.run_argument(arguments)
    opened = run_lib.load_run(path)
    with opened.directory.lock():
        measure(opened, progress.Stages(), per_factor=_PER_FACTOR.value)
    opened = run_lib.load_run(path)
    found = opened.levels
    count = collections.Counter(level.name for level in found)
    console = terminal.console()
    shown = featured.choose(opened, found, per_level=_FACTORS_SHOWN)
    for name in rule.LEVELS:
        print(f"{name:<8} {count[name]:>6,} factors")
        table = rich.table.Table.grid(padding=(0, 1))
        for number in shown:
            if found[number].name == name:
                words = ", ".join(featured.top_words(opened, number, n=_WORDS_SHOWN))
                said = terminal.printable(f"{words}. {found[number].reason}")
                table.add_row(f"    Φ{number:<5}", rich.text.Text(said))
        if table.row_count:
            console.print(table)
    print(f"\nlevels   {opened.directory.levels}\nnext     tfvis export {path}")


def measure(opened: run_lib.Run, stages: progress.Stages, *, per_factor: int) -> None:
    """Writes `rule.json`, unless it is there and of these examples."""
    path, examples = opened.directory.levels, opened.examples
    with contextlib.suppress(InputError):
        if level_file.load(path, examples).per_factor == per_factor:
            return
    with stages.stage("model", "loading the model"):
        model = opened.opened
    with stages.stage("levels", "context that factors need") as show:
        shares = context_shares.measure(
            model,
            opened.trained,
            opened.windows,
            examples,
            peaks=rule.peaks(opened.importance(), np.asarray(examples.firing)),
            per_factor=per_factor,
            progress=show,
        )
    level_file.save(path, level_file.Measured(shares, per_factor), examples)


COMMAND = command.Command(
    name="levels",
    usage="RUN [--flags]",
    description=(
        "Measures how much of its context each factor needs, at the tokens that fire "
        "it most, and says which factors are low-level (words), mid-level (patterns "
        "nearby) or high-level (of long range), and why. A few minutes for 1,024 "
        "factors on two CPU cores."
    ),
    flags=FLAGS,
    run=run,
)
