"""Codes of the corpus as delphi caches them, against the run's own codes."""

import json

import numpy as np
import pytest
import safetensors.numpy

from tfvis_jax import cli, load_run
from tfvis_jax.interop import delphi
from tfvis_jax.runs import encoding


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


@pytest.fixture(scope="module")
def exported(toy_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("theirs") / "latents"
    assert cli.main(["export", str(toy_run), "--format=delphi", f"--out={out}"]) == 0
    return out


def _read(folder):
    """Reads a layer as delphi does: {(window, position, factor): α}, and tokens."""
    found, tokens = {}, None
    for path in folder.glob("*.safetensors"):
        start, last = map(int, path.stem.split("_"))
        data = safetensors.numpy.load_file(path)
        locations = data["locations"].astype(np.int64)
        locations[:, 2] += start
        assert locations[:, 2].max() <= last
        assert data["activations"].dtype == np.float16
        keys = map(tuple, locations.tolist())
        found |= dict(zip(keys, data["activations"].tolist(), strict=True))
        assert tokens is None or np.array_equal(tokens, data["tokens"])
        tokens = data["tokens"]
    return found, tokens


def test_activations_are_those_of_all_windows(run, exported):
    n = len(run.windows)
    batches = encoding.scaled_windows(
        run.opened, run.trained, run.windows, np.arange(n)
    )
    expected = {layer: {} for layer in run.trained.layers}
    for batch, states in batches:
        layers = encoding.encode_layers(run.opened, run.trained, batch, states)
        for layer, rows in zip(run.trained.layers, layers, strict=True):
            codes = np.asarray(rows.codes).reshape(*batch.row_mask.shape, -1)
            for place, window in enumerate(batch.window_ids.tolist()):
                for position in np.flatnonzero(batch.row_mask[place]).tolist():
                    if window < 0:
                        continue
                    alpha = codes[place, position]
                    for factor in np.flatnonzero(alpha > 1e-3).tolist():
                        key = (window, position, factor)
                        expected[layer][key] = float(alpha[factor])
    for layer, cells in expected.items():
        found, tokens = _read(exported / f"layers.{layer}")
        np.testing.assert_array_equal(tokens, run.windows.token_ids(np.arange(n)))
        assert cells and set(cells) <= set(found)
        # Half precision.
        for key, alpha in cells.items():
            assert found[key] == pytest.approx(alpha, rel=1e-3)
        assert all(found[key] <= 1.01e-3 for key in set(found) - set(cells))


def test_the_config_names_model_and_length(run, exported):
    for layer in run.trained.layers:
        config = json.loads((exported / f"layers.{layer}" / "config.json").read_text())
        assert config["model_name"] == run.trained.model
        assert config["cache_ctx_len"] == config["ctx_len"] == 16


def test_what_half_precision_cannot_hold_is_held_in_single(tmp_path):
    def write(folder, *largest):
        parts = [
            delphi.Firings(
                window=np.array([number, number, number]),
                position=np.array([0, 1, 1]),
                factor=np.array([0, 1, 2]),
                activation=np.array([0.1, alpha, 1e-9], np.float32),
            )
            for number, alpha in enumerate(largest)
        ]
        tokens = np.zeros((len(largest), 2), np.int32)
        delphi.write_layer(folder, 1, parts, tokens=tokens, n_factors=5, config={})
        data = [
            safetensors.numpy.load_file(folder / "layers.1" / name)["activations"]
            for name in ("0_0.safetensors", "1_1.safetensors")
        ]
        assert sorted(p.name for p in (folder / "layers.1").iterdir()) == [
            *("0_0.safetensors", "1_1.safetensors", "config.json")
        ]
        return np.stack(data, axis=1)

    found = write(tmp_path / "within", 3.0, 65504.0)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, np.float16([[0.1, 3], [0.1, 65504]]))
    for largest in (65505.0, 1e30):
        found = write(tmp_path / f"{largest}", 3.0, largest)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [[0.1, 3], [0.1, largest]], rtol=1e-3)


def test_many_windows_need_wider_numbers_and_zeros_are_left_out(tmp_path):
    tokens = np.zeros((70_001, 2), np.int32)
    part = delphi.Firings(
        window=np.array([70_000, 3, 4]),
        position=np.array([1, 0, 1]),
        factor=np.array([9, 0, 1]),
        activation=np.array([0.5, 0.25, 1e-9], np.float32),
    )
    n = delphi.write_layer(tmp_path, 2, [part], tokens=tokens, n_factors=10, config={})
    assert n == 2
    assert sorted(p.name for p in (tmp_path / "layers.2").iterdir()) == [
        *("0_1.safetensors", "8_9.safetensors", "config.json")
    ]
    assert _read(tmp_path / "layers.2")[0] == {(70_000, 1, 9): 0.5, (3, 0, 0): 0.25}
    assert (
        delphi.write_layer(tmp_path, 3, [], tokens=tokens, n_factors=10, config={}) == 0
    )
