"""`tfvis label` against a scripted server, and without one."""

import dataclasses
import json
import re
import shutil
import sys

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli, pipeline
from tfvis_jax.description import labels
from tfvis_jax.labelling import endpoint, excerpts, request_log, scores, trials
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import gathering, level_file, measuring
from tfvis_jax.runs import human_notes

sys.path.append(__file__.rpartition("/cli/")[0] + "/labelling")
import scripted

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(endpoint, "_FIRST_PAUSE", 0.01)
    # Windows of 16 tokens have few places where a factor is silent for long.
    monkeypatch.setattr(excerpts, "_REACH", 2)


@pytest.fixture(scope="module")
def some(toy_run):
    """Six factors that peak at layer 0, which are words there."""
    opened = tfvis_jax.load_run(toy_run)
    alive = opened.examples.firing.any(axis=0).nonzero()[0].tolist()
    return [factor for factor in alive if opened.peak_layer(factor) == 0][:6]


@pytest.fixture
def run(toy_run, tmp_path):
    """A copy that labels may be put into."""
    path = tmp_path / "toy"
    shutil.copytree(toy_run, path, ignore=shutil.ignore_patterns("checkpoints"))
    return path


def _label(capsys, run, factors, *arguments):
    chosen = ",".join(map(str, factors))
    code = cli.main(["label", str(run), f"--factors={chosen}", *arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert KEY not in captured.out + captured.err
    return code, captured.out, captured.err


def _ask(capsys, run, factors, server, *arguments):
    flags = f"--endpoint={server.url}", "--model=toy-lm"
    return _label(capsys, run, factors, *flags, *arguments)


def test_without_an_endpoint_words_are_scored(run, some, capsys):
    code, out, err = _label(capsys, run, some)
    assert code == 0, err
    assert "detection" in out and "20%" in out and "another factor's" in out
    opened = tfvis_jax.load_run(run)
    for factor in some:
        [scored] = opened.label_scores[factor]
        assert scored.judge == "words" and scored.source == scores.OF_WORDS
        assert scored.layer == opened.peak_layer(factor)
    assert opened.labels == {} and not opened.directory.labelling.exists()
    # A second call finds the same.
    before = opened.directory.label_scores.read_bytes()
    assert _label(capsys, run, some)[0] == 0
    assert opened.directory.label_scores.read_bytes() == before


def test_scores_are_told_by_level(run, some, capsys):
    opened = tfvis_jax.load_run(run)
    context = evidence_lib.Context(dict.fromkeys(measuring.ALTERATIONS, 0.5), 0.1)
    evidence = [
        each and dataclasses.replace(each, context=context)
        for each in gathering.of_examples(opened)
    ]
    measured = level_file.Measured(evidence, 4)
    level_file.save(opened.directory.levels, measured, opened.examples)
    human_notes.save(
        opened.directory.notes,
        {
            factor: human_notes.Note(level="high" if place < 2 else "low")
            for place, factor in enumerate(some)
        },
        dictionary_hash=opened.trained.content_hash,
    )
    code, out, err = _label(capsys, run, some)
    assert code == 0, err
    assert re.search(r"^low +4 .*^high +2 ", out, re.MULTILINE | re.DOTALL)
    found = pipeline.score_labels(run, factors=some)
    high = [found.by_level["high"][name].value * 2 for name in trials.NAMES]
    low = [found.by_level["low"][name].value * 4 for name in trials.NAMES]
    assert np.add(high, low) == pytest.approx(
        [found.pooled[name].value * 6 for name in trials.NAMES]
    )


def test_scores_of_guessed_levels_are_told_of_no_level(run, some):
    opened = tfvis_jax.load_run(run)
    context = evidence_lib.Context(dict.fromkeys(measuring.ALTERATIONS, 0.5), 0.1)
    evidence = gathering.of_examples(opened)
    evidence[some[0]] = dataclasses.replace(evidence[some[0]], context=context)
    measured = level_file.Measured(evidence, 4)
    level_file.save(opened.directory.levels, measured, opened.examples)
    # A person's level is none.
    human_notes.save(
        opened.directory.notes,
        {some[1]: human_notes.Note(level="high")},
        dictionary_hash=opened.trained.content_hash,
    )
    measured_alone = pipeline.score_labels(run, factors=some[:1])
    found = pipeline.score_labels(run, factors=some)
    [level] = measured_alone.by_level
    assert set(found.by_level) == {level, "high"} and level != "high"
    assert found.by_level[level] == measured_alone.pooled


def test_a_good_model_labels_and_scores(run, some, capsys, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with scripted.serving(scripted.good) as server:
        code, out, err = _ask(capsys, run, some, server, "--api_key_env=MY_KEY")
        assert code == 0, err
        n_sent = len(server.seen)
        assert f"{n_sent} requests" in err and "0 are answered already" in err
        assert all(h["Authorization"] == f"Bearer {KEY}" for h, _ in server.seen)
        opened = tfvis_jax.load_run(run)
        assert set(opened.labels) == set(some) == set(opened.label_scores)
        for factor in some:
            label, [scored] = opened.labels[factor], opened.label_scores[factor]
            assert label.source == scored.judge == "toy-lm"
            assert label.layer == opened.peak_layer(factor)
            assert label.score == round(scored.detection.value, 3)
        pooled = scores.pooled(s for [s] in opened.label_scores.values())
        assert pooled["detection"].value > 0.6 and pooled["fuzzing"].value > 0.6
        # Everything is answered: nothing is sent again.
        files = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
        code, out, err = _ask(capsys, run, some, server, "--api_key_env=MY_KEY")
        assert code == 0 and f"{n_sent:,} are answered already" in err
        assert len(server.seen) == n_sent and "0 requests" in out
        again = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
        assert again == files
        # The estimate alone saves nothing, whatever the log answers.
        opened.directory.labels.unlink()
        opened.directory.label_scores.unlink()
        code, out, err = _ask(capsys, run, some, server, "--max_requests=0")
        assert code == 0 and out == "" and f"{n_sent:,} are answered already" in err
        assert not opened.directory.labels.exists()
        assert not opened.directory.label_scores.exists()
        assert _ask(capsys, run, some, server, "--api_key_env=MY_KEY")[0] == 0
        assert len(server.seen) == n_sent
    assert not any(KEY.encode() in content for content in files.values())
    # The page shows labels, sources and scores.
    assert cli.main(["export", str(run), "--contexts=2"]) == 0
    shard = (run / "site" / "data" / "factors" / "00000.js").read_text()
    assert '"label_source":"toy-lm"' in shard and '"detection"' in shard


def test_a_lying_model_scores_at_chance(run, some, capsys):
    with scripted.serving(scripted.lying) as server:
        assert _ask(capsys, run, some, server)[0] == 0
    found = tfvis_jax.load_run(run).label_scores
    assert {each.label for [each] in found.values()} == {scripted.LIE}
    pooled = scores.pooled(s for [s] in found.values())
    assert pooled["detection"].value == 0.5 == pooled["fuzzing"].value
    intruder = scores.Score(
        sum(s.intruder.right for [s] in found.values() if s.intruder),
        sum(s.intruder.n for [s] in found.values() if s.intruder),
    )
    low, high = intruder.interval
    assert low < 0.2 < high


def test_a_budget_is_kept_and_the_same_call_goes_on(run, some, capsys):
    with scripted.serving(scripted.good) as server:
        code, out, err = _ask(capsys, run, some, server, "--max_requests=0")
        assert code == 0 and not server.seen and "of which 0 now" in err
        code, out, err = _ask(
            capsys, run, some, server, "--max_requests=7", "--parallel=1"
        )
        assert code == 0 and len(server.seen) == 7 and "the same command goes on" in out
        first = [body["messages"] for _, body in server.seen]
        # A killed process leaves half a row.
        log = run / "labelling.jsonl"
        log.write_bytes(log.read_bytes() + b'{"key": "00')
        code, out, err = _ask(capsys, run, some, server)
        assert code == 0 and "7 are answered already" in err
        assert not any(body["messages"] in first for _, body in server.seen[7:])
    assert set(tfvis_jax.load_run(run).labels) == set(some)


def test_a_spent_budget_leaves_what_the_log_answers(run, some, capsys):
    with scripted.serving(scripted.good) as server:
        assert _ask(capsys, run, some[1:], server)[0] == 0
        n_sent = len(server.seen)
        limits = "--max_requests=1", "--parallel=1"
        code, out, _ = _ask(capsys, run, some, server, *limits)
        assert code == 0 and len(server.seen) == n_sent + 1
    assert "left     1 factors" in out
    assert set(tfvis_jax.load_run(run).label_scores) == set(some[1:])


def test_scores_of_a_label_set_on_the_page_are_shown(run, some, capsys):
    opened = tfvis_jax.load_run(run)
    human_notes.save(
        opened.directory.notes,
        {some[0]: human_notes.Note(label="river", by="Ada")},
        dictionary_hash=opened.trained.content_hash,
    )
    assert _label(capsys, run, some[:2])[0] == 0
    opened = tfvis_jax.load_run(run)
    [scored] = opened.label_scores[some[0]]
    assert scored.label == "river"
    shown = pipeline.site_data(opened, contexts=2).label_scores
    assert set(shown) == set(some[:2])
    assert {n: s[0] for n, s in shown[some[0]].shares.items()} == {
        name: score.value for name, score in scored.by_name.items()
    }


def test_labels_of_people_stay_and_are_scored(run, some, capsys):
    opened = tfvis_jax.load_run(run)
    labels.save(
        opened.directory.labels,
        {some[0]: labels.FactorLabel("bank", None, "me")},
        opened.trained,
    )
    human_notes.save(
        opened.directory.notes,
        {some[1]: human_notes.Note(label="river", by="Ada")},
        dictionary_hash=opened.trained.content_hash,
    )
    for model in ("one", "two"):
        with scripted.serving(scripted.good) as server:
            code, out, _ = _label(
                *(capsys, run, some, f"--endpoint={server.url}", f"--model={model}"),
            )
        assert code == 0 and f"4 by {model}; 2 kept" in out
        opened = tfvis_jax.load_run(run)
        assert opened.labels[some[0]] == labels.FactorLabel("bank", None, "me")
        assert opened.labels[some[1]].text == "river"
        assert some[1] not in opened.imported_labels
        assert opened.label_scores[some[1]][-1].label == "river"
        assert opened.label_scores[some[1]][-1].source == "Ada"
        # Its own labels are replaced by those of another model.
        assert {opened.labels[f].source for f in some[2:]} == {model}


def test_malformed_answers_are_tried_again_and_given_up(run, some, capsys):
    odd = scripted.says("I would rather talk of the weather.")
    with scripted.serving(odd, scripted.good) as server:
        code, out, _ = _ask(capsys, run, some[:1], server, "--scores=")
        assert code == 0 and len(server.seen) == 2
        assert "An earlier answer was none" in str(server.seen[1][1]["messages"])
    refusing = scripted.says(None, refusal="I cannot help with that.")
    with scripted.serving(odd, refusing, odd, scripted.good) as server:
        code, out, _ = _ask(capsys, run, some[1:2], server, "--scores=")
        assert code == 0 and len(server.seen) == 3 and "1 without an answer" in out
        # Not asked for ever.
        code, out, _ = _ask(capsys, run, some[1:2], server, "--scores=")
        assert code == 0 and len(server.seen) == 3
    lines = request_log.read(
        run / "labelling.jsonl",
        dictionary_hash=tfvis_jax.load_run(run).trained.content_hash,
    )
    assert [line.outcome for line in lines] == [
        *("malformed", "read", "malformed", "refused", "malformed")
    ]
    assert set(tfvis_jax.load_run(run).labels) == {some[0]}


def test_what_was_finished_is_kept_when_the_server_goes_down(run, some, capsys):
    steps = [*[scripted.good] * 9, scripted.fails(500, said="on fire")]
    with scripted.serving(*steps) as server:
        code, _, err = _ask(capsys, run, some, server, "--parallel=1")
    assert code == 1 and "on fire" in err and "the same command goes on" in err
    assert err.strip().splitlines()[-1].startswith("tfvis: http://127.0.0.1")
    assert set(tfvis_jax.load_run(run).labels) == set(some[:2])
    assert set(tfvis_jax.load_run(run).label_scores) == {some[0]}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model=m"], 2, "--endpoint with --model"),
        (["--api_key_env=X"], 2, "--endpoint with --api_key_env"),
        (["--scores=detection"], 2, "--endpoint with --scores"),
        (["--max_requests=0"], 2, "--endpoint with --max_requests"),
        (["--parallel=2"], 2, "--endpoint with --parallel"),
        (["--timeout=9"], 2, "--endpoint with --timeout"),
        (["--endpoint=http://x/v1"], 2, "Expected --model"),
        (["--endpoint=x", "--model=m"], 1, "Expected the endpoint as http"),
        (
            ["--endpoint=http://x/v1", "--model=m", "--api_key_env=NOT_SET_HERE"],
            *(1, "environment variable that --api_key_env names, but it is not set"),
        ),
        (
            ["--endpoint=http://x/v1", "--model=m", "--scores=bleu"],
            1,
            "of ['detect",
        ),
        (["--parallel=0"], 2, "parallel"),
        (["--max_requests=-1"], 2, "max_requests"),
    ],
)
def test_mistakes_are_named(run, capsys, arguments, code, message):
    got, out, err = _label(capsys, run, [3], *arguments)
    assert got == code and message in err and out == ""


def test_factors_that_do_not_fire_are_named(run, capsys):
    code, _, err = _label(capsys, run, [0])
    assert code == 1 and "dead" in err
    code, _, err = _label(capsys, run, [99])
    assert code == 1 and "0 … 23" in err
    shutil.rmtree(run / "examples")
    code, _, err = _label(capsys, run, [3])
    assert code == 1 and "`tfvis examples" in err


def test_the_log_says_what_was_sent(run, some, capsys):
    with scripted.serving(scripted.good) as server:
        assert _ask(capsys, run, some[:1], server, "--scores=")[0] == 0
        [(_, body)] = server.seen
    _, line = (run / "labelling.jsonl").read_text().splitlines()
    line = json.loads(line)
    assert line["messages"] == body["messages"] and line["factor"] == some[0]
    assert line["endpoint"].startswith(server.url) and line["tokens"] == [100, 10]
