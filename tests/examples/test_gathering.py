"""Test the examples pass against NumPy on all codes at once, and its interruptions."""

import dataclasses
import itertools
import re
import warnings

import jax
import numpy as np
import pytest
import toy_runs

from tfvis_jax.description import word_counts
from tfvis_jax.errors import InputError
from tfvis_jax.examples import (
    firing_statistics,
    gathering,
    stored,
    token_tables,
    unfinished,
)
from tfvis_jax.runs import (
    dictionary_file,
    encoding,
    parallel_encoding,
    trained_dictionary,
)

N, N_RANDOM = 40, 12
DEAD = 3


@pytest.fixture(scope="module")
def world(toy_bert_folder, toy_corpus, tmp_path_factory):
    """A model, a dictionary, and windows of a corpus that repeats every sentence."""
    folder = tmp_path_factory.mktemp("collection")
    twice = folder / "twice.txt"
    texts = _texts(toy_corpus)
    # No copies, of which only one would be used: each is the beginning of another.
    texts += [one + other for one, other in itertools.pairwise(texts)]
    twice.write_text("\n".join(f"= {i} =\n{text}" for i, text in enumerate(texts)))
    settings = toy_runs.settings(toy_bert_folder, twice, windows_per_batch=64)
    opened, windows = toy_runs.open_run(folder / "run", settings)
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(24, 16)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    factors[DEAD] = 0
    trained = trained_dictionary.TrainedDictionary(
        factors=factors,
        layer_scale=np.float32([2, 5, 5]),
        layers=opened.layers,
        model=settings.model,
        l1_penalty=0.25,
    )
    dictionary_file.save(opened.run.dictionary, trained)
    return opened, trained, windows


def _texts(corpus):
    """The texts of its documents."""
    return re.split("^= .* =$", corpus.read_text(), flags=re.MULTILINE)[1:]


def _collect(world, **changes):
    opened, trained, windows = world
    how = {"n": N, "n_random": N_RANDOM, "devices": jax.devices()[:1]} | changes
    return gathering.collect(opened, trained, windows, progress=toy_runs.silent, **how)


def _remove(world):
    unfinished.PassFolder(world[0].run.examples_progress).remove()


@pytest.fixture(scope="module")
def found(world):
    result = _collect(world)
    _remove(world)
    return result


@pytest.fixture(scope="module")
def rows(world):
    """Codes [n_layers, windows, length, n_factors], ‖x‖ and the mask, all at once."""
    opened, trained, windows = world
    codes, norms, mask = [], [], []
    for batch, layers in encoding.encode_windows(
        opened, trained, windows, np.arange(len(windows))
    ):
        real = batch.window_ids >= 0
        shape = (*batch.row_mask.shape, -1)
        found = [
            (r.codes.reshape(shape)[real], r.x.reshape(shape)[real]) for r in layers
        ]
        codes.append(np.stack([np.asarray(c) for c, _ in found]))
        norms.append(np.stack([np.linalg.norm(x, axis=-1) for _, x in found]))
        mask.append(batch.row_mask[real])
    codes, norms = np.concatenate(codes, axis=1), np.concatenate(norms, axis=1)
    return codes, norms, np.concatenate(mask)


def _equal(found, expected):
    # The same, wherever they are.
    found = dataclasses.replace(found, folder=None, num_windows=None)
    for field in dataclasses.fields(expected):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(left, right, err_msg=field.name)


def test_the_strongest_are_those_of_a_stable_sort(found, rows):
    codes, _, _ = rows
    n_tied = 0
    for index, layer in enumerate(codes):
        for factor, alpha in enumerate(layer.reshape(-1, layer.shape[-1]).T):
            order = np.argsort(-alpha.astype(np.float64), kind="stable")[:N]
            order = order[alpha[order] > 0]
            n = len(order)
            n_tied += np.count_nonzero(np.diff(alpha[order]) == 0)
            kept = found.activation[index, factor]
            np.testing.assert_array_equal(kept[:n], alpha[order])
            np.testing.assert_array_equal(kept[n:], 0)
            window, position = np.divmod(order, layer.shape[1])
            for name, expected in (("window", window), ("position", position)):
                got = getattr(found, name)[index, factor]
                np.testing.assert_array_equal(got[:n], expected)
                np.testing.assert_array_equal(got[n:], -1)
    # The corpus repeats every sentence, so some activations are tied.
    assert n_tied > 100
    fires = (codes > 0).sum(axis=(1, 2))
    assert (fires[:, DEAD] == 0).all() and ((fires > 0) & (fires < N)).any()


def test_contexts_are_the_codes_of_the_window(found, rows):
    codes, _, _ = rows
    assert found.context_length == codes.shape[2] == found.window_length
    for prefix in ("", "random_"):
        window = getattr(found, f"{prefix}window")
        contexts = getattr(found, f"{prefix}context_activation")
        assert contexts.shape[:3] == window.shape
        layer, factor, _ = np.indices(window.shape)
        expected = codes[layer, window, :, factor].astype(np.float16)
        used = window >= 0
        np.testing.assert_array_equal(contexts[used], expected[used])
        assert not contexts[~used].any()


@pytest.mark.parametrize("length", [1, 4, 5])
def test_contexts_shorter_than_a_window_are_around_their_token(
    world, rows, monkeypatch, length
):
    monkeypatch.setattr(gathering, "_CONTEXT_LENGTH", length)
    found = _collect(world)
    _remove(world)
    codes, _, _ = rows
    assert found.context_length == length < found.window_length
    for prefix in ("", "random_"):
        contexts = getattr(found, f"{prefix}context_activation")
        kept = contexts.shape[2]
        window = getattr(found, f"{prefix}window")[:, :, :kept]
        position = getattr(found, f"{prefix}position")[:, :, :kept]
        used = window >= 0
        layer, factor, _ = np.nonzero(used)
        start = np.clip(position[used] - length // 2, 0, codes.shape[2] - length)
        assert len(set(start.tolist())) > 3
        expected = codes[
            layer[:, None],
            window[used][:, None],
            start[:, None] + np.arange(length),
            factor[:, None],
        ]
        np.testing.assert_array_equal(contexts[used], expected.astype(np.float16))


def test_counts_equal_those_of_all_codes(found, rows):
    codes, norms, mask = rows
    edges = firing_statistics.HISTOGRAM_EDGES
    assert found.n_tokens == mask.sum()
    for index, layer in enumerate(codes[:, mask]):
        np.testing.assert_array_equal(found.firing[index], (layer > 0).sum(axis=0))
        for factor, alpha in enumerate(layer.T):
            expected, _ = np.histogram(alpha[alpha > 0], bins=edges)
            np.testing.assert_array_equal(found.histogram[index, factor], expected)
        mean = norms[index, mask].astype(np.float64).mean()
        np.testing.assert_allclose(found.mean_norm[index], mean, rtol=1e-6)


def test_co_firing_factors_have_the_largest_jaccard_index(found, rows):
    codes, _, mask = rows
    k = found.partner.shape[2]
    for index, layer in enumerate(codes[:, mask] > 0):
        both = (layer[:, :, None] & layer[:, None]).sum(axis=0)
        either = (layer[:, :, None] | layer[:, None]).sum(axis=0)
        jaccard = both / np.maximum(either, 1)
        np.fill_diagonal(jaccard, 0)
        order = np.argsort(-jaccard, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(jaccard, order, axis=1)
        np.testing.assert_allclose(found.partner_score[index], best, rtol=1e-6)
        np.testing.assert_array_equal(
            found.partner[index], np.where(best > 0, order, -1)
        )
    assert (found.partner[:, DEAD] == -1).all() and (found.partner[:, 0] >= 0).any()


def test_token_ids_are_counted_and_averaged(found, rows, world):
    codes, _, _ = rows
    ids = world[2].token_ids(np.arange(len(world[2])))
    for index, layer in enumerate(codes):
        for factor in (0, 1, DEAD, 7):
            alpha = layer[..., factor]
            values = {
                int(token): alpha[(ids == token) & (alpha > 0)].astype(np.float64)
                for token in np.unique(ids[alpha > 0])
            }
            _check_tokens(found, "", index, factor, values)
            often = {
                token: each
                for token, each in values.items()
                if len(each) >= token_tables.MIN_COUNT
            }
            _check_tokens(found, "strong_", index, factor, often)


def _check_tokens(found, prefix, index, factor, values):
    names = ("token_id", "token_count", "token_mean")
    ids, count, mean = (getattr(found, prefix + n)[index, factor] for n in names)
    n = min(len(values), len(ids))
    assert (ids[n:] == -1).all() and len(set(ids[:n].tolist())) == n
    for token, times, alpha in zip(ids[:n].tolist(), count, mean, strict=False):
        assert times == len(values[token])
        np.testing.assert_allclose(
            alpha, values[token].mean(), atol=firing_statistics.FIXED_POINT
        )
    rank = mean if prefix else count
    assert (np.diff(rank[:n]) <= 0).all()
    left_out = [
        v.mean() if prefix else len(v) for t, v in values.items() if t not in ids
    ]
    assert n == 0 or not left_out or max(left_out) <= rank[n - 1] + 1e-6


def test_the_sample_is_drawn_from_all_that_fires(found, rows, world):
    codes, _, _ = rows
    for index, layer in enumerate(codes):
        for factor in range(layer.shape[-1]):
            n = min(found.firing[index, factor], N_RANDOM)
            window = found.random_window[index, factor]
            position = found.random_position[index, factor]
            assert (window[n:] == -1).all()
            places = set(zip(window[:n].tolist(), position[:n].tolist(), strict=True))
            assert len(places) == n
            alpha = layer[window[:n], position[:n], factor]
            kept = found.random_activation[index, factor]
            assert (alpha > 0).all()
            np.testing.assert_array_equal(kept[:n], alpha)
            np.testing.assert_array_equal(kept[n:], 0)


def test_eight_devices_find_what_one_does(found, world):
    _equal(_collect(world, devices=jax.devices()[:8]), found)
    _remove(world)


class _KilledError(Exception):
    """Simulates the end of a process."""


def _stop_after(monkeypatch, n_layers_of_batches):
    whole = parallel_encoding.encode

    def encode(*arguments, **how):
        for number, each in enumerate(whole(*arguments, **how)):
            if number == n_layers_of_batches:
                raise _KilledError
            yield each

    monkeypatch.setattr(parallel_encoding, "encode", encode)


def test_an_interrupted_pass_resumes_to_the_same_result(
    found, world, monkeypatch, tmp_path
):
    opened, trained, _ = world
    # Small tables, so that an interrupted pass has files of token ids.
    monkeypatch.setattr(token_tables, "_FAN_IN", 2)
    rng = np.random.default_rng()
    done = []
    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(_KilledError):
            _stop_after(patch, int(rng.integers(3, 10)))
            _collect(world, save_every_s=0)
        state = unfinished.PassFolder(opened.run.examples_progress)
        done.append(len(state.done()))
    assert 0 < done[0] < done[1]
    share = f"{state.fraction():.0%}"
    with pytest.raises(InputError, match=rf"partly computed \({share}\); .tfvis exa"):
        stored.load(opened.run.examples, trained)
    with pytest.raises(InputError, match=rf"partly computed \({share}\).*n 40 inst"):
        _collect(world, n=N + 1)
    _equal(_collect(world), found)
    # With another dictionary nothing can be reused: the pass starts again.
    other = dataclasses.replace(trained, factors=trained.factors[::-1].copy())
    with monkeypatch.context() as patch, pytest.raises(_KilledError):
        _stop_after(patch, 0)
        _collect((opened, other, world[2]))
    assert not len(state.done())
    _remove(world)


def test_examples_come_back_from_their_files(found, world, tmp_path):
    stored.save(tmp_path / "examples", found)
    _equal(stored.load(tmp_path / "examples", world[1]), found)


def test_a_text_gives_examples_once_however_many_copies_there_are(
    world, toy_bert_folder, toy_corpus, tmp_path
):
    _, trained, _ = world
    texts = _texts(toy_corpus)
    found = []
    for name, copied in (
        ("once", texts),
        # With other spaces, in other case, and with a word at the end.
        ("copied", [*texts, *(f"{t.upper()} x" for t in texts), *texts[::-1]]),
    ):
        path = tmp_path / f"{name}.txt"
        path.write_text("\n".join(f"= {i} =\n{t}" for i, t in enumerate(copied)))
        settings = toy_runs.settings(toy_bert_folder, path, windows_per_batch=64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened, windows = toy_runs.open_run(tmp_path / name, settings)
        dictionary_file.save(opened.run.dictionary, trained)
        assert windows.index["num_documents"] == 12
        found.append((_collect((opened, trained, windows)), windows))
    (once, ours), (copied, theirs) = found
    _equal(copied, once)
    assert word_counts.of_windows(theirs).totals == word_counts.of_windows(ours).totals
    n_firing = 0
    for index in range(len(trained.layers)):
        for factor in range(len(trained.factors)):
            fires = copied.activation[index, factor] > 0
            contexts = [
                theirs.context(int(window), int(position))
                for window, position in zip(
                    copied.window[index, factor][fires],
                    copied.position[index, factor][fires],
                    strict=True,
                )
            ]
            n_firing += len(contexts)
            assert len(set(contexts)) == len(contexts)
    assert n_firing > 100
