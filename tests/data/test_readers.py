"""Text in any encoding, compression and spelling of suffixes is read, or refused."""

import bz2
import codecs
import contextlib
import gzip
import json
import lzma
import re

import hypothesis
import numpy as np
import pytest
import timing
import zstandard
from hypothesis import strategies as st

from tfvis_jax import files
from tfvis_jax.data import corpus, readers
from tfvis_jax.errors import InputError

COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
WORDS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="=<@"), min_size=1
)
# By the byte order mark that a file begins with.
ENCODINGS = {
    b"": "utf-8",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
}


def _read(*paths, **settings) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    documents = corpus.read_documents(
        [str(p) for p in paths], notify=notes.append, **settings
    )
    return [d.text for d in documents], notes


@hypothesis.settings(deadline=None, max_examples=150)
@hypothesis.given(
    WORDS,
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([".txt", ".TXT", ".Tokens", "", ".jsonl", ".JSONL", ".NdJson"]),
    st.sampled_from(sorted(COMPRESS)),
    st.booleans(),
)
def test_encodings_line_ends_suffixes_and_compressions(
    tmp_path_factory, word, mark, newline, suffix, compression, upper
):
    path = tmp_path_factory.mktemp("text") / (
        f"a{suffix}{compression.upper() if upper else compression}"
    )
    text = f"{word}\n{word} é"
    is_json = "json" in suffix.lower()
    content = json.dumps({"text": text}, ensure_ascii=False) + "\n" if is_json else text
    data = mark + content.replace("\n", newline).encode(ENCODINGS[mark])
    path.write_bytes(COMPRESS[compression](data))
    assert _read(path)[0] == [text]
    assert _read(path.parent)[0] == [text]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("replace", [True, False])
def test_utf16_without_a_mark_is_refused(tmp_path, encoding, replace):
    (tmp_path / "a.txt").write_bytes("The bank raised the rate.".encode(encoding))
    with pytest.raises(InputError, match="without a byte order mark"):
        _read(tmp_path, replace_undecodable=replace)


def test_zstandard_with_a_long_window(tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    # A stream whose size is not known asks for the whole window.
    stream = compressor.compressobj()
    (tmp_path / "a.txt.zst").write_bytes(stream.compress(b"text") + stream.flush())
    assert _read(tmp_path)[0] == ["text"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_later_member_that_is_damaged_is_no_end(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    first, second = COMPRESS[suffix](b"one. "), COMPRESS[suffix](b"two." * 100)
    path.write_bytes(first + second)
    assert _read(path)[0] == ["one. " + "two." * 100]
    for rest in (b"XX" + second[2:], second[:10], b"junk"):
        path.write_bytes(first + rest)
        with pytest.raises(InputError, match=r"damaged"):
            _read(path)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
def test_archives_padded_with_zeros(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("tfvis_jax.data.formats.CHUNK_BYTES", 16)
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(COMPRESS[suffix](b"one.") + bytes(64))
    assert _read(path)[0] == ["one."]


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (gzip.compress(b"text"), "add .gz"),
        (bz2.compress(b"text"), "add .bz2"),
        (lzma.compress(b"text"), "add .xz"),
        (zstandard.compress(b"text"), "add .zst"),
        (b"PK\x03\x04 text", "unpack"),
        (b"%PDF-1.4 text", "convert"),
    ],
    # gzip's header has the time, and every worker must find the same tests.
    ids=["gz", "bz2", "xz", "zst", "zip", "pdf"],
)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a"])
def test_content_that_is_no_text_is_told_as_what_it_is(tmp_path, name, content, advice):
    (tmp_path / name).write_bytes(content)
    # U+FFFD in place of all that is no text would be trained on.
    with pytest.raises(InputError, match=re.escape(advice)):
        _read(tmp_path / name, replace_undecodable=True)


def test_a_folder_without_text_says_why(tmp_path):
    (tmp_path / "settings.json").write_bytes(b'{"a": 1}')
    (tmp_path / "packed").write_bytes(gzip.compress(b"text"))
    with pytest.raises(InputError, match=r"array or JSON lines\): 1") as told:
        _read(tmp_path)
    assert "content that is not text): 1 (" in str(told.value)


def test_json_lines_in_a_folder_may_be_called_json(tmp_path):
    lines = b'{"text": "' + b"a b " * 5000 + b'"}\n\n{"text": "second"}\n'
    (tmp_path / "c4-train.00000.json.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "settings.json").write_bytes(b'{"a": 1}')
    (tmp_path / "pretty.json").write_bytes(b'{\n  "a": 1\n}\n')
    texts, notes = _read(tmp_path)
    assert texts == ["a b " * 4999 + "a b", "second"]
    assert "without an array or JSON lines): 2 (" in "\n".join(notes)


def test_links_that_are_not_followed_are_named(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("the text")
    (folder / "more").symlink_to(tmp_path)
    (folder / "b.txt").symlink_to(tmp_path / "missing")
    texts, notes = _read(folder)
    assert texts == ["the text"]
    assert "Links not read (to a folder, or to nothing): 2 (" in notes[0]


def test_names_of_files_that_are_not_utf8(tmp_path):
    for suffix, data in ((".txt", b"a"), (".jsonl", b'{"text": "a"}')):
        try:
            (tmp_path / f"\udcff{suffix}").write_bytes(data)
        except OSError:
            pytest.skip("the file system takes no such names")
    np.save(tmp_path / "\udcff.npy", np.array(["a"]))
    (tmp_path / "\udcff.pdf").write_bytes(b"")
    notes: list[str] = []
    documents = corpus.read_documents([str(tmp_path)], notify=notes.append)
    names = [d.name for d in documents]
    assert sorted(names) == ["\ufffd 1", "\ufffd.jsonl 1", "\ufffd.txt"]
    # What is told can be printed, and a path can be stored and read back.
    assert "\\udcff.pdf" in notes[0].encode().decode()
    files.write_json(tmp_path / "paths.json", ["\udcff.txt"])
    assert files.read_json(tmp_path / "paths.json") == ["\udcff.txt"]


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_current_folder(name):
    with pytest.raises(InputError, match="empty name"):
        _read(name)


def test_a_user_that_does_not_exist(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no file or folder ~nobody-here"):
        _read("~nobody-here/a.txt")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~nobody-here.txt").write_text("the text")
    assert _read("~nobody-here.txt")[0] == ["the text"]


def test_what_is_left_out_is_named_and_counted(tmp_path):
    contents = {
        "dump-multistream-index.txt.bz2": bz2.compress(b"565:10:A\n565:12:B: c\n"),
        "SHA1SUMS": b"da39a3ee5e6b4b0d3255bfef95601890afd80709  a.xml.bz2\n",
        "sums.txt": b"MD5 (a.xml) = d41d8cd98f00b204e9800998ecf8427e\n",
        "a.pdf": b"x",
        "b.PDF": b"x",
        ".hidden": b"x",
        "program": b"\x7fELF\0\0\0",
        "settings.json": b'{"a": 1}',
        "read": b"the text",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    texts, notes = _read(tmp_path)
    assert texts == ["the text"]
    told = "\n".join(notes)
    assert "Files not read (an unknown suffix): 2 (" in told
    assert "Files not read (checksums): 2 (" in told
    assert "Files without a suffix read as text: 1 (" in told
    for name in contents:
        assert name in told, name


def test_null_text_is_skipped_and_counted(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": null}\n{"text": []}\n{"text": "c"}\n')
    texts, (note,) = _read(path)
    assert texts == ["a", "c"]
    assert note.startswith("Records without text, skipped: 2 (") and "line 2" in note


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('{"text": ["a", null, "b"]}', ["a\nb"]),
        ('{"text": "a"} {"text": "b"}{"text": "c"}\n{"text": "d"}', list("abcd")),
        ('[{"text": "a"},\n {"text": "b"}]', ["a", "b"]),
        ('\n\n [ {"text": "a"} ] \n', ["a"]),
        ('{"text": "a", "id": ' + "1" * 5000 + "}", ["a"]),
        ('[{"id": ' + "1" * 5000 + ', "text": "a"}]', ["a"]),
    ],
)
def test_other_ways_to_write_json(tmp_path, content, texts):
    (tmp_path / "a.jsonl").write_text(content)
    assert _read(tmp_path / "a.jsonl")[0] == texts


@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a"}',
        '[{"text": "a"}]]',
        "[1]",
        '[{"text": "a"} {"text": "b"}]',
        "[",
        '{"text": 1}',
        '{"text": [1]}',
        '{"text": {}}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_other_json_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json"):
        _read(tmp_path / "a.json")


ANY_TEXT = st.text('ab \n\té{}[]",:\\', max_size=12)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3)
    ),
    max_leaves=4,
)
# Most are objects with a text, as otherwise hardly a file could be read.
RECORD = st.one_of(
    st.builds(lambda text, more: {**more, "body": text}, ANY_TEXT, st.just({})),
    st.fixed_dictionaries(
        {"body": st.none() | st.lists(st.none() | ANY_TEXT, max_size=3)},
        optional={"title": ANY_VALUE, "text": ANY_VALUE},
    ),
    st.fixed_dictionaries({"body": ANY_VALUE}),
    ANY_VALUE,
)


def _meant(record) -> str | None:
    """Returns the text of a record, None to skip it; ValueError if it has none."""
    if not isinstance(record, dict) or "body" not in record:
        raise ValueError
    match record["body"]:
        case str() | None:
            return record["body"]
        case list() as parts if all(isinstance(p, str | None) for p in parts):
            return "\n".join(filter(None, parts)) or None
        case _:
            raise ValueError


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(
    st.lists(RECORD, min_size=1, max_size=4), st.booleans(), st.booleans()
)
def test_null_and_odd_fields(tmp_path_factory, records, as_array, ascii_only):
    path = tmp_path_factory.mktemp("json") / "a.json"
    written = [json.dumps(r, ensure_ascii=ascii_only) for r in records]
    # A list on the first line begins an array of records.
    as_array = as_array or isinstance(records[0], list)
    path.write_text(f"[{', '.join(written)}]" if as_array else "\n".join(written))
    try:
        meant = [_meant(record) for record in records]
    except ValueError:
        with pytest.raises(InputError, match=r"a\.json"):
            _read(path, text_field="body")
        return
    expected = [text.strip() for text in meant if text and text.strip()]
    notes: list[str] = []
    read = corpus.read_documents([str(path)], text_field="body", notify=notes.append)
    if not expected:
        with pytest.raises(InputError, match="No text"):
            list(read)
    else:
        assert [document.text for document in read] == expected
    skipped = meant.count(None)
    assert len(notes) == bool(skipped)
    assert not skipped or f"skipped: {skipped} (" in notes[0]


def test_a_field_that_is_missing_is_named_with_those_that_exist(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"content": "the text", "id": 3}\n')
    with pytest.raises(
        InputError, match=r'"text".*content \(str\), id \(int\).*--text_field'
    ):
        _read(tmp_path)
    assert _read(tmp_path, text_field="content")[0] == ["the text"]


def test_an_array_of_objects_is_read_across_chunks(tmp_path):
    texts = [f"{i} " + "word " * (i * 10_000) for i in range(1, 20)]
    (tmp_path / "a.json").write_text(json.dumps([{"text": t} for t in texts]))
    assert _read(tmp_path)[0] == [t.strip() for t in texts]


@pytest.mark.parametrize(
    "value", ["half \ud800 pair", "\udfff"], ids=["in a text", "alone"]
)
@pytest.mark.parametrize("suffix", ["jsonl", "npy"])
def test_half_characters(tmp_path, value, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, np.array([value]))
    else:
        path.write_text(json.dumps({"text": value, "title": value}))
    with pytest.raises(InputError, match=r"surrogate.*--replace_undecodable"):
        _read(path)
    [text], _ = _read(path, replace_undecodable=True)
    text.encode()
    assert len(text) == len(value)


@hypothesis.settings(deadline=None)
@hypothesis.given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_arrays_of_any_numbers_are_read_or_refused(tmp_path_factory, codes):
    path = tmp_path_factory.mktemp("array") / "a.npy"
    np.save(path, np.array(codes, np.uint32).view(f"<U{len(codes)}"))
    valid = all(c <= 0x10FFFF and not 0xD800 <= c < 0xE000 for c in codes)
    try:
        _read(path)
    except InputError as error:
        assert not valid or "No text" in str(error)
    try:
        for text in _read(path, replace_undecodable=True)[0]:
            text.encode().decode()
    except InputError as error:
        assert "No text" in str(error)


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(st.integers(0, 140), st.binary(min_size=1, max_size=12))
def test_mutated_array_headers_are_read_or_refused(tmp_path_factory, place, inserted):
    path = tmp_path_factory.mktemp("array") / "a.npy"
    np.save(path, np.array(["some", "text"]))
    data = path.read_bytes()
    path.write_bytes(data[:place] + inserted + data[place + len(inserted) :])
    with contextlib.suppress(InputError):
        _read(path, replace_undecodable=True)


def test_a_path_with_commas(tmp_path):
    for name in ("one, two.txt", "a,b.txt", "c.txt"):
        (tmp_path / name).write_text(name)
    # As the flag splits them.
    parts = [
        f"{tmp_path}/one",
        "two.txt",
        f"{tmp_path}/c.txt",
        f"{tmp_path}/a",
        "b.txt",
    ]
    assert _read(*parts)[0] == ["one, two.txt", "c.txt", "a,b.txt"]
    with pytest.raises(InputError, match=r"no file or folder .*nothing"):
        _read(tmp_path / "nothing", tmp_path / "c.txt")


@pytest.mark.parametrize("unit", ["some words ", "\n", " ", "x", "a\n"])
@pytest.mark.parametrize("suffix", ["txt", "jsonl", "json", "npy"])
def test_time_is_linear(tmp_path, monkeypatch, unit, suffix):
    # Quadratic time would copy the text once for each of its 3,000 parts.
    monkeypatch.setattr(readers, "MAX_DOCUMENT_CHARS", 1000)
    text = unit * (3_000_000 // len(unit)) + " end"
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, np.array([text]))
    else:
        record = json.dumps({"text": text})
        contents = {"txt": text, "jsonl": record, "json": f"[{record}]"}
        path.write_text(contents[suffix])
    with timing.at_most(4):
        texts, _ = _read(path)
    assert "".join(texts).split()[-1].endswith("end")
