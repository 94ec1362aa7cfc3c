"""Runs one stage of a run in this process and prints what it took, as JSON.

`stages` starts one process a stage, so that peaks of memory are of that stage alone.
Memory is the process's own (anonymous), without files that the system may drop.
"""

import json
import os
import pathlib
import resource
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
from absl import flags

from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax import pipeline
from tfvis_jax.errors import InputError

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string("run", None, "Folder of the run.", flag_values=FLAGS)
_STAGE = flags.DEFINE_string("stage", None, "One of STAGES.", flag_values=FLAGS)
_MODEL = flags.DEFINE_string("model", None, "Folder of the model.", flag_values=FLAGS)
_TEXT = flags.DEFINE_string("text", None, "File of text.", flag_values=FLAGS)
_N_FACTORS = flags.DEFINE_integer("n_factors", 1024, "Factors.", flag_values=FLAGS)
_ROW_FRACTION = flags.DEFINE_float(
    "row_fraction", 0.1, "Share of the rows learned from.", flag_values=FLAGS
)

STAGES = ("windows", "learning", "examples", "page")
# Active factors of a token; of a small model there cannot be many.
_TARGET_L0 = 6.0
_LAST_LAYER = 2
# Seconds between two looks at the memory.
_EVERY_S = 0.02


def settings() -> config_lib.RunConfig:
    """Returns the settings of the run that the flags describe."""
    return config_lib.RunConfig(
        model=_MODEL.value,
        corpus=config_lib.CorpusConfig(paths=(_TEXT.value,)),
        layers=(_LAST_LAYER,),
        dictionary=config_lib.DictionaryConfig(n_factors=_N_FACTORS.value),
        sparsity=config_lib.SparsityConfig(target_l0=_TARGET_L0),
        row_fraction=_ROW_FRACTION.value,
        # One layer and a share of the rows: so many windows fill a step.
        windows_per_batch=256,
    )


def main() -> None:
    """Runs the stage."""
    if _RUN.value is None or _STAGE.value not in STAGES:
        raise InputError(f"Expected --run and --stage of {', '.join(STAGES)}.")
    run = pathlib.Path(_RUN.value)
    work: dict[str, Callable[[], Any]] = {
        "windows": lambda: pipeline.prepare(run, settings()),
        "learning": lambda: pipeline.train(run, settings()),
        "examples": lambda: pipeline.collect_examples(run),
        "page": lambda: pipeline.export_site(run),
    }
    # Small texts have fewer rows than factors, which is none of this page's concern.
    warnings.simplefilter("ignore")
    # The device is started beforehand: it takes the same time for every size.
    jax.block_until_ready(jax.numpy.zeros(()))
    print(json.dumps(measured(work[_STAGE.value])))
    sys.stdout.flush()


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """Calls a function and returns what it took.

    Returns:
      seconds by the clock, `cpu_s` of all cores and of child processes, and the most
      memory in MB, with that before it began.
    """
    with _Memory() as memory:
        start, cpu = time.perf_counter(), _cpu_s()
        work()
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "cpu_s": _cpu_s() - cpu,
        "memory_mb": memory.most_mb,
        "before_mb": memory.before_mb,
    }


class _Memory:
    """Watches this process's own memory in a thread."""

    def __enter__(self) -> "_Memory":
        self.before_mb = self.most_mb = _own_mb()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.most_mb = max(self.most_mb, _own_mb())

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.most_mb = max(self.most_mb, _own_mb())


def _own_mb() -> float:
    """Returns anonymous memory of this process; its peak where it is not Linux."""
    path = pathlib.Path("/proc/self/status")
    if not path.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    line = next(s for s in path.read_text().splitlines() if s.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024 / 1e6


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    script.run(main, FLAGS)
