"""Kills training at random moments, many times, and checks that nothing is lost.

    python -m benchmarks.scaling.soak --model FOLDER --text FILE.txt --out soak.json

One run is left alone. Another one of the same settings is killed (SIGKILL) at random
moments, before and while it trains, and started again each time. In the end both must
be the same to the last bit: the dictionary, and for every batch of windows its rows and
its error, each batch once. With --processes 2 two processes train together, one of
which is killed.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags

from experiments import script
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.runs import dictionary_file
from tfvis_jax.training import metrics_log

FLAGS = flags.FlagValues()
_MODEL = flags.DEFINE_string(
    "model", None, "Passed on to `tfvis train`.", required=True, flag_values=FLAGS
)
_TEXT = flags.DEFINE_list(
    "text", None, "Passed on to `tfvis train`.", required=True, flag_values=FLAGS
)
_KILLS = flags.DEFINE_integer(
    "kills", 20, "Number of kills.", lower_bound=1, flag_values=FLAGS
)
_PROCESSES = flags.DEFINE_integer(
    "processes", 1, "Processes that train together.", lower_bound=1, flag_values=FLAGS
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the random moments.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON file to write.", required=True, flag_values=FLAGS
)

_SETTINGS = (
    *("--window_length=32", "--windows_per_batch=16", "--rows_per_step=512"),
    *("--n_factors=64", "--checkpoint_every=3", "--l1_penalty=0.1"),
)
# A run that is killed before it trains has at least begun to read its settings.
_EARLIEST_S = 1.0


def main() -> None:
    """Trains, kills, trains on, compares; writes what was found."""
    moments = random.Random(_SEED.value)
    with tempfile.TemporaryDirectory() as folder:
        alone, killed = pathlib.Path(folder, "alone"), pathlib.Path(folder, "killed")
        start = time.monotonic()
        _wait(_start(alone))
        whole_s = time.monotonic() - start
        outputs.say(f"left alone: {whole_s:.0f} s")
        at = []
        while len(at) < _KILLS.value:
            processes = _start(killed)
            time.sleep(moments.uniform(_EARLIEST_S, whole_s))
            if processes[0].poll() is not None:
                # It had come to its end: begin anew.
                _wait(processes)
                _compare(alone, killed)
                shutil.rmtree(killed)
                continue
            moments.choice(processes).send_signal(signal.SIGKILL)
            for process in processes:
                process.wait()
            lines = metrics_log.read(killed / "metrics.jsonl")
            at.append(lines[-1]["batch"] if lines else 0)
            outputs.say(f"kill {len(at)}: after batch {at[-1]}")
        _wait(_start(killed))
        num_batches = _compare(alone, killed)
    document = environment.describe("benchmarks.scaling.soak")
    document |= {
        "processes": _PROCESSES.value,
        "killed_after_batch": at,
        "num_batches": num_batches,
        "seconds_left_alone": round(whole_s, 1),
        "equal_to_the_last_bit": True,
    }
    pathlib.Path(_OUT.value).write_text(json.dumps(document, indent=2) + "\n")
    print(
        f"{len(at)} kills, after batches {sorted(at)} of {num_batches}: dictionary and "
        "log equal to those of the run left alone, to the last bit."
    )


def _start(run: pathlib.Path) -> list[subprocess.Popen]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "tfvis_jax", "train", str(run)),
        *(f"--model={_MODEL.value}", f"--text={','.join(_TEXT.value)}", *_SETTINGS),
    ]
    together = [
        f"--coordinator=127.0.0.1:{port}",
        f"--num_processes={_PROCESSES.value}",
    ]
    return [
        subprocess.Popen(
            [*command, *together, f"--process_id={number}"]
            if _PROCESSES.value > 1
            else command,
            env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for number in range(_PROCESSES.value)
    ]


def _wait(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        _, complaint = process.communicate()
        if process.returncode:
            raise SystemExit(complaint.decode()[-2000:])


def _compare(alone: pathlib.Path, killed: pathlib.Path) -> int:
    """Stops where the two runs differ; returns how many batches they had."""
    ours, theirs = (
        dictionary_file.load(run / "dictionary.safetensors") for run in (alone, killed)
    )
    if not np.array_equal(ours.factors, theirs.factors):
        raise SystemExit("The dictionaries differ.")
    logs = [
        [
            (line["batch"], line["rows"], line["relative_error"])
            for line in metrics_log.read(run / "metrics.jsonl")
        ]
        for run in (alone, killed)
    ]
    if logs[0] != logs[1]:
        raise SystemExit("A batch was lost, counted twice, or made of other rows.")
    return len(logs[0])


if __name__ == "__main__":
    script.run(main, FLAGS)
