"""Windows of several kinds hold the same tokens; the script from run to tables."""

import dataclasses
import json

import numpy as np
import pytest
import scripts

from experiments import windows as script
from tfvis_jax import load_run
from tfvis_jax.data import build_windows
from tfvis_jax.studies.dictionaries import windows_study


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


@pytest.fixture(scope="module")
def cut(run, tmp_path_factory):
    """The text of the run in three kinds of windows."""
    folder = tmp_path_factory.mktemp("cut")
    return [
        build_windows.build(
            folder / str(number),
            dataclasses.replace(
                run.config.corpus,
                window_length=length,
                special_tokens=special,
                max_tokens=1200,
            ),
            tokenizer=run.opened.tokenizer,
            every_document=True,
        )
        for number, (length, special) in enumerate(
            [(16, True), (16, False), (40, True)]
        )
    ]


def test_the_same_tokens_are_read_in_every_setting(run, cut):
    config = windows_study.StudyConfig(n_tokens=300, n_held_out=150, per_document=100)
    chosen = windows_study._choose(cut, config)
    learning, measuring = chosen
    assert set(learning).isdisjoint(measuring)
    assert max(learning.values()) <= 100
    assert sum(measuring.values()) >= 150 and sum(learning.values()) >= 300
    for documents in chosen:
        found = [
            windows_study._read(run.opened, run.trained, windows, documents)
            for windows in cut
        ]
        tokens = [
            windows.token_ids(rows.window)[np.arange(len(rows)), rows.position]
            for windows, rows in zip(cut, found, strict=True)
        ]
        np.testing.assert_array_equal(tokens[0], tokens[1])
        np.testing.assert_array_equal(tokens[0], tokens[2])
        np.testing.assert_array_equal(found[0].document, found[2].document)
        assert len(found[0]) == 3 * sum(documents.values())
        # Layer 0 of the first window differs by positions alone, others by context.
        assert (found[0].x != found[1].x).any()
        same = windows_study._change(found[0], found[0])
        other = windows_study._change(found[2], found[0])
        assert same == [0, 0, 0] and min(other) > 0


def test_the_script_writes_claims(toy_run, tmp_path, capsys):
    out = tmp_path / "windows.json"
    given = {"run": toy_run, "out": out, "tokens": 300, "held_out": 150}
    given |= {"n_factors": 16, "l0": 3, "passes": 1, "resamples": 20}
    given |= {"per_document": 60, "max_tokens": 1500}
    scripts.run(script, **given, lengths=[16, 32])
    document = json.loads(out.read_text())
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith(out.with_suffix(".md").read_text().rstrip())
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    default, *others = document["settings"]
    assert default["name"] == "16 tokens, with [CLS] and [SEP]"
    assert [each["name"] for each in others] == [
        "16 tokens, without [CLS] and [SEP]",
        "32 tokens, with [CLS] and [SEP]",
        "the same, another seed",
    ]
    assert default["cosine"] == [1, 1, 1] and default["change"] == [0, 0, 0]
    # Of the same hidden states, with the same factors.
    assert others[-1]["fvu_of_default"] == default["fvu"]
    assert len(document["claims"]) == 4
    with pytest.raises(SystemExit, match="at most 64 tokens, the positions of"):
        scripts.run(script, **given, lengths=[16, 128])
