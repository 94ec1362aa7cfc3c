"""`tfvis labels`: what other tools, or people, call the factors."""

import pathlib
from collections.abc import Sequence

import rich.table
import rich.text
from absl import flags

from tfvis_jax.cli import command, progress, terminal
from tfvis_jax.description import label_prompts
from tfvis_jax.description import labels as labels_lib
from tfvis_jax.notebook import run as run_lib

FLAGS = command.new_flags()
_EXPORT = flags.DEFINE_string(
    "export",
    None,
    "JSON file to write: windows of every factor with the activation of each token, "
    "for a tool that labels them.",
    flag_values=FLAGS,
)
_IMPORT = flags.DEFINE_string(
    "import",
    None,
    'JSON file of labels to read, such as {"12": "anger"}, or a folder of files '
    "layer6_latent12.txt. Labels of other factors stay.",
    flag_values=FLAGS,
)
_FACTORS = flags.DEFINE_list(
    "factors", [], "Factors to export, such as 3,12; all by default.", flag_values=FLAGS
)
_LAYER = flags.DEFINE_integer(
    "layer",
    None,
    "Layer to export; the one where each factor peaks by default.",
    flag_values=FLAGS,
)
_TOP = flags.DEFINE_integer(
    "top", 10, "Strongest windows of a factor.", lower_bound=1, flag_values=FLAGS
)
_PER_QUANTILE = flags.DEFINE_integer(
    "per_quantile",
    5,
    "Windows of each quarter of its activations.",
    lower_bound=0,
    flag_values=FLAGS,
)
_NEGATIVE = flags.DEFINE_integer(
    "negative",
    10,
    "Windows in which it does not fire.",
    lower_bound=0,
    flag_values=FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Exports material, imports labels, or lists them."""
    path = command.run_argument(arguments)
    if _EXPORT.value is not None and _IMPORT.value is not None:
        raise command.UsageError("Expected --export or --import, got both.")
    opened = run_lib.load_run(path)
    if _EXPORT.value is not None:
        _export(opened)
    elif _IMPORT.value is not None:
        _import(opened, path)
    else:
        _list(opened, path)


def _export(opened) -> None:
    target = pathlib.Path(_EXPORT.value)
    factors = _chosen(opened)
    with progress.Stages().stage("export", "windows of every factor") as show:
        n_written = label_prompts.write(
            target,
            opened,
            factors,
            layer=_LAYER.value,
            counts=label_prompts.WindowCounts(
                top=_TOP.value,
                per_quantile=_PER_QUANTILE.value,
                negative=_NEGATIVE.value,
            ),
            progress=show,
        )
    silent = len(factors) - n_written
    left_out = f"; {silent:,} do not fire and are left out" if silent else ""
    print(f"{n_written:,} factors{left_out}\nprompts {target}")


def _chosen(opened) -> list[int]:
    if not _FACTORS.value:
        return list(range(len(opened.trained.factors)))
    try:
        chosen = [int(number) for number in _FACTORS.value]
    except ValueError:
        raise command.UsageError(
            f"Expected numbers as --factors, such as 3,12; got {_FACTORS.value}."
        ) from None
    return [opened.factor(number).number for number in dict.fromkeys(chosen)]


def _import(opened, path) -> None:
    n_factors = len(opened.trained.factors)
    new = labels_lib.read(_IMPORT.value, n_factors=n_factors)
    with opened.directory.lock():
        known = opened.labels
        labels_lib.save(opened.directory.labels, known | new, opened.trained)
    replaced = len(known.keys() & new.keys())
    print(
        f"{len(new):,} labels read, {replaced:,} of them in place of others; "
        f"{len(known | new):,} of {n_factors:,} factors have one\n"
        f"labels   {opened.directory.labels}\n"
        f"next     tfvis export {path} shows them on the page"
    )


def _list(opened, path) -> None:
    if not opened.labels:
        print(
            f"No factor has a label. `tfvis labels {path} --export=FILE.json`\n"
            "writes what a tool needs to make some; --import=FILE.json reads them."
        )
        return
    table = rich.table.Table.grid(padding=(0, 2))
    for number in sorted(opened.labels):
        label = opened.labels[number]
        remarks = rich.text.Text(terminal.printable(" ".join(label.remarks)), "dim")
        text = rich.text.Text(terminal.printable(label.text))
        table.add_row(f"Φ{number}", text, remarks)
    terminal.console().print(table)


COMMAND = command.Command(
    name="labels",
    usage="RUN [--export=FILE.json | --import=FILE.json]",
    description=(
        "Exchanges labels of factors with tools that make them. --export writes, for "
        "every factor, windows that fire it most, windows of every quarter of its "
        "activations, and windows that do not fire it; --import reads the labels that "
        "come back. Without either, lists the labels of the run."
    ),
    flags=FLAGS,
    run=run,
)
