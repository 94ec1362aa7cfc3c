"""`tfvis labels`: names of factors, from other tools or people."""

import pathlib
from collections.abc import Sequence

import rich.table
import rich.text
from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, shared_flags, terminal
from tfvis_jax.description import label_prompts
from tfvis_jax.errors import command_line
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
    'File of labels to read, such as {"12": "anger"}, a CSV or TSV with the columns '
    "factor and label, or what Neuronpedia exports; or a folder of files "
    "layer6_latent12.txt, as delphi writes. Labels of other factors stay.",
    flag_values=FLAGS,
)
_FACTORS = flags.DEFINE_list(
    "factors", [], "Factors to export, such as 3,12. (default: all)", flag_values=FLAGS
)
_LAYER = shared_flags.layer(FLAGS, "Layer to export")
_TOP = flags.DEFINE_integer(
    "top", 10, "Top-activating windows of a factor.", lower_bound=1, flag_values=FLAGS
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


def main(arguments: Sequence[str]) -> None:
    """Exports prompts, imports labels, or lists them."""
    path = run_argument.one(arguments, writes=_IMPORT.value is not None)
    if _EXPORT.value is not None and _IMPORT.value is not None:
        raise command.UsageError("Expected --export or --import, got both.")
    devices.use_all_cores(quietly=True)
    if _EXPORT.value is not None:
        _export(path, _EXPORT.value)
    elif _IMPORT.value is not None:
        _import(path, _IMPORT.value)
    else:
        _list(path)


def _export(path: pathlib.Path, target: str) -> None:
    chosen = shared_flags.numbers("factors", _FACTORS.value) or None
    counts = label_prompts.WindowCounts(
        top=_TOP.value, per_quantile=_PER_QUANTILE.value, negative=_NEGATIVE.value
    )
    with pipeline.bars() as progress:
        exported = pipeline.export_prompts(
            path,
            target,
            factors=chosen,
            layer=_LAYER.value,
            counts=counts,
            progress=progress,
        )
    dead = exported.n_dead
    left_out = f"; {dead:,} do not fire and are left out" if dead else ""
    print(f"{exported.n_written:,} factors{left_out}\nprompts {target}")


def _import(path: pathlib.Path, source: str) -> None:
    found = pipeline.import_labels(path, source)
    run = run_lib.load_run(path)
    left_out = [
        f"{number:,} {what}"
        for number, what in (
            (found.n_empty, "without a text"),
            (found.n_more, "of a factor that has one with a score as high"),
        )
        if number
    ]
    print(
        f"form     {found.form}\n"
        f"{found.n_read:,} labels read, {found.n_replaced:,} of them in place of "
        f"others; {found.n_labelled:,} of {len(run.trained.factors):,} factors have "
        "one\n"
        + (f"left out {' and '.join(left_out)}\n" if left_out else "")
        + f"labels   {run.directory.labels}\n"
        f"next     {command_line('export', path)}"
    )


def _list(path: pathlib.Path) -> None:
    labels = run_lib.load_run(path).labels
    if not labels:
        print(
            "No factor has a label. "
            f"`{command_line('labels', path, '--export=FILE.json')}`\n"
            "writes what a tool needs to make some; --import=FILE reads them."
        )
        return
    table = rich.table.Table.grid(padding=(0, 2))
    for number in sorted(labels):
        label = labels[number]
        remarks = rich.text.Text(terminal.printable(" ".join(label.remarks)), "dim")
        text = rich.text.Text(terminal.printable(label.text))
        table.add_row(f"Φ{number}", text, remarks)
    terminal.console().print(table)


COMMAND = command.Command(
    name="labels",
    usage="RUN [--export=FILE.json | --import=FILE]",
    description=(
        "Exchanges labels of factors with tools that make them. --export writes, for "
        "every factor, windows that fire it most, windows of every quarter of its "
        "activations, and windows that do not fire it; --import reads the labels that "
        "come back. Without either, lists the labels of the run."
    ),
    flags=FLAGS,
    run=main,
)
