"""`tfvis describe`: a factor in words."""

import json
import pathlib
from collections.abc import Iterator, Sequence

import rich.console
import rich.table
import rich.text
from absl import flags

from tfvis_jax import description, pipeline
from tfvis_jax.cli import command, devices, run_argument, shared_flags, terminal
from tfvis_jax.description import factor_description, tagging
from tfvis_jax.description import terms as terms_lib
from tfvis_jax.examples import contexts as contexts_lib
from tfvis_jax.notebook import factor as factor_lib
from tfvis_jax.notebook import run as run_lib

FLAGS = command.new_flags()
_FACTOR = shared_flags.factor(FLAGS)
_LAYER = shared_flags.layer(FLAGS, "Layer whose contexts are read")
_TAGGER = flags.DEFINE_string(
    "tagger",
    None,
    "Folder with the weights of NLTK's averaged perceptron tagger as JSON: adds the "
    "parts of speech. Needs pip install 'tfvis_jax[pos]'.",
    flag_values=FLAGS,
)
_JSON = shared_flags.json(FLAGS, "Print JSON.")
_OUT = flags.DEFINE_string(
    "out",
    None,
    "JSON file to write all factors to; dead ones are left out.",
    flag_values=FLAGS,
)

_CONTEXTS = 5
_LAYERS_IN_A_ROW = 13
_LONGEST_TERM = 26


def main(arguments: Sequence[str]) -> None:
    """Prints a factor in words, or writes all of them."""
    path = run_argument.one(arguments)
    number, out = _FACTOR.value, _OUT.value
    devices.use_all_cores(quietly=True)
    if number is not None and out is None:
        _print(path, number)
    elif number is None and out is not None:
        _write(path, out)
    else:
        raise command.UsageError(
            "Expected --factor=NUMBER for one factor, or --out=FILE.json for all."
        )


def _print(path: pathlib.Path, number: int) -> None:
    factor = run_lib.load_run(path).factor(number)
    found = factor.describe(layer=_LAYER.value, tagger=_tagger())
    if _JSON.value:
        print(json.dumps(found.as_json(), ensure_ascii=False))
        return
    console = terminal.console()
    for part in _report(found, factor):
        console.print(part)


def _write(path: pathlib.Path, out: str) -> None:
    with pipeline.bars() as progress:
        n_written = pipeline.write_descriptions(
            path, out, layer=_LAYER.value, tagger=_tagger(), progress=progress
        )
    print(f"{n_written:,} factors\ndescriptions {out}")


def _tagger() -> terms_lib.Tagger | None:
    return tagging.load(pathlib.Path(_TAGGER.value)) if _TAGGER.value else None


def _report(
    found: description.Description, factor: factor_lib.Factor
) -> Iterator[rich.console.RenderableType]:
    yield _head(found)
    yield ""
    yield from _profile(found.layers)
    terms = found.terms
    documents = "documents" if terms.counted_by == "document" else "windows"
    yield ""
    yield rich.text.Text(
        f"At layer {found.layer}: {terms.n_contexts:,} contexts in "
        f"{terms.n_documents:,} {documents}, each weighted equally. z: standard "
        "deviations above the corpus."
    )
    yield ""
    yield _terms(terms, documents)
    yield ""
    lists = rich.table.Table.grid(padding=(0, 2))
    lists.add_column(style="bold", no_wrap=True)
    lists.add_column(overflow="fold")
    for heading, entries in found.lists[2:]:
        if entries:
            lists.add_row(heading, _listed(entries))
    yield lists
    yield ""
    yield rich.text.Text("top-activating examples", style="bold")
    contexts = rich.table.Table.grid(padding=(0, 2))
    for example in factor.examples(layer=found.layer, n=_CONTEXTS):
        contexts.add_row(
            rich.text.Text(f"{example.activation:.3f}", "dim"), _context(example)
        )
    yield contexts


def _head(found: description.Description) -> rich.text.Text:
    line = rich.text.Text(f"Φ{found.factor}  ", style="bold")
    line.append(found.level, style="not bold")
    if found.label is not None:
        line.append(f"  {terminal.printable(found.label.text)}")
        for remark in found.label.remarks:
            line.append(f" {terminal.printable(remark)}", style="not bold dim")
    line.append(f"\n{terminal.printable(', '.join(found.words))}", style="not bold")
    line.append(f"\n{found.reason}", style="not bold")
    if found.note:
        note = terminal.printable(" ".join(found.note.split()))
        line.append(f"\nnote: {note}", style="not bold")
    return line


def _profile(
    layers: Sequence[factor_description.LayerProfile],
) -> Iterator[rich.table.Table]:
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


def _terms(terms: terms_lib.Terms, documents: str) -> rich.table.Table:
    both = rich.table.Table.grid(padding=(0, 4))
    both.add_row(
        _term_table("terms with the firing word", terms.at, documents),
        _term_table("terms nearby", terms.around, documents),
    )
    return both


def _term_table(
    heading: str, found: Sequence[terms_lib.Term], documents: str
) -> rich.console.RenderableType:
    if not found:
        return rich.text.Text(f"{heading}: nothing above the corpus", style="dim")
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


def _listed(entries: Sequence[tuple[str, str]]) -> rich.text.Text:
    line = rich.text.Text()
    for place, (entry, figure) in enumerate(entries):
        line.append(" · " if place else "", style="dim")
        line.append(terminal.printable(entry))
        line.append(f"\N{NO-BREAK SPACE}{figure}", style="dim")
    return line


def _context(example: contexts_lib.Example) -> rich.text.Text:
    line = rich.text.Text(terminal.printable(example.before))
    line.append(terminal.printable(example.word), style="bold underline")
    line.append(terminal.printable(example.after))
    return line


COMMAND = command.Command(
    name="describe",
    usage="RUN --factor=N [--flags]",
    description=(
        "Describes a factor in words: the words and n-grams that occur where it fires, "
        "and around it, more than in the corpus; where in the network it lives; its "
        "nearest and co-firing factors; and, where the model has a masked-LM head, the "
        "vocabulary that its direction raises and lowers. Needs the examples of the "
        "run."
    ),
    flags=FLAGS,
    run=main,
)
