"""Damaged labelled text is read or refused by an InputError."""

import io
import json
import lzma
import zipfile

import numpy as np
import pytest

from tfvis_jax import probing
from tfvis_jax.probing import labelled as labelled_lib

pytestmark = pytest.mark.fuzz

_LINES = [
    {"text": "He left caf\u00e9.", "span": [3, 7], "label": "verb", "document": "d"},
    {"text": "He left caf\u00e9.", "span": [8, 12], "label": "noun", "document": "d"},
    {"text": "A bank.", "span": [2, 6], "label": 3},
]
_CONLLU = (
    "# newdoc id = first\n# text = I don't go.\n"
    + "\n".join(
        "\t".join((str(number), form, form, tag, tag, "_", "0", "root", "_", "_"))
        for number, form, tag in (
            *((1, "I", "PRON"), ("2-3", "don't", "_"), (2, "do", "AUX")),
            *((3, "n't", "PART"), (4, "go", "VERB"), (5, ".", "PUNCT")),
        )
    )
    + "\n\n# newdoc\n1\tlait\tlait\tNOUN\tNN\t_\t0\troot\t_\t_\n"
)
_INSTANCE = (
    '<instance id="hard-a.sjm-274_{0}:">\n<answer instance="{0}" senseid="HARD{0}"/>\n'
    '<context>\n <wf pos="PRP">it</wf> <head> <wf pos="JJ">hard</wf></head> '
    '<wf pos="CC">&amp;</wf>\n</context>\n</instance>\n'
)
_SENSES = '<corpus lang="en">\n' + _INSTANCE.format(1) + _INSTANCE.format(2)
_TAGS = "He/pps left/vbd ``/`` 1/2/cd ''/''\n\nLeft/jj-hl hands/nns caf\u00e9/nn\n"
_READERS = {
    "a.jsonl": probing.read_json_lines,
    "b.conllu": probing.read_conllu,
    "c.conllu.xz": probing.read_conllu,
    "d.txt": probing.read_word_tags,
    "e.zip": probing.read_word_tags,
    "hard.pos": lambda path: probing.read_senseval(path, "hard"),
    "f.zip": lambda path: probing.read_senseval(path, "hard"),
}


def _zipped(name, content, *, how=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr("corpus/README", "ABOUT THE CORPUS")
        archive.writestr(f"corpus/{name}", content)
    return file.getvalue()


def _originals():
    return {
        "a.jsonl": "".join(json.dumps(line) + "\n" for line in _LINES).encode(),
        "b.conllu": _CONLLU.encode(),
        "c.conllu.xz": lzma.compress(_CONLLU.encode()),
        "d.txt": _TAGS.encode(),
        "e.zip": _zipped("ca01", _TAGS),
        "hard.pos": _SENSES.encode(),
        "f.zip": _zipped("hard.pos", _SENSES, how=zipfile.ZIP_STORED),
    }


def _check(found):
    """Checks what every use of labelled text relies on."""
    assert isinstance(found, labelled_lib.LabelledText) and len(found.spans) > 0
    lengths = np.array([len(text) for text in found.texts])[found.text_of]
    start, end = found.spans.T
    assert ((start >= 0) & (start < end) & (end <= lengths)).all()
    assert all(found.labels.tolist()) and len(found.labels) == len(found.spans)
    assert found.document_of.max() < len(found.document_names)
    word = found.words[0]
    assert len(found.occurrences(word).spans) >= 1
    found.mapped(probing.coarse_tag).sample(2)


def test_labelled_text(fuzz):
    def read(folder, changed, rng):
        for name in sorted(changed):
            _check(_READERS[name](folder / name))

    fuzz.run(_originals(), read, inputs=1900)


def test_archives_of_damaged_labelled_text(fuzz, tmp_path):
    originals = _originals()
    kept = ("b.conllu", "d.txt", "hard.pos")

    def read(folder, changed, rng):
        for name in sorted(changed):
            if not (folder / name).is_file():
                continue
            content = (folder / name).read_bytes()
            if name == "b.conllu":
                path = tmp_path / "b.conllu.xz"
                path.write_bytes(lzma.compress(content))
            else:
                path = tmp_path / "b.zip"
                path.write_bytes(_zipped(name, content))
            _check(_READERS[name](path))

    fuzz.run({name: originals[name] for name in kept}, read, inputs=750)
