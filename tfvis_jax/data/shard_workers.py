"""Shards in order, built here or by other processes."""

import collections
import concurrent.futures
import functools
import itertools
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import process

from tfvis_jax import errors
from tfvis_jax.data import corpus, readers, shards
from tfvis_jax.data import tokenizer as tokenizer_lib


def build(
    groups: Iterator[list[readers.RawDocument]],
    *,
    folder: pathlib.Path,
    tokenizer: tokenizer_lib.Tokenizer,
    clean: bool,
    capacity: int,
    num_workers: int,
) -> Iterator[tuple[shards.Summary, int]]:
    """Yields (what the shard holds, bytes of the input read at its end), in order.

    A shard that is whole already is not built again.

    Args:
      groups: the documents of each shard, before cleaning.
      folder: where the shards lie.
      tokenizer: the BERT's; other processes load it from its folder.
      clean: see `corpus.finish`.
      capacity: tokens in a full window, special ones not counted.
      num_workers: 1 builds them in this process.

    Raises:
      InputError: what reading and writing raise, or a worker that was killed.
    """

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
            "A process that tokenizes was killed from outside, probably for lack of "
            "memory. Run the same command with fewer --num_workers; it resumes."
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
