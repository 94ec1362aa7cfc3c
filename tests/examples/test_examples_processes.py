"""Two processes find the same examples as one, and one resumes what two began."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import ports
import toy_runs

import tfvis_jax
from tfvis_jax import config
from tfvis_jax.runs import dictionary_file, trained_dictionary

ROOT = pathlib.Path(__file__).parents[2]
# Stops in the middle of the pass after a save, like a killed process.
_KILLED = """
import os, sys
from tfvis_jax import cli, sharding
from tfvis_jax.examples import gathering
from tfvis_jax.runs import parallel_encoding
whole = parallel_encoding.encode
def encode(*arguments, **how):
    for number, each in enumerate(whole(*arguments, **how)):
        if number == 4:
            sharding.wait_for_all("saved")
            os._exit(9)
        yield each
parallel_encoding.encode = encode
gathering.SAVE_EVERY_S = 0
sys.exit(cli.main(sys.argv[1:]))
"""


def _run(run, *, processes, program=("-m", "tfvis_jax")):
    """Runs `tfvis examples` in several processes; returns exit codes and logs."""
    port = ports.free()
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_NUM_CPU_DEVICES="2")
    started = []
    for number in range(processes):
        together = [
            f"--coordinator=127.0.0.1:{port}",
            f"--num_processes={processes}",
            f"--process_id={number}",
        ]
        command = [sys.executable, *program, "examples", str(run), "--top_n=25"]
        started.append(
            subprocess.Popen(
                [*command, *(together if processes > 1 else [])],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    logs = [process.communicate(timeout=900)[0] for process in started]
    return [process.returncode for process in started], logs


def test_processes_share_the_pass_and_each_other_s_progress(
    toy_bert_folder, toy_corpus, tmp_path
):
    settings = toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        windows_per_batch=32,
        # Cheap to compile; the test does not depend on the solver.
        solver=config.SolverConfig(solver="fista", l1_penalty=0.25, max_steps=40),
    )
    opened, _ = toy_runs.open_run(tmp_path / "two", settings)
    factors = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    dictionary_file.save(
        opened.run.dictionary,
        trained_dictionary.TrainedDictionary(
            factors=factors,
            layer_scale=np.float32([2, 5, 5]),
            layers=opened.layers,
            model=settings.model,
            l1_penalty=0.25,
        ),
    )
    shutil.copytree(tmp_path / "two", tmp_path / "one")
    codes, logs = _run(tmp_path / "two", processes=2, program=("-c", _KILLED))
    # The first one to die may take the other with it before that one exits.
    assert 9 in codes and 0 not in codes, "\n".join(logs)
    states = sorted((tmp_path / "two" / "examples-progress").glob("*.npz"))
    assert [path.name for path in states] == ["0.npz", "1.npz"]
    shutil.copytree(tmp_path / "two", tmp_path / "after_two")
    for name, processes in (("two", 2), ("one", 1), ("after_two", 1)):
        codes, logs = _run(tmp_path / name, processes=processes)
        assert not any(codes), "\n".join(logs)
        assert not (tmp_path / name / "examples-progress").exists()
    expected = tfvis_jax.load_run(tmp_path / "one").examples
    assert expected.firing.sum() > 1000
    for name in ("two", "after_two"):
        found = tfvis_jax.load_run(tmp_path / name).examples
        found = dataclasses.replace(found, folder=expected.folder)
        for field in dataclasses.fields(expected):
            left, right = getattr(found, field.name), getattr(expected, field.name)
            np.testing.assert_array_equal(left, right, err_msg=field.name)
