"""Codes in a folder: whole after an interruption, the same bytes, refused if others."""

import io
import json
import shutil

import numpy as np
import pytest
import scipy.sparse

from tfvis_jax import cli, codes, pipeline, sharding
from tfvis_jax.codes import blocks, tables
from tfvis_jax.errors import InputError
from tfvis_jax.runs import lock, parallel_encoding


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Blocks of a batch or two, so that the text has several."""
    monkeypatch.setattr(blocks, "_BLOCK_TOKENS", 200)
    monkeypatch.setattr(blocks, "_BLOCK_TOKENS_WITH_ROWS", 200)


def _write(run, text, folder, **how):
    return pipeline.write_codes(run[0].run.path, [str(text)], folder, **how)


@pytest.fixture(scope="module")
def written(run, other_text, tmp_path_factory):
    """Codes of one layer."""
    folder = tmp_path_factory.mktemp("written") / "codes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK_TOKENS", 200)
        _write(run, other_text, folder, layers=[1])
    return folder


def _bytes(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != lock.NAME
    }


def test_what_is_read_is_what_was_encoded(run, other_text, tmp_path):
    index = _write(run, other_text, tmp_path / "codes", with_rows=True)
    expected = codes.encode_texts(*run, files=[str(other_text)], with_rows=True)
    found = codes.load(tmp_path / "codes")
    # The last token has its row.
    assert index["n_rows"] == len(expected.tokens) == len(found.tokens)
    assert index["n_blocks"] > 3 and index["n_documents"] == 40
    assert found.documents == expected.documents
    for name in tables.COLUMNS:
        column, right = getattr(found.tokens, name), getattr(expected.tokens, name)
        np.testing.assert_array_equal(column, right)
        assert column.dtype == right.dtype
    for layer in expected.layers:
        assert (found.codes[layer] != expected.codes[layer]).nnz == 0
        for kind in ("gap", "x", "residual"):
            np.testing.assert_array_equal(
                getattr(found, kind)[layer], getattr(expected, kind)[layer]
            )
    one = codes.load(tmp_path / "codes", layers=[1])
    assert one.layers == (1,)
    np.testing.assert_array_equal(one.gap[1], expected.gap[1])
    assert (one.codes[1] != expected.codes[1]).nnz == 0
    # Files of a block can be read without this library.
    part = scipy.sparse.load_npz(tmp_path / "codes" / "00001.layer-2.npz")
    with np.load(tmp_path / "codes" / "00001.tokens.npz") as tokens:
        assert part.shape == (len(tokens["window"]), 24)
    with (tmp_path / "codes" / "documents.jsonl").open() as file:
        assert [json.loads(line)["document"] for line in file] == [*range(40)]


class _KilledError(Exception):
    """Simulates the end of a process."""


def test_an_interrupted_call_resumes_to_the_same_bytes(
    run, other_text, tmp_path, monkeypatch
):
    index = _write(run, other_text, tmp_path / "whole")
    whole = parallel_encoding.encode
    # After one batch of two; after three; and in a batch.
    for stop in (3, 9, 8):

        def encode(*arguments, stop=stop, **how):
            for number, each in enumerate(whole(*arguments, **how)):
                if number == stop:
                    raise _KilledError
                yield each

        monkeypatch.setattr(parallel_encoding, "encode", encode)
        with pytest.raises(_KilledError):
            _write(run, other_text, tmp_path / "parts", mesh=sharding.make_mesh(1, 1))
        assert not (tmp_path / "parts" / "index.json").exists()
        with pytest.raises(InputError, match="no finished codes"):
            codes.load(tmp_path / "parts")
    monkeypatch.setattr(parallel_encoding, "encode", whole)
    # What a killed process left of a file.
    (tmp_path / "parts" / ".00003.layer-1.npz.partial").write_bytes(b"half")
    told = []
    mesh = sharding.make_mesh(3, 1)
    again = _write(
        run,
        other_text,
        tmp_path / "parts",
        mesh=mesh,
        progress=lambda *stage: told.append(stage),
    )
    assert again == index
    assert _bytes(tmp_path / "parts") == _bytes(tmp_path / "whole")
    counts = [done for stage, done, _ in told if stage == "codes"]
    # Work that was done counts, and is not done again.
    assert counts[1] > 8 and told[-1][1] == told[-1][2]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "whole").glob("0*")}
    _write(run, other_text, tmp_path / "whole")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "whole").glob("0*")}


def test_folders_of_something_else_are_refused(run, other_text, tmp_path, toy_corpus):
    folder = tmp_path / "codes"
    _write(run, other_text, folder, layers=[1])
    before = _bytes(folder)
    for how, message in (
        ({"layers": [2]}, r"layers: \[1\] there, \[2\] requested"),
        ({"layers": [1], "words": ["bank"]}, "words"),
        ({"layers": [1], "with_rows": True}, "with_rows"),
        ({"layers": [9]}, "layers out of"),
        ({"layers": [1], "format": "csv"}, "`format`"),
        ({"layers": [1], "mesh": sharding.make_mesh(1, 2)}, "splits the rows only"),
    ):
        with pytest.raises(InputError, match=message):
            _write(run, other_text, folder, **how)
    with pytest.raises(InputError, match="built with other settings"):
        _write(run, toy_corpus, folder, layers=[1])
    assert _bytes(folder) == before
    with (
        lock.locked(folder),
        pytest.raises(InputError, match="is writing"),
    ):
        _write(run, other_text, folder, layers=[1])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="new or empty folder"):
        _write(run, other_text, tmp_path / "mine")
    with pytest.raises(InputError, match="no finished codes"):
        codes.load(tmp_path / "mine")
    with pytest.raises(InputError, match="layers out of"):
        codes.load(folder, layers=[2])
    (folder / "00001.layer-1.npz").write_bytes(b"PK damaged")
    with pytest.raises(InputError, match="damaged"):
        codes.load(folder)


def _npz(content, **changes):
    with np.load(io.BytesIO(content)) as archive:
        arrays = dict(archive)
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _index(content, **changes):
    return json.dumps(json.loads(content) | changes).encode()


def _set(value, at=-1):
    def change(array):
        array[at] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "index.json",
            lambda c: _index(c, n_rows=10**15),
            "as many rows as all blocks",
        ),
        ("index.json", lambda c: _index(c, n_blocks=-1), r">= 0 at `n_blocks`, got -1"),
        (
            "index.json",
            lambda c: _index(c, n_documents=41),
            "documents 0 to 40 in order",
        ),
        ("index.json", lambda c: _index(c, with_rows=True), "layer-1.x.npy is damaged"),
        ("documents.jsonl", lambda c: c.replace(b'"text"', b'"t"', 1), "Line 1 of"),
        (
            "00001.tokens.npz",
            lambda c: _npz(c, document=_set(99)),
            "`document` ascending from 0 to 39",
        ),
        (
            "00001.tokens.npz",
            lambda c: _npz(c, end=_set(10**9)),
            "within the .* in row",
        ),
        (
            "00001.tokens.npz",
            lambda c: _npz(c, word_bytes=_set(10**6)),
            "Expected words of",
        ),
        (
            "00001.tokens.npz",
            lambda c: _npz(c, word_utf8=_set(0xFF)),
            "its words are not UTF-8",
        ),
        (
            "00001.layer-1.npz",
            lambda c: _npz(c, indices=_set(24)),
            "factors from 0 to 23",
        ),
        (
            "00001.layer-1.npz",
            lambda c: _npz(c, data=_set(np.nan)),
            "finite activations",
        ),
        ("00001.layer-1.npz", lambda c: _npz(c, data=_set(-1.0)), "finite activations"),
        ("00001.layer-1.npz", lambda c: _npz(c, indptr=_set(7, at=0)), "end in order"),
        (
            "00001.layer-1.npz",
            lambda c: _npz(c, data=lambda data: data.astype(np.float64)),
            r"array `data` of .* is damaged: Expected an array \[n\] of float32",
        ),
        ("00001.layer-1.npz", lambda c: c[:-30], "no archive of arrays"),
    ],
)
def test_damage_is_named(written, tmp_path, name, change, message):
    shutil.copytree(written, tmp_path / "codes")
    path = tmp_path / "codes" / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        codes.load(tmp_path / "codes")
    said = str(caught.value)
    assert str(tmp_path / "codes") in said and "writes it again" in said
    assert "damaged" in said


def test_parquet_has_a_line_for_each_token_and_layer(run, other_text, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    for name in ("one", "two"):
        _write(
            run,
            other_text,
            tmp_path / name,
            format="parquet",
            words=["bank", "unseen"],
            with_rows=True,
        )
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
    found = codes.encode_texts(
        *run, files=[str(other_text)], words=["bank", "unseen"], with_rows=True
    )
    lines = [
        line
        for path in sorted((tmp_path / "one").glob("*.parquet"))
        for line in parquet.read_table(path).to_pylist()
    ]
    assert len(lines) == 3 * len(found.tokens)
    for layer in found.layers:
        ours = [line for line in lines if line["layer"] == layer]
        for row, line in enumerate(ours):
            codes_of_row = found.codes[layer][[row]]
            assert line["factor"] == codes_of_row.indices.tolist()
            assert line["activation"] == codes_of_row.data.tolist()
            for name in tables.COLUMNS:
                assert line[name] == getattr(found.tokens, name)[row]
            assert line["gap"] == found.gap[layer][row]
            np.testing.assert_array_equal(line["residual"], found.residual[layer][row])
    with pytest.raises(InputError, match="pandas or pyarrow"):
        codes.load(tmp_path / "one")


def test_parquet_without_its_library_says_so(run, other_text, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="parquet"):
        _write(run, other_text, tmp_path / "codes", format="parquet")
    assert not (tmp_path / "codes").exists()


def test_the_command(run, other_text, tmp_path, capsys):
    path, out = str(run[0].run.path), tmp_path / "codes"
    arguments = ["codes", path, f"--text={other_text}", f"--out={out}", "--layers=0,2"]
    assert cli.main(arguments) == 0
    written = capsys.readouterr().out
    n_rows = len(codes.load(out).tokens)
    assert f"{n_rows:,} tokens of 40 documents" in written and str(out) in written
    assert codes.load(out).layers == (0, 2)
    for missing in (arguments[:3], [*arguments[:2], arguments[3]]):
        assert cli.main(missing) == 2
        assert "Expected --" in capsys.readouterr().err
    assert cli.main(["codes", str(tmp_path), *arguments[2:]]) == 1
    assert "not a run directory" in capsys.readouterr().err
