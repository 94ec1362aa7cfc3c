"""Reads clean documents from the files, folders, globs and datasets a user names.

Reading takes two steps, so that the slow one can be spread over processes: `read_raw`
splits files into documents, and `finish` cleans one document.
"""

import dataclasses
import glob
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence

from tfvis_jax.data import cleaning, formats, mediawiki, readers
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Document:
    """A text and its name: a title, or the file's name and the document's number.

    Attributes:
      name: the title, or file and number.
      text: the text.
      continues: True for the parts of a long document after its first.
    """

    name: str
    text: str
    continues: bool = False


def find_inputs(
    paths: Sequence[str], *, notes: notes_lib.Notes | None = None
) -> list[pathlib.Path | str]:
    """Returns each file once, in the order given, and ``hf://`` names unchanged.

    A folder stands for all files of a supported format below it, sorted by path. Hidden
    files, other formats, and the index and checksums of a dump are left out and noted.
    The matches of a glob are sorted as well. Parts of a path with commas that were
    split at them are put together again.

    Raises:
      InputError: a path does not exist, a folder has no file of a supported format, or
        a named file has an unsupported format.
    """
    # A dict, as a set that keeps the order.
    found: dict[pathlib.Path | str, None] = {}
    notes = notes or notes_lib.Notes()
    names = [str(path) for path in paths]
    if not all(name.strip() for name in names):
        raise InputError(
            "Expected the names of files or folders, got an empty name; if it comes "
            "from a variable of the shell, check its value."
        )
    for path in _joined_at_commas(names):
        if path.startswith("hf://"):
            found[path] = None
        else:
            found |= dict.fromkeys(_find_files(path, notes=notes))
    for path in found:
        if isinstance(path, pathlib.Path) and not formats.has_suffix(path):
            notes.add("Files without a suffix read as text", place=path.name)
    return list(found)


def read_raw(
    inputs: Sequence[pathlib.Path | str],
    *,
    replace_undecodable: bool = False,
    text_field: str = "text",
    notes: notes_lib.Notes | None = None,
) -> Iterator[readers.RawDocument]:
    """Yields the documents of `find_inputs`' result, before cleaning.

    Their ``position`` counts bytes over all files. Records without text are noted.
    """
    done = 0
    for item in inputs:
        if isinstance(item, str):
            yield from readers.read_hugging_face(
                item, text_field=text_field, notes=notes
            )
            continue
        documents = readers.read_file(
            item,
            replace_undecodable=replace_undecodable,
            text_field=text_field,
            notes=notes,
        )
        for raw in documents:
            yield dataclasses.replace(raw, position=done + raw.position)
        done += item.stat().st_size


def finish(
    raw: readers.RawDocument,
    *,
    clean: bool = True,
    notes: notes_lib.Notes | None = None,
) -> Iterator[Document]:
    """Cleans a document; yields none if no text is left, several if it is too long.

    Wiki markup is stripped even if ``clean`` is False, because it is the file's format.
    """
    name, text = raw.name, raw.text
    if raw.style is cleaning.Style.MEDIAWIKI:
        text, is_simplified = mediawiki.prose(text)
        if is_simplified and notes is not None:
            notes.add(
                "Documents whose markup would take too long to parse, cleaned in a "
                "simpler way",
                place=name,
            )
    elif clean:
        text = cleaning.clean(text, style=raw.style)
        if raw.style is cleaning.Style.WIKITEXT:
            # Titles are tokenized too; one of unknown words alone would be empty.
            name = cleaning.clean(name, style=raw.style) or name
    text = text.strip()
    if text:
        for number, (part_name, part) in enumerate(readers.cut_long(name, text)):
            yield Document(part_name, part, continues=raw.continues or number > 0)


def read_documents(
    paths: Sequence[str],
    *,
    clean: bool = True,
    replace_undecodable: bool = False,
    text_field: str = "text",
    notify: Callable[[str], None] = warnings.warn,
) -> Iterator[Document]:
    """Yields the documents of text files, archives, dumps, folders and datasets.

    * Text (.txt, .text, .tokens, .md, no suffix): a line ``= Title =`` begins a new
      document; a file without such a line is one document, named after the file.
    * JSON (.jsonl, .ndjson, .json): one document for each object of a line or of an
      array, its field ``text_field``, a string or a list of strings; named by the field
      "title" if there is one. Objects whose text is null are skipped.
    * NumPy arrays of strings (.npy), such as lists of sentences: one document a string.
    * MediaWiki dumps (.xml): the articles, without redirects and other namespaces.
    * ``hf://name`` or ``hf://name:config:split``: a Hugging Face dataset, streamed.

    All but .npy may be compressed (.gz, .xz, .zst, .bz2). Documents of more than a
    million characters are cut at the end of a paragraph, into "name", "name #2", ...

    Args:
      paths: files, folders, globs, ``hf://`` names.
      clean: If True, undo WikiText's tokenization; see `cleaning.clean`.
      replace_undecodable: If True, replace bytes that cannot be decoded by U+FFFD.
      text_field: the field of JSON objects, and of a dataset's records, to read.
      notify: told in a sentence what was left out, once all is read.

    Raises:
      InputError: nothing was found, a file cannot be read, or none of them holds text.
    """
    # Only after the last document is it known that none had text.
    empty, notes = True, notes_lib.Notes()
    inputs = find_inputs(paths, notes=notes)
    documents = read_raw(
        inputs,
        replace_undecodable=replace_undecodable,
        text_field=text_field,
        notes=notes,
    )
    for raw in documents:
        for document in finish(raw, clean=clean, notes=notes):
            empty = False
            yield document
    for sentence in notes.sentences():
        notify(sentence)
    if empty:
        raise InputError(no_text(inputs))


def no_text(inputs: Sequence[pathlib.Path | str]) -> str:
    """Returns the error message for a corpus that holds no text."""
    names = ", ".join(str(item) for item in inputs[:3])
    return (
        f"No text in {names}{', ...' if len(inputs) > 3 else ''}; name files that hold "
        "text."
    )


def _joined_at_commas(paths: Sequence[str]) -> Iterator[str]:
    """Puts together what a flag split: "one", "two.txt" if there is "one, two.txt"."""
    start = 0
    while start < len(paths):
        end = start + 1
        if not _exists(paths[start]):
            for longer in range(start + 2, len(paths) + 1):
                candidates = (c.join(paths[start:longer]) for c in (",", ", "))
                joined = next(filter(_exists, candidates), None)
                if joined is not None:
                    yield joined
                    end = longer
                    break
            else:
                yield paths[start]
        else:
            yield paths[start]
        start = end


def _exists(name: str) -> bool:
    return (
        name.startswith("hf://")
        or _expanded(name).exists()
        or bool(glob.glob(str(_expanded(name)), recursive=True))
    )


def _expanded(name: str) -> pathlib.Path:
    try:
        return pathlib.Path(name).expanduser()
    # There is no such user: the name is taken as it stands, as a shell does.
    except RuntimeError:
        return pathlib.Path(name)


def _find_files(name: str, *, notes: notes_lib.Notes) -> list[pathlib.Path]:
    path = _expanded(name)
    if path.is_dir():
        files, left_out = [], notes_lib.Notes()
        for file in sorted(path.rglob("*")):
            # Notes are published with a page: not where the folder is.
            place = str(file.relative_to(path))
            if not file.is_file():
                if file.is_symlink():
                    left_out.add(
                        "Links not read (to a folder, or to nothing)", place=place
                    )
                continue
            if any(p.startswith(".") for p in file.relative_to(path).parts):
                left_out.add("Files not read (hidden)", place=place)
            elif reason := formats.why_no_text(file):
                left_out.add(f"Files not read ({reason})", place=place)
            else:
                files.append(file)
        if not files:
            why = "".join(f" {sentence}" for sentence in left_out.sentences())
            raise InputError(
                f"The folder {path} has no file of a supported format; expected "
                f"{formats.KNOWN_SUFFIXES}.{why}"
            )
        notes.add_all(left_out)
        return files
    if path.is_file():
        files = [path]
    else:
        matches = sorted(glob.glob(str(path), recursive=True))
        files = [pathlib.Path(m) for m in matches if pathlib.Path(m).is_file()]
    if not files:
        raise InputError(
            f"There is no file or folder {name}, and no file matches it as a glob; "
            "check the path."
        )
    for file in files:
        if formats.detect(file) is None:
            raise InputError(
                f"{file} has an unsupported format; expected {formats.KNOWN_SUFFIXES}."
            )
    return files
