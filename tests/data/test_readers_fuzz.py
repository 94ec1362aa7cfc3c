"""Mutated text files, plain and compressed, are read or refused by an InputError."""

import bz2
import gzip
import io
import json
import lzma

import numpy as np
import pytest
import zstandard

from tfvis_jax.data import corpus
from tfvis_jax.data import notes as notes_lib

pytestmark = pytest.mark.fuzz

TEXTS = (
    "The Bank of the river.",
    "caf\u00e9 \u6771\u4eac \U0001f600",
    "= One =\n\nleft",
)
_COMPRESSIONS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def _array(kind):
    file = io.BytesIO()
    texts = [text.encode() for text in TEXTS] if kind == "S" else TEXTS
    np.save(file, np.array(texts, dtype=kind))
    return file.getvalue()


def _dump():
    pages = "".join(
        f"<page><title>T{number}</title><ns>0</ns><revision><timestamp>2020-01-0"
        f"{number + 1}T00:00:00Z</timestamp><text>{text} [[a|b]] {{{{c|d=1}}}} "
        "{| class=x\n|-\n| e\n|}&lt;ref&gt;f&lt;/ref&gt; == g == * h</text></revision>"
        "</page>"
        for number, text in enumerate(TEXTS)
    )
    return (
        '<mediawiki xml:lang="en"><siteinfo><namespaces><namespace key="6">File'
        f"</namespace></namespaces></siteinfo>{pages}</mediawiki>"
    ).encode()


def _originals():
    lines = [json.dumps({"text": text, "title": "t"}) for text in TEXTS]
    texts = {
        "a.txt": "\n\n".join(TEXTS).encode(),
        "b.txt": "\n".join(TEXTS).encode("utf-16"),
        "c.txt": "\n".join(TEXTS).encode("utf-32"),
        "d.jsonl": "\n".join(lines).encode(),
        "e.json": json.dumps([json.loads(line) for line in lines]).encode(),
        "f.npy": _array("U"),
        "g.npy": _array("S"),
        "h.xml": _dump(),
    }
    return texts


@pytest.mark.parametrize("suffix", _COMPRESSIONS)
def test_text(fuzz, suffix):
    compress = _COMPRESSIONS[suffix]
    originals = {
        f"{name}{suffix}": compress(content) for name, content in _originals().items()
    }

    def read(folder, changed, rng):
        _read([folder / name for name in sorted(changed)], rng)

    fuzz.run(originals, read, inputs=2000)


@pytest.mark.parametrize("suffix", [s for s in _COMPRESSIONS if s])
def test_text_that_was_mutated_before_it_was_compressed(fuzz, suffix, tmp_path):
    compress = _COMPRESSIONS[suffix]

    def read(folder, changed, rng):
        paths = []
        for name in sorted(changed):
            path = tmp_path / f"{name}{suffix}"
            path.unlink(missing_ok=True)
            if (folder / name).is_file():
                path.write_bytes(compress((folder / name).read_bytes()))
            paths.append(path)
        _read(paths, rng)

    fuzz.run(_originals(), read, inputs=1600)


def _read(paths, rng):
    notes = notes_lib.Notes()
    inputs = corpus.find_inputs([str(path) for path in paths], notes=notes)
    for raw in corpus.read_raw(
        inputs, replace_undecodable=rng.random() < 0.5, notes=notes
    ):
        for document in corpus.finish(raw, clean=True, notes=notes):
            document.text.encode("utf-8", "surrogatepass")
            assert isinstance(document.name, str)
    assert all(isinstance(sentence, str) for sentence in notes.sentences())
