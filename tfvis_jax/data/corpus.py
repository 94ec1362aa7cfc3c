"""From what a user names (files, folders, globs, hub datasets) to clean documents.

Reading is in two steps, so that the slow one can be spread over processes:
`read_raw` splits files into documents, `finish` cleans one.
"""

import dataclasses
import glob
import pathlib
from collections.abc import Iterator, Sequence

from tfvis_jax.data import cleaning, formats, readers
from tfvis_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Document:
    """A text and its name: a title, or its file and number."""

    name: str
    text: str


def find_inputs(paths: Sequence[str]) -> list[pathlib.Path | str]:
    """Returns the files, in order and once each, and ``hf://`` names as they are.

    A folder stands for all files of a known kind in it, however deep, sorted by path;
    hidden files and other kinds are left out. A glob's matches are sorted, too.

    Raises:
      InputError: nothing there, nothing readable in a folder, or a named file of an
        unknown kind.
    """
    found: dict[pathlib.Path | str, None] = {}
    for path in paths:
        if str(path).startswith("hf://"):
            found[str(path)] = None
        else:
            found |= dict.fromkeys(_find_files(str(path)))
    return list(found)


def read_raw(
    inputs: Sequence[pathlib.Path | str], *, replace_undecodable: bool = False
) -> Iterator[readers.RawDocument]:
    """Yields the documents of `find_inputs`' result before cleaning.

    ``position`` counts bytes over all files.
    """
    done = 0
    for item in inputs:
        if isinstance(item, str):
            yield from readers.read_hugging_face(item)
            continue
        for raw in readers.read_file(item, replace_undecodable=replace_undecodable):
            yield dataclasses.replace(raw, position=done + raw.position)
        done += item.stat().st_size


def finish(raw: readers.RawDocument, *, clean: bool = True) -> Iterator[Document]:
    """Cleans a document: none if no text is left, several if it is too long.

    Wiki markup is stripped even where ``clean`` is off: it is the file's format.
    """
    name, text = raw.name, raw.text
    if clean or raw.style is cleaning.Style.MEDIAWIKI:
        text = cleaning.clean(text, style=raw.style)
        if raw.style is cleaning.Style.WIKITEXT:
            name = cleaning.clean(name, style=raw.style) or name
    text = text.strip()
    if text:
        for part_name, part in readers.cut_long(name, text):
            yield Document(part_name, part)


def read_documents(
    paths: Sequence[str], *, clean: bool = True, replace_undecodable: bool = False
) -> Iterator[Document]:
    """Yields the documents of text files, archives, dumps, folders, datasets.

    * Text (.txt, .text, .tokens, .md, no suffix): a line ``= Title =`` begins a new
      document; a file without one is one document, named by the file.
    * JSON lines (.jsonl): the field "text" of every line, named by "title" if there.
    * NumPy arrays of strings (.npy), such as lists of sentences: one document each.
    * MediaWiki dumps (.xml): the articles, without redirects and other namespaces.
    * ``hf://name`` or ``hf://name:config:split``: a Hugging Face dataset, streamed.

    All but .npy may be compressed (.gz, .xz, .zst, .bz2). Documents above a million
    characters are cut at a paragraph end, into "name", "name #2", ...

    Args:
      paths: files, folders, globs, ``hf://`` names.
      clean: undo WikiText's tokenisation, see `cleaning.clean`.
      replace_undecodable: put U+FFFD for bytes that are not UTF-8.

    Raises:
      InputError: nothing found, an unreadable file, or no text in all of them.
    """
    empty = True
    inputs = find_inputs(paths)
    for raw in read_raw(inputs, replace_undecodable=replace_undecodable):
        for document in finish(raw, clean=clean):
            empty = False
            yield document
    if empty:
        raise InputError(no_text(inputs))


def no_text(inputs: Sequence[pathlib.Path | str]) -> str:
    """Returns the message for a corpus without a word in it."""
    names = ", ".join(str(item) for item in inputs[:3])
    return f"No text in {names}{', ...' if len(inputs) > 3 else ''}: nothing to do."


def _find_files(name: str) -> list[pathlib.Path]:
    path = pathlib.Path(name).expanduser()
    if path.is_dir():
        files = [
            file
            for file in sorted(path.rglob("*"))
            if file.is_file()
            and not any(p.startswith(".") for p in file.relative_to(path).parts)
            and formats.detect(file) is not None
        ]
        if not files:
            raise InputError(
                f"{path}: no file of a known kind in this folder. "
                f"Known: {formats.KNOWN_SUFFIXES}."
            )
        return files
    if path.is_file():
        files = [path]
    else:
        matches = sorted(glob.glob(str(path), recursive=True))
        files = [pathlib.Path(m) for m in matches if pathlib.Path(m).is_file()]
    if not files:
        raise InputError(
            f"{name}: no such file or folder, and no file matches it as a glob."
        )
    for file in files:
        if formats.detect(file) is None:
            raise InputError(
                f"{file}: unknown kind of file. Known: {formats.KNOWN_SUFFIXES}."
            )
    return files
