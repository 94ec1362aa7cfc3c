"""Many windows on all devices: the same as alone, whichever device and group."""

import jax
import numpy as np
import pytest

import tfvis_jax
from tfvis_jax.saliency import on_devices, variants
from tfvis_jax.saliency import target as target_lib


@pytest.fixture(scope="module")
def run(toy_run):
    return tfvis_jax.load_run(toy_run)


def _requests(run, layer, *, seed, n=9):
    """Windows at firings of a layer, some words of them unknown."""
    rng = np.random.default_rng(seed)
    index, unk = run.trained.layers.index(layer), run.opened.tokenizer.unk_id
    found = []
    for factor in rng.permutation(np.flatnonzero(run.examples.firing[index]))[:n]:
        top = run.examples.top(index, int(factor))
        target = target_lib.of_window(
            run.windows,
            window=int(top.window[0]),
            position=int(top.position[0]),
            factor=int(factor),
        )
        kept = rng.random((int(rng.integers(1, 5)), len(target.places))) < 0.8
        kept[0] = True
        found.append(variants.replacing(target, kept, by=unk))
    return found


def _same(found, expected):
    for a, b in zip(found, expected, strict=True):
        # Other rows share a batch, which rounds otherwise.
        np.testing.assert_allclose(a, b, atol=1e-4)
        assert a.dtype == np.float64


def test_a_stream_gives_what_groups_give_alone(run):
    probe = variants.open_probe(run.opened, run.trained, layer=0)
    groups = [
        (probe.at(layer), _requests(run, layer, seed=seed))
        for seed, layer in enumerate((0, 1, 1, 2, 0))
    ]
    streamed = list(variants.stream(iter(groups)))
    assert len(streamed) == len(groups)
    for (each, requests), found in zip(groups, streamed, strict=True):
        assert each.layer in run.trained.layers
        one = variants.open_probe(run.opened, run.trained, layer=each.layer)
        _same(found, one.activations(requests))
        assert any(alpha[0] > 0 for alpha in found)


def test_the_next_group_is_made_while_one_is_computed(run):
    probe = variants.open_probe(run.opened, run.trained, layer=1)
    events = []

    def work():
        for number in range(4):
            events.append(f"make {number}")
            yield probe, _requests(run, 1, seed=number, n=2)

    for number, _ in enumerate(variants.stream(work())):
        events.append(f"have {number}")
    made = [event for event in events if event.startswith("make")]
    assert made == [f"make {number}" for number in range(4)]
    assert events.index("have 0") > events.index("make 2")
    assert events[-1] == "have 3"


def test_one_device_finds_what_all_find(run, monkeypatch):
    requests = _requests(run, 2, seed=3)
    every = variants.open_probe(run.opened, run.trained, layer=2)
    assert every.on_devices.mesh.size == len(jax.local_devices()) > 1
    first = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: first)
    one = variants.open_probe(run.opened, run.trained, layer=2)
    assert one.on_devices.mesh.size == 1
    _same(one.activations(requests), every.activations(requests))
    x = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    factor = np.arange(5, dtype=np.int32)
    np.testing.assert_allclose(
        one.derivatives(x, factor), every.derivatives(x, factor), atol=1e-4
    )


@pytest.mark.parametrize("n", [1, 4, 5, 11])
def test_parts_hold_every_row_once(n):
    rows, numbers = np.arange(2 * n).reshape(n, 2), np.arange(n)
    found = list(on_devices.parts((rows, numbers), 4))
    assert {part[0].shape for part, _ in found} == {(4, 2)}
    kept = [[array[:real] for array in part] for part, real in found]
    for whole, pieces in zip((rows, numbers), zip(*kept, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
