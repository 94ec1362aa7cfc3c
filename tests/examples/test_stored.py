"""Test examples against a sort of all codes, and how a notebook reads them."""

import dataclasses
import functools
import json

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli, files, levels
from tfvis_jax.errors import InputError
from tfvis_jax.examples import gathering, unfinished
from tfvis_jax.examples import stored as stored_lib
from tfvis_jax.runs import encoding


@pytest.fixture(scope="module")
def run(toy_bert_folder, toy_corpus, tmp_path_factory):
    """A run with examples, trained through the command line."""
    path = tmp_path_factory.mktemp("run") / "toy"
    train = [
        *("train", str(path), f"--model={toy_bert_folder}", f"--text={toy_corpus}"),
        *("--window_length=12", "--held_out_fraction=0.2", "--l1_penalty=0.1"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8"),
        "--until=train",
    ]
    assert cli.main(train) == 0
    assert cli.main(["examples", str(path), "--top_n=30", "--random_n=50"]) == 0
    return tfvis_jax.load_run(path)


def test_examples_equal_a_sort_of_the_whole_corpus(run):
    everything = np.arange(len(run.windows))
    codes = [[] for _ in run.trained.layers]
    places = []
    for batch, layers in encoding.encode_windows(
        run.opened, run.trained, run.windows, everything
    ):
        valid = batch.row_mask.reshape(-1)
        window = np.repeat(batch.window_ids, run.windows.window_length)
        position = np.tile(np.arange(run.windows.window_length), len(batch.window_ids))
        places.append(np.stack([window, position], axis=1)[valid])
        for index, layer in enumerate(layers):
            codes[index].append(np.asarray(layer.codes)[valid])
    places = np.concatenate(places)
    found = run.examples
    for index in range(len(run.trained.layers)):
        layer = np.concatenate(codes[index])
        np.testing.assert_array_equal(found.firing[index], (layer > 0).sum(axis=0))
        assert found.n_tokens == len(layer)
        for factor in range(layer.shape[1]):
            order = np.argsort(-np.float64(layer[:, factor]), kind="stable")[:30]
            order = order[layer[order, factor] > 0]
            n = len(order)
            kept = found.activation[index, factor]
            np.testing.assert_array_equal(kept[:n], layer[order, factor])
            np.testing.assert_array_equal(kept[n:], 0)
            for name, column in (("window", 0), ("position", 1)):
                got = getattr(found, name)[index, factor]
                np.testing.assert_array_equal(got[:n], places[order, column])
                np.testing.assert_array_equal(got[n:], -1)


def test_a_factor_in_a_notebook(run):
    factor = run.factor(int(run.examples.firing.sum(axis=0).argmax()))
    layer = factor.importance().peak
    best = factor.examples(layer=layer, n=5)
    activations = [example.activation for example in best]
    assert len(best) == 5 and activations == sorted(activations, reverse=True)
    text = run.windows.token_texts(best[0].window)[best[0].position]
    assert text in best[0].word
    assert f"[{best[0].word}]" in str(best[0])
    assert factor.level.name in levels.LEVELS
    np.testing.assert_allclose(np.linalg.norm(factor.vector), 1, atol=1e-5)
    curve = run.importance()[:, factor.number]
    np.testing.assert_allclose(list(factor.importance().values()), curve)


def test_near_duplicates_are_folded_when_they_are_read(run):
    number = int(run.examples.firing.sum(axis=0).argmax())
    layer = run.factor(number).importance().peak
    index = run.trained.layers.index(layer)
    stored = np.count_nonzero(run.examples.activation[index, number])
    every = run.factor(number).examples(layer=layer, n=stored)
    groups = {
        "text": lambda e: run.windows.token_ids([e.window]).tobytes(),
        "document": lambda e: e.document,
    }
    for by, group in groups.items():
        folded = run.factor(number).examples(layer=layer, n=stored, fold=by)
        first = {}
        for example in every:
            first.setdefault(group(example), []).append(example)
        assert len(folded) == len(first) < stored
        for example, together in zip(folded, first.values(), strict=True):
            assert example.folded == len(together) - 1
            assert dataclasses.replace(example, folded=0) == together[0]
        two = run.factor(number).examples(layer=layer, n=2, fold=by)
        assert two == folded[:2]
    with pytest.raises(InputError, match="text"):
        run.factor(number).examples(fold="paragraph")


def test_random_examples_and_those_of_a_band(run):
    examples = run.examples
    number = int(examples.firing.sum(axis=0).argmax())
    factor, layer = run.factor(number), run.factor(number).importance().peak
    index = run.trained.layers.index(layer)
    drawn = factor.random_examples(layer=layer, n=7)
    assert [e.activation for e in drawn] == pytest.approx(
        examples.random_activation[index, number, :7].tolist()
    )
    every = np.sort([e.activation for e in factor.random_examples(layer=layer, n=999)])
    low, high = np.quantile(every, [0.45, 0.95])
    middle = [e.activation for e in factor.band_examples((0.5, 0.9), layer=layer)]
    assert len(middle) > 3 and low <= min(middle) and max(middle) <= high
    firing = int(examples.firing[index, number])
    [best] = factor.band_examples((1 - 1 / firing, 1), layer=layer)
    assert best == factor.examples(layer=layer, n=1)[0]
    with pytest.raises(InputError, match=r"\(0.9, 0.99\)"):
        factor.band_examples((0.9, 0.5), layer=layer)


def test_importance_of_fewer_activations_and_free_of_norms(run):
    examples = run.examples
    best = np.float64(examples.activation[:, :, :5])
    expected = best.sum(axis=2) / np.maximum((best > 0).sum(axis=2), 1)
    np.testing.assert_allclose(run.importance(n=5), expected, rtol=1e-6)
    free = run.importance() / examples.mean_norm[:, None]
    np.testing.assert_allclose(run.importance(norm_free=True), free, rtol=1e-6)
    with pytest.raises(InputError, match="--top_n=31"):
        run.importance(n=31)


def test_what_does_not_exist_is_named_with_the_range(run):
    with pytest.raises(InputError, match=r"0 … 23, got 24"):
        run.factor(24)
    with pytest.raises(InputError, match=r"\(0, 1, 2\), got 7"):
        run.factor(0).examples(layer=7)
    encoded = run.encode("the bank")
    with pytest.raises(InputError, match=r"\(0, 1, 2\), got 7"):
        encoded.strongest(7, 0, n=1)
    with pytest.raises(InputError, match=r"0 … 1, got 2"):
        encoded.strongest(0, 2, n=1)


def test_numbers_in_a_notebook_are_whole_and_not_negative(run):
    for number in (True, "3", 2.0, None):
        with pytest.raises(InputError, match="Expected a factor in 0"):
            run.factor(number)
    assert run.factor(np.int64(3)) == run.factor(3)
    factor = run.factor(3)
    for read in (
        factor.examples,
        factor.random_examples,
        functools.partial(factor.band_examples, (0.5, 0.9)),
    ):
        with pytest.raises(InputError, match="non-negative number of examples, got -1"):
            read(n=-1)


def test_a_sentence_is_its_factors_plus_the_residual(run):
    encoded = run.encode("The bank of the river left the light")
    assert encoded.tokens == [
        "the",
        "bank",
        "of",
        "the",
        "river",
        "left",
        "the",
        "light",
    ]
    assert [encoded.text[a:b] for a, b in encoded.spans][:2] == ["The", "bank"]
    rebuilt = encoded.codes @ run.trained.factors + encoded.residual
    np.testing.assert_allclose(rebuilt, encoded.x, atol=1e-5)
    # The hidden states themselves, from the encoder without padding or batches.
    opened = run.opened
    ids = np.array(
        [
            *opened.tokenizer.prefix,
            *opened.tokenizer.encode(encoded.text).ids,
            *opened.tokenizer.suffix,
        ]
    )[None].astype(np.int32)
    x = opened.pretrained.encoder(ids, np.ones(ids.shape, bool), layers=(0, 1, 2))
    x = np.asarray(x)[:, 0, 1:-1] / run.trained.layer_scale[:, None, None]
    np.testing.assert_allclose(encoded.x, x, atol=1e-5)
    assert (encoded.codes >= 0).all() and encoded.gap.max() <= 1e-5
    for index, layer in enumerate(encoded.layers):
        [(factor, alpha), *_] = encoded.strongest(layer, 0, n=3)
        assert alpha == encoded.codes[index, 0].max()
        assert factor == encoded.codes[index, 0].argmax()


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "at least one word"), ("  \n", "at least one word"), ("a " * 63, "most 62")],
)
def test_texts_that_cannot_be_encoded(run, text, message):
    with pytest.raises(InputError, match=message):
        run.encode(text)


def test_examples_that_are_not_there_or_of_another_schema(run, tmp_path):
    folder = tmp_path / "examples"
    with pytest.raises(InputError, match="no examples"):
        stored_lib.load(folder, run.trained)
    stored_lib.save(folder, run.examples)
    files.write_json(folder / "index.json", {"schema": "tfvis-examples/0"})
    with pytest.raises(InputError, match="tfvis-examples/0"):
        stored_lib.load(folder, run.trained)


def test_examples_of_another_dictionary_or_damaged_are_refused(run, tmp_path):
    folder = tmp_path / "examples"
    stored_lib.save(folder, run.examples)
    other = dataclasses.replace(run.trained, factors=-run.trained.factors)
    with pytest.raises(InputError, match="another dictionary"):
        stored_lib.load(folder, other)
    path = folder / "window.npy"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged"):
        stored_lib.load(folder, run.trained)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("window", lambda a: a[:, :5]),
        ("activation", lambda a: a.astype(str)),
        ("random_window", lambda a: a[..., :2]),
        ("firing", lambda a: a * 1.5),
        ("context_activation", lambda a: a[0]),
        ("partner", lambda a: np.array(3)),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(run, tmp_path, name, content):
    folder = tmp_path / "examples"
    stored_lib.save(folder, run.examples)
    np.save(folder / f"{name}.npy", content(getattr(run.examples, name)))
    with pytest.raises(InputError, match=f"damaged .{name} of.*again"):
        stored_lib.load(folder, run.trained)
    (folder / f"{name}.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"damaged.*again"):
        stored_lib.load(folder, run.trained)


@pytest.mark.parametrize(
    "change",
    [{"layers": [9]}, {"layers": None}, {"n_tokens": "x"}, {"window_length": -1}],
)
def test_an_index_of_something_else_is_refused(run, tmp_path, change):
    folder = tmp_path / "examples"
    stored_lib.save(folder, run.examples)
    index = json.loads((folder / "index.json").read_text())
    files.write_json(folder / "index.json", index | change)
    with pytest.raises(InputError, match=r"(damaged|got those of \[9\]).*again"):
        stored_lib.load(folder, run.trained)
    for content in ("[]", "null", "[" * 100_000):
        (folder / "index.json").write_text(content)
        with pytest.raises(InputError, match=r"got `(array|null)`|not JSON"):
            stored_lib.load(folder, run.trained)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.json", b"[]"),
        ("settings.json", b'{"settings": {}, "about": {"n_batches": "x"}}'),
        ("0.npz", b""),
        ("0.npz", b"PK\x03\x04"),
        ("0.npz", None),
    ],
)
def test_a_damaged_pass_is_named(tmp_path, name, content):
    pass_folder = unfinished.PassFolder(tmp_path / "run" / "examples-progress")
    pass_folder.begin({"n_batches": 3}, {"n": 2})
    arrays = {"state": np.arange(999)}
    saved = unfinished.PassState(np.arange(2), ["0-0-1.tokens"], arrays)
    pass_folder.save(0, saved)
    # Other files in the folder are not read.
    (pass_folder.folder / "photo.npz").write_bytes(b"x")
    assert pass_folder.fraction() == 2 / 3 and pass_folder.processes() == [0]
    path = pass_folder.folder / name
    if content is None:
        # Flip a bit of the last array; the batches before it stay intact.
        damaged = bytearray(path.read_bytes())
        damaged[damaged.index(np.arange(999).tobytes()) + 3000] ^= 1
        content = bytes(damaged)
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name} is damaged"):
        pass_folder.begin({"n_batches": 3}, {"n": 2})
        pass_folder.load(0)


def test_old_examples_are_refused_with_what_to_do(run, tmp_path):
    folder = tmp_path / "examples"
    stored_lib.save(folder, run.examples)
    index = json.loads((folder / "index.json").read_text())
    files.write_json(folder / "index.json", index | {"schema": "tfvis-examples/1"})
    with pytest.raises(InputError, match=r"examples/2.*examples/1'; .tfvis examples"):
        stored_lib.load(folder, run.trained)


def test_examples_that_are_there_are_not_computed_again(run, monkeypatch):
    # Left by a pass that was killed after it had written all; then by other flags.
    pass_folder = unfinished.PassFolder(run.directory.examples_progress)
    for n, stays in ((30, False), (29, True)):
        settings = gathering.settings_of(n=n, n_random=50, seed=0)
        pass_folder.begin({"n_batches": 3}, settings)
        arguments = ["--top_n=30", "--random_n=50"]
        assert cli.main(["examples", str(run.directory.path), *arguments]) == 0
        assert pass_folder.folder.exists() == stays
    pass_folder.remove()
    monkeypatch.setattr(gathering, "collect", None)
    assert (
        cli.main(["examples", str(run.directory.path), "--top_n=30", "--random_n=50"])
        == 0
    )
    assert cli.main(["examples", str(run.directory.path), "--top_n=31"]) == 1


def test_saved_examples_come_back(run, tmp_path):
    stored_lib.save(tmp_path / "examples", run.examples)
    loaded = stored_lib.load(tmp_path / "examples", run.trained)
    assert loaded.folder == tmp_path / "examples"
    for field in dataclasses.fields(loaded):
        if field.name not in ("folder", "num_windows"):
            np.testing.assert_array_equal(
                getattr(loaded, field.name), getattr(run.examples, field.name)
            )


def test_the_report_has_what_it_promises(run):
    report = json.loads(run.directory.report.read_text())
    assert {
        *("model", "corpus", "n_tokens", "n_rows", "n_factors", "layers"),
        *("l1_penalty", "fvu", "l0", "alive", "gap", "seconds", "versions"),
    } <= set(report)
    assert report["n_rows"] == 3 * int(run.windows.row_mask(run.windows.train).sum())
    assert len(report["fvu"]["per_layer"]) == len(report["l0"]["per_layer"]) == 3
    assert set(report["gap"]) == {"mean", "max"}
    assert {"tokens", "train", "evaluate"} <= set(report["seconds"])
