"""Training: learns, resumes bitwise, names what went wrong."""

import dataclasses
import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_runs

from tfvis_jax import config, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import reconstruction
from tfvis_jax.learning import state as state_lib
from tfvis_jax.runs import dictionary_file, setup, trained_dictionary
from tfvis_jax.training import checkpoint, held_out, loop

pytestmark = pytest.mark.long

# What nothing takes that does not hang: start-up and compilation are waited for.
_HANG_S = 900
SMALL = {"windows_per_batch": 8, "rows_per_step": 64, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return toy_runs.settings(toy_bert_folder, toy_corpus, **SMALL)


@pytest.fixture(scope="module")
def trained(settings, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole")
    return toy_runs.fit(path, settings), path


def _lines(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").open()]


def test_training_explains_more_as_it_goes(trained):
    state, path = trained
    error = [line["relative_error"] for line in _lines(path)]
    assert np.mean(error[-3:]) < 0.9 * error[0]
    norms = np.linalg.norm(state.dictionary, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_every_training_row_is_counted_once(trained, settings):
    state, path = trained
    _, windows = toy_runs.open_run(path, settings)
    n_rows = int(windows.row_mask(windows.train).sum()) * 3
    assert sum(line["rows"] for line in _lines(path)) == n_rows
    assert int(state.batch) == -(-len(windows.train) // 8)


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_an_interrupted_run_ends_bitwise_the_same(
    trained, settings, tmp_path, stop_after
):
    state, path = trained
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path, settings, stop_after=stop_after)
    with checkpoint.open_folder(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.latest_batch == stop_after
    resumed = toy_runs.fit(tmp_path, settings)
    np.testing.assert_array_equal(resumed.dictionary, state.dictionary)
    assert [line["rows"] for line in _lines(tmp_path)] == [
        line["rows"] for line in _lines(path)
    ]


def test_checkpoints_with_settings_of_the_first_schema_resume(
    trained, settings, tmp_path, monkeypatch
):
    real = setup.identity

    def first_schema(opened, windows):
        found = real(opened, windows)
        values = found["settings"]
        del values["schema"]
        values["solver"] |= values.pop("sparsity")
        return found

    monkeypatch.setattr(setup, "identity", first_schema)
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path, settings, stop_after=3)
    monkeypatch.undo()
    config_path = tmp_path / "config.json"
    values = json.loads(config_path.read_text())
    del values["schema"]
    values["solver"] |= values.pop("sparsity")
    config_path.write_text(json.dumps(values))
    other = dataclasses.replace(
        settings,
        sparsity=config.SparsityConfig(target_l0=4.0),
        checkpoints=str(tmp_path / "checkpoints"),
    )
    with pytest.raises(InputError, match=r"target_l0: None there, 4\.0 requested"):
        toy_runs.fit(tmp_path / "other", other)
    resumed = toy_runs.fit(tmp_path, settings)
    np.testing.assert_array_equal(resumed.dictionary, trained[0].dictionary)


def test_a_finished_run_is_left_as_it_is(trained, settings):
    state, path = trained
    before = (path / "metrics.jsonl").read_bytes()
    again = toy_runs.fit(path, settings)
    np.testing.assert_array_equal(again.dictionary, state.dictionary)
    assert (path / "metrics.jsonl").read_bytes() == before


def test_a_run_killed_in_the_middle_ends_bitwise_the_same(trained, settings, tmp_path):
    """SIGKILL at an arbitrary moment, twice, through the command line."""
    state, _ = trained
    run = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "tfvis_jax", "train", str(run)),
        *(f"--model={settings.model}", f"--text={settings.corpus.paths[0]}"),
        *("--window_length=12", "--held_out_fraction=0.2", "--l1_penalty=0.1"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8"),
        *("--checkpoint_every=3", "--until=train"),
    ]
    environment = dict(os.environ, PYTHONPATH=str(pathlib.Path(__file__).parents[2]))
    for enough in (4, 8):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + _HANG_S
        metrics, there = run / "metrics.jsonl", False
        while not there and time.monotonic() < deadline and process.poll() is None:
            lines = metrics.read_text().splitlines() if metrics.exists() else []
            there = len(lines) >= enough
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        output = process.communicate()[0].decode()
        assert there and process.returncode == -signal.SIGKILL, output
        assert not (run / "dictionary.safetensors").exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    result = dictionary_file.load(run / "dictionary.safetensors")
    np.testing.assert_array_equal(result.factors, state.dictionary)


@pytest.mark.parametrize("rows_per_step", [100, 5000])
def test_steps_of_any_size_count_every_row_once(settings, tmp_path, rows_per_step):
    odd = dataclasses.replace(settings, rows_per_step=rows_per_step)
    toy_runs.fit(tmp_path, odd)
    _, windows = toy_runs.open_run(tmp_path, odd)
    n_rows = int(windows.row_mask(windows.train).sum()) * 3
    assert sum(line["rows"] for line in _lines(tmp_path)) == n_rows


def test_rows_drawn_at_random_still_resume(toy_bert_folder, toy_corpus, tmp_path):
    settings = toy_runs.settings(
        toy_bert_folder, toy_corpus, row_fraction=0.3, num_epochs=2, **SMALL
    )
    whole = toy_runs.fit(tmp_path / "whole", settings)
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path / "cut", settings, stop_after=5)
    np.testing.assert_array_equal(
        toy_runs.fit(tmp_path / "cut", settings).dictionary, whole.dictionary
    )


def test_hidden_states_that_are_not_finite_stop_the_run(
    settings, tmp_path, monkeypatch
):
    opened, windows = toy_runs.open_run(tmp_path, settings)
    real = loop.hidden_states_lib.scaled_hidden_states
    calls = []

    def poisoned(*args, **kwargs):
        calls.append(1)
        return real(*args, **kwargs) * (np.float32(np.nan) if len(calls) > 8 else 1)

    monkeypatch.setattr(loop.hidden_states_lib, "scaled_hidden_states", poisoned)
    with pytest.raises(InputError, match="Hidden states of batch 5 are not finite"):
        loop.fit(opened, windows, progress=toy_runs.silent)
    with checkpoint.open_folder(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.latest_batch == 3


def test_hidden_states_that_are_not_finite_from_the_start_name_the_batch(
    settings, tmp_path, monkeypatch
):
    opened, windows = toy_runs.open_run(tmp_path, settings)
    real = loop.hidden_states_lib.scaled_hidden_states
    calls = []

    def poisoned(*args, **kwargs):
        calls.append(1)
        return real(*args, **kwargs) * (np.float32(np.inf) if len(calls) == 2 else 1)

    monkeypatch.setattr(loop.hidden_states_lib, "scaled_hidden_states", poisoned)
    with pytest.raises(InputError, match="Hidden states of batch 2 are not finite"):
        loop.fit(opened, windows, progress=toy_runs.silent)


def _flip_a_bit(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def _ruin(folder):
    for file in folder.rglob("*"):
        if file.is_file() and "metadata" not in file.name.lower():
            file.write_bytes(b"rubbish")


@pytest.mark.parametrize("damage", [_flip_a_bit, _ruin])
def test_an_older_checkpoint_is_used_where_the_newest_is_damaged(
    trained, settings, tmp_path, damage
):
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path, settings, stop_after=7)
    damage(tmp_path / "checkpoints" / "7")
    with pytest.warns(UserWarning, match=r"checkpoints/7 (is dam|cannot be r).*older"):
        state = toy_runs.fit(tmp_path, settings)
    np.testing.assert_array_equal(state.dictionary, trained[0].dictionary)
    assert [line["batch"] for line in _lines(tmp_path)] == [
        line["batch"] for line in _lines(trained[1])
    ]
    assert (tmp_path / "checkpoints-damaged" / "7").is_dir()


def test_a_run_whose_checkpoints_are_all_damaged_says_so(settings, tmp_path):
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path, settings, stop_after=4)
    for folder in (tmp_path / "checkpoints").iterdir():
        _ruin(folder)
    with pytest.raises(InputError, match="None of the checkpoints") as told:
        toy_runs.fit(tmp_path, settings)
    for number in (3, 4):
        assert f"checkpoints/{number} cannot be read." in str(told.value)
    # A sentence for each, and not what the library says.
    assert len(str(told.value)) < 4 * len(str(tmp_path)) + 250
    assert (tmp_path / "checkpoints" / "4").is_dir()


def test_training_goes_on_where_checkpoints_cannot_be_saved(
    trained, settings, tmp_path, monkeypatch
):
    saver = checkpoint.ocp.training.Checkpointer
    real, calls = saver.save_async, []

    def full_for_a_while(self, step, *arguments, **settings):
        calls.append(step)
        if len(calls) in (2, 3):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, step, *arguments, **settings)

    monkeypatch.setattr(saver, "save_async", full_for_a_while)
    with pytest.warns(
        UserWarning, match="no space left.*continues; the last complete checkpoint is 3"
    ):
        state = toy_runs.fit(tmp_path, settings)
    assert len(calls) > 4
    np.testing.assert_array_equal(state.dictionary, trained[0].dictionary)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": (0, 3)}, "between 0 and 2"),
        ({"corpus": {"window_length": 65}}, "at most 64 tokens"),
        ({"model": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_settings_that_the_model_cannot_serve(settings, tmp_path, changes, message):
    if "corpus" in changes:
        changes = {"corpus": dataclasses.replace(settings.corpus, **changes["corpus"])}
    with pytest.raises(InputError, match=message):
        toy_runs.open_run(tmp_path / "run", dataclasses.replace(settings, **changes))
    assert not (tmp_path / "run").exists()


def test_token_weights_have_mean_one_over_the_corpus():
    counts = np.array([0, 4, 100, 1])
    weights = loop.token_weights(counts, enabled=True)
    np.testing.assert_allclose(np.sum(weights * counts) / counts.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(weights[2] / weights[1], np.sqrt(4 / 100), rtol=1e-6)
    np.testing.assert_array_equal(loop.token_weights(counts, enabled=False), 1)


def test_the_log_tells_of_held_out_text_waiting_and_compiling(trained, settings):
    state, path = trained
    lines = _lines(path)
    assert all(line["seconds_waiting"] >= 0 for line in lines)
    # Nothing is compiled once every kind of step has been met.
    assert not any(line["compilations"] for line in lines[4:])
    told = {line["batch"]: line["held_out_fvu"] for line in lines if len(line) > 12}
    assert sorted(told) == [*range(3, len(lines), 3), len(lines)]
    opened, windows = toy_runs.open_run(path, settings)
    result = reconstruction.evaluate(
        opened,
        trained_dictionary.from_state(state, opened),
        windows,
        progress=toy_runs.silent,
    )
    # Eight windows of held-out text against all.
    np.testing.assert_allclose(told[len(lines)], result.lasso.all.fvu, rtol=0.3)


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_the_held_out_error_of_all_windows_is_that_of_the_report(
    settings, tmp_path, monkeypatch, strength
):
    settings = dataclasses.replace(settings, whitening=strength)
    path = tmp_path / "run"
    state = toy_runs.fit(path, settings)
    opened, windows = toy_runs.open_run(path, settings)
    # Three devices divide neither the number of windows nor a multiple of eight.
    mesh = sharding.make_mesh(3, 2)
    assert len(windows.held_out) % 3
    monkeypatch.setattr(held_out, "_WINDOWS", len(windows.held_out))
    sample = held_out.HeldOut(opened, windows, mesh=mesh)
    got = sample.fvu(sharding.place(mesh, state, state_lib.partition(state, mesh)))
    result = reconstruction.evaluate(
        opened,
        trained_dictionary.from_state(state, opened),
        windows,
        progress=toy_runs.silent,
    )
    # The same codes, summed in another order.
    np.testing.assert_allclose(got, result.lasso.all.fvu, rtol=1e-5)


def test_the_best_checkpoint_is_kept(tmp_path, settings):
    shapes = state_lib.abstract(
        n_factors=4, d_model=3, n_layers=1, config=settings.dictionary
    )
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    with checkpoint.open_folder(tmp_path / "kept") as checkpoints:
        for batch, fvu in enumerate((0.5, 0.2, 0.3, 0.4, 0.6), start=1):
            checkpoints.save(state, batch=batch, fvu=fvu)
    kept = sorted(int(p.name) for p in (tmp_path / "kept").iterdir())
    assert kept == [2, 4, 5]
    # A score that is no longer one is forgotten, and nothing else.
    for number, score in ((2, "[]"), (4, '{"fvu": '), (5, '{"other": 1.0}')):
        (tmp_path / "kept" / f"{number}" / "metrics" / "metrics").write_text(score)
    with checkpoint.open_folder(tmp_path / "kept", notify=pytest.fail) as checkpoints:
        checkpoints.save(state, batch=6, fvu=0.9)
        checkpoints.save(state, batch=7, fvu=0.95)
    kept = sorted(int(p.name) for p in (tmp_path / "kept").iterdir())
    assert kept == [6, 7]


def test_folders_of_somebody_else_are_left_as_they_are(tmp_path):
    theirs = tmp_path / "photos" / "7" / "metrics" / "metrics"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with (
        pytest.raises(InputError, match="Choose another folder with --checkpoints"),
        checkpoint.open_folder(tmp_path / "photos"),
    ):
        pass
    assert theirs.read_text() == "mine"


def test_a_profile_is_written_where_asked_for(settings, tmp_path):
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path, settings, stop_after=2, profile_batch=2)
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_layers_may_be_held_to_one_l0(trained, settings, tmp_path):
    sparsity = config.SparsityConfig(equal_l0=True)
    # So small a gap that two solvers agree on which codes are zero.
    solver = dataclasses.replace(settings.solver, tolerance=1e-6)
    equal = dataclasses.replace(settings, sparsity=sparsity, solver=solver)

    def l0_of_layers(path, wanted, state):
        opened, windows = toy_runs.open_run(path, wanted)
        found = reconstruction.evaluate(
            opened,
            trained_dictionary.from_state(state, opened),
            windows,
            progress=toy_runs.silent,
        )
        return [layer.l0 for layer in found.lasso.per_layer]

    state = toy_runs.fit(tmp_path / "equal", equal)
    held = l0_of_layers(tmp_path / "equal", equal, state)
    free = l0_of_layers(trained[1], settings, trained[0])
    # Measured: a tenth as far apart, with few vector instructions as with many.
    assert np.ptp(held) < 0.5 * np.ptp(free)
    # Resumed or on a mesh, the scales come out the same.
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path / "stopped", equal, stop_after=4)
    resumed = toy_runs.fit(tmp_path / "stopped", equal)
    np.testing.assert_array_equal(resumed.layer_scale, state.layer_scale)
    split = toy_runs.fit(tmp_path / "split", equal, mesh=(1, 4))
    # By another solver: codes just above zero may differ.
    np.testing.assert_allclose(split.layer_scale, state.layer_scale, rtol=0.03)


def test_a_whitened_run_resumes_to_the_same_bits(settings, tmp_path):
    whitened = dataclasses.replace(settings, whitening=0.5)
    whole = toy_runs.fit(tmp_path / "whole", whitened)
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path / "stopped", whitened, stop_after=4)
    resumed = toy_runs.fit(tmp_path / "stopped", whitened)
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)
    assert whole.whitening is not None
    n_layers, d_model = whole.whitening.mean.shape
    np.testing.assert_allclose(
        whole.whitening.matrix @ whole.whitening.inverse, np.eye(d_model), atol=1e-4
    )
    assert n_layers == len(whole.layer_scale)
    opened, windows = toy_runs.open_run(tmp_path / "whole", whitened)
    found = reconstruction.evaluate(
        opened,
        trained_dictionary.from_state(whole, opened),
        windows,
        progress=toy_runs.silent,
    )
    # A dictionary of the toy explains some of the hidden states themselves.
    assert 0 < found.lasso.all.fvu < 1
    assert found.debiased.all.fvu < found.lasso.all.fvu
