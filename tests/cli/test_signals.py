"""SIGTERM and Ctrl-C, whatever a command is doing."""

import os
import signal
import time

import pytest

from tfvis_jax import cli
from tfvis_jax.pipeline import training
from tfvis_jax.planning import plan
from tfvis_jax.runs import stored_hidden_states
from tfvis_jax.training import initialise

ONWARD = "The same command resumes where it stopped."


def _arguments(name, run, model, text):
    return [
        *(name, str(run), f"--model={model}", f"--text={text}"),
        *("--window_length=12", "--n_factors=24", "--windows_per_batch=64"),
        *("--rows_per_step=1024", *["--until=train"] * (name == "train")),
    ]


@pytest.mark.parametrize(
    ("number", "command", "place", "name"),
    [
        (signal.SIGTERM, "train", plan, "check"),
        (signal.SIGTERM, "train", training.build_windows, "build"),
        (signal.SIGTERM, "train", initialise, "_unscaled"),
        (signal.SIGTERM, "train", training.reconstruction, "evaluate"),
        (signal.SIGTERM, "hidden_states", stored_hidden_states, "fill"),
        (signal.SIGINT, "train", training.build_windows, "build"),
        (signal.SIGINT, "train", initialise, "_unscaled"),
    ],
)
def test_a_signal_before_or_after_learning_loses_nothing(
    toy_bert_folder, toy_corpus, tmp_path, capsys, number, command, place, name
):
    arguments = _arguments(command, tmp_path / "run", toy_bert_folder, toy_corpus)

    real, calls = getattr(place, name), []

    def told_to_end(*arguments, **settings):
        calls.append(1)
        assert len(calls) == 1, "the signal was not heard"
        os.kill(os.getpid(), number)
        time.sleep(0.1)
        return real(*arguments, **settings)

    if number == signal.SIGINT:
        # Tests that a shell runs in the background are born deaf to it.
        signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, told_to_end)
        code = cli.main(arguments)
    assert code == (0 if number == signal.SIGTERM else 1)
    assert signal.getsignal(number) is before
    told = capsys.readouterr().err
    assert ONWARD in told or "resumes" in told
    assert "Traceback" not in told
    assert not (tmp_path / "run" / "report.json").exists()
