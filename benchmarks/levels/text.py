"""Writes a text of several domains, on which levels of factors are evaluated.

    python -m benchmarks.levels.text --data=../shared/data --out=mixed.jsonl

One JSON object a line, ``title`` and ``text``. The title is the domain, a slash and the
document's name. Documents come by turns, so that a run that reads only the beginning
has all domains. Nothing is drawn at random.
"""

import itertools
import json
import lzma
import pathlib
import re
import zipfile
from collections.abc import Iterator

from absl import flags

from experiments import script
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import outputs

FLAGS = flags.FlagValues()
_DATA = flags.DEFINE_string(
    "data", "../shared/data", "Folder with the corpora.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "File to write, .jsonl; required.", flag_values=FLAGS
)

# Files of Brown by their first letter; the other half of its kinds is left out.
_BROWN = {
    "a": "press",
    "b": "press",
    "d": "religion",
    "e": "hobbies",
    "j": "learned",
    "k": "fiction",
    "l": "fiction",
    "n": "fiction",
}
_QUOTES = {"``": '"', "''": '"'}
_NO_SPACE_BEFORE = re.compile(r" (?=[.,;:?!)](?: |$))")
_NO_SPACE_AFTER = re.compile(r"(?<=\() ")


def documents(data: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Yields (domain/name, text) of all documents, the domains by turns.

    Raises:
      InputError: a corpus is missing; names it.
    """
    sources = [
        _first(_wiki(data), 90, length=3500),
        _first(_novels(data), 30, length=11000),
        _first(_addresses(data), 65, length=3500),
        _first(_brown(data), 200, length=1600),
        _first(_gum(data), 178, length=1500),
    ]
    for turn in itertools.zip_longest(*sources):
        yield from (document for document in turn if document)


def _first(documents, count, *, length):
    for name, text in itertools.islice(documents, count):
        yield name, text[:length].rpartition(" ")[0]


def _read(path) -> str:
    if not path.is_file():
        raise InputError(f"Expected {path}; --data is the folder of the corpora.")
    return lzma.decompress(path.read_bytes()).decode()


def _titled(text):
    """Yields (title, text) of what stands under headings."""
    parts = re.split(r"^=+ (.+?) =+$", text, flags=re.MULTILINE)
    return zip(parts[1::2], parts[2::2], strict=True)


def _wiki(data):
    for title, text in _titled(_read(data / "wiki2015" / "train-00.txt.xz")):
        yield f"wiki/{title}", text.strip()


def _novels(data):
    for title, text in _titled(_read(data / "novels" / "novels-train.txt.xz")):
        # From the middle, behind what publishers put first.
        yield f"novel/{title.removesuffix('.txt')}", text[len(text) // 3 :].strip()


def _zipped(path):
    if not path.is_file():
        raise InputError(f"Expected {path}; --data is the folder of the corpora.")
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith("/"):
                yield pathlib.PurePath(name).name, archive.read(name).decode("latin-1")


def _addresses(data):
    for name, text in _zipped(data / "state_union" / "state_union.zip"):
        if name.endswith(".txt"):
            yield f"address/{name.removesuffix('.txt')}", text[400:].strip()


def _brown(data):
    kinds = {}
    for name, text in _zipped(data / "brown" / "brown.zip"):
        kind = _BROWN.get(name[1]) if re.fullmatch(r"c[a-r]\d\d", name) else None
        if kind:
            kinds.setdefault(kind, []).append((f"{kind}/{name}", _untagged(text)))
    for turn in itertools.zip_longest(*kinds.values()):
        yield from (document for document in turn if document)


def _untagged(text) -> str:
    words = [word.rpartition("/")[0] for word in text.split()]
    joined = " ".join(_QUOTES.get(word, word) for word in words)
    return _NO_SPACE_AFTER.sub("", _NO_SPACE_BEFORE.sub("", joined))


def _gum(data):
    text = _read(data / "ud" / "gum" / "en_gum-ud-train.compact.conllu.xz")
    parts = re.split(r"^# newdoc id = GUM_(\S+)$", text, flags=re.MULTILINE)
    kinds = {}
    for name, lines in zip(parts[1::2], parts[2::2], strict=True):
        sentences = re.findall(r"^# text = (.+)$", lines, flags=re.MULTILINE)
        kind, _, rest = name.partition("_")
        kinds.setdefault(kind, []).append((f"{kind}/{rest}", " ".join(sentences)))
    for turn in itertools.zip_longest(*kinds.values()):
        yield from (document for document in turn if document)


def main() -> None:
    """Writes the file."""
    if _OUT.value is None or not _OUT.value.endswith(".jsonl"):
        raise InputError("Expected --out FILE.jsonl.")
    found = list(documents(pathlib.Path(_DATA.value)))
    with files.write_atomically(pathlib.Path(_OUT.value)) as file:
        for title, text in found:
            line = json.dumps({"title": title, "text": text}, ensure_ascii=False)
            file.write(line.encode() + b"\n")
    n_characters = sum(len(text) for _, text in found)
    outputs.say(f"{len(found)} documents, {n_characters:,} characters")


if __name__ == "__main__":
    script.run(main, FLAGS)
