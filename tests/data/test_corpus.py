"""Every kind of input becomes documents; what cannot be read is named."""

import bz2
import gzip
import json
import lzma
import sys
import types

import numpy as np
import pytest
import zstandard

from tfvis_jax.data import corpus, readers
from tfvis_jax.errors import InputError

TEXT = "First line.\nSecond line with <script>alert(1)</script>.\n"
COMPRESS = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def _read(*paths, notes=None, **settings) -> list[corpus.Document]:
    """Reads documents; ``notes`` begin the sentences that are to be told."""
    told: list[str] = []
    found = list(
        corpus.read_documents([str(p) for p in paths], notify=told.append, **settings)
    )
    for note, sentence in zip(sorted(notes or []), sorted(told), strict=True):
        assert sentence.startswith(note)
    return found


@pytest.mark.parametrize("name", ["a.txt", "a.tokens", "a.md", "a", "a.TXT"])
def test_a_file_without_headings_is_one_document(tmp_path, name):
    (tmp_path / name).write_text(TEXT)
    notes = ["Files without a suffix read as text: 1"] if name == "a" else []
    found = _read(tmp_path / name, notes=notes)
    assert found == [corpus.Document(name, TEXT.strip())]


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_compressed_files(tmp_path, suffix, kind):
    path = tmp_path / f"a.{kind}{suffix}"
    data = TEXT if kind == "txt" else json.dumps({"text": TEXT, "title": "T"})
    # Two frames in one file, as parallel compressors write.
    path.write_bytes(
        COMPRESS[suffix](data[:20].encode()) + COMPRESS[suffix](data[20:].encode())
    )
    (document,) = _read(path)
    assert document.text == TEXT.strip()
    assert document.name == (path.name if kind == "txt" else "T")


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_damaged_archive_is_named(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    whole = COMPRESS[suffix](np.random.default_rng(0).bytes(3000).hex().encode())
    path.write_bytes(whole[:-50])
    with pytest.raises(InputError, match=rf"a\.txt\{suffix} is damaged"):
        _read(path)
    path.write_bytes(b"no archive at all")
    with pytest.raises(InputError, match=rf"a\.txt\{suffix} is damaged"):
        _read(path)


def test_level_1_headings_begin_documents(tmp_path):
    (tmp_path / "a.txt").write_text(
        "before\n = One = \n\n a\n = = Section = = \n b\n= Two =\nc\n== x ==\n"
        "= Empty =\n\n= Three =\nx = y =\n"
    )
    assert _read(tmp_path / "a.txt") == [
        corpus.Document("a.txt", "before"),
        corpus.Document("One", "a\n b"),
        corpus.Document("Two", "c\n== x =="),
        corpus.Document("Three", "x = y ="),
    ]
    raw = _read(tmp_path / "a.txt", clean=False)
    assert raw[1].text == "a\n = = Section = = \n b"


def test_line_ends_and_byte_order_mark(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf= T =\r\none\r\ntwo\rthree")
    assert _read(tmp_path / "a.txt") == [corpus.Document("T", "one\ntwo\nthree")]


@pytest.mark.parametrize("separator", ["\n\n", "\n", " "])
def test_long_documents_are_cut_between_words(tmp_path, monkeypatch, separator):
    monkeypatch.setattr(readers, "MAX_DOCUMENT_CHARS", 1000)
    units = [f"word{i}" for i in range(1000)]
    text = separator.join(units)
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text, "title": "a.txt"}))
    documents = _read(tmp_path / "a.txt")
    assert [d.name for d in documents[:3]] == ["a.txt", "a.txt #2", "a.txt #3"]
    assert all(len(d.text) <= 1000 for d in documents)
    assert " ".join(d.text for d in documents).split() == units
    assert _read(tmp_path / "a.jsonl") == documents


def test_a_cut_prefers_the_end_of_a_paragraph(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MAX_DOCUMENT_CHARS", 100)
    paragraph = "a few words\nand a line. " * 2
    (tmp_path / "a.txt").write_text("\n\n".join([paragraph.strip()] * 5))
    documents = _read(tmp_path / "a.txt")
    assert {d.text for d in documents} == {
        paragraph.strip() + "\n\n" + paragraph.strip(),
        paragraph.strip(),
    }


def test_memory_does_not_grow_with_the_file(tmp_path):
    import tracemalloc

    path = tmp_path / "a.txt.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        for _ in range(30):
            file.write("some words of text without a line end " * 26_000)
    tracemalloc.start()
    total = sum(len(document.text) for document in corpus.read_documents([str(path)]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 29_000_000
    assert peak < 15_000_000


def test_bytes_that_are_not_utf8_are_located(tmp_path):
    path = tmp_path / "a.txt"
    # The bad byte lies in the second chunk, behind characters of two bytes.
    good = "é" * 600_000
    path.write_bytes(good.encode() + b"caf\xe9 au lait")
    place = len(good.encode()) + 3
    with pytest.raises(InputError, match="replace_undecodable") as raised:
        _read(path)
    assert f"byte {place} " in str(raised.value)
    assert str(path) in str(raised.value)
    (document,) = _read(path, replace_undecodable=True)
    assert document.text == good + "caf\N{REPLACEMENT CHARACTER} au lait"


def test_a_character_across_chunks_is_read(tmp_path):
    text = "a" + "é" * 1_200_000
    (tmp_path / "a.txt").write_text(text)
    assert "".join(d.text for d in _read(tmp_path / "a.txt")) == text


def test_json_lines_problems_name_the_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n\n{"body": "two", "id": 3}\n')
    with pytest.raises(
        InputError, match=r'a\.jsonl line 3.*"text".*body \(str\), id \(int\)'
    ):
        _read(path)
    path.write_text('{"text": "one"}\n{"text"\n')
    with pytest.raises(InputError, match=r"a\.jsonl line 2.*not JSON"):
        _read(path)
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(InputError, match=r"item 1.*not JSON"):
        _read(path)
    path.write_text('{"text": "half \\ud800 pair"}\n')
    with pytest.raises(InputError, match=r"line 1.*--replace_undecodable"):
        _read(path)
    [document] = _read(path, replace_undecodable=True)
    assert document.text == "half \ufffd pair"
    path.write_text('["one"]\n')
    with pytest.raises(InputError, match=r"item 1.*object.*got str"):
        _read(path)


@pytest.mark.parametrize("kind", ["U", "S"])
def test_arrays_of_strings(tmp_path, kind):
    sentences = ["the café is blue", "a second sentence"]
    array = np.array(sentences if kind == "U" else [s.encode() for s in sentences])
    assert array.dtype.kind == kind
    np.save(tmp_path / "sentences.npy", array)
    assert _read(tmp_path / "sentences.npy") == [
        corpus.Document(f"sentences {i}", s) for i, s in enumerate(sentences, start=1)
    ]


def test_other_arrays_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array(["a", None], dtype=object))
    with pytest.raises(InputError, match=r"a\.npy.*dtype=str"):
        _read(path)
    np.save(path, np.zeros(3))
    with pytest.raises(InputError, match=r"array of strings.*float64"):
        _read(path)


def test_folders_globs_and_their_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/x.txt", "a.txt", "c.txt", ".hidden.txt", "skip.pdf"):
        (tmp_path / name).write_text(name)
    names = ["a.txt", "x.txt", "c.txt"]
    notes = [
        "Files not read (an unknown suffix): 1 (",
        "Files not read (hidden): 1 (",
    ]
    assert [d.name for d in _read(tmp_path, notes=notes)] == names
    assert [d.text for d in _read(tmp_path / "*.txt")] == ["a.txt", "c.txt"]
    found = _read(tmp_path / "c.txt", tmp_path, notes=notes)
    assert [d.name for d in found] == [
        "c.txt",
        "a.txt",
        "x.txt",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.txt", "no file or folder"),
        ("*.none", "no file or folder"),
        ("empty", "no file of a supported format"),
        ("a.pdf", r"a\.pdf has an unsupported format"),
        ("*.pdf", r"a\.pdf has an unsupported format"),
        ("blank.txt", "No text in .*blank"),
    ],
)
def test_nothing_to_read_is_an_error(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.pdf").write_text("x")
    (tmp_path / "blank.txt").write_text("\n  \n")
    with pytest.raises(InputError, match=message):
        _read(tmp_path / name)


def test_position_counts_the_bytes_of_all_files(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "b.txt").write_text(TEXT)
    np.save(tmp_path / "c.npy", np.array(["x", "y"]))
    inputs = corpus.find_inputs([str(tmp_path)])
    sizes = np.cumsum([path.stat().st_size for path in inputs])
    positions = [raw.position for raw in corpus.read_raw(inputs)]
    assert positions == sorted(positions)
    assert positions[:2] == list(sizes[:2])
    assert positions[-1] == sizes[-1]


def _fake_datasets(monkeypatch, load):
    module = types.ModuleType("datasets")
    module.load_dataset = load
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_hugging_face_records(monkeypatch):
    def load(name, config, *, split, streaming):
        assert (name, config, split, streaming) == ("org/set", "en", "test", True)
        return [{"text": "one", "title": "A"}, {"text": "two"}]

    _fake_datasets(monkeypatch, load)
    assert _read("hf://org/set:en:test") == [
        corpus.Document("A", "one"),
        corpus.Document("org/set 2", "two"),
    ]


def test_hugging_face_wikitext_lines_are_put_together(monkeypatch):
    lines = [
        "",
        " = One = \n",
        " a , b \n",
        "",
        " = = S = = \n",
        " c . \n",
        " = Two =\n",
    ]
    lines += [" d @-@ e . \n"]
    _fake_datasets(monkeypatch, lambda *_, **__: [{"text": line} for line in lines])
    assert _read("hf://wikitext") == [
        corpus.Document("One", "a, b\nc."),
        corpus.Document("Two", "d-e."),
    ]


def test_hugging_face_failures_are_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"tfvis_jax\[datasets\]"):
        _read("hf://name")

    def offline(*_, **__):
        raise ConnectionError("no route")

    _fake_datasets(monkeypatch, offline)
    with pytest.raises(InputError, match=r"hf://name cannot.*no route"):
        _read("hf://name")
