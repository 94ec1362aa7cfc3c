"""The steps of a run as a library: no command line, silent or with a callback."""

import contextlib
import dataclasses
import json
import pathlib

import numpy as np
import pytest
import toy_runs

import tfvis_jax
from tfvis_jax import pipeline, sharding
from tfvis_jax.description import label_prompts
from tfvis_jax.errors import InputError
from tfvis_jax.levels import rule
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import training
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.runs import setup
from tfvis_jax.viewer import bundle


class _Recorder:
    """Notes the stages that it hears of, and where each ended."""

    def __init__(self):
        self.stages, self.last = [], {}

    def __call__(self, stage, done, total, /):
        if not self.stages or self.stages[-1] != stage:
            # A stage begins with nothing done and nothing counted.
            assert (done, total) == (0, None)
            self.stages.append(stage)
        assert total is None or 0 <= done <= total
        self.last[stage] = done, total


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        windows_per_batch=64,
        rows_per_step=1024,
    )


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    """A run with all its steps done, and what each step told and returned."""
    path = tmp_path_factory.mktemp("pipeline") / "run"
    told, found = {}, {}

    def step(name, function, *arguments, **how):
        told[name] = _Recorder()
        found[name] = function(path, *arguments, progress=told[name], **how)

    step("prepare", pipeline.prepare, settings)
    step("train", pipeline.train, settings)
    step("examples", pipeline.collect_examples, top_n=30)
    step("evaluate", pipeline.evaluate, k=4, loss_windows=2)
    step("levels", pipeline.measure_levels, per_factor=1)
    step("export", pipeline.export_site, contexts=3)
    return path, told, found


def test_every_step_tells_of_its_stages(run):
    _, told, _ = run
    assert {name: each.stages for name, each in told.items()} == {
        "prepare": ["model", "tokens"],
        "train": ["model", "tokens", "train", "evaluate"],
        "examples": ["model", "examples"],
        "evaluate": ["model", "reconstruction", "loss"],
        "levels": ["model", "levels"],
        "export": ["export"],
    }
    for each in told.values():
        assert all(done == total for done, total in each.last.values())


def test_every_step_returns_what_it_wrote(run, settings):
    path, _, found = run
    directory = directory_lib.RunDirectory(path)
    opened, windows = found["prepare"]
    assert isinstance(opened, setup.Setup) and opened.config == settings
    assert len(windows.held_out) > 0
    assert found["train"] == json.loads(directory.report.read_text())
    assert set(found["train"]["seconds"]) == {"model", "tokens", "train", "evaluate"}
    assert found["evaluate"] == json.loads(directory.evaluation.read_text())
    assert found["evaluate"]["k"] == 4
    assert found["export"] == directory.site
    assert bundle.read(directory.site, "data/manifest")["schema"] == "tfvis-site/1"
    loaded = tfvis_jax.load_run(path)
    assert found["examples"].activation.shape == (3, 24, 30)
    np.testing.assert_array_equal(
        found["examples"].activation, loaded.examples.activation
    )
    assert [level.name for level in found["levels"]] == [
        level.name for level in loaded.levels
    ]
    assert {level.name for level in found["levels"]} <= set(rule.LEVELS)
    summary = pipeline.summary(found["train"])
    assert "24 factors for layers [0, 1, 2]" in summary and "refitted" in summary
    assert found["train"]["unknown_tokens"] == windows.index["unknown_tokens"]
    noted = found["train"] | {
        "notes": ["Files not read (hidden): 1 (a)."],
        "unknown_tokens": {"share": 0.123, "documents": [{"name": "D", "share": 0.9}]},
    }
    assert "unknown tokens        12.3%, most in D (90%)" in pipeline.summary(noted)
    assert "Files not read (hidden): 1 (a)." in pipeline.summary(noted)
    noted["unknown_tokens"]["share"] = 0.0005
    assert "unknown" not in pipeline.summary(noted)


def test_the_same_steps_again_are_silent_and_change_nothing(run, settings, capfd):
    path, _, found = run
    before = {
        name: (path / name).read_bytes()
        for name in ("dictionary.safetensors", "levels.json", "examples/index.json")
    }
    again = pipeline.train(path, settings)
    assert again["fvu"] == found["train"]["fvu"]
    # Work that was done is not done again, and counts with the time it took.
    assert again["seconds"]["train"] == found["train"]["seconds"]["train"]
    pipeline.collect_examples(path, top_n=30)
    pipeline.measure_levels(path, per_factor=1)
    pipeline.export_site(path, contexts=3)
    assert {name: (path / name).read_bytes() for name in before} == before
    written = capfd.readouterr()
    assert written.out == "" and "━" not in written.err


def test_bars_show_the_stages_by_name(run, capfd):
    path, _, _ = run
    with pipeline.bars() as progress:
        pipeline.export_site(path, contexts=3, progress=progress)
    assert "writing the page" in capfd.readouterr().err
    with pipeline.bars(quiet=True) as progress:
        progress("export", 1, 2)
    assert capfd.readouterr().err == ""


def test_a_stop_is_an_exception_and_the_next_call_resumes(run, settings, tmp_path):
    path, _, _ = run
    learning = []

    @contextlib.contextmanager
    def noting():
        learning.append("begins")
        yield
        learning.append("ends")

    new = tmp_path / "run"
    with pytest.raises(pipeline.Interrupted):
        pipeline.train(new, settings, should_stop=lambda: True, while_learning=noting())
    assert learning == ["begins"]
    assert not (new / "report.json").exists()
    pipeline.train(new, settings, while_learning=noting())
    assert learning == ["begins", "begins", "ends"]
    names = "dictionary.safetensors"
    assert (new / names).read_bytes() == (path / names).read_bytes()


def test_a_directory_is_locked_while_it_is_written(run, settings):
    path, _, _ = run
    with directory_lib.RunDirectory(path).lock():
        for step in (
            lambda: pipeline.train(path, settings),
            lambda: pipeline.collect_examples(path),
            lambda: pipeline.evaluate(path),
            lambda: pipeline.measure_levels(path),
            lambda: pipeline.export_site(path),
        ):
            with pytest.raises(InputError, match="This process is writing"):
                step()


def test_a_text_with_fewer_rows_than_factors_is_said(settings, tmp_path):
    said = []
    opened, windows = pipeline.prepare(tmp_path / "run", settings)
    n_tokens = int(windows.num_rows(windows.train).sum())
    n_rows = int(3 * n_tokens * settings.row_fraction)
    for n_factors in (n_rows, n_rows + 1):
        dictionary = dataclasses.replace(settings.dictionary, n_factors=n_factors)
        config = dataclasses.replace(settings, dictionary=dictionary, num_epochs=1)
        with_factors = dataclasses.replace(opened, config=config)
        training._note_few_rows(with_factors, windows, said.append)
    [sentence] = said
    assert f"{n_rows:,} hidden states" in sentence and f"{n_rows + 1:,} fac" in sentence


def test_a_wrong_model_leaves_nothing_behind(settings, tmp_path):
    wrong = dataclasses.replace(settings, model="/nowhere")
    with pytest.raises(InputError, match="/nowhere"):
        pipeline.train(tmp_path / "folder" / "run", wrong)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_is_refused_and_left_alone(tmp_path):
    for step in (
        pipeline.collect_examples,
        pipeline.evaluate,
        pipeline.measure_levels,
        pipeline.export_site,
    ):
        with pytest.raises(InputError, match="not a run directory"):
            step(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_examples_need_the_whole_dictionary_on_each_device(run):
    path, _, _ = run
    with pytest.raises(InputError, match="splits the rows only"):
        pipeline.collect_examples(path, mesh=sharding.make_mesh(4, 2))


def test_prompts_and_labels_of_a_run(run, tmp_path):
    path, _, found = run
    prompts = tmp_path / "prompts.json"
    counts = label_prompts.WindowCounts(top=2, per_quantile=0, negative=1)
    exported = pipeline.export_prompts(path, prompts, factors=[5, 3, 5], counts=counts)
    alive = [f for f in (5, 3) if found["examples"].firing[:, f].any()]
    assert exported.n_written == len(alive)
    assert exported.n_written + exported.n_dead == 2
    assert json.loads(prompts.read_text())["schema"] == label_prompts.SCHEMA
    with pytest.raises(InputError, match=r"0 … 23"):
        pipeline.export_prompts(path, prompts, factors=[24])
    labels = tmp_path / "labels.json"
    labels.write_text('{"3": "river", "5": "bank"}')
    assert pipeline.import_labels(path, labels) == ("tfvis", 2, 0, 2, 0, 0)
    labels.write_text('{"3": "money"}')
    assert pipeline.import_labels(path, labels) == ("tfvis", 1, 1, 2, 0, 0)
    assert tfvis_jax.load_run(path).labels[3].text == "money"


def test_training_is_a_public_name():
    assert tfvis_jax.train is pipeline.train


def test_stages_without_steps_end_and_are_timed():
    told = []
    stages = progress_lib.Stages(lambda *now: told.append(now))
    with stages.stage("model"):
        pass
    with stages.stage("tokens") as show:
        show(2, 3)
    assert told == [
        *(("model", 0, None), ("model", 1, 1)),
        *(("tokens", 0, None), ("tokens", 2, 3)),
    ]
    assert set(stages.seconds) == {"model", "tokens"}


def test_hidden_states_are_stored_where_older_runs_have_them(tmp_path):
    directory = directory_lib.RunDirectory(tmp_path)
    assert directory.hidden_states == tmp_path / "hidden_states"
    (tmp_path / "activations").mkdir()
    assert directory.hidden_states == tmp_path / "activations"
    assert pathlib.Path(directory) == tmp_path


@pytest.mark.parametrize("value", [-1, 2.5, "3"])
@pytest.mark.parametrize(
    ("step", "name"),
    [
        (pipeline.collect_examples, "top_n"),
        (pipeline.collect_examples, "random_n"),
        (pipeline.evaluate, "loss_windows"),
        (pipeline.measure_levels, "per_factor"),
        (pipeline.export_site, "contexts"),
    ],
)
def test_what_is_no_count_is_refused_by_name(run, step, name, value):
    path, _, _ = run
    with pytest.raises(InputError, match=f"`{name}` to be a whole number"):
        step(path, **{name: value})


def test_a_run_needs_a_process_that_makes_tokens(settings, tmp_path):
    with pytest.raises(InputError, match="`num_workers` to be a whole number"):
        pipeline.train(tmp_path / "run", settings, num_workers=0)


def test_a_run_needs_settings_and_a_place(settings, tmp_path):
    with pytest.raises(InputError, match="a RunConfig, got dict"):
        pipeline.train(tmp_path / "run", {"model": "bert"})
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"can be made.*Not a directory"):
        pipeline.train(tmp_path / "file" / "run", settings)
