"""What people say of contexts: kept, checked, replaced by the same rater alone."""

import concurrent.futures
import json
import shutil

import pytest

import tfvis_jax
from tfvis_jax import errors, pipeline
from tfvis_jax.runs import ratings
from tfvis_jax.viewer import bundle

HASH = "0" * 64
LAYERS = (0, 2, 4)


def _store(path):
    return ratings.Store(path, dictionary_hash=HASH, n_factors=24)


def _rating(
    factor=7, *, layer=2, by="Ada", says="fits", contexts=("0000002a",), **more
):
    judged = [ratings.Judgement(context=c, band="top", says=says) for c in contexts]
    return ratings.Rating(factor=factor, layer=layer, judged=judged, by=by, **more)


def test_a_rating_is_stored_replaced_and_taken_back(tmp_path):
    store = _store(tmp_path / "ratings.json")
    assert store.read() == []
    store.change(_rating(hypothesis=" left\n turns "), layers=LAYERS)
    store.change(_rating(by="Bob"), layers=LAYERS)
    store.change(_rating(layer=4), layers=LAYERS)
    store.change(_rating(says="not"), layers=LAYERS)
    found = store.read()
    assert [each.key for each in found] == [(7, 2, "Ada"), (7, 2, "Bob"), (7, 4, "Ada")]
    assert found[0].judged[0].says == "not" and len(found[0].changed) == 10
    store.change(_rating(contexts=()), layers=LAYERS)
    assert [each.key for each in store.read()] == [(7, 2, "Bob"), (7, 4, "Ada")]
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.json"]


def test_text_is_one_line_and_steers_no_terminal(tmp_path):
    store = _store(tmp_path / "ratings.json")
    store.change(
        _rating(hypothesis=" a\x1b[2J\r\n b ", by="c\u202ed\x07"), layers=LAYERS
    )
    [found] = store.read()
    assert (found.hypothesis, found.by) == ("a\ufffd[2J b", "c\ufffdd\ufffd")


def test_changes_at_once_are_all_kept(tmp_path):
    store = _store(tmp_path / "ratings.json")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [pool.submit(store.change, _rating(f), layers=LAYERS) for f in range(24)]
    assert [each.result() for each in done] == [None] * 24
    assert [each.factor for each in store.read()] == list(range(24))


@pytest.mark.parametrize(
    ("rating", "message"),
    [
        (_rating(24), r"0 … 23, got 24"),
        (_rating(layer=3), r"0, 2, 4, got 3"),
        (_rating(contexts=("0000002a",) * 2), "judged once"),
    ],
)
def test_what_cannot_be_rated_is_refused(tmp_path, rating, message):
    store = _store(tmp_path / "ratings.json")
    with pytest.raises(errors.InputError, match=message):
        store.change(rating, layers=LAYERS)
    assert not (tmp_path / "ratings.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "tfvis-notes/1"}, "ratings of schema tfvis-ratings/1"),
        ({"dictionary_hash": "1" * 64}, "another dictionary"),
        ({"ratings": {}}, "ratings"),
        ({"ratings": [{"factor": 1}]}, "layer"),
        ({"ratings": [_rating(24).as_json()]}, "0 to 23"),
        ({"ratings": [_rating().as_json() | {"more": 1}]}, "more"),
        (
            {"ratings": [_rating(contexts=("xyz",)).as_json()]},
            "context",
        ),
        (
            {"ratings": [_rating(says="perhaps").as_json()]},
            "says",
        ),
    ],
)
def test_a_damaged_file_is_said(tmp_path, change, message):
    path = tmp_path / "ratings.json"
    value = {"schema": ratings.SCHEMA, "dictionary_hash": HASH, "ratings": []}
    path.write_text(json.dumps(value | change))
    with pytest.raises(errors.InputError, match=message):
        _store(path).read()


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path):
    (tmp_path / "ratings.json").mkdir()
    with pytest.raises(errors.InputError, match="cannot be written"):
        _store(tmp_path / "ratings.json").change(_rating(), layers=LAYERS)


def test_a_context_is_named_by_its_text():
    # FNV-1a of the empty text's two separators, and of "a", "b", "c".
    assert ratings.context_id("", "", "") == _fnv(bytes(2))
    assert ratings.context_id("a", "b", "c") == _fnv(b"a\0b\0c")
    assert ratings.context_id("ab", "", "c") != ratings.context_id("a", "b", "c")
    assert len(ratings.context_id("\ud800", "é", "👩")) == 8


def _fnv(content):
    value = 2166136261
    for byte in content:
        value = ((value ^ byte) * 16777619) & (2**32 - 1)
    return f"{value:08x}"


def test_a_run_knows_its_ratings_and_its_page_shows_them(toy_run, tmp_path):
    path = shutil.copytree(toy_run, tmp_path / "run")
    run = tfvis_jax.load_run(path)
    store = pipeline.rating_store(path)
    layer = run.trained.layers[0]
    store.change(_rating(3, layer=layer), layers=run.trained.layers)
    assert [each.key for each in tfvis_jax.load_run(path).ratings] == [
        (3, layer, "Ada")
    ]
    folder = pipeline.export_site(path, contexts=2)
    value = bundle.read(folder, "data/ratings")
    assert value["editable"] is False and value["ratings"][0]["by"] == "Ada"
    manifest = bundle.read(folder, "data/manifest")
    assert manifest["dictionary_hash"] == run.trained.content_hash

    levels = bundle.read(folder, "data/levels")
    # Nothing was measured: what is known of the examples alone.
    assert [each["name"] for each in levels["measures"]] == ["word", "few", "pairs"]
    for level, p in zip(run.computed_levels, levels["probabilities"], strict=True):
        if not level.probabilities:
            assert p is None
            continue
        got = dict(zip(levels["names"], p, strict=True))
        assert got == pytest.approx(level.probabilities, abs=1e-3)
        best = max(got, key=lambda name: level.probabilities[name])
        assert level.name == (
            best if level.probabilities[best] >= levels["least"] else "unclear"
        )
