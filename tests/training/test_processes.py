"""Two processes on one machine learn the same as one, and survive each other's end."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import ports
import pytest

from tfvis_jax import distributed
from tfvis_jax.errors import InputError, Terminated
from tfvis_jax.runs import dictionary_file
from tfvis_jax.training import metrics_log
from tfvis_jax.viewer import bundle, checksums

pytestmark = pytest.mark.long

ROOT = pathlib.Path(__file__).parents[2]
# What nothing takes that does not hang: start-up and compilation are waited for.
_HANG_S = 900


def _start(run, settings, *, processes=1, devices=2, name="train", until="train"):
    """Starts a command in that many processes with that many devices each."""
    environment = dict(
        os.environ, PYTHONPATH=str(ROOT), JAX_NUM_CPU_DEVICES=str(devices)
    )
    coordinator = f"127.0.0.1:{ports.free()}"
    started = []
    for number in range(processes):
        together = [
            f"--coordinator={coordinator}",
            f"--num_processes={processes}",
            f"--process_id={number}",
        ]
        last = [f"--until={until}"] * (name == "train")
        command = [sys.executable, "-m", "tfvis_jax", name, str(run), *settings, *last]
        log = (run.parent / f"{run.name}-{number}.log").open("w+b")
        started.append(
            subprocess.Popen(
                [*command, *(together if processes > 1 else [])],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        )
    return started


def _finish(started):
    return [process.wait(timeout=_HANG_S) for process in started]


def _work(run, settings, **how):
    codes = _finish(_start(run, settings, **how))
    logs = [path.read_text() for path in run.parent.glob(f"{run.name}-*.log")]
    assert not any(codes), "\n".join(logs)


def _train(run, settings, **how):
    _work(run, settings, **how)
    return dictionary_file.load(run / "dictionary.safetensors").factors


def _wait_for_batches(run, processes, *, enough):
    deadline = time.monotonic() + _HANG_S
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            break
        path = run / "metrics.jsonl"
        if path.exists() and len(path.read_bytes().splitlines()) >= enough:
            return
        time.sleep(0.002)
    raise AssertionError("training did not come so far")


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return [
        *(f"--model={toy_bert_folder}", f"--text={toy_corpus}", "--window_length=12"),
        *("--n_factors=24", "--windows_per_batch=32", "--rows_per_step=256"),
        # Fixed steps, so that rounding in another order stays rounding; few, as each
        # waits for the other process where that holds one half of the factors.
        *("--solver=fista", "--tolerance=0", "--max_steps=16", "--l1_penalty=0.1"),
        *("--checkpoint_every=2", "--num_epochs=2"),
    ]


@pytest.fixture(scope="module")
def together(settings, tmp_path_factory):
    run = tmp_path_factory.mktemp("together") / "run"
    return _train(run, settings, processes=2), run


def test_two_processes_learn_what_one_does(settings, together, tmp_path):
    factors, run = together
    alone = _train(tmp_path / "run", [*settings, "--mesh=data=2,factor=2"], devices=4)
    np.testing.assert_allclose(factors, alone, atol=1e-5)
    # Each process holds one half of the factors, from the first ones on.
    split = [*settings, "--mesh=data=1,factor=4"]
    halves = _train(tmp_path / "halves", split, processes=2)
    np.testing.assert_allclose(halves, alone, atol=1e-5)
    lines = metrics_log.read(run / "metrics.jsonl")
    for ours, theirs in zip(
        lines, metrics_log.read(tmp_path / "run" / "metrics.jsonl"), strict=True
    ):
        assert ours["rows"] == theirs["rows"]
        np.testing.assert_allclose(
            ours["relative_error"], theirs["relative_error"], rtol=1e-5
        )


def test_one_that_ends_stops_the_other_and_both_resume(settings, together, tmp_path):
    factors, _ = together
    run = tmp_path / "run"
    first, second = _start(run, settings, processes=2)
    _wait_for_batches(run, [first, second], enough=7)
    second.send_signal(signal.SIGKILL)
    codes = _finish([first, second])
    assert codes[0] != 0 and codes[1] == -signal.SIGKILL
    assert "died" in (tmp_path / "run-0.log").read_text()
    assert not (run / "dictionary.safetensors").exists()
    shutil.copytree(run, tmp_path / "alone")
    # Resumed, and asked to end: both save their state.
    enough = len(metrics_log.read(run / "metrics.jsonl")) + 2
    processes = _start(run, settings, processes=2)
    _wait_for_batches(run, processes, enough=enough)
    processes[1].send_signal(signal.SIGTERM)
    assert _finish(processes) == [0, 0]
    assert not (run / "dictionary.safetensors").exists()
    assert "resumes" in (tmp_path / "run-1.log").read_text()
    # Bitwise with as many processes; up to rounding with one.
    np.testing.assert_array_equal(_train(run, settings, processes=2), factors)
    alone = _train(tmp_path / "alone", settings, devices=1)
    np.testing.assert_allclose(alone, factors, atol=1e-5)


def test_two_processes_store_what_one_does(settings, tmp_path):
    for name, processes in (("two", 2), ("one", 1)):
        _work(tmp_path / name, settings, processes=processes, name="hidden_states")
    first, second = (
        _files(tmp_path / name / "hidden_states" / "states") for name in ("two", "one")
    )
    assert first.keys() == second.keys() and len(first) > 2
    assert first == second


def _files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_process_that_fails_says_why_and_stops_the_other(settings, tmp_path):
    # The second process alone has other settings than the run.
    run = tmp_path / "run"
    port = ports.free()
    commands = []
    for number in range(2):
        together = [f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
        other = ["--n_factors=16"] if number else []
        command = [sys.executable, "-m", "tfvis_jax", "train", str(run), *settings]
        commands.append([*command, *together, f"--process_id={number}", *other])
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_NUM_CPU_DEVICES="2")
    processes = [
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / f"{number}.log").open("wb"),
        )
        for number, command in enumerate(commands)
    ]
    assert all(_finish(processes))
    log = (tmp_path / "1.log").read_text()
    assert "made with other settings" in log and "n_factors" in log


def test_how_a_process_leaves_the_others(monkeypatch):
    left = []
    monkeypatch.setattr(distributed.jax.distributed, "initialize", lambda *a, **k: None)
    monkeypatch.setattr(
        distributed.atexit, "register", lambda _, code: left.append(code)
    )
    for error in (Terminated, KeyboardInterrupt, InputError):
        with pytest.raises(error), distributed.joined():
            raise error
    assert left == [0, 1, 1]


def test_a_coordinator_that_is_not_there_is_named():
    with (
        pytest.raises(InputError, match=r"127\.0\.0\.1:\d+ did not answer for 1 sec"),
        distributed.joined(f"127.0.0.1:{ports.free()}", 2, 1, patience_s=1),
    ):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("somewhere:99", None, 1), "together"),
        (("somewhere", 2, 1), "HOST:PORT"),
        (("somewhere:99999", 2, 1), "HOST:PORT"),
        (("somewhere:²", 2, 1), "HOST:PORT"),
        (("somewhere:99", 2, 2), "from 0 to 1, got 2"),
    ],
)
def test_addresses_that_make_no_sense(arguments, message):
    with pytest.raises(InputError, match=message), distributed.joined(*arguments):
        pass


def test_processes_end_at_one_page(settings, tmp_path):
    run = tmp_path / "run"
    _work(run, settings, processes=2, until="page")
    assert not checksums.verify(run / "site")
    assert bundle.read(run / "site", "data/manifest")["counts"]["factors"] == 24
