"""How many programs a command asks XLA for: each costs a part of a second."""

import collections
import shutil

import jax
import pytest

from tfvis_jax import cli


@pytest.fixture
def programs():
    """Counts programs by name, those of single operations included.

    A program that comes from the cache counts as well: it is read from a file. Bounds
    are what is reached, so that no change adds one unseen.
    """
    seen = collections.Counter()

    def listen(event, duration, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            seen[about.get("fun_name", "?")] += 1

    # What other tests have compiled would be missing.
    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def _run(programs, *arguments):
    assert cli.main([*map(str, arguments)]) == 0
    return programs


def _listed(programs):
    return "\n".join(f"{n} × {name}" for name, n in programs.most_common())


def test_training(programs, toy_bert_folder, toy_corpus, tmp_path):
    found = _run(
        programs,
        *("train", tmp_path / "run", f"--model={toy_bert_folder}"),
        *(f"--text={toy_corpus}", "--window_length=16", "--l1_penalty=0.1"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=64"),
        # On several, JAX cuts arrays into shares by a program each.
        "--mesh=data=1",
        "--until=train",
    )
    assert found.total() <= 12, _listed(found)


def test_examples(programs, toy_run, tmp_path):
    shutil.copytree(toy_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "examples")
    found = _run(programs, "examples", tmp_path / "run", "--top_n=40")
    assert found.total() <= 2, _listed(found)


def test_encoding_a_sentence(programs, toy_run):
    found = _run(programs, "encode", toy_run, "the bank of a river")
    assert found.total() <= 3, _listed(found)


def test_levels(programs, toy_run, tmp_path):
    shutil.copytree(toy_run, tmp_path / "run")
    found = _run(programs, "levels", tmp_path / "run")
    # Three steps and the embeddings, and the solver.
    assert found.total() <= 5, _listed(found)


def test_explanation(programs, toy_run):
    found = _run(programs, "explain", toy_run, "--factor=2", "--methods=lime")
    assert found.total() <= 3, _listed(found)


def test_evaluation(programs, toy_run, tmp_path):
    shutil.copytree(toy_run, tmp_path / "run")
    found = _run(programs, "evaluate", tmp_path / "run")
    # Held-out text by the two programs of `examples`, loss recovered by one of its own.
    assert found.total() <= 21, _listed(found)
