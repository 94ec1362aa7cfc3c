"""`tfvis describe`: a factor in words."""

import json
import pathlib
from collections.abc import Iterator, Sequence

import rich.console
import rich.table
import rich.text
from absl import flags

from tfvis_jax import description, files
from tfvis_jax.cli import command, progress, terminal
from tfvis_jax.description import tagging
from tfvis_jax.notebook import factor as factor_lib
from tfvis_jax.notebook import run as run_lib

FLAGS = command.new_flags()
_FACTOR = flags.DEFINE_integer(
    "factor", None, "Number of the factor.", flag_values=FLAGS
)
_LAYER = flags.DEFINE_integer(
    "layer",
    None,
    "Layer whose contexts are read; the one where the factor peaks by default.",
    flag_values=FLAGS,
)
_TAGGER = flags.DEFINE_string(
    "tagger",
    None,
    "Folder with the weights of NLTK's averaged perceptron tagger as JSON: adds the "
    "parts of speech. Needs pip install 'tfvis_jax[pos]'.",
    flag_values=FLAGS,
)
_JSON = flags.DEFINE_bool("json", False, "Print JSON.", flag_values=FLAGS)
_OUT = flags.DEFINE_string(
    "out",
    None,
    "JSON file for all factors; those that fire nowhere are left out.",
    flag_values=FLAGS,
)

SCHEMA = "tfvis-descriptions/1"
_CONTEXTS = 5
_LAYERS_IN_A_ROW = 13
_LONGEST_TERM = 26


def run(arguments: Sequence[str]) -> None:
    """Prints a factor in words, or writes all of them."""
    path = command.run_argument(arguments)
    if (_FACTOR.value is None) == (_OUT.value is None):
        raise command.UsageError(
            "Expected --factor=NUMBER for one factor, or --out=FILE.json for all."
        )
    opened = run_lib.load_run(path)
    tagger = _TAGGER.value and tagging.load(pathlib.Path(_TAGGER.value))
    if _OUT.value is not None:
        n_written = _write(opened, pathlib.Path(_OUT.value), tagger)
        print(f"{n_written:,} factors\ndescriptions {_OUT.value}")
        return
    factor = opened.factor(_FACTOR.value)
    found = factor.describe(layer=_LAYER.value, tagger=tagger)
    if _JSON.value:
        print(json.dumps(found.as_json(), ensure_ascii=False))
        return
    console = terminal.console()
    for part in _report(found, factor):
        console.print(part)


def _write(opened, path, tagger) -> int:
    files.check_replaceable(path, schema=SCHEMA)
    firing = opened.examples.firing
    if _LAYER.value is not None:
        opened.check_layer(_LAYER.value)
        firing = firing[[opened.trained.layers.index(_LAYER.value)]]
    alive = firing.any(axis=0).nonzero()[0].tolist()
    stages = progress.Stages()
    with (
        files.write_atomically(path) as file,
        stages.stage("describe", "factors in words") as show,
    ):
        file.write(f'{{"schema": "{SCHEMA}", "factors": ['.encode())
        for done, number in enumerate(alive, start=1):
            found = opened.factor(number).describe(layer=_LAYER.value, tagger=tagger)
            text = json.dumps(found.as_json(), ensure_ascii=False, allow_nan=False)
            file.write((",\n" if done > 1 else "\n").encode())
            file.write(text.encode("utf-8", "replace"))
            show(done, len(alive))
        file.write(b"\n]}\n")
    return len(alive)


def _report(
    found: description.Description, factor: factor_lib.Factor
) -> Iterator[rich.console.RenderableType]:
    yield _head(found)
    yield ""
    yield from _profile(found.layers)
    said = found.terms
    documents = "documents" if said.counted_by == "document" else "windows"
    yield ""
    yield rich.text.Text(
        f"At layer {found.layer}: {said.n_contexts:,} contexts in "
        f"{said.n_documents:,} {documents}, each of which weighs the same. z: standard "
        "deviations above the corpus."
    )
    yield ""
    yield _terms(found.terms, documents)
    yield ""
    lists = rich.table.Table.grid(padding=(0, 2))
    lists.add_column(style="bold", no_wrap=True)
    lists.add_column(overflow="fold")
    for heading, entries in found.lists[2:]:
        if entries:
            lists.add_row(heading, _listed(entries))
    yield lists
    yield ""
    yield rich.text.Text("strongest contexts", style="bold")
    contexts = rich.table.Table.grid(padding=(0, 2))
    for example in factor.examples(layer=found.layer, n=_CONTEXTS):
        contexts.add_row(
            rich.text.Text(f"{example.activation:.3f}", "dim"), _context(example)
        )
    yield contexts


def _head(found) -> rich.text.Text:
    line = rich.text.Text(f"Φ{found.factor}  ", style="bold")
    line.append(found.level, style="not bold")
    if found.label is not None:
        line.append(f"  {terminal.printable(found.label.text)}")
        for remark in found.label.remarks:
            line.append(f" {terminal.printable(remark)}", style="not bold dim")
    line.append(f"\n{found.reason}", style="not bold")
    return line


def _profile(layers) -> Iterator[rich.table.Table]:
    for start in range(0, len(layers), _LAYERS_IN_A_ROW):
        part = layers[start : start + _LAYERS_IN_A_ROW]
        table = rich.table.Table.grid(padding=(0, 1))
        table.add_column(style="bold", no_wrap=True)
        for _ in part:
            table.add_column(justify="right", no_wrap=True, min_width=5)
        table.add_row("layer", *(f"{each.layer}" for each in part))
        table.add_row("importance", *(f"{each.importance:.3f}" for each in part))
        table.add_row("fires on %", *(_percent(each.density) for each in part))
        yield table


def _percent(share: float) -> str:
    return f"{100 * share:.2f}" if share < 0.1 else f"{100 * share:.1f}"


def _terms(terms, documents) -> rich.table.Table:
    both = rich.table.Table.grid(padding=(0, 4))
    both.add_row(
        _term_table("terms with the firing word", terms.at, documents),
        _term_table("terms nearby", terms.around, documents),
    )
    return both


def _term_table(heading, found, documents) -> rich.console.RenderableType:
    if not found:
        return rich.text.Text(f"{heading}: nothing is above the corpus", style="dim")
    table = rich.table.Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column(
        heading, no_wrap=True, overflow="ellipsis", max_width=_LONGEST_TERM
    )
    table.add_column("z", justify="right", no_wrap=True)
    table.add_column(documents, justify="right", no_wrap=True)
    for term in found:
        table.add_row(
            rich.text.Text(terminal.printable(term.text)),
            f"{term.z:.1f}",
            f"{term.documents:,}",
        )
    return table


def _listed(entries) -> rich.text.Text:
    line = rich.text.Text()
    for place, (entry, figure) in enumerate(entries):
        line.append(" · " if place else "", style="dim")
        line.append(terminal.printable(entry))
        line.append(f"\N{NO-BREAK SPACE}{figure}", style="dim")
    return line


def _context(example) -> rich.text.Text:
    line = rich.text.Text(terminal.printable(example.before))
    line.append(terminal.printable(example.word), style="bold underline")
    line.append(terminal.printable(example.after))
    return line


COMMAND = command.Command(
    name="describe",
    usage="RUN --factor=N [--flags]",
    description=(
        "Says a factor in words: the words and n-grams that stand where it fires, and "
        "round it, more than in the corpus; where in the network it lives; the factors "
        "nearest to it; and, where the model has a masked-LM head, the vocabulary that "
        "its direction raises and lowers. Needs the examples of the run."
    ),
    flags=FLAGS,
    run=run,
)
