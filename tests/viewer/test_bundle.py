"""The files of a site: what they hold, that they are safe, equal and whole."""

import collections
import hashlib
import json
import shutil

import numpy as np
import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import bundle, payload, site


def test_the_files_hold_what_the_run_says(folder, make_site):
    data = make_site()
    factors = [
        factor
        for shard in range(3)
        for factor in bundle.read(folder, f"data/factors/{shard:05d}")["factors"]
    ]
    assert [factor["factor"] for factor in factors] == list(range(40))
    for number, factor in enumerate(factors):
        # Four significant digits are kept: half a unit of the fourth is 5e-4.
        for key, column in (
            ("importance", data.importance),
            ("density", data.density),
            ("activation", data.max_activation),
        ):
            np.testing.assert_allclose(factor[key], column[:, number], rtol=5e-4)
        assert factor["reason"] == f"reason {number}"
        for kept, given in zip(factor["contexts"], data.contexts(number), strict=True):
            assert [factor["texts"][place] for place, *_ in kept] == [
                [c.before, c.word, c.after, c.document, None, 0] for c in given
            ]
            np.testing.assert_allclose(
                [value for _, value, *_ in kept],
                [c.activation for c in given],
                rtol=5e-4,
            )


def test_the_index_and_the_manifest_agree_with_the_run(folder, make_site):
    data = make_site()
    index = bundle.read(folder, "data/index")
    manifest = bundle.read(folder, "data/manifest")

    assert manifest["schema"] == "tfvis-site/1"
    assert manifest["layers"] == [0, 2, 4, 6]
    # Factor 5 is dead; factor 3 never fires in one layer.
    assert manifest["counts"] == {
        "alive": 39,
        "contexts": 25 * (39 * 4 - 1),
        "factors": 40,
        "layers": 4,
        "levels": [10, 9, 10, 0, 0, 10],
        "narrow": 0,
        "shards": 3,
        "words": 0,
    }
    assert dict(manifest["report"])["fvu"] == 0.1834
    peak = data.importance.argmax(axis=0)
    assert index["peak"] == [None if f == 5 else peak[f] for f in range(40)]
    # Three significant digits.
    np.testing.assert_allclose(index["importance"], data.importance, rtol=5e-3)
    np.testing.assert_allclose(
        index["density"], data.density[peak, np.arange(40)], rtol=5e-3
    )
    words = [(index["vocabulary"][place], n) for place, n in index["words"][0]]
    assert words == [("left", 9), ("river", 9), ("bank", 7)]


def test_top_words_equal_a_plain_count():
    rng = np.random.default_rng(1)
    spelt = ["Left", "left", "LEFT", "right", " right", "wing", ""]
    contexts = [
        site.Context(
            before=f"{rng.integers(5)} ",
            word=str(rng.choice(spelt)),
            after="",
            activation=1.0,
            document="d",
        )
        for _ in range(60)
    ]

    expected = collections.Counter()
    for _, word in {(c.before, c.word) for c in contexts}:
        expected[word.strip().lower()] += 1
    del expected[""]

    got = site.top_words(contexts, limit=10)
    assert {word.lower(): count for word, count in got} == dict(expected)
    assert [count for _, count in got] == sorted(expected.values(), reverse=True)
    assert site.top_words(contexts, limit=1) == got[:1]


def test_the_words_of_a_factor_are_those_of_the_layers_it_lives_in(tmp_path, make_site):
    def contexts(factor):
        return [
            [
                site.Context(
                    before="", word=word, after="", activation=1.0, document=f"{i}"
                )
                for i in range(count)
            ]
            for word, count in (("noise", 9), ("left", 3), ("leave", 2), ("hum", 9))
        ]

    importance = np.full((4, 40), [[1.0], [4.0], [2.0], [1.9]])
    data = make_site(contexts=contexts, importance=importance)
    bundle.write(tmp_path / "site", data)
    factor = bundle.read(tmp_path / "site", "data/factors/00000")["factors"][0]
    assert factor["words"] == [["left", 3], ["leave", 2]]


def test_an_occurrence_shared_by_layers_counts_and_is_stored_once(tmp_path, make_site):
    context = site.Context(
        before="turn ", word="left", after=" here", activation=3.0, document="d"
    )
    data = make_site(contexts=lambda factor: [[context]] * 4)
    bundle.write(tmp_path / "site", data)
    factor = bundle.read(tmp_path / "site", "data/factors/00000")["factors"][0]
    assert factor["texts"] == [["turn ", "left", " here", "d", None, 0]]
    assert factor["contexts"] == [[[0, 3, [], 0]]] * 4
    assert factor["words"] == [["left", 1]]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "</script><!-- ]]>",
        "\"quotes\" 'single' \\ backslash `tick` ${x}",
        "עברית و العربية \u202e",
        "emoji 👩‍🔬 and 🇫🇷",
        "separators \u2028 and \u2029",
        "controls \x00 \x1f \x7f \ufeff",
        "line\nbreak\r\n",
        "word" * 100,
        '"); tfvis.receive("',
    ],
)
def test_any_text_survives_and_is_inert(text):
    script = payload.dumps("data/x", {"text": text})
    assert payload.loads(script) == ("data/x", {"text": text})
    assert not set(script) & set("<\u2028\u2029")
    assert script.count("\n") == 1
    script.encode("utf-8")


def test_what_json_cannot_hold_is_replaced():
    script = payload.dumps("x", {"s": "a\ud800b", "n": [float("nan"), float("inf"), 1]})
    assert payload.loads(script)[1] == {"s": "a\ufffdb", "n": [None, None, 1]}
    script.encode("utf-8")


def test_loads_refuses_other_text():
    for text in ("", "alert(1)", 'tfvis.receive("x", 1); alert(1)\n'):
        with pytest.raises(ValueError):
            payload.loads(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (1234567.0, "1235000"),
        (0.123456, "0.1235"),
        (-2.0, "-2"),
        (1.5e-7, "1.5e-07"),
        (float("nan"), "null"),
        (float("-inf"), "null"),
        (np.float32(0.1), "0.1"),
    ],
)
def test_numbers_keep_four_digits(value, expected):
    assert json.dumps(payload.number(value)) == expected


def test_two_exports_are_equal_to_the_byte(tmp_path, folder, make_site):
    # The second replaces the first.
    for _ in range(2):
        bundle.write(tmp_path / "site", make_site())
        assert _digests(tmp_path / "site") == _digests(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_failed_export_leaves_the_old_site_whole(tmp_path, folder, make_site):
    shutil.copytree(folder, tmp_path / "site")
    before = _digests(tmp_path / "site")

    def contexts(factor):
        if factor == 20:
            raise OSError("disk on fire")
        return [[]] * 4

    with pytest.raises(OSError, match="disk on fire"):
        bundle.write(tmp_path / "site", make_site(title="new", contexts=contexts))
    assert _digests(tmp_path / "site") == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]

    bundle.write(tmp_path / "site", make_site(title="new"))
    assert bundle.read(tmp_path / "site", "data/manifest")["title"] == "new"


def test_what_a_killed_export_left_does_no_harm(tmp_path, folder, make_site):
    # Killed between the two renames: the old site is aside, the new one not in place.
    shutil.copytree(folder, tmp_path / ".site.previous")
    (tmp_path / ".site.partial" / "data").mkdir(parents=True)

    with pytest.raises(errors.InputError):
        bundle.write(tmp_path / "site", make_site(contexts=lambda factor: []))
    assert bundle.read(tmp_path / "site", "data/manifest")["title"] == make_site().title
    bundle.write(tmp_path / "site", make_site(title="new"))
    assert bundle.read(tmp_path / "site", "data/manifest")["title"] == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path, make_site):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(errors.InputError, match="something else"):
        bundle.write(tmp_path, make_site())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_one_layer_one_factor(tmp_path):
    data = site.SiteData(
        title="small",
        model="m",
        corpus="c",
        layers=[3],
        n_factors=1,
        l1_penalty=0.3,
        report={"per layer": [0.5]},
        importance=np.array([[2.0]]),
        density=np.array([[0.5]]),
        max_activation=np.array([[3.0]]),
        levels=["low"],
        level_reasons=[""],
        featured=[],
        contexts=lambda factor: [[]],
    )
    calls = []
    bundle.write(tmp_path / "s", data, progress=lambda *counts: calls.append(counts))
    assert calls == [(1, 1)]
    assert bundle.read(tmp_path / "s", "data/index") == {
        "activation": [3],
        "contexts": [],
        "density": [0.5],
        "fires": [[]],
        "importance": [[2]],
        "labels": [],
        "level_scores": [],
        "levels": [0],
        "peak": [0],
        "phrases": [[]],
        "vocabulary": [],
        "words": [[]],
    }


def test_missing_numbers_become_null_and_count_as_dead(tmp_path, make_site):
    nan = np.full((4, 40), np.nan)
    bundle.write(
        tmp_path / "s", make_site(importance=nan, density=nan, max_activation=nan)
    )
    assert bundle.read(tmp_path / "s", "data/manifest")["counts"]["alive"] == 0
    factor = bundle.read(tmp_path / "s", "data/factors/00000")["factors"][0]
    assert factor["importance"] == [None] * 4


def test_contexts_are_read_once_each_and_in_order(tmp_path, make_site):
    seen = []

    def contexts(factor):
        seen.append(factor)
        return [[]] * 4

    bundle.write(tmp_path / "s", make_site(contexts=contexts))
    assert seen == list(range(40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"importance": np.zeros((3, 40))}, "importance"),
        ({"levels": ["low"]}, "levels"),
        ({"levels": [""] * 40}, "levels"),
        ({"featured": [40]}, "featured"),
        ({"layers": (0, 4, 2, 6)}, "ascend"),
        ({"level_scores": [0.5]}, "level_scores"),
        ({"report": {"fvu": {"train": 1.0}}}, "fvu"),
    ],
)
def test_a_run_that_does_not_fit_together_is_refused(make_site, changes, message):
    with pytest.raises(errors.InputError, match=message):
        make_site(**changes)


def _digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_spellings_of_a_word_count_together():
    spelt = ["Caf\u00e9", "cafe\u0301", "caf\u00e9", "ca\u00adf\u00e9", "caf\u00e9"]
    contexts = [
        site.Context(
            before=str(number), word=word, after="", activation=1.0, document="d"
        )
        for number, word in enumerate(spelt)
    ]
    assert site.top_words(contexts, limit=3) == [("caf\u00e9", 5)]
