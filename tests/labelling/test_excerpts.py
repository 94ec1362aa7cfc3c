"""Excerpts against the codes of all windows."""

import dataclasses

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax.examples import layer_statistics, passages
from tfvis_jax.labelling import excerpts, word_codes
from tfvis_jax.runs import encoding


@pytest.fixture(scope="module")
def run(toy_run):
    return tfvis_jax.load_run(toy_run)


@pytest.fixture(scope="module")
def codes(run):
    """α of every token, [layer, window, position, factor]."""
    windows = run.windows
    found = np.zeros((3, len(windows), windows.window_length, 24), np.float32)
    every = np.arange(len(windows))
    for batch, layers in encoding.encode_windows(
        run.opened, run.trained, windows, every
    ):
        for index, rows in enumerate(layers):
            of_batch = np.asarray(rows.codes).reshape(*batch.row_mask.shape, -1)
            for place, window in enumerate(batch.window_ids.tolist()):
                if window >= 0:
                    found[index, window] = of_batch[place]
    return found


@pytest.fixture(scope="module")
def chosen(run):
    alive = run.examples.firing.any(axis=0).nonzero()[0].tolist()
    return alive[2:12]


@pytest.fixture
def short(monkeypatch):
    """Windows of 16 tokens have few places where a factor is silent for long."""
    monkeypatch.setattr(excerpts, "_REACH", 2)


def _with_one_context(found):
    """Contexts of the strongest token alone, as there are 50 in a list of 1,000."""
    return {"context_activation": found.context_activation[:, :, :1]}


def _with_narrow_contexts(found):
    """Contexts of four tokens, as there are 64 in windows of 512."""
    changed = {}
    for prefix in ("", "random_"):
        context = getattr(found, prefix + "context_activation")
        assert context.shape[-1] == found.window_length
        position = getattr(found, prefix + "position")[:, :, : context.shape[2]]
        start = layer_statistics.context_start(
            position, window_length=found.window_length, context_length=4
        )
        changed[prefix + "context_activation"] = np.take_along_axis(
            context, start[..., None] + np.arange(4), axis=-1
        )
    return changed


@pytest.mark.parametrize("change", [None, _with_one_context, _with_narrow_contexts])
def test_excerpts_are_what_they_say(run, codes, chosen, short, monkeypatch, change):
    if change is not None:
        changed = dataclasses.replace(run.examples, **change(run.examples))
        monkeypatch.setitem(vars(run), "examples", changed)
        assert run.examples is changed
    n_dense = 0
    reader = passages.Passages(run.windows, run.examples)
    n_silent = 0
    for material in excerpts.gather(run, chosen):
        index = run.trained.layers.index(material.layer)
        assert material.layer == run.peak_layer(material.factor)
        of_factor = codes[index, :, :, material.factor]
        least = excerpts.LEAST * run.examples.largest(index, material.factor)
        firing = *material.read, *material.tested
        silent = *material.read_silent, *material.tested_silent
        n_silent += len(silent)
        for each in (*firing, *silent):
            shown = reader.window(each.window)
            assert "".join(each.words).strip() in shown.text
            alpha = np.zeros(len(shown.ends))
            for position, word in enumerate(shown.of_position):
                if word >= 0:
                    value = of_factor[each.window, position]
                    alpha[word] = max(alpha[word], value)
            assert any(
                _is_of(each, alpha[start : start + len(each.words)], least)
                for start in range(len(alpha) - len(each.words) + 1)
            ), each
        assert all(each.firing for each in firing)
        assert not any(each.firing for each in silent)
        n_dense += sum(len(each.firing) > 1 for each in material.tested)
        windows = [each.window for each in (*firing, *silent)]
        assert len(set(windows)) == len(windows)
        assert material.tested_windows.isdisjoint(
            each.window for each in (*material.read, *material.read_silent)
        )
    # 186 and 124 when it was written: the loop has seen both kinds.
    assert n_silent > 40 and n_dense > 5


def _is_of(each, alpha, least):
    """Whether α of some words of the window are those of the excerpt."""
    if each.kind == "silent":
        return not alpha.any()
    # Half precision, and codes within the run's tolerance.
    near = np.isclose(alpha, least, rtol=0.05)
    counted = np.where(alpha >= least, alpha, 0)
    return np.all(near | np.isclose(counted, each.alpha, atol=4e-3))


def test_firing_excerpts_are_of_all_quartiles(run, chosen, short):
    for material in excerpts.gather(run, chosen):
        mean = {
            kind: np.mean([max(e.alpha) for e in material.tested if e.kind == kind])
            for kind in ("q1", "q4")
        }
        assert mean["q1"] > mean["q4"]
        kinds = [each.kind for each in material.tested]
        assert all(kinds.count(f"q{n}") <= 5 for n in (1, 2, 3, 4))
        assert [each.kind for each in material.read[:3]] == ["top"] * 3


def test_a_factors_excerpts_do_not_depend_on_the_others(run, chosen, short):
    alone = next(excerpts.gather(run, chosen[3:4]))
    among = list(excerpts.gather(run, chosen))
    assert among[3] == alone


def test_words_without_some_windows(run, chosen):
    factor = chosen[0]
    index = run.trained.layers.index(run.peak_layer(factor))
    top = run.examples.top(index, factor)
    assert run.words.at(index, factor, n=8, without=set(top.window.tolist())) == []
    first = run.words.at(index, factor, n=8)[0]
    left = run.words.at(index, factor, n=8, without={int(top.window[0])})
    assert sum(each.weight for each in left) < sum(
        each.weight for each in run.words.at(index, factor, n=8)
    )
    assert first.documents >= max(e.documents for e in left if e.text == first.text)


def test_silence_is_looked_for_around_every_word():
    rng = np.random.default_rng(0)
    fires, order = rng.random((9, 200)) < 0.15, rng.permutation(9)
    found = word_codes._silent(fires, order=order, reach=2, least_words=4)
    for column, word in zip(fires.T, found.tolist(), strict=True):
        around = [column[max(w - 2, 0) : w + 3] for w in range(9)]
        free = [w for w in range(9) if len(around[w]) >= 4 and not around[w].any()]
        assert word == max(free, key=lambda w: order[w], default=-1)
    assert -1 in found and len(set(found.tolist())) > 4
    none = np.zeros((0, 3), bool)
    found = word_codes._silent(none, order=order[:0], reach=2, least_words=4)
    assert found.tolist() == [-1, -1, -1]
