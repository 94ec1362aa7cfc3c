"""Builds shards in order, in this process or in worker processes."""

import collections
import concurrent.futures
import functools
import itertools
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import process

from tfvis_jax.data import corpus, readers, shard_reading, shards
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.errors import InputError

# A shard that is already complete, or one that a worker is building.
_Built = tuple[shards.Size, notes_lib.Notes]
_Pending = shards.Size | concurrent.futures.Future[_Built]


def build(
    groups: Iterator[list[readers.RawDocument]],
    *,
    folder: pathlib.Path,
    tokenizer: tokenizer_lib.Tokenizer,
    clean: bool,
    capacity: int,
    max_document_tokens: int | None,
    num_workers: int,
    notes: notes_lib.Notes,
) -> Generator[tuple[shards.Size, int], None, None]:
    """Yields (size of the shard, bytes of the input read up to its end), in order.

    A shard that is already complete is not built again. Closing the generator stops
    the workers.

    Args:
      groups: the documents of each shard, before cleaning.
      folder: where the shards are written.
      tokenizer: the tokenizer of the BERT; workers load it from its folder.
      clean: passed to `corpus.finish`.
      capacity: tokens in a full window, not counting special tokens.
      max_document_tokens: passed to `shards.write`.
      num_workers: number of worker processes; 1 builds the shards in this process.
      notes: what cleaning noted is added here.

    Raises:
      InputError: reading or writing failed, or a worker was killed.
    """

    def numbered() -> Iterator[tuple[shards.Paths, list[readers.RawDocument]]]:
        for number, group in enumerate(groups):
            yield shards.Paths(folder, number), group

    if num_workers == 1:
        for paths, group in numbered():
            size = shard_reading.read_size(paths)
            if size is None:
                size, noted = _build_shard(
                    paths,
                    group,
                    tokenizer=tokenizer,
                    clean=clean,
                    capacity=capacity,
                    max_document_tokens=max_document_tokens,
                )
                notes.add_all(noted)
            yield size, group[-1].position
        return
    task = functools.partial(
        _build_shard_in_worker,
        tokenizer.folder,
        clean=clean,
        capacity=capacity,
        max_document_tokens=max_document_tokens,
    )
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers,
        # Forking a process that runs JAX's threads can deadlock.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    waiting: collections.deque[tuple[_Pending, int]] = collections.deque()
    try:
        for paths, group in numbered():
            done = shard_reading.read_size(paths)
            pending = pool.submit(task, paths, group) if done is None else done
            waiting.append((pending, group[-1].position))
            # One shard more than workers keeps them busy; more would only take memory.
            if len(waiting) > num_workers + 1:
                yield _result(*waiting.popleft(), notes=notes)
        while waiting:
            yield _result(*waiting.popleft(), notes=notes)
    finally:
        pool.shutdown(cancel_futures=True)


def _result(
    pending: _Pending, position: int, *, notes: notes_lib.Notes
) -> tuple[shards.Size, int]:
    if isinstance(pending, shards.Size):
        return pending, position
    try:
        size, noted = pending.result()
    except process.BrokenProcessPool as error:
        raise InputError(
            "A worker process that tokenizes the corpus was killed, probably for lack "
            "of memory. Run the same command with fewer --num_workers; it resumes."
        ) from error
    notes.add_all(noted)
    return size, position


def _build_shard(
    paths: shards.Paths,
    group: list[readers.RawDocument],
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    clean: bool,
    capacity: int,
    max_document_tokens: int | None,
) -> _Built:
    notes = notes_lib.Notes()
    documents = itertools.chain.from_iterable(
        corpus.finish(raw, clean=clean, notes=notes) for raw in group
    )
    size = shards.write(
        paths,
        documents,
        tokenizer=tokenizer,
        capacity=capacity,
        max_document_tokens=max_document_tokens,
    )
    return size, notes


def _build_shard_in_worker(
    tokenizer_folder: pathlib.Path,
    paths: shards.Paths,
    group: list[readers.RawDocument],
    *,
    clean: bool,
    capacity: int,
    max_document_tokens: int | None,
) -> _Built:
    tokenizer = _worker_tokenizer(tokenizer_folder)
    return _build_shard(
        paths,
        group,
        tokenizer=tokenizer,
        clean=clean,
        capacity=capacity,
        max_document_tokens=max_document_tokens,
    )


@functools.cache
def _worker_tokenizer(folder: pathlib.Path) -> tokenizer_lib.Tokenizer:
    return tokenizer_lib.load(folder)


def _start_worker() -> None:
    """Makes a worker end with its parent, even if the parent is killed.

    A keyboard interrupt reaches the workers too, but the parent handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
