"""Test passages against the stored arrays and the contexts of the windows."""

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax.examples import passages, reading


@pytest.fixture(scope="module")
def run(toy_run):
    return tfvis_jax.load_run(toy_run)


@pytest.fixture(scope="module")
def reader(run):
    return passages.Passages(run.windows, run.examples)


def test_a_window_is_shown_as_its_contexts_are(run, reader):
    rng = np.random.default_rng(0)
    for window in rng.integers(len(run.windows), size=40).tolist():
        shown = reader.window(window)
        for position, word in enumerate(shown.of_position):
            if word < 0:
                continue
            whole = run.windows.context(window, position, before=99, after=99)
            start, end = shown.starts[word], shown.ends[word]
            assert shown.text[:start] == whole.before
            assert shown.text[start:end] == whole.word
            assert shown.text[end:] == whole.after


def test_a_word_is_shown_once_with_its_largest_activation(run, reader):
    found = run.examples
    for index, factor in [(0, 3), (1, 5), (2, 7), (2, 11)]:
        n = np.count_nonzero(found.activation[index, factor])
        got = reader.strongest(index, factor, n=n)
        assert len({(p.window, p.word) for p in got}) == len(got)
        best = {}
        for activation, window, position in zip(
            *(
                getattr(found, name)[index, factor][:n].tolist()
                for name in ("activation", "window", "position")
            ),
            strict=True,
        ):
            word = reader.window(window).of_position[position]
            best.setdefault((window, word), activation)
        # α of contexts is stored in half precision: 11 bits.
        for passage in got:
            assert passage.activation == pytest.approx(
                best[passage.window, passage.word], rel=1e-3
            )
        assert len(got) + sum(p.copies for p in got) == len(best)


def test_other_words_have_their_largest_activation(run, reader):
    found = run.examples
    index, factor = 1, int(found.firing[1].argmax())
    stored = found.context_activation[index, factor]
    checked = 0
    for passage in reader.strongest(index, factor, n=5):
        at = next(
            i
            for i, (window, position) in enumerate(
                zip(
                    found.window[index, factor],
                    found.position[index, factor],
                    strict=True,
                )
            )
            if window == passage.window
            and reader.window(int(window)).of_position[position] == passage.word
        )
        start = int(found.context_start(int(found.position[index, factor, at])))
        of_position = reader.window(passage.window).of_position
        least = 0.1 * float(found.activation[index, factor, 0])
        expected = {}
        for step, alpha in enumerate(stored[at].astype(np.float32).tolist()):
            word = of_position[start + step] if alpha >= least else -1
            if word not in (-1, passage.word):
                expected[word] = max(expected.get(word, 0.0), alpha)
        assert passage.others == expected
        checked += len(expected)
    assert checked > 0


def test_bands_hold_what_reading_has_and_quantiles_bound_them(run, reader):
    found = run.examples
    for factor in range(1, 24, 5):
        for band in passages.BANDS:
            got = reader.in_band(1, factor, band=band, n=4)
            references = reading.in_band(found, 1, factor, band=band, n=999)
            places = {
                (window, reader.window(window).of_position[position])
                for window, position in zip(
                    references.window.tolist(),
                    references.position.tolist(),
                    strict=True,
                )
            }
            assert {(p.window, p.word) for p in got} <= places
            alphas = [p.activation for p in got]
            assert alphas == sorted(alphas, reverse=True)
        half, tenth, hundredth = reader.quantiles(1, factor, (0.5, 0.9, 0.99))
        if found.firing[1, factor]:
            assert half <= tenth <= hundredth <= found.activation[1, factor, 0]
            n_top = np.count_nonzero(found.activation[1, factor])
            rank = int(np.ceil(0.01 * found.firing[1, factor]))
            if rank < n_top:
                assert hundredth == found.activation[1, factor, rank]


def test_a_dead_factor_has_no_passages(reader):
    assert reader.strongest(0, 0, n=5) == reader.drawn(0, 0, n=5) == []
    assert reader.in_band(0, 0, band=(0.5, 0.9), n=5) == []
    assert reader.quantiles(0, 0, (0.5,)) == [None]
    assert reader.n_documents(0, 0, n=5) == (0, 0)
