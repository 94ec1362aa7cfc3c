"""Labels of factors in the forms in which people and other tools write them.

The form is told from the content, not from the name:

    tfvis         {"614": "anger and evil"}
                  {"614": {"label": "anger and evil", "score": 0.83, "source": "me"}}
                  {"layer6_factor614": "anger and evil"}, or labels.json of this run
    delphi        a folder of files layers.6_latent614.txt, each a JSON string; the
                  folder of its results, whose scores are then read as well; or
                  {"layers.6_latent614": {"explanation": "anger", "score": 0.83}}
    Neuronpedia   [{"layer": "6-res", "index": "614", "description": "anger", …}, …],
                  the same one object a line, or what its API returns for one feature
    records       a list, or one a line, of objects that name factor and label
    table         CSV or TSV with the columns factor and label; layer, score and source
                  if there are any

All may be compressed with gzip. A label is of a factor at all layers, or at one.

Forms: EleutherAI/delphi, `delphi/__main__.py`, writes the explanation of a latent as
JSON to `explanations/{hookpoint}_latent{number}.txt`, and what a scorer made of each
example to `scores/{scorer}/` likewise; Neuronpedia, `api/explanation/export` and the
batches of its data sets.
"""

import csv
import io
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tfvis_jax.description import factor_label, label_records, labels
from tfvis_jax.description.label_records import Record
from tfvis_jax.errors import InputError

# Names of one thing in different tools; the first that is there counts.
_FACTOR = (
    *("factor", "latent", "feature", "index", "neuron", "name"),
    *("factor_id", "latent_id", "feature_id", "factor_index", "latent_index"),
    *("feature_index", "feature_idx", "latent_idx", "id"),
)
_LABEL = ("label", "explanation", "description", "interpretation")
_LAYER = ("layer", "hookpoint")
_SCORE = ("score", "scores", "accuracy", "f1_score", "f1")
_SOURCE = ("source", "explanationModelName", "author", "explainer")
# Lists of records in an object that says more.
_LISTS = ("explanations", "labels", "factors", "features", "latents")
_DELPHI_SCORERS = ("detection", "fuzz")
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = {"\t": "TSV", ",": "CSV", ";": "CSV"}
_SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".gz")


class Form(NamedTuple):
    """A form, and what may be missing or repeated in it.

    Attributes:
      name: as a person knows it.
      may_be_empty: whether it lists factors without a label.
      may_repeat: whether it lists several labels of one factor.
    """

    name: str
    may_be_empty: bool = False
    may_repeat: bool = False


_OURS = Form("tfvis")
_DELPHI = Form("delphi", may_be_empty=True)
_NEURONPEDIA = Form("Neuronpedia", may_be_empty=True, may_repeat=True)
_RECORDS = Form("a list of records", may_be_empty=True)


class Found(NamedTuple):
    """What was read.

    Attributes:
      form: in which the labels were written, such as "Neuronpedia".
      labels: by factor and layer.
      n_empty: factors without a text, which are left out.
      n_more: further labels of a factor and layer, of a lower score or later in the
        file, which are left out too.
    """

    form: str
    labels: label_records.ByLayer
    n_empty: int
    n_more: int


def read(
    path: pathlib.Path | str,
    *,
    n_factors: int,
    layers: Iterable[int] | None = None,
    dictionary_hash: str | None = None,
) -> Found:
    """Reads labels in any of the forms named above.

    Args:
      path: of the file or the folder.
      n_factors: number of factors in the dictionary.
      layers: of the dictionary; any if None.
      dictionary_hash: of the dictionary; a labels.json of another one is refused.

    Raises:
      InputError: the labels are unreadable, too large, of no known form, or of factors
        or layers that do not exist.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        form, records = _of_folder(path)
    else:
        form, records = _of_file(path, dictionary_hash=dictionary_hash)
    checked = label_records.check(
        records,
        path=path,
        n_factors=n_factors,
        layers=None if layers is None else tuple(layers),
        may_be_empty=form.may_be_empty,
        may_repeat=form.may_repeat,
    )
    return Found(form.name, *checked)


def _of_folder(folder: pathlib.Path) -> tuple[Form, list[Record]]:
    inner = folder / "explanations"
    texts = _files(inner if inner.is_dir() else folder, ".txt")
    if texts:
        label_records.check_size(folder, sum(p.stat().st_size for p in texts))
        scores = _delphi_scores(folder)
        entries = (
            {"label": _json(_text(path), path)}
            | ({"score": scores[path.stem]} if path.stem in scores else {})
            for path in texts
        )
        return _DELPHI, [
            Record(path.name, path.stem, None, entry)
            for path, entry in zip(texts, entries, strict=True)
        ]
    paths = _files(folder, *_SUFFIXES)
    if not paths:
        raise InputError(
            "Expected files such as layer6_latent12.txt, or labels as JSON, CSV or TSV "
            f"in {folder}, found none."
        )
    label_records.check_size(folder, sum(path.stat().st_size for path in paths))
    read = [_of_file(path, dictionary_hash=None) for path in paths]
    if len(forms := {form for form, _ in read}) > 1:
        raise InputError(
            f"Expected files of one form in {folder}, got "
            f"{' and '.join(sorted(form.name for form in forms))}; import them one by "
            "one."
        )
    return read[0][0], [
        record._replace(place=f"{record.place} of {path.name}".removeprefix(" of "))
        for path, (_, records) in zip(paths, read, strict=True)
        for record in records
    ]


def _files(folder: pathlib.Path, *suffixes: str) -> list[pathlib.Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p for p in found if p.suffix.lower() in suffixes and p.is_file()]


def _delphi_scores(folder: pathlib.Path) -> dict[str, float]:
    """Returns the share of examples that a scorer judged right, by name of latent."""
    for scorer in _DELPHI_SCORERS:
        paths = _files(folder / "scores" / scorer, ".txt")
        label_records.check_size(folder, sum(path.stat().st_size for path in paths))
        found = {path.stem: _share_correct(path) for path in paths}
        if scores := {n: score for n, score in found.items() if score is not None}:
            return scores
    return {}


def _share_correct(path: pathlib.Path) -> float | None:
    examples = _json(_text(path), path)
    if not isinstance(examples, list) or not all(isinstance(e, dict) for e in examples):
        raise InputError(
            f"Expected a list of scored examples, as delphi writes, in {path}."
        )
    # An example that the scorer failed on has null.
    judged = [e["correct"] for e in examples if isinstance(e.get("correct"), bool)]
    return sum(judged) / len(judged) if judged else None


def _of_file(
    path: pathlib.Path, *, dictionary_hash: str | None
) -> tuple[Form, list[Record]]:
    if not path.is_file():
        raise InputError(f"Expected a file of labels; {path} does not exist.")
    label_records.check_size(path, path.stat().st_size)
    text = _text(path)
    if not text.strip():
        raise InputError(f"Expected labels in {path}, got an empty file.")
    if text.lstrip()[0] in "{[":
        return _of_json(_json(text, path), path, dictionary_hash=dictionary_hash)
    return _of_table(text, path)


def _text(path: pathlib.Path) -> str:
    stored = path.read_bytes()
    if stored.startswith(_GZIP):
        stored = _unpacked(stored, path)
    try:
        # Spreadsheets write UTF-16, and a mark of the byte order before UTF-8.
        return stored.decode("utf-16" if stored[:2] in _UTF_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no text in UTF-8, nor in UTF-16 with a mark of the byte order "
            f"({error})."
        ) from error


def _unpacked(stored: bytes, path: pathlib.Path) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(stored, label_records.MAX_BYTES + 1)
    except zlib.error as error:
        raise InputError(f"{path} is damaged ({error}).") from error
    label_records.check_size(path, len(found))
    if not unpacker.eof:
        raise InputError(f"{path} is damaged: it ends in the middle.")
    return found


def _json(text: str, path: pathlib.Path) -> Any:
    """Returns a JSON value, or the list of objects that stand one a line."""
    try:
        return label_records.from_json(text)
    except InputError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.lstrip()[0] == "{" for line in lines):
            return [_json_line(n, line, path) for n, line in enumerate(lines, start=1)]
        raise InputError(f"{path} is not JSON ({error}).") from error


def _json_line(number: int, line: str, path: pathlib.Path) -> Any:
    try:
        return label_records.from_json(line)
    except InputError as error:
        raise InputError(f"Line {number} of {path} is not JSON ({error}).") from error


def _of_json(
    value: Any, path: pathlib.Path, *, dictionary_hash: str | None
) -> tuple[Form, list[Record]]:
    if isinstance(value, dict) and value.get("schema") == labels.SCHEMA:
        if dictionary_hash not in (None, value.get("dictionary_hash")):
            raise InputError(
                f"The labels in {path} belong to another dictionary, whose factors "
                "have other numbers."
            )
        value = value.get("labels")
        if not isinstance(value, dict):
            raise InputError(f"Expected `labels` as an object in {path}.")
        return _OURS, list(label_records.of_mapping(value))
    if isinstance(value, dict):
        lists = [name for name in _LISTS if isinstance(value.get(name), list)]
        if not lists:
            return _of_object(value)
        # One feature with its explanations, as Neuronpedia's API returns it.
        shared = {name: value[name] for name in ("index", "layer") if name in value}
        value = [
            shared | item if isinstance(item, dict) else item
            for item in value[lists[0]]
        ]
    return _form_of(value, default=_RECORDS), list(_of_list(value, path))


def _of_object(value: Mapping[str, Any]) -> tuple[Form, list[Record]]:
    """Reads an object whose keys are factors, or one that is a record itself."""
    if _first(value, _FACTOR) is not None and set(_LABEL) & set(value):
        return _form_of([value], default=_RECORDS), [
            Record("", _first(value, _FACTOR), _first(value, _LAYER), _entry(value))
        ]
    form = _form_of(value.values(), default=_OURS)
    if form is _OURS:
        return _OURS, list(label_records.of_mapping(value))
    return form, [
        Record("", key, _first(entry, _LAYER), _entry(entry))
        if isinstance(entry, dict)
        else Record("", key, None, entry)
        for key, entry in value.items()
    ]


def _form_of(entries: Iterable[Any], default: Form) -> Form:
    """Returns the form of the tool that writes such entries."""
    for entry in entries:
        if isinstance(entry, dict) and "label" not in entry:
            if "description" in entry:
                return _NEURONPEDIA
            if "explanation" in entry:
                return _DELPHI
    return default


def _of_list(items: list[Any], path: pathlib.Path) -> Iterator[Record]:
    for number, item in enumerate(items, start=1):
        place = f"entry {number}"
        if not isinstance(item, dict):
            raise InputError(
                f"Expected an object that names factor and label as {place} of {path}, "
                f"got {factor_label.short(item)}."
            )
        factor = _first(item, _FACTOR)
        if factor is None or not set(_LABEL) & set(item):
            missing, names = (
                ("a label", _LABEL) if factor is not None else ("a factor", _FACTOR[:4])
            )
            raise InputError(
                f"Expected {missing} ({', '.join(names)}) in {place} of {path}, got "
                f"only {', '.join(sorted(item)[:8]) or 'nothing'}."
            )
        yield Record(place, factor, _first(item, _LAYER), _entry(item))


def _entry(item: Mapping[str, Any]) -> dict[str, Any]:
    """Returns label, score and source of an object of another tool."""
    return {
        "label": _first(item, _LABEL),
        "score": _one_score(_first(item, _SCORE)),
        "source": _first(item, _SOURCE),
    }


def _one_score(value: Any) -> Any:
    """Returns the first of several scores, which may be objects with a value."""
    while isinstance(value, list | dict):
        if isinstance(value, dict):
            value = _first(value, ("value", *_SCORE))
        else:
            value = value[0] if value else None
    return value


def _first(item: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((item[n] for n in names if item.get(n) is not None), None)


def _of_table(text: str, path: pathlib.Path) -> tuple[Form, list[Record]]:
    head = next(line for line in text.splitlines() if line.strip())
    for delimiter, name in _DELIMITERS.items():
        columns = _columns(head, delimiter)
        if columns is not None:
            form = Form(name, may_be_empty=True)
            return form, list(_rows(text, path, delimiter, columns))
    raise InputError(
        f"Expected labels in {path} as JSON, or as CSV or TSV whose first line names "
        f"the columns factor and label; got {factor_label.short(head)}."
    )


class _Columns(NamedTuple):
    """The columns of a table, by number; None for those that it does not have."""

    has_head: bool
    factor: int
    label: int
    layer: int | None = None
    score: int | None = None
    source: int | None = None


def _columns(head: str, delimiter: str) -> _Columns | None:
    """Returns the columns; None if factor or label is missing."""
    cells = next(csv.reader([head], delimiter=delimiter), [])
    names = [cell.strip().lower() for cell in cells]

    def place(known: tuple[str, ...]) -> int | None:
        return next((names.index(n.lower()) for n in known if n.lower() in names), None)

    factor, label = place(_FACTOR), place(_LABEL)
    if factor is not None and label is not None:
        others = (place(known) for known in (_LAYER, _SCORE, _SOURCE))
        return _Columns(True, factor, label, *others)
    if len(cells) == 2 and label_records.names_a_factor(cells[0]):
        return _Columns(False, 0, 1)
    return None


def _rows(
    text: str, path: pathlib.Path, delimiter: str, columns: _Columns
) -> Iterator[Record]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    is_head = columns.has_head
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if is_head:
                is_head = False
                continue
            yield _row(cells, f"line {lines.line_num}", path, columns)
    except csv.Error as error:
        raise InputError(
            f"{path} is no table of labels: line {lines.line_num}: {error}."
        ) from error


def _row(cells: list[str], place: str, path: pathlib.Path, columns: _Columns) -> Record:
    needed = 1 + max(columns.factor, columns.label)
    if len(cells) < needed:
        raise InputError(
            f"Expected at least {needed} columns in {place} of {path}, got "
            f"{len(cells)}."
        )

    def cell(column: int | None) -> str:
        return cells[column] if column is not None and column < len(cells) else ""

    entry = {
        "label": cell(columns.label),
        "score": cell(columns.score).strip() or None,
        "source": cell(columns.source),
    }
    return Record(place, cell(columns.factor), cell(columns.layer).strip(), entry)
