"""Writes the files of factors in worker processes, to the byte as one process does.

Each worker opens the examples and the corpus by itself and imports no JAX. It reads the
windows before a file in the order in which one process would have read them, since
words are numbered in this order. What needs the dictionary stays in this process.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import os
import pathlib
import pickle
import tempfile
from collections.abc import Sequence
from concurrent.futures import process
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import processes
from tfvis_jax.errors import InputError
from tfvis_jax.pipeline import page_factors
from tfvis_jax.viewer import factor_shards, site

# Factors times layers from which on the time that workers save is worth their start.
_ENOUGH = 2000
_MOST = 8
# Files of a folder that lasts as long as the workers: the pickled folder, data and
# source of their task, and the windows as one process would have read them, int32.
_TASK, _ORDER = "task", "order"
# Memory of a worker: what it imports and keeps of windows, and per token of the corpus.
_MEMORY, _MEMORY_TOKEN = 300 * 2**20, 12


def suitable(source: page_factors.Source, *, cores: int) -> int:
    """Returns how many processes write a page well: one a core if there is much to do.

    Args:
      source: where the pages of factors are read from.
      cores: that this process may use.
    """
    n_layers, n_factors = source.examples.firing.shape
    if n_layers * n_factors < _ENOUGH:
        return 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    each = _MEMORY + _MEMORY_TOKEN * source.examples.n_tokens
    return max(1, min(cores, _MOST, memory // 2 // each))


@dataclasses.dataclass(frozen=True, eq=False)
class Workers:
    """A `factor_shards.Write` that has several processes do it.

    Attributes:
      factors: reads the pages of factors; its table is at the end as if it had.
      num_workers: number of processes.
    """

    factors: page_factors.PageFactors
    num_workers: int

    def __call__(
        self, folder: pathlib.Path, data: site.SiteData
    ) -> factor_shards.Shards:
        """Yields the shards in order; arguments are those of `factor_shards.Write`.

        Raises:
          InputError: reading failed, or a worker was killed.
        """
        sent = pickle.dumps((folder, _plain(data), self.factors.source))
        waiting: collections.deque[concurrent.futures.Future[factor_shards.Shard]]
        waiting = collections.deque()
        # What does not fit a pipe's buffer must not go to a process as an argument: if
        # the process ends before it has read that, its parent waits for ever.
        with (
            tempfile.TemporaryDirectory() as own,
            (pathlib.Path(own) / _ORDER).open("wb") as order,
            processes.pool(self.num_workers, _receive, (own,), in_vain=True) as pool,
        ):
            (pathlib.Path(own) / _TASK).write_bytes(sent)
            n_read = 0
            for factors in factor_shards.ranges(data.n_factors):
                order.write(
                    np.array(self.factors.table.order[n_read:], np.int32).tobytes()
                )
                order.flush()
                n_read = len(self.factors.table.order)
                waiting.append(
                    pool.submit(
                        _write,
                        factors,
                        n_read,
                        [data.relatives(factor) for factor in factors],
                    )
                )
                for factor in factors:
                    self.factors.pass_over(factor)
                # One more than workers keeps them busy; more would only take memory.
                if len(waiting) > self.num_workers + 1:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())


def _result(
    pending: concurrent.futures.Future[factor_shards.Shard],
) -> factor_shards.Shard:
    try:
        return pending.result()
    except process.BrokenProcessPool as error:
        raise InputError(
            "A worker process that writes the page was killed, probably for lack of "
            "memory. `tfvis export` with --num_workers=1 needs the least."
        ) from error


def _plain(data: site.SiteData) -> site.SiteData:
    """Returns what files of factors show, without what is read factor by factor."""
    return dataclasses.replace(
        data,
        contexts=_no_contexts,
        terms=site.no_terms,
        firings=site.no_firings,
        words=None,
        word_firings=site.no_word_firings,
        relatives=site.no_relatives,
        window_text=str,
        corpus_words=None,
        sentences=(),
        notes={},
        ratings=(),
        level_evidence=None,
        run=None,
        beside=None,
    )


def _no_contexts(factor: int) -> list[list[site.Context]]:
    raise AssertionError(f"The contexts of factor {factor} are read by a worker.")


class _Task(NamedTuple):
    """What a worker needs for all shards.

    Attributes:
      folder: of the site.
      data: what the site shows, but for what is read factor by factor.
      factors: read this.
    """

    folder: pathlib.Path
    data: site.SiteData
    factors: page_factors.PageFactors


# Of a worker process: the folder of the files below.
_SENT: list[pathlib.Path] = []


def _receive(own: str) -> None:
    _SENT.append(pathlib.Path(own))


# Not before the first shard, whose future tells of an error.
@functools.cache
def _task() -> _Task:
    folder, data, source = pickle.loads((_SENT[0] / _TASK).read_bytes())
    return _Task(folder, data, page_factors.PageFactors(source))


def _write(
    factors: range, n_read: int, relatives: Sequence[site.Relatives]
) -> factor_shards.Shard:
    """Writes a shard in a worker.

    Args:
      factors: of the shard.
      n_read: how many of the windows in order one process would have read before.
      relatives: of each factor.
    """
    task = _task()
    found = task.factors
    known = len(found.table.order)
    order = np.fromfile(
        _SENT[0] / _ORDER, np.int32, count=n_read - known, offset=4 * known
    )
    found.table.read_in_order(order.tolist())
    data = dataclasses.replace(
        task.data,
        contexts=found.contexts,
        terms=found.terms,
        firings=found.firings,
        words=found.words,
        word_firings=found.word_firings,
        relatives=lambda factor: relatives[factors.index(factor)],
    )
    return factor_shards.write(task.folder, data, factors)
