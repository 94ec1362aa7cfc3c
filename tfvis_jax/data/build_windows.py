"""Writes a corpus as token windows, in shards that survive an interruption.

settings.json   what was asked for, written first
00000.*, ...    shards, each whole or not there (`shards`)
is_continuation.npy, held_out.npy, token_counts.npy
index.json      counts, written last: its presence means that all is there

Shards are cut from the text before cleaning and tokenisation, so that they, and every
byte of the result, depend neither on the number of processes nor on interruptions.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import process
from typing import Any

import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import errors, files
from tfvis_jax.data import corpus, cutting, readers, shards
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib

# Large enough that a shard's files are few, small enough that workers share a corpus.
_SHARD_CHARS = 2_000_000


def build(
    folder: pathlib.Path | str,
    corpus_config: config_lib.CorpusConfig,
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    num_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> windows_lib.Windows:
    """Reads, cleans and tokenises a corpus into a folder, or goes on doing so.

    Called again after an interruption it re-does only the shards that were not whole,
    with the same bytes as a result; called on a finished folder it only opens it.

    Windows never cross documents and no token is dropped, so the last window of a
    document is padded. With ``max_tokens`` the corpus ends with the window that
    reaches it. For the held-out windows see `cutting.held_out_windows`.

    Args:
      folder: made if it is not there; the parent must exist.
      corpus_config: which text, how cut.
      tokenizer: the BERT's.
      num_workers: processes that clean and tokenise; 1 is the calling one alone. More
        are spawned, which imports the calling script again: it needs the usual
        ``if __name__ == "__main__"``.
      progress: called with (bytes of the input that are done, bytes in all); in all is
        0 where that is not known.

    Raises:
      InputError: unreadable or empty input, a folder made with other settings (lists
        the differences), a full disk.
    """
    folder = pathlib.Path(folder)
    capacity = corpus_config.window_length - 2 * corpus_config.special_tokens
    if not 1 <= capacity < 2**16:
        raise errors.InputError(
            "Expected windows of 3 to 65,535 tokens, got "
            f"{corpus_config.window_length}."
        )
    finished = (folder / "index.json").is_file()
    inputs = _find_inputs(corpus_config.paths, may_be_gone=finished)
    settings = _settings(corpus_config, inputs=inputs, tokenizer=tokenizer)
    if (folder / "settings.json").is_file():
        _check_same(folder, files.read_json(folder / "settings.json"), settings)
    if finished:
        return windows_lib.open(folder)
    folder.mkdir(exist_ok=True)
    for stale in folder.glob(".*.partial"):
        stale.unlink(missing_ok=True)
    files.write_json(folder / "settings.json", settings)

    num_bytes = sum(item.stat().st_size for item in inputs if not isinstance(item, str))
    raw = corpus.read_raw(inputs, replace_undecodable=corpus_config.replace_undecodable)
    summaries, num_tokens = [], 0
    results = _build_shards(
        _group(raw),
        folder=folder,
        tokenizer=tokenizer,
        clean=corpus_config.clean,
        capacity=capacity,
        num_workers=num_workers,
    )
    for summary, position in results:
        summaries.append(summary)
        num_tokens += summary.num_tokens
        if progress is not None:
            progress(min(position, num_bytes), num_bytes)
        if corpus_config.max_tokens is not None and (
            num_tokens >= corpus_config.max_tokens
        ):
            break
    results.close()
    if not num_tokens:
        raise errors.InputError(corpus.no_text(inputs))
    _finish(folder, summaries, settings=settings, tokenizer=tokenizer)
    if progress is not None:
        progress(num_bytes, num_bytes)
    return windows_lib.open(folder)


def _find_inputs(
    paths: Sequence[str], *, may_be_gone: bool
) -> list[pathlib.Path | str]:
    try:
        return corpus.find_inputs(paths)
    except errors.InputError:
        # The windows hold all that later commands need: the text may have moved.
        if may_be_gone:
            return []
        raise


def _settings(
    corpus_config: config_lib.CorpusConfig,
    *,
    inputs: Sequence[pathlib.Path | str],
    tokenizer: tokenizer_lib.Tokenizer,
) -> dict[str, Any]:
    values = dataclasses.asdict(corpus_config)
    del values["paths"]
    return {
        "schema_version": windows_lib.SCHEMA_VERSION,
        **values,
        "tokenizer_hash": tokenizer.content_hash,
        "shard_chars": _SHARD_CHARS,
        "inputs": [_fingerprint(item) for item in inputs],
    }


def _fingerprint(item: pathlib.Path | str) -> str:
    """Tells a file from another by name, size, first and last bytes."""
    if isinstance(item, str):
        return item
    size = item.stat().st_size
    with item.open("rb") as file:
        digest = hashlib.sha256(file.read(1 << 16))
        file.seek(max(size - (1 << 16), 0))
        digest.update(file.read())
    return f"{item.name}, {size:,} bytes, {digest.hexdigest()[:16]}"


def _check_same(folder: pathlib.Path, old: dict, new: dict) -> None:
    compared = (
        [*(old | new)] if new["inputs"] else [k for k in old | new if k != "inputs"]
    )
    changed = [
        f"{name}: {old.get(name)!r} there, {new.get(name)!r} asked for"
        for name in sorted(compared)
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise errors.InputError(
            f"{folder} was made with other settings:\n  "
            + "\n  ".join(changed)
            + "\nUse these settings, or another folder."
        )


def _group(
    raw: Iterator[readers.RawDocument],
) -> Iterator[list[readers.RawDocument]]:
    group, size = [], 0
    for document in raw:
        group.append(document)
        size += len(document.text)
        if size >= _SHARD_CHARS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _build_shards(
    groups: Iterator[list[readers.RawDocument]],
    *,
    folder: pathlib.Path,
    tokenizer: tokenizer_lib.Tokenizer,
    clean: bool,
    capacity: int,
    num_workers: int,
) -> Iterator[tuple[shards.Summary, int]]:
    """Yields (what the shard holds, bytes of the input read at its end), in order."""

    def numbered() -> Iterator[tuple[shards.Paths, list[readers.RawDocument]]]:
        for number, group in enumerate(groups):
            yield shards.Paths(folder, number), group

    if num_workers == 1:
        for paths, group in numbered():
            yield (
                shards.read_summary(paths)
                or _build_shard(
                    paths, group, tokenizer=tokenizer, clean=clean, capacity=capacity
                ),
                group[-1].position,
            )
        return
    task = functools.partial(
        _build_shard_in_worker, tokenizer.folder, clean=clean, capacity=capacity
    )
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    waiting: collections.deque = collections.deque()
    try:
        for paths, group in numbered():
            done = shards.read_summary(paths)
            future = None if done else pool.submit(task, paths, group)
            waiting.append((done, future, group[-1].position))
            # One shard more than workers keeps them busy; more would only take memory.
            if len(waiting) > num_workers + 1:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _result(
    done: shards.Summary | None,
    future: concurrent.futures.Future | None,
    position: int,
) -> tuple[shards.Summary, int]:
    if done is not None:
        return done, position
    try:
        return future.result(), position
    except process.BrokenProcessPool as error:
        raise errors.InputError(
            "A process that tokenises was stopped from outside, probably for lack of "
            "memory. Run the same command again, with fewer --num_workers; it goes on "
            "where it stopped."
        ) from error


def _build_shard(
    paths: shards.Paths,
    group: list[readers.RawDocument],
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    clean: bool,
    capacity: int,
) -> shards.Summary:
    documents = itertools.chain.from_iterable(
        corpus.finish(raw, clean=clean) for raw in group
    )
    return shards.write(paths, documents, tokenizer=tokenizer, capacity=capacity)


def _build_shard_in_worker(
    tokenizer_folder: pathlib.Path,
    paths: shards.Paths,
    group: list[readers.RawDocument],
    *,
    clean: bool,
    capacity: int,
) -> shards.Summary:
    tokenizer = _worker_tokenizer(tokenizer_folder)
    return _build_shard(
        paths, group, tokenizer=tokenizer, clean=clean, capacity=capacity
    )


@functools.cache
def _worker_tokenizer(folder: pathlib.Path) -> tokenizer_lib.Tokenizer:
    return tokenizer_lib.load(folder)


def _start_worker() -> None:
    """Ends a worker with its parent, which may be killed without a word.

    An interrupt from the keyboard reaches all of them, and is the parent's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _finish(
    folder: pathlib.Path,
    summaries: list[shards.Summary],
    *,
    settings: dict[str, Any],
    tokenizer: tokenizer_lib.Tokenizer,
) -> None:
    """Removes what lies beyond the end, splits, counts, and writes the index."""
    for path in folder.glob("[0-9]*.*"):
        if int(path.name.split(".")[0]) >= len(summaries):
            path.unlink()
    tables = [
        np.load(shards.Paths(folder, number).windows)
        for number in range(len(summaries))
    ]
    tables[-1] = _up_to(tables, max_tokens=settings["max_tokens"])
    # Every document of a shard has a window, so the last one's number is the count.
    kept = [
        shards.Summary(
            int(table["document"][-1]) + 1 if len(table) else 0,
            len(table),
            int(table["num_tokens"].sum(dtype=np.int64)),
        )
        for table in tables
    ]
    first_document = np.cumsum([0, *(summary.num_documents for summary in kept)])
    held_out = cutting.held_out_windows(
        np.concatenate(
            [
                table["document"].astype(np.int64) + first
                for table, first in zip(tables, first_document, strict=False)
            ]
        ),
        fraction=settings["held_out_fraction"],
    )
    token_counts = _count(folder, tables, held_out, vocab_size=tokenizer.vocab_size)
    for name, array in (
        ("is_continuation", tokenizer.is_continuation),
        ("held_out", held_out),
        ("token_counts", token_counts),
    ):
        with files.write_atomically(folder / f"{name}.npy") as file:
            np.save(file, array)
    files.write_json(
        folder / "index.json",
        {
            "schema_version": windows_lib.SCHEMA_VERSION,
            "settings": settings,
            "tokenizer": {
                "hash": tokenizer.content_hash,
                "vocab_size": tokenizer.vocab_size,
                "pad_id": tokenizer.pad_id,
                "cls_id": tokenizer.cls_id,
                "sep_id": tokenizer.sep_id,
            },
            "num_documents": int(first_document[-1]),
            "num_windows": len(held_out),
            "num_held_out_windows": int(held_out.sum()),
            "num_tokens": sum(summary.num_tokens for summary in kept),
            "num_training_tokens": int(token_counts.sum()),
            "shards": [dataclasses.asdict(summary) for summary in kept],
        },
    )


def _up_to(tables: list[np.ndarray], *, max_tokens: int | None) -> np.ndarray:
    """Returns the last table up to the window that reaches ``max_tokens``."""
    last = tables[-1]
    if max_tokens is None:
        return last
    before = sum(int(t["num_tokens"].sum(dtype=np.int64)) for t in tables[:-1])
    reached = np.cumsum(last["num_tokens"], dtype=np.int64) + before
    return last[: int(np.searchsorted(reached, max_tokens)) + 1]


def _count(
    folder: pathlib.Path,
    tables: list[np.ndarray],
    held_out: np.ndarray,
    *,
    vocab_size: int,
) -> np.ndarray:
    """Returns [vocab_size] int64 occurrences in the windows that are not held out."""
    counts = np.zeros(vocab_size, np.int64)
    first = 0
    for number, table in enumerate(tables):
        train = ~held_out[first : first + len(table)]
        first += len(table)
        tokens = np.load(shards.Paths(folder, number).tokens, mmap_mode="r")
        counted = np.repeat(train, table["num_tokens"])
        ids = np.asarray(tokens["id"][: len(counted)])[counted]
        counts += np.bincount(ids, minlength=vocab_size)
    return counts
