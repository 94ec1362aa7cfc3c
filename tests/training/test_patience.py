"""Training stops early if the held-out error no longer falls."""

import dataclasses

import numpy as np
import pytest
import toy_runs

from tfvis_jax.training import held_out, loop


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        windows_per_batch=8,
        rows_per_step=64,
        checkpoint_every=3,
    )


def test_training_ends_where_the_held_out_error_has_settled(settings, tmp_path):
    """Steps too small to change anything: the second error is not below the first."""
    still = dataclasses.replace(
        settings,
        patience=2,
        dictionary=dataclasses.replace(
            settings.dictionary, step_size=1e-9, revive_after=None
        ),
    )
    told = []
    state = toy_runs.fit(tmp_path / "whole", still, notify=told.append)
    assert int(state.batch) == 9
    assert "stops after batch 9" in told[0]
    # Checkpoints of an interruption do not count, and a run that has ended stays so.
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path / "stopped", still, stop_after=4)
    for _ in range(2):
        again = toy_runs.fit(tmp_path / "stopped", still, notify=told.append)
        assert int(again.batch) == 9
        np.testing.assert_array_equal(again.dictionary, state.dictionary)


@pytest.mark.parametrize(
    ("errors", "patience", "settled"),
    [
        ([0.5, 0.4, 0.3], 1, False),
        ([0.5, 0.4, 0.3999], 1, True),
        ([0.5, 0.4, 0.45, 0.39], 2, False),
        ([0.5, 0.4, 0.45, 0.41], 2, True),
        ([0.5, 0.6], 2, False),
        ([0.5, 0.6, 0.7], None, False),
        ([], 1, False),
    ],
)
def test_an_error_settles_when_none_of_the_last_is_the_lowest(
    errors, patience, settled
):
    assert held_out.has_settled(errors, patience=patience) == settled
