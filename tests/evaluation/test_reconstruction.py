"""Held-out figures against NumPy on all rows at once, refits against SciPy."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import optimize

from tfvis_jax import sharding
from tfvis_jax.evaluation import intervals, reconstruction, refitted, report
from tfvis_jax.runs import dictionary_file, encoding
from tfvis_jax.sparse_coding import metrics


def _hidden_states(opened, windows, mask):
    """Rows of held-out windows per layer, window by window, without batches."""
    chosen = windows.held_out
    states = np.asarray(
        opened.pretrained.encoder(
            windows.token_ids(chosen), windows.token_mask(chosen), layers=(0, 1, 2)
        )
    )
    return [layer[mask] for layer in states]


def _lasso_codes(opened, trained, windows, chosen=None):
    """Rows and codes of each layer."""
    chosen = windows.held_out if chosen is None else chosen
    rows, codes = ([[] for _ in trained.layers] for _ in range(2))
    for _, layers in encoding.encode_windows(opened, trained, windows, chosen):
        for index, layer in enumerate(layers):
            valid = np.asarray(layer.valid)
            rows[index].append(np.float64(layer.x)[valid])
            codes[index].append(np.float64(layer.codes)[valid])
    return [[np.concatenate(part) for part in parts] for parts in (rows, codes)]


def _least_squares(x, codes, factors, *, k):
    """Non-negative least squares on the k largest codes of each row."""
    found = np.zeros_like(codes)
    for row, values in enumerate(codes):
        support = np.argsort(-values)[:k]
        support = support[values[support] > 0]
        if support.size:
            found[row, support], _ = optimize.nnls(
                np.float64(factors[support]).T, x[row]
            )
    return found


def _figures(layers, factors):
    """FVU, L0 and share of factors alive by their definitions."""
    error = sum(np.sum((x - codes @ factors) ** 2) for x, codes in layers)
    variance = sum(np.sum((x - x.mean(axis=0)) ** 2) for x, _ in layers)
    codes = np.concatenate([codes for _, codes in layers])
    l0 = np.count_nonzero(codes, axis=1).mean()
    return error / variance, l0, (codes > 0).any(axis=0).mean()


def test_figures_equal_their_definitions(opened, windows, trained):
    seen = []
    result = reconstruction.evaluate(
        opened, trained, windows, k=3, progress=lambda *done: seen.append(done)
    )
    rows, lasso = _lasso_codes(opened, trained, windows)
    n_factors = len(trained.factors)
    expected = {refitted.LASSO: lasso}
    for name, k in ((refitted.DEBIASED, n_factors), (refitted.K_LARGEST, 3)):
        expected[name] = [
            _least_squares(x, codes, trained.factors, k=k)
            for x, codes in zip(rows, lasso, strict=True)
        ]
    assert set(result.codes) == set(expected)
    for name, codes in expected.items():
        layers = list(zip(rows, codes, strict=True))
        got = result.codes[name]
        assert got.all.n_rows == sum(map(len, rows))
        for found, part in [
            (got.all, layers),
            *zip(got.per_layer, ([layer] for layer in layers), strict=True),
        ]:
            fvu, l0, alive = _figures(part, trained.factors)
            # A refit stops after a number of steps; SciPy's is exact.
            np.testing.assert_allclose(found.fvu, fvu, rtol=1e-4)
            if name == refitted.LASSO:
                np.testing.assert_allclose(found.l0, l0, rtol=1e-6)
                np.testing.assert_allclose(found.alive, alive)
    assert result.debiased.all.fvu < result.lasso.all.fvu
    assert result.codes[refitted.K_LARGEST].all.l0 <= 3
    assert 0 <= result.gap_mean <= result.gap_max <= 1e-4
    fired = np.concatenate(lasso) > 0
    assert result.density.n_silent == (~fired.any(axis=0)).sum()
    assert result.density.counts.sum() == fired.any(axis=0).sum()
    assert seen[-1] == (len(windows.held_out),) * 2


@pytest.mark.parametrize("n_devices", [3, 8])
def test_any_number_of_devices_finds_the_same(opened, windows, trained, n_devices):
    # More batches than devices, the last of them padded, and the last round not full.
    chosen = np.arange(len(windows))[: 8 * n_devices + 5]
    config = dataclasses.replace(opened.config, windows_per_batch=4)
    opened = dataclasses.replace(opened, config=config)
    found, seen = [], []
    for devices in (jax.local_devices()[:1], jax.local_devices()[:n_devices]):
        progress = []
        found.append(
            reconstruction.evaluate(
                opened,
                trained,
                windows,
                chosen=chosen,
                devices=devices,
                progress=lambda *done, progress=progress: progress.append(done),
            )
        )
        seen.append(progress)
    assert len(chosen) > 4 * n_devices and len(chosen) % 4
    assert [each[-1] for each in seen] == [(len(chosen),) * 2] * 2
    assert len(seen[1]) == -(-len(seen[0]) // n_devices)
    one, many = found
    assert (one.gap_mean, one.gap_max) == (many.gap_mean, many.gap_max)
    for name in one.codes:
        assert one.codes[name].all == many.codes[name].all
        assert one.codes[name].per_layer == many.codes[name].per_layer
    assert one.special_tokens == many.special_tokens


def test_intervals_are_those_of_the_rows_of_each_document(opened, windows, trained):
    every = np.arange(len(windows))
    result = reconstruction.evaluate(
        opened, trained, windows, chosen=every, progress=lambda done, total: None
    )
    rows, lasso = _lasso_codes(opened, trained, windows, every)
    document = np.repeat(
        [windows.document(window) for window in every], windows.num_rows(every)
    )
    assert result.n_documents == 12 == document[-1] + 1

    def sums(x, codes):
        def by_document(values):
            return np.stack([values[document == d].sum(axis=0) for d in range(12)])

        error = np.sum((x - codes @ trained.factors) ** 2, axis=1)
        return intervals.DocumentSums(
            n_rows=np.bincount(document),
            x=by_document(x),
            squared_norm=by_document(np.sum(x**2, axis=1)),
            squared_error={refitted.LASSO: by_document(error)},
            n_active={refitted.LASSO: by_document(np.count_nonzero(codes, axis=1))},
        )

    layers = [sums(*layer) for layer in zip(rows, lasso, strict=True)]
    expected = intervals.of_kind(layers, refitted.LASSO)
    found = result.lasso.intervals
    assert found.keys() == expected.keys() == {"fvu", "l0"}
    for name in found:
        # Float32 sums of a window's rows.
        np.testing.assert_allclose(found[name].all, expected[name].all, rtol=1e-5)
        np.testing.assert_allclose(
            found[name].per_layer, expected[name].per_layer, rtol=1e-5
        )
    fvu = result.lasso.all.fvu
    assert found["fvu"].all.low < fvu < found["fvu"].all.high
    assert result.debiased.intervals["fvu"].all.high < fvu
    written = report.by_layer(result.lasso, "fvu")
    assert written["interval_95"]["all"] == list(found["fvu"].all)
    low, high = (f"{end:.2f}" for end in found["fvu"].all)
    assert report.with_interval(written, ".2f") == f"{fvu:.2f} [{low}, {high}]"


def test_special_tokens_are_measured_apart(opened, windows, trained):
    result = reconstruction.evaluate(
        opened, trained, windows, progress=lambda done, total: None
    )
    held_out = windows.held_out
    mask = windows.token_mask(held_out) & ~windows.row_mask(held_out)
    assert result.special_tokens.n_rows == 3 * mask.sum() == 6 * len(held_out)
    rows = [
        np.float64(states / scale)
        for states, scale in zip(
            _hidden_states(opened, windows, mask), trained.layer_scale, strict=True
        )
    ]
    # The optimum itself, by coordinate descent on the non-negative lasso.
    gram = np.float64(trained.factors @ trained.factors.T)
    error = 0.0
    for x in rows:
        codes = np.zeros((len(x), len(gram)))
        for _ in range(300):
            for factor in range(len(gram)):
                slope = (x - codes @ trained.factors) @ trained.factors[factor] - 0.1
                codes[:, factor] = np.maximum(
                    codes[:, factor] + slope / gram[factor, factor], 0
                )
        error += np.sum((x - codes @ trained.factors) ** 2)
    variance = sum(np.sum((x - x.mean(axis=0)) ** 2) for x in rows)
    # Codes are within a gap of 1e-4 of that optimum.
    np.testing.assert_allclose(result.special_tokens.fvu, error / variance, rtol=5e-3)


def test_the_stream_gives_every_valid_row_of_every_layer(opened, windows, trained):
    mask = windows.row_mask(windows.held_out)
    expected = _hidden_states(opened, windows, mask)
    got, _ = _lasso_codes(opened, trained, windows)
    for index, scale in enumerate(trained.layer_scale):
        np.testing.assert_allclose(got[index], expected[index] / scale, atol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_refits_in_blocks_are_those_of_single_rows(k):
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(60, 80))
    factors = np.float32(factors / np.linalg.norm(factors, axis=1, keepdims=True))
    # Rows of very different L0, more than a block of them, and not a whole number.
    active = rng.random((300, 60)) < rng.uniform(0, 0.8, size=(300, 1))
    codes = np.float32(rng.exponential(size=active.shape) * active)
    x = np.float32(codes @ factors + 0.1 * rng.normal(size=(300, 80)))
    refitter = refitted.Refitter(factors, devices=jax.local_devices()[:1])
    placed = (sharding.place_apart(refitter.mesh, rows[None]) for rows in (x, codes))
    kinds = refitter.refitted(*placed, k=k)
    got = {name: values[0] for name, values in kinds.items()}
    assert set(got) == {refitted.LASSO, refitted.DEBIASED, refitted.K_LARGEST}
    np.testing.assert_array_equal(got[refitted.LASSO], codes)
    x_hat = {name: refitter.decode(values)[0] for name, values in kinds.items()}
    for name, size in ((refitted.DEBIASED, 60), (refitted.K_LARGEST, k)):
        exact = _least_squares(np.float64(x), np.float64(codes), factors, k=size)
        assert not np.any((np.asarray(got[name]) > 0) & (codes == 0))
        assert np.count_nonzero(got[name], axis=1).max() <= size
        error = np.sum((x - np.asarray(x_hat[name])) ** 2, axis=1)
        best = np.sum((x - exact @ factors) ** 2, axis=1)
        # Of ‖x‖², which is near 20: the refit stops after a number of steps.
        assert np.max(error - best) < 2e-3


@pytest.mark.parametrize("k", [1, 2, 7, 30, 99])
def test_the_largest_codes_are_those_of_top_k(k):
    rng = np.random.default_rng(k)
    # Many zeros, and many that are equal.
    codes = np.float32(rng.integers(-3, 12, size=(50, 30)).clip(-3) / 4)
    codes[rng.random(codes.shape) < 0.5] = 0
    expected = np.zeros_like(codes)
    _, columns = jax.lax.top_k(np.abs(codes), min(k, 30))
    rows = np.arange(50)[:, None]
    expected[rows, columns] = codes[rows, columns]
    found = jax.jit(refitted.largest)(np.int32(k), codes)
    np.testing.assert_array_equal(found, expected)


def test_a_report_is_made_of_plain_values():
    nothing = metrics.figures(
        [metrics.ReconstructionTotals.zeros(d_model=2, n_factors=3)]
    )
    found = reconstruction.Reconstruction(nothing, [nothing])
    assert report.by_layer(found, "fvu") == {"all": None, "per_layer": [None]}
    assert report.by_layer(found, "n_rows") == {"all": 0, "per_layer": [0]}
    histogram = metrics.density_histogram(np.array([0, 1]), n_rows=1)
    assert report.plain(histogram)["counts"] == [0] * 11 + [1]


def test_a_dictionary_comes_back_from_its_file(trained, tmp_path):
    path = tmp_path / "dictionary.safetensors"
    dictionary_file.save(path, trained)
    loaded = dictionary_file.load(path)
    for field in dataclasses.fields(trained):
        np.testing.assert_array_equal(
            getattr(loaded, field.name), getattr(trained, field.name)
        )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is damaged, or no dictionary"):
        dictionary_file.load(path)
    path.unlink()
    with pytest.raises(ValueError, match="has not finished"):
        dictionary_file.load(path)
