"""Times the pass that gathers examples, beside the encoding that it cannot do without.

Both go over the same windows in turn, a few batches at a time, in one process. The
encoding alone is forward pass and solver, `encoding.encode_windows`, with the codes in
the memory of the host. What is done once at the end, and the files, count in full.
"""

import pathlib
import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import (
    gathering,
    stored,
    token_tables,
    unfinished,
)
from tfvis_jax.runs import encoding, parallel_encoding, setup, trained_dictionary

# Batches that each of the two takes in its turn.
_TURN = 2


def measure(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    n: int,
    num_batches: int,
) -> dict[str, Any]:
    """Returns the row of the pass.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens.
      n: strongest tokens per layer and factor.
      num_batches: window batches that are timed, at most all.
    """
    size = opened.config.windows_per_batch
    chosen = np.arange(min(num_batches * size, len(windows)))
    turns = [chosen[i : i + _TURN * size] for i in range(0, len(chosen), _TURN * size)]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tokens = token_tables.TokenTables(folder, prefix="0")
        gathered = gathering.Collector(
            trained,
            windows,
            tokens=tokens,
            n=n,
            n_random=gathering.N_RANDOM,
            seed=0,
        )

        def gather(turn):
            for index, found in parallel_encoding.encode(
                opened, trained, windows, turn, devices=jax.local_devices()[:1]
            ):
                for encoded in found:
                    gathered.add(index, encoded)

        def finish():
            tokens.flush()
            paths = [folder / name for name in tokens.names]
            stored.save(folder / "examples", gathered.finish(paths))

        def save():
            state = gathered.arrays()
            unfinished.PassFolder(folder).save(
                0, unfinished.PassState(np.arange(num_batches), tokens.names, state)
            )

        def alone(turn):
            for _, layers in encoding.encode_windows(opened, trained, windows, turn):
                for rows in layers:
                    np.asarray(rows.codes)

        first = chosen[:size]
        for _, found in parallel_encoding.encode(
            opened, trained, windows, first, devices=jax.local_devices()[:1]
        ):
            del found
        alone(first)
        times = [
            (_clock(lambda t=t: gather(t)), _clock(lambda t=t: alone(t))) for t in turns
        ]
        saving, ending = _clock(save), _clock(finish)
    ours = [sum(each) for each in zip(*(own for own, _ in times), ending, strict=True)]
    base = [sum(each) for each in zip(*(other for _, other in times), strict=True)]
    n_rows = int(windows.num_rows(chosen).sum()) * len(trained.layers)
    return {
        "task": "examples",
        "rows_per_s": n_rows / ours[0],
        "seconds": ours[0],
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "baseline_seconds": base[0],
        "cpu_seconds": ours[1],
        "baseline_cpu_seconds": base[1],
        "rows": n_rows,
        "batches": num_batches,
        "seconds_of_the_end": ending[0],
        "cpu_seconds_of_the_end": ending[1],
        "cpu_seconds_of_a_save": saving[1],
    }


def _clock(work: Callable[[], Any]) -> tuple[float, float]:
    start, cpu_start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu_start
