"""Builds shards in order, in this process or in worker processes."""

import collections
import concurrent.futures
import functools
import itertools
import pathlib
from collections.abc import Generator, Iterator
from concurrent.futures import process
from typing import NamedTuple

from tfvis_jax.data import corpus, processes, readers, shard_reading, shards
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.errors import InputError

# A shard that is already complete, or one that a worker is building.
_Pending = shards.Size | concurrent.futures.Future[shards.Size]


class Group(NamedTuple):
    """The documents of a shard before cleaning, and what reading them left out."""

    documents: list[readers.RawDocument]
    notes: notes_lib.Notes


def build(
    groups: Iterator[Group],
    *,
    folder: pathlib.Path,
    tokenizer: tokenizer_lib.Tokenizer,
    clean: bool,
    capacity: int,
    max_document_tokens: int | None,
    max_unknown: float | None,
    num_workers: int,
) -> Generator[tuple[shards.Size, int], None, None]:
    """Yields (size of the shard, bytes of the input read up to its end), in order.

    A shard that is already complete is not built again. Closing the generator stops
    the workers.

    Args:
      groups: the documents of each shard, before cleaning.
      folder: where the shards are written.
      tokenizer: the tokenizer of the model; workers load it from its folder.
      clean: passed to `corpus.finish`.
      capacity: tokens in a full window, not counting special tokens.
      max_document_tokens: passed to `shards.write`.
      max_unknown: passed to `shards.write`.
      num_workers: number of worker processes; 1 builds the shards in this process.

    Raises:
      InputError: reading or writing failed, or a worker was killed.
    """

    def numbered() -> Iterator[tuple[shards.Paths, Group]]:
        for number, group in enumerate(groups):
            yield shards.Paths(folder, number), group

    if num_workers == 1:
        for paths, group in numbered():
            size = shard_reading.read_size(paths)
            if size is None:
                size = _build_shard(
                    paths,
                    group,
                    tokenizer=tokenizer,
                    clean=clean,
                    capacity=capacity,
                    max_document_tokens=max_document_tokens,
                    max_unknown=max_unknown,
                )
            yield size, group.documents[-1].position
        return
    task = functools.partial(
        _build_shard_in_worker,
        tokenizer.folder,
        clean=clean,
        capacity=capacity,
        max_document_tokens=max_document_tokens,
        max_unknown=max_unknown,
    )
    waiting: collections.deque[tuple[_Pending, int]] = collections.deque()
    with processes.pool(num_workers) as pool:
        for paths, group in numbered():
            done = shard_reading.read_size(paths)
            pending = pool.submit(task, paths, group) if done is None else done
            waiting.append((pending, group.documents[-1].position))
            # One shard more than workers keeps them busy; more would only take memory.
            if len(waiting) > num_workers + 1:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _result(pending: _Pending, position: int) -> tuple[shards.Size, int]:
    if isinstance(pending, shards.Size):
        return pending, position
    try:
        return pending.result(), position
    except process.BrokenProcessPool as error:
        raise InputError(
            "A worker process that tokenizes the corpus was killed, probably for lack "
            "of memory. Run the same command with fewer --num_workers; it resumes."
        ) from error


def _build_shard(
    paths: shards.Paths,
    group: Group,
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    clean: bool,
    capacity: int,
    max_document_tokens: int | None,
    max_unknown: float | None,
) -> shards.Size:
    documents = itertools.chain.from_iterable(
        corpus.finish(raw, clean=clean, notes=group.notes) for raw in group.documents
    )
    return shards.write(
        paths,
        documents,
        tokenizer=tokenizer,
        capacity=capacity,
        max_document_tokens=max_document_tokens,
        max_unknown=max_unknown,
        notes=group.notes,
    )


def _build_shard_in_worker(
    tokenizer_folder: pathlib.Path,
    paths: shards.Paths,
    group: Group,
    *,
    clean: bool,
    capacity: int,
    max_document_tokens: int | None,
    max_unknown: float | None,
) -> shards.Size:
    tokenizer = _worker_tokenizer(tokenizer_folder)
    return _build_shard(
        paths,
        group,
        tokenizer=tokenizer,
        clean=clean,
        capacity=capacity,
        max_document_tokens=max_document_tokens,
        max_unknown=max_unknown,
    )


@functools.cache
def _worker_tokenizer(folder: pathlib.Path) -> tokenizer_lib.Tokenizer:
    return tokenizer_lib.load(folder)
