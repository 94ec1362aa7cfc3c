"""The windows on disk hold every token once, whatever happened during the build."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tfvis_jax import config
from tfvis_jax.data import build_windows, corpus, shards, tokenizer, windows
from tfvis_jax.errors import InputError

WORDS = st.sampled_from(
    ["the", "Blue", "lobsters", "x", "THING", "unlobstering", "☃", "é", ",", "(a)"]
)
DOCUMENT = st.lists(
    st.tuples(WORDS, st.sampled_from([" ", "", "\n", "  "])), max_size=60
)


def _write(folder: pathlib.Path, texts: dict[str, str]) -> pathlib.Path:
    path = folder / "corpus.txt"
    path.write_text("".join(f"= {name} =\n{text}\n" for name, text in texts.items()))
    return path


def _no_notice(sentence):
    raise AssertionError(sentence)


def _build(
    folder,
    path,
    *,
    tokenizer,
    num_workers=1,
    progress=None,
    notify=_no_notice,
    **settings,
):
    settings = {"window_length": 12, "held_out_fraction": 0.3} | settings
    return build_windows.build(
        folder,
        config.CorpusConfig(paths=(str(path),), **settings),
        tokenizer=tokenizer,
        num_workers=num_workers,
        progress=progress,
        notify=notify,
    )


def _texts(n: int) -> dict[str, str]:
    rng = np.random.default_rng(0)
    words = ["the", "blue", "lobsters", "Alert", "(x)", "<script>", "unknowing", "é"]
    return {
        f"Document {i}": " ".join(rng.choice(words, rng.integers(1, 400)))
        for i in range(n)
    }


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(build_windows, "SHARD_CHARS", 3000)


@hypothesis.settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    st.lists(DOCUMENT, min_size=1, max_size=6), st.integers(3, 20), st.booleans()
)
def test_windows_put_together_are_the_document(
    small_tokenizer, tmp_path_factory, parts, window_length, special_tokens
):
    folder = tmp_path_factory.mktemp("run")
    texts = {f"D{i}": "".join(a + b for a, b in d) for i, d in enumerate(parts)}
    path = _write(folder, texts)
    expected = {
        document.name: (document.text, small_tokenizer.encode(document.text))
        for document in corpus.read_raw([path])
    }
    if not expected:
        return
    built = _build(
        folder / "tokens",
        path,
        tokenizer=small_tokenizer,
        window_length=window_length,
        special_tokens=special_tokens,
        allow_unknown_tokens=True,
        # Of unknown tokens, if there are many.
        notify=lambda _: None,
    )
    rows = np.arange(len(built))
    ids, token_mask = built.token_ids(rows), built.token_mask(rows)
    row_mask = built.row_mask(rows)
    assert ids.dtype == np.int32 and ids.shape == (len(built), window_length)
    np.testing.assert_array_equal(ids[~token_mask], small_tokenizer.pad_id)
    if special_tokens:
        assert (ids[:, 0] == small_tokenizer.cls_id).all()
        last = token_mask.sum(1) - 1
        assert (ids[rows, last] == small_tokenizer.sep_id).all()
        np.testing.assert_array_equal(token_mask.sum(1), row_mask.sum(1) + 2)
    else:
        np.testing.assert_array_equal(token_mask, row_mask)
    for name, (text, encoding) in expected.items():
        own = [row for row in rows if built.document_name(row) == name]
        np.testing.assert_array_equal(
            np.concatenate([ids[row][row_mask[row]] for row in own]), encoding.ids
        )
        spelled = [t for row in own for t in built.token_texts(row)]
        assert [t for t in spelled if t] == [
            text[a:b] for a, b in zip(encoding.starts, encoding.ends, strict=True)
        ]
    counts = np.bincount(
        ids[built.train][row_mask[built.train]], minlength=small_tokenizer.vocab_size
    )
    np.testing.assert_array_equal(built.token_counts, counts)
    assert sorted([*built.train, *built.held_out]) == rows.tolist()
    assert built.index["num_tokens"] == row_mask.sum()


def test_workers_and_calling_process_write_the_same(
    small_tokenizer, tmp_path, small_shards
):
    path = _write(tmp_path, _texts(40))
    for num_workers in (1, 3):
        built = _build(
            tmp_path / str(num_workers),
            path,
            tokenizer=small_tokenizer,
            num_workers=num_workers,
        )
        assert len(built.index["shards"]) > 5
    assert _contents(tmp_path / "1") == _contents(tmp_path / "3")


_KILLED = """
import pathlib, sys, time
from tfvis_jax import config
from tfvis_jax.data import build_windows, shards, tokenizer

if __name__ == "__main__":
    folder, path, tokenizer_folder, num_workers = sys.argv[1:]
    build_windows.SHARD_CHARS = 3000

    def progress(done, total):
        print(done, flush=True)
        time.sleep(0.05)

    build_windows.build(
        folder,
        config.CorpusConfig(paths=(path,), window_length=12, held_out_fraction=0.3),
        tokenizer=tokenizer.load(tokenizer_folder),
        num_workers=int(num_workers),
        progress=progress,
    )
"""


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_killed_build_goes_on_where_it_was(
    small_tokenizer,
    small_tokenizer_folder,
    tmp_path,
    small_shards,
    monkeypatch,
    num_workers,
):
    path = _write(tmp_path, _texts(60))
    whole = _build(tmp_path / "whole", path, tokenizer=small_tokenizer)
    script, folder = tmp_path / "killed.py", tmp_path / "tokens"
    script.write_text(_KILLED)
    arguments = [folder, path, small_tokenizer_folder, num_workers]
    process = subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    for _ in range(4):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    # Workers hold the pipe open, too: the end of the stream is the end of them all.
    rest = process.stdout.read()
    process.wait()
    done = sorted(folder.glob("*.json"))
    assert 4 <= len(done) - 1 < len(whole.index["shards"]), rest
    with pytest.raises(InputError, match="unfinished"):
        windows.open(folder)
    # Half a file, as of a process that was stopped inside a write.
    (folder / ".00099.text.partial").write_bytes(b"half")
    times = {p.name: p.stat().st_mtime_ns for p in done if p.name != "settings.json"}

    built = []
    write = shards.write
    monkeypatch.setattr(
        shards, "write", lambda p, *a, **k: built.append(p.number) or write(p, *a, **k)
    )
    again = _build(folder, path, tokenizer=small_tokenizer)
    assert _contents(folder) == _contents(tmp_path / "whole")
    assert all((folder / n).stat().st_mtime_ns == t for n, t in times.items())
    assert len(built) + len(times) == len(whole.index["shards"])
    assert len(again) == len(whole)


def test_a_finished_folder_is_only_opened(small_tokenizer, tmp_path):
    path = _write(tmp_path, _texts(3))
    first = _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)
    before = time.time_ns()
    path.unlink()  # The windows hold all that is needed.
    again = _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)
    assert again.index == first.index
    assert all(p.stat().st_mtime_ns < before for p in (tmp_path / "tokens").iterdir())


def test_other_settings_are_refused_with_the_differences(small_tokenizer, tmp_path):
    path = _write(tmp_path, _texts(3))
    _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)
    before = _contents(tmp_path / "tokens")
    with pytest.raises(InputError) as raised:
        _build(
            tmp_path / "tokens",
            path,
            tokenizer=small_tokenizer,
            window_length=20,
            special_tokens=False,
        )
    assert "window_length: 12 there, 20 requested" in str(raised.value)
    assert "special_tokens: True there, False requested" in str(raised.value)
    assert "held_out" not in str(raised.value)
    path.write_text(path.read_text() + "more")
    with pytest.raises(InputError, match=r"inputs: .*corpus\.txt"):
        _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)
    assert _contents(tmp_path / "tokens") == before


@pytest.mark.parametrize("num_workers", [1, 2])
def test_max_tokens_ends_the_corpus(
    small_tokenizer, tmp_path, small_shards, num_workers
):
    path = _write(tmp_path, _texts(40))
    whole = _build(tmp_path / "whole", path, tokenizer=small_tokenizer)
    built = _build(
        tmp_path / "tokens",
        path,
        tokenizer=small_tokenizer,
        max_tokens=2000,
        num_workers=num_workers,
    )
    assert 2000 <= built.index["num_tokens"] < 2000 + 12
    n = len(built)
    np.testing.assert_array_equal(
        built.token_ids(np.arange(n)), whole.token_ids(np.arange(n))
    )
    names = {built.document_name(row) for row in range(n)}
    assert built.index["num_documents"] == len(names)
    num_shards = len(built.index["shards"])
    assert num_shards < len(whole.index["shards"])
    assert not shards.Paths(tmp_path / "tokens", num_shards).tokens.exists()


def test_progress_ends_at_the_size_of_the_input(
    small_tokenizer, tmp_path, small_shards
):
    path = _write(tmp_path, _texts(40))
    calls = []
    _build(
        tmp_path / "tokens",
        path,
        tokenizer=small_tokenizer,
        progress=lambda *call: calls.append(call),
    )
    done, total = zip(*calls, strict=True)
    assert set(total) == {path.stat().st_size}
    assert list(done) == sorted(done)
    assert done[-1] == path.stat().st_size


def test_a_corpus_without_text_is_an_error(small_tokenizer, tmp_path):
    path = _write(tmp_path, {"A": "", "B": " "})
    with pytest.raises(InputError, match=r"No text in .*corpus\.txt"):
        _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)


def test_an_error_in_a_worker_arrives(small_tokenizer, tmp_path, small_shards):
    path = _write(tmp_path, _texts(40))
    path.write_bytes(path.read_bytes() + b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        _build(tmp_path / "tokens", path, tokenizer=small_tokenizer, num_workers=2)


def test_large_vocabularies_take_wider_ids():
    assert shards.token_dtype(2**16)["id"].itemsize == 2
    assert shards.token_dtype(2**16 + 1)["id"].itemsize == 4


def test_a_wiki_shard_round_trips(shared_data, tmp_path):
    bert = tokenizer.load(shared_data / "vocab-bert-base-uncased", vocab_size=30522)
    path = shared_data / "wiki2015" / "valid-00.txt.xz"
    built = _build(
        tmp_path / "tokens", path, tokenizer=bert, window_length=64, max_tokens=300_000
    )
    documents = {d.name: d.text for d in corpus.read_documents([str(path)])}
    rows = np.arange(len(built))
    ids, mask = built.token_ids(rows), built.row_mask(rows)
    first = np.array([built.document(row) for row in rows])
    for number in range(5):
        own = rows[first == number]
        text = documents[built.document_name(own[0])]
        np.testing.assert_array_equal(ids[own][mask[own]], bert.encode(text).ids)
    assert not bert.is_continuation[ids[:, 1]].any()
    # Without the text itself: ids and offsets, 6 bytes, and a window's record.
    sizes = sum(p.stat().st_size for p in (tmp_path / "tokens").glob("*.npy"))
    assert sizes < 8 * built.index["num_tokens"] + 1_000_000
