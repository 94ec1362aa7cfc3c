"""The windows on disk hold every token once, whatever happened during the build."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tfvis_jax import config
from tfvis_jax.data import (
    build_windows,
    copies,
    corpus,
    readers,
    shards,
    tokenizer,
    windows,
)
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import report

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


def _say_nothing(sentence):
    """Takes notices of copies and unknown tokens, of which random texts are full."""
    del sentence


def _build(
    folder,
    path,
    *,
    tokenizer,
    num_workers=1,
    progress=None,
    notify=_say_nothing,
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
        fold_near_copies=False,
    )
    rows = np.arange(len(built))
    ids, token_mask = built.token_ids(rows), built.token_mask(rows)
    row_mask = built.row_mask(rows)
    assert ids.dtype == np.int32 and ids.shape == (len(built), window_length)
    np.testing.assert_array_equal(ids[~token_mask], small_tokenizer.pad_id)
    if special_tokens:
        assert (ids[:, 0] == small_tokenizer.prefix[0]).all()
        last = token_mask.sum(1) - 1
        assert (ids[rows, last] == small_tokenizer.suffix[0]).all()
        np.testing.assert_array_equal(token_mask.sum(1), row_mask.sum(1) + 2)
    else:
        np.testing.assert_array_equal(token_mask, row_mask)
    seen = set()
    for name, (text, encoding) in expected.items():
        words = copies.normalise(text)
        if words in seen:
            # A copy of an earlier document has no windows.
            assert name not in map(built.document_name, rows)
            continue
        seen.add(words)
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
    assert not set(built.train) & set(built.held_out)
    assert len(built) < 2 or (len(built.train) and len(built.held_out))
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


def _documents(n: int, *, seed=0, num_words=(1, 120)) -> list[list[str]]:
    """Words of documents that are no copies of each other."""
    rng = np.random.default_rng(seed)
    return [
        [f"{rng.integers(10**5)}" for _ in range(rng.integers(*num_words))]
        for _ in range(n)
    ]


def _copy(rng: np.random.Generator, words: list[str]) -> str:
    """Returns a text with the same words in another spelling, or nearly the same."""
    match rng.integers(3):
        case 0:
            return "; ".join(words) + "!"
        case 1:
            return "\n".join(words)
        case _ if len(words) < 60:
            return " ".join(words)
        case _:
            return " ".join([*words, "aé"])


def _jsonl(path: pathlib.Path, texts: list[str]) -> pathlib.Path:
    lines = [
        json.dumps({"text": text, "title": str(number)})
        for number, text in enumerate(texts)
    ]
    path.write_text("\n".join(lines))
    return path


def _sides(built: windows.Windows) -> dict[str, tuple[str, ...]]:
    """The sides of the windows of each document, by its words."""
    letters = np.full(len(built), "n")
    letters[built.train], letters[built.held_out] = "t", "h"
    found: dict[str, list[str]] = {}
    for window in range(len(built)):
        text = built._window(window)[0]
        found.setdefault(copies.normalise(text), []).append(letters[window])
    return {words: tuple(sides) for words, sides in found.items()}


@hypothesis.settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    st.integers(0, 2**32),
    st.integers(2, 130),
    st.integers(0, 30),
    st.sampled_from([100, 1000, 2_000_000]),
)
def test_a_text_has_one_side_whatever_its_copies_and_their_order(
    small_tokenizer, tmp_path_factory, seed, n, num_copies, shard_chars
):
    rng = np.random.default_rng(seed)
    texts = _documents(n, seed=seed)
    originals = [" ".join(words) for words in texts]
    all_copies = [_copy(rng, texts[rng.integers(n)]) for _ in range(num_copies)]
    folder = tmp_path_factory.mktemp("copies")

    def build(name, documents, **how):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            patch.setattr(build_windows, "SHARD_CHARS", shard_chars)
            return _build(
                folder / name,
                _jsonl(folder / f"{name}.jsonl", documents),
                tokenizer=small_tokenizer,
                window_length=30,
                held_out_fraction=0.2,
                **how,
            )

    alone = _sides(build("alone", originals))
    assert {"t", "h"} <= {side for sides in alone.values() for side in sides}
    order = rng.permutation(n)
    # Copies stand behind, so that each original is the one that is kept.
    built = build("copies", [*(originals[i] for i in order), *all_copies])
    found = _sides(built)
    distinct = {copies.normalise(text) for text in originals}
    assert set(found) == distinct
    folded = built.index["num_folded_documents"]
    assert folded["exact"] + folded["near"] == n - len(distinct) + num_copies
    assert built.index["num_documents"] == len(distinct)
    if not folded["near"]:
        # A near copy may have another smallest hash, which decides.
        assert found == alone
    # Whichever of the copies is kept, its text is seen once.
    mixed = [*originals, *all_copies]
    mixed = build("mixed", [mixed[i] for i in rng.permutation(len(mixed))])
    assert mixed.index["num_documents"] == len(distinct)
    assert mixed.index["num_folded_documents"] == folded
    assert len(np.unique(mixed.documents)) == len(distinct)


@pytest.mark.parametrize("n", [30, 150])
def test_near_copies_are_on_the_side_of_their_group_in_any_order(
    small_tokenizer, tmp_path, n
):
    rng = np.random.default_rng(3)
    texts = _documents(n, num_words=(80, 120))
    texts += [[*words, "aé"] for words in texts[: n // 2]]
    sides = []
    for attempt in range(3):
        order = rng.permutation(len(texts))
        built = _build(
            tmp_path / str(attempt),
            _jsonl(tmp_path / f"{attempt}.jsonl", [" ".join(texts[i]) for i in order]),
            tokenizer=small_tokenizer,
            # Few documents, of a window each, are held out whole as well.
            window_length=1000,
            notify=lambda sentence: None,
        )
        assert built.index["num_folded_documents"] == {"exact": 0, "near": n // 2}
        sides.append(
            {words.removesuffix(" aé"): side for words, side in _sides(built).items()}
        )
    assert sides[0] == sides[1] == sides[2] and len(sides[0]) == n
    held_out = sum(side == ("h",) for side in sides[0].values())
    assert held_out == (9 if n == 30 else 45)


def test_what_was_folded_is_told_and_counted(small_tokenizer, tmp_path):
    texts = [" ".join(words) for words in _documents(5, num_words=(50, 60))]
    copied = [*texts, texts[0].upper(), f"“{texts[1]}”", texts[2] + " more"]
    path, told = _jsonl(tmp_path / "a.jsonl", copied), []
    built = _build(
        tmp_path / "tokens", path, tokenizer=small_tokenizer, notify=told.append
    )
    assert told == [
        "Documents left out because they are copies of others: 2 exact, 1 nearly the "
        "same."
    ]
    names = [built.document_name(i) for i in range(len(built))]
    assert sorted(set(names)) == ["0", "1", "2", "3", "4"]
    assert built.index["num_tokens"] == built.num_rows(np.arange(len(built))).sum()
    counts = np.bincount(
        np.concatenate(
            [built.token_ids(built.train)[built.row_mask(built.train)]],
        ),
        minlength=built.vocab_size,
    )
    np.testing.assert_array_equal(built.token_counts, counts)
    kept = _build(
        tmp_path / "all",
        path,
        tokenizer=small_tokenizer,
        fold_near_copies=False,
        notify=told.append,
    )
    assert kept.index["num_folded_documents"] == {"exact": 2, "near": 0}
    assert kept.document_name(len(kept) - 1) == "7"
    assert kept.document(len(kept) - 1) == 5


@pytest.mark.parametrize("num_workers", [1, 3])
def test_copies_and_limits_do_not_depend_on_workers(
    small_tokenizer, tmp_path, monkeypatch, num_workers
):
    monkeypatch.setattr(build_windows, "SHARD_CHARS", 2000)
    texts = [" ".join(words) for words in _documents(40)]
    texts = [text for text in texts for _ in range(3)]
    path = _jsonl(tmp_path / "a.jsonl", texts)
    how = {"max_tokens": 6000, "max_document_tokens": 200}
    whole = _build(tmp_path / "whole", path, tokenizer=small_tokenizer, **how)
    again = _build(
        tmp_path / "again",
        path,
        tokenizer=small_tokenizer,
        num_workers=num_workers,
        **how,
    )
    assert _contents(whole.folder) == _contents(again.folder)
    # Tokens of copies do not count.
    assert 6000 <= whole.index["num_tokens"] < 6000 + 12
    names = [whole.document_name(i) for i in range(len(whole))]
    assert all(int(name) % 3 == 0 for name in names)


@hypothesis.settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(st.integers(1, 120), st.integers(0, 2**32))
def test_only_the_beginning_of_a_document_is_used(
    small_tokenizer, tmp_path_factory, limit, seed
):
    folder = tmp_path_factory.mktemp("beginnings")
    texts = [" ".join(words) for words in _documents(6, seed=seed)]
    path = _jsonl(folder / "a.jsonl", texts)
    how = {"tokenizer": small_tokenizer, "notify": lambda sentence: None}
    whole = _build(folder / "whole", path, **how)
    built = _build(folder / "tokens", path, max_document_tokens=limit, **how)
    for window in range(len(built)):
        number = int(built.document_name(window))
        text, _ = built._window(window)
        assert texts[number].startswith(text)
    for number, text in enumerate(texts):
        own, before = (
            [i for i in range(len(w)) if w.document_name(i) == str(number)]
            for w in (built, whole)
        )
        if not own:
            continue  # The same beginning as another.
        n = int(built.num_rows(np.array(own)).sum())
        total = len(small_tokenizer.encode(text).ids)
        assert n == total if total <= limit else limit <= n < limit + 12
        np.testing.assert_array_equal(
            built.token_ids(np.array(own)),
            whole.token_ids(np.array(before[: len(own)])),
        )


def test_of_a_very_long_document_the_beginning_is_used(small_tokenizer, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("the blue lobster. " * 70_000)
    built = _build(
        tmp_path / "tokens", path, tokenizer=small_tokenizer, max_document_tokens=50
    )
    assert built.index["num_documents"] == 1
    assert 50 <= built.index["num_tokens"] < 62
    assert sum(p.stat().st_size for p in built.folder.glob("*.text")) < 500


@pytest.mark.parametrize("suffix", ["txt", "jsonl"])
def test_parts_of_a_long_document_are_one_document(
    small_tokenizer, tmp_path, monkeypatch, suffix
):
    monkeypatch.setattr(readers, "MAX_DOCUMENT_CHARS", 400)
    monkeypatch.setattr(build_windows, "SHARD_CHARS", 1000)
    texts = [" ".join(words) for words in _documents(110)]
    path = tmp_path / f"a.{suffix}"
    if suffix == "txt":
        path.write_text("\n".join(f"= {i} =\n{text}" for i, text in enumerate(texts)))
    else:
        _jsonl(path, texts)
    built = _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)
    assert built.index["num_documents"] == 110 == len(np.unique(built.documents))
    names = [built.document_name(i) for i in range(len(built))]
    assert any(name.endswith(" #2") for name in names)
    whole = np.array([name.partition(" #")[0] for name in names])
    is_held_out = np.isin(np.arange(len(built)), built.held_out)
    for number in np.unique(built.documents):
        own = built.documents == number
        assert len(set(whole[own])) == 1 == len(set(is_held_out[own]))
    assert report.held_out(built)["num_documents"] == 33


def _as_version_1(folder: pathlib.Path) -> None:
    """Turns a folder without copies into what the first version wrote."""
    sides = np.load(folder / "sides.npy")
    np.save(folder / "held_out.npy", sides == 1)
    (folder / "sides.npy").unlink()
    for path in folder.glob("*.copies.npy"):
        path.unlink()
    index = json.loads((folder / "index.json").read_text())
    for settings in (index["settings"], index):
        settings["schema_version"] = 1
    for name in ("fold_near_copies", "max_document_tokens"):
        del index["settings"][name]
    for name in ("num_folded_documents", "held_out"):
        del index[name]
    _with_the_ids_of_bert(index)
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "settings.json").write_text(json.dumps(index["settings"]))


def _with_the_ids_of_bert(index):
    """Writes the special tokens as versions 1 and 2 had them."""
    special = index["tokenizer"]
    [special["cls_id"]] = special.pop("prefix")
    [special["sep_id"]] = special.pop("suffix")
    del special["marks_continuations"]


def test_a_folder_of_the_second_version_is_the_same(small_tokenizer, tmp_path):
    path = _write(tmp_path, _texts(12))
    new = _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)
    index = json.loads((new.folder / "index.json").read_text())
    index["schema_version"] = index["settings"]["schema_version"] = 2
    _with_the_ids_of_bert(index)
    (new.folder / "index.json").write_text(json.dumps(index))
    (new.folder / "settings.json").write_text(json.dumps(index["settings"]))
    old = _build(new.folder, path, tokenizer=small_tokenizer)
    rows = np.arange(len(new))
    assert (old.prefix, old.suffix) == (new.prefix, new.suffix) == ((2,), (3,))
    np.testing.assert_array_equal(old.token_ids(rows), new.token_ids(rows))
    assert [old.words(row).texts for row in rows] == [
        new.words(row).texts for row in rows
    ]
    del index["tokenizer"]["cls_id"]
    (new.folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="Expected `cls_id` and `sep_id`"):
        windows.open(new.folder)


def test_a_folder_of_the_first_version_keeps_its_split(small_tokenizer, tmp_path):
    path = _write(tmp_path, _texts(12))
    new = _build(tmp_path / "tokens", path, tokenizer=small_tokenizer)
    _as_version_1(new.folder)
    before = _contents(new.folder)
    for fold in (True, False):
        old = _build(new.folder, path, tokenizer=small_tokenizer, fold_near_copies=fold)
        assert _contents(new.folder) == before
    assert len(old) == len(new)
    np.testing.assert_array_equal(old.held_out, new.held_out)
    # Two sides, so that what was in neither is trained on.
    assert sorted([*old.train, *old.held_out]) == list(range(len(old)))
    assert report.held_out(new)["split"] == "sections"
    assert report.held_out(old)["split"] == "positions"
    assert "copies of a text may be on both sides" in report.held_out_words(
        report.held_out(old)
    )
    with pytest.raises(InputError, match="max_document_tokens: None there, 50 req"):
        _build(new.folder, path, tokenizer=small_tokenizer, max_document_tokens=50)


def test_an_unfinished_folder_of_the_first_version_is_begun_again(
    small_tokenizer, tmp_path, small_shards
):
    path = _write(tmp_path, _texts(40))
    new = _build(tmp_path / "new", path, tokenizer=small_tokenizer)
    old = _build(tmp_path / "old", path, tokenizer=small_tokenizer)
    _as_version_1(old.folder)
    for name in ("index.json", "held_out.npy", "token_counts.npy"):
        (old.folder / name).unlink()
    _build(old.folder, path, tokenizer=small_tokenizer)
    assert _contents(old.folder) == _contents(new.folder)


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path, small_tokenizer_folder):
    try:
        (tmp_path / "\udcff.txt").write_text("the lobster")
    except OSError:
        pytest.skip("the file system takes no such names")
    with pytest.raises(InputError, match=r"in UTF-8, got .*udcff.txt'; rename"):
        build_windows.build(
            tmp_path / "windows",
            config.CorpusConfig(paths=(str(tmp_path),)),
            tokenizer=tokenizer.load(small_tokenizer_folder),
        )
