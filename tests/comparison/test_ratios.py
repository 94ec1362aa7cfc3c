"""Ratios to the best autoencoder, at L0 that were not measured."""

import numpy as np
import pytest

from tfvis_jax.comparison import ratios


def _row(method, target_l0, l0, fvu, debiased=None, seed=0):
    return {
        "method": method,
        "target_l0": target_l0,
        "seed": seed,
        "l0": l0,
        "fvu": fvu,
        "fvu_debiased": fvu if debiased is None else debiased,
    }


def test_power_laws_are_interpolated_exactly_and_extended():
    rows = [_row("sae_topk", l0, l0, 2.0 * l0**-0.7) for l0 in (4, 8, 32)]
    for l0 in (3.0, 4.0, 5.0, 8.0, 20.0, 40.0):
        found = ratios.at_l0(rows, "fvu", l0=l0)
        np.testing.assert_allclose(found, 2.0 * l0**-0.7, rtol=1e-12)
    assert ratios.at_l0(rows[:1], "fvu", l0=100) == pytest.approx(rows[0]["fvu"])


def test_the_best_is_chosen_for_own_and_refitted_codes_apart():
    rows = [
        _row("sparse_coding", 8, 8.0, 0.1, seed=0),
        _row("sparse_coding", 8, 8.0, 0.2, seed=1),
        _row("sae_topk", 8, 8.0, 0.3, debiased=0.29),
        _row("sae_relu", 8, 8.0, 0.4, debiased=0.2),
        _row("pca", 8, 8.0, 0.01),
    ]
    (entry,) = ratios.against_best_sae(rows)
    assert entry["fvu"] == pytest.approx(0.15)
    assert (entry["sae"], entry["sae_debiased"]) == ("sae_topk", "sae_relu")
    assert entry["ratio"] == pytest.approx(0.5)
    assert entry["ratio_debiased"] == pytest.approx(0.75)
    assert not ratios.against_best_sae(rows[:2])
