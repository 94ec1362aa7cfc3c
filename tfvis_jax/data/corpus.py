"""Reads clean documents from the files, folders, globs and datasets a user names.

Reading takes two steps, so that the slow one can be spread over processes: `read_raw`
splits files into documents, and `finish` cleans one document.
"""

import dataclasses
import glob
import pathlib
from collections.abc import Iterator, Sequence

from tfvis_jax.data import cleaning, formats, readers
from tfvis_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Document:
    """A text and its name: a title, or the file's name and the document's number.

    Attributes:
      name: the title, or file and number.
      text: the text.
    """

    name: str
    text: str


def find_inputs(paths: Sequence[str]) -> list[pathlib.Path | str]:
    """Returns each file once, in the order given, and ``hf://`` names unchanged.

    A folder stands for all files of a supported format below it, sorted by path; hidden
    files and other formats are skipped. The matches of a glob are sorted as well.

    Raises:
      InputError: a path does not exist, a folder has no file of a supported format, or
        a named file has an unsupported format.
    """
    # A dict, as a set that keeps the order.
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
    """Yields the documents of `find_inputs`' result, before cleaning.

    Their ``position`` counts bytes over all files.
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
    """Cleans a document; yields none if no text is left, several if it is too long.

    Wiki markup is stripped even if ``clean`` is False, because it is the file's format.
    """
    name, text = raw.name, raw.text
    if clean or raw.style is cleaning.Style.MEDIAWIKI:
        text = cleaning.clean(text, style=raw.style)
        if raw.style is cleaning.Style.WIKITEXT:
            # Titles are tokenized too; one of unknown words alone would be empty.
            name = cleaning.clean(name, style=raw.style) or name
    text = text.strip()
    if text:
        for part_name, part in readers.cut_long(name, text):
            yield Document(part_name, part)


def read_documents(
    paths: Sequence[str], *, clean: bool = True, replace_undecodable: bool = False
) -> Iterator[Document]:
    """Yields the documents of text files, archives, dumps, folders and datasets.

    * Text (.txt, .text, .tokens, .md, no suffix): a line ``= Title =`` begins a new
      document; a file without such a line is one document, named after the file.
    * JSON lines (.jsonl): one document a line, its field "text"; named by the field
      "title" if there is one.
    * NumPy arrays of strings (.npy), such as lists of sentences: one document a string.
    * MediaWiki dumps (.xml): the articles, without redirects and other namespaces.
    * ``hf://name`` or ``hf://name:config:split``: a Hugging Face dataset, streamed.

    All but .npy may be compressed (.gz, .xz, .zst, .bz2). Documents of more than a
    million characters are cut at the end of a paragraph, into "name", "name #2", ...

    Args:
      paths: files, folders, globs, ``hf://`` names.
      clean: If True, undo WikiText's tokenization; see `cleaning.clean`.
      replace_undecodable: If True, replace bytes that are not UTF-8 by U+FFFD.

    Raises:
      InputError: nothing was found, a file cannot be read, or none of them holds text.
    """
    # Only after the last document is it known that none had text.
    empty = True
    inputs = find_inputs(paths)
    for raw in read_raw(inputs, replace_undecodable=replace_undecodable):
        for document in finish(raw, clean=clean):
            empty = False
            yield document
    if empty:
        raise InputError(no_text(inputs))


def no_text(inputs: Sequence[pathlib.Path | str]) -> str:
    """Returns the error message for a corpus that holds no text."""
    names = ", ".join(str(item) for item in inputs[:3])
    return (
        f"No text in {names}{', ...' if len(inputs) > 3 else ''}; name files that hold "
        "text."
    )


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
                f"The folder {path} has no file of a supported format; expected "
                f"{formats.KNOWN_SUFFIXES}."
            )
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
