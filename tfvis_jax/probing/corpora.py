"""Readers of labelled corpora: word/TAG files, CoNLL-U, Senseval-2."""

import html
import io
import lzma
import pathlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence

from tfvis_jax import schema
from tfvis_jax.errors import InputError
from tfvis_jax.probing import labelled

# Columns of CoNLL-U that can be the label.
CONLLU_COLUMNS = {"lemma": 2, "upos": 3, "xpos": 4, "deprel": 7}
_FORM = 1
_COLUMNS = 10
# No labelled corpus is larger; a damaged archive may claim to be.
_MAX_BYTES = 2**30
# Headline, title and cited words are what they would be elsewhere.
_BROWN_SUFFIX = re.compile(r"-(?:hl|tl|nc)")
# Beginnings of the tags of each part of speech; the first that fits counts.
_COARSE = {
    "brown": (
        *((tag, "noun") for tag in ("nn", "np", "nr")),
        *((tag, "verb") for tag in ("vb", "be", "hv", "do", "md")),
        ("jj", "adjective"),
        *((tag, "adverb") for tag in ("rb", "rn", "wrb", "ql", "wql")),
        *((tag, "determiner") for tag in ("at", "dt", "ap", "ab", "wdt")),
        *((tag, "pronoun") for tag in ("pp", "pn", "wp", "ex")),
        *((tag, "conjunction") for tag in ("cc", "cs")),
        *((tag, "number") for tag in ("cd", "od")),
        *((tag, "particle") for tag in ("rp", "to")),
        ("in", "preposition"),
        ("uh", "interjection"),
        ("*", "negation"),
    ),
    "penn": (
        ("nn", "noun"),
        *((tag, "verb") for tag in ("vb", "md")),
        ("jj", "adjective"),
        *((tag, "adverb") for tag in ("rb", "wrb")),
        *((tag, "determiner") for tag in ("dt", "pdt", "wdt")),
        *((tag, "pronoun") for tag in ("prp", "wp", "ex")),
        ("cc", "conjunction"),
        ("cd", "number"),
        *((tag, "particle") for tag in ("rp", "to", "pos")),
        ("in", "preposition"),
        ("uh", "interjection"),
    ),
    "universal": (
        *((tag, "noun") for tag in ("noun", "propn")),
        *((tag, "verb") for tag in ("verb", "aux")),
        ("adj", "adjective"),
        ("adv", "adverb"),
        ("det", "determiner"),
        ("pron", "pronoun"),
        *((tag, "conjunction") for tag in ("cconj", "sconj")),
        ("num", "number"),
        ("part", "particle"),
        ("adp", "preposition"),
        ("intj", "interjection"),
    ),
}
_INSTANCE = re.compile(
    r'<instance id="([^"]*)">\s*((?:<answer [^>]*/>\s*)+)<context>(.*?)</context>',
    re.DOTALL,
)
_SENSE = re.compile(r'senseid="([^"]*)"')
_WORD = re.compile(
    r"(<head>)?\s*<wf pos=(?:\"[^\"]*\"|'[^']*')>(.*?)</wf>\s*(</head>)?", re.DOTALL
)


def read_word_tags(path: pathlib.Path | str) -> labelled.LabelledText:
    """Reads word/TAG lines, such as those of the Brown corpus; one line is a text.

    Words are joined by spaces. The Brown corpus writes quotation marks as two accents
    or apostrophes; they become '"', as models know them.

    Args:
      path: a file, a folder or a .zip of such files; every file is a document.

    Raises:
      InputError: there is no such file, or a token has no tag; names file and line.
    """
    path = _existing(
        path, "the Brown corpus (Francis and Kučera; brown.zip of NLTK's data)"
    )
    records = []
    for name, content in _members(path):
        lines = content.split("\n")
        # A read-me lies beside the files.
        first = next((line.split() for line in lines if line.strip()), [])
        if not first or not all("/" in token for token in first):
            continue
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = _place(path, name, number)
                records.append((name, *_tagged_line(line, where=where)))
    if not records:
        raise InputError(f"Expected lines of word/TAG in {path}, found none.")
    return labelled.build(path.stem, records)


def coarse_tag(tag: str, *, tagset: str = "brown") -> str:
    """Returns the part of speech of a tag, such as "noun"; "other" for the rest.

    Args:
      tag: the tag, in either case.
      tagset: "brown", "penn" (Penn Treebank) or "universal" (Universal Dependencies).

    Raises:
      InputError: there is no such tag set.
    """
    if tagset not in _COARSE:
        raise InputError(f"Expected a tag set of {', '.join(_COARSE)}, got {tagset!r}.")
    base = _BROWN_SUFFIX.sub("", tag.lower()) if tagset == "brown" else tag.lower()
    return next(
        (name for start, name in _COARSE[tagset] if base.startswith(start)), "other"
    )


def read_conllu(
    path: pathlib.Path | str, *, label: str = "upos"
) -> labelled.LabelledText:
    """Reads CoNLL-U, the format of Universal Dependencies; one sentence is a text.

    The words are looked for in the sentence's own text, one after the other. Words that
    it does not contain, such as the parts of a contraction, are counted and left out.
    Documents begin with "# newdoc"; a file without them is one document.

    Args:
      path: a file (.conllu, or compressed .conllu.xz) or a folder of them.
      label: the column that holds the label, "upos", "xpos", "lemma" or "deprel".

    Raises:
      InputError: there is no such file or column, or a line has not ten columns.
    """
    if label not in CONLLU_COLUMNS:
        raise InputError(
            f"Expected a column of {', '.join(CONLLU_COLUMNS)} as label, got {label!r}."
        )
    path = _existing(path, "CoNLL-U files, such as those of UD English GUM")
    records, n_not_found = [], 0
    for name, content in _members(path, suffixes=(".conllu", ".conllu.xz")):
        document = name
        for number, block in _blocks(content):
            words = []
            text = None
            for offset, line in enumerate(block):
                if line.startswith("# newdoc"):
                    document = line.partition("=")[2].strip() or f"{name}:{number}"
                elif line.startswith("# text ="):
                    text = line.partition("=")[2].strip()
                elif not line.startswith("#"):
                    columns = line.split("\t")
                    if len(columns) != _COLUMNS:
                        raise InputError(
                            f"{_place(path, name, number + offset)} is damaged: "
                            f"Expected {_COLUMNS} columns between tabs, got "
                            f"{len(columns)}. Correct the line, or leave the file out."
                        )
                    # "3-4" is what the words 3 and 4 look like together, "3.1" is no
                    # word of the text.
                    if columns[0].isdigit() and columns[_FORM]:
                        words.append((columns[_FORM], columns[CONLLU_COLUMNS[label]]))
            if text is None:
                text = " ".join(form for form, _ in words)
            spans = _find(words, text)
            n_not_found += len(words) - len(spans)
            records.append((document, text, spans))
    if not records:
        raise InputError(f"Expected .conllu or .conllu.xz files in {path}, found none.")
    return labelled.build(path.stem, records, n_not_found=n_not_found)


def read_senseval(path: pathlib.Path | str, word: str) -> labelled.LabelledText:
    """Reads the senses of one word from Senseval-2, as NLTK's data has them.

    The documents are those of the instances' names. "interest" has none, and every
    instance is taken for a document.

    Args:
      path: a folder or a .zip with hard.pos, interest.pos, line.pos, serve.pos.
      word: "hard", "interest", "line" or "serve".

    Raises:
      InputError: there is no such file or word; says which words there are.
    """
    path = _existing(path, "Senseval-2 (senseval.zip of NLTK's data)")
    contents = {
        pathlib.PurePath(name).stem: content
        for name, content in _members(path, suffixes=(".pos",))
    }
    if word not in contents:
        raise InputError(
            f"Expected a word of {path}, got {word!r}; it has "
            f"{', '.join(sorted(contents)) or 'no .pos file'}."
        )
    records = []
    found = _INSTANCE.findall(contents[word])
    if len(found) != (begun := contents[word].count("<instance ")):
        raise InputError(
            f"{path} is damaged: Expected an answer and a context in each instance of "
            f"{word}, got {begun} instances and {len(found)} whole ones; get it again."
        )
    for name, answers, context in found:
        senses = _SENSE.findall(answers)
        parts, spans, length = [], [], 0
        for is_head, form, _ in _WORD.findall(context):
            form = html.unescape(form).strip()
            if is_head and not (form and senses):
                raise InputError(
                    f"{path} is damaged: Expected a word and a senseid in the instance "
                    f"{name} of {word}, got {'no senseid' if form else 'no word'}; get "
                    "it again."
                )
            if is_head:
                spans.append((length, length + len(form), senses[0]))
            parts.append(form)
            length += len(form) + 1
        records.append((_senseval_document(name), " ".join(parts), spans))
    return labelled.build(f"{word} in Senseval-2", records)


def _senseval_document(name: str) -> str:
    """Returns the document of hard-a.sjm-274_1:, line-n.w7_010:888:, interest-n.int1.

    The number of the sentence follows the document, behind the last mark.
    """
    instance = name.partition(".")[2].rstrip(":")
    return re.sub(r"[_: ]\d+$", "", instance)


def _tagged_line(line: str, *, where: str) -> tuple[str, list[tuple[int, int, str]]]:
    parts, spans, length = [], [], 0
    for token in line.split():
        word, slash, tag = token.rpartition("/")
        if not (word and slash and tag):
            raise InputError(
                f"{where} is damaged: Expected word/TAG, got {schema.short(token)}. "
                "Correct the line, or leave the file out."
            )
        if word in ("``", "''"):
            word = '"'
        spans.append((length, length + len(word), tag))
        parts.append(word)
        length += len(word) + 1
    return " ".join(parts), spans


def _place(path: pathlib.Path, name: str, line: int) -> str:
    """Returns where a line stands, also in a folder or an archive."""
    return f"Line {line} of {path if path.name == name else f'{name} in {path}'}"


def _find(words: Sequence[tuple[str, str]], text: str) -> list[tuple[int, int, str]]:
    spans, place = [], 0
    for form, label in words:
        start = text.find(form, place)
        # A word that is absent must not be found in the rest of the sentence.
        if start < 0 or text[place:start].strip():
            continue
        place = start + len(form)
        spans.append((start, place, label))
    return spans


def _blocks(content: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines between empty lines, with the number of the first."""
    block: list[str] = []
    for number, line in enumerate([*content.split("\n"), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _existing(path: pathlib.Path | str, what: str) -> pathlib.Path:
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"Expected {what} at {path}, found nothing there.")
    return path


def _members(
    path: pathlib.Path, *, suffixes: tuple[str, ...] = ("",)
) -> Iterator[tuple[str, str]]:
    """Yields name and content of the files of a folder, an archive, or of one file.

    A folder that holds no such file may hold an archive of them.
    """
    if path.is_dir():
        files = [p for p in sorted(path.iterdir()) if p.is_file()]
        archives = [p for p in files if p.suffix == ".zip"]
        plain = [p for p in files if p not in archives and p.name.endswith(suffixes)]
        plain = [p for p in plain if p.name != "SOURCE.txt"]
        if not plain and archives:
            yield from _members(archives[0], suffixes=suffixes)
        for file in plain:
            yield file.name, _decoded(_content(file), file)
        return
    if path.suffix != ".zip":
        yield path.name, _decoded(_content(path), path)
        return
    # A damaged archive ends in as many kinds of error as it has parts.
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.infolist(), key=lambda info: info.filename):
                name = pathlib.PurePath(member.filename)
                if member.is_dir() or not member.filename.endswith(suffixes):
                    continue
                _check_size(path, member.file_size)
                yield name.name, _decoded(archive.read(member), name)
    except InputError:
        raise
    except (
        *(OSError, ValueError, EOFError, KeyError, IndexError, OverflowError),
        *(RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error),
        *(lzma.LZMAError, struct.error),
    ) as error:
        raise InputError(f"{path} is damaged ({error}); get it again.") from error


def _content(path: pathlib.Path) -> bytes:
    try:
        _check_size(path, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); check its permissions."
        ) from error


def _check_size(path: pathlib.PurePath, n_bytes: int) -> None:
    if n_bytes > _MAX_BYTES:
        raise InputError(
            f"Expected at most {_MAX_BYTES // 2**20} MiB of text in a file, got "
            f"{n_bytes / 2**20:.0f} MiB in {path}; divide it."
        )


def _decoded(content: bytes, path: pathlib.PurePath) -> str:
    if path.suffix == ".xz":
        content = _unpacked(content, path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _unpacked(content: bytes, path: pathlib.PurePath) -> bytes:
    parts, size = [], 0
    try:
        with lzma.open(io.BytesIO(content)) as file:
            while part := file.read(2**20):
                parts.append(part)
                size += len(part)
                _check_size(path, size)
    # Its header may ask for any amount of memory.
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise InputError(f"{path} is damaged ({error}); get it again.") from error
    return b"".join(parts)
