"""From text to a page in one command, and what to do next."""

import importlib.util
import json
import os
import shutil

import pytest

from tfvis_jax import cli, config, pipeline
from tfvis_jax.cli import demo
from tfvis_jax.viewer import bundle, checksums, server


@pytest.fixture
def flags(toy_bert_folder, toy_corpus):
    return [
        *(f"--model={toy_bert_folder}", f"--text={toy_corpus}", "--window_length=12"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8"),
        "--l1_penalty=0.1",
    ]


def test_training_ends_at_a_page_and_goes_on_from_where_it_stopped(
    flags, tmp_path, capsys
):
    run = tmp_path / "run"
    there = []
    for until, onward in (
        ("train", "tfvis examples"),
        ("examples", "tfvis levels"),
        ("page", "tfvis view"),
    ):
        assert cli.main(["train", str(run), *flags, f"--until={until}"]) == 0
        out = capsys.readouterr().out
        assert f"next     {onward} {run}" in out
        assert "unexplained variance" in out
        there.append((pipeline.has_examples(run), pipeline.has_page(run)))
    assert there == [(False, False), (True, False), (True, True)]
    assert not checksums.verify(run / "site")
    # What is there stays as it is.
    before = {path: path.stat().st_mtime_ns for path in (run / "site").rglob("*")}
    assert cli.main(["train", str(run)]) == 0
    assert before == {
        path: path.stat().st_mtime_ns for path in (run / "site").rglob("*")
    }


def test_what_was_learned_is_measured_once(flags, tmp_path, capsys):
    run = tmp_path / "run"
    path, dictionary = run / "report.json", run / "dictionary.safetensors"

    def train():
        before = path.stat().st_mtime_ns if path.is_file() else 0
        assert cli.main(["train", str(run), *flags, "--until=train"]) == 0
        assert "unexplained variance" in capsys.readouterr().out
        return path.stat().st_mtime_ns != before

    assert train()
    assert not train()
    learned, report = dictionary.read_bytes(), json.loads(path.read_text())
    # Another version may measure otherwise; another dictionary has other numbers.
    for name, other in (("versions", {}), ("dictionary_hash", "0" * 64)):
        path.write_text(json.dumps(report | {name: other}))
        assert train()
        again = json.loads(path.read_text())
        assert again["fvu"] == report["fvu"] and again[name] == report[name]
    for damage in (learned[:-1], learned[:-1] + bytes([learned[-1] ^ 1])):
        dictionary.write_bytes(damage)
        assert train()
        assert dictionary.read_bytes() == learned
    assert not train()


def test_the_demo_does_every_step_once(
    toy_bert_folder, toy_corpus, tmp_path, monkeypatch, capsys
):
    settings = config.RunConfig(
        model=str(toy_bert_folder),
        corpus=config.CorpusConfig(paths=(str(toy_corpus),), window_length=12),
        dictionary=config.DictionaryConfig(n_factors=24),
        solver=config.SolverConfig(l1_penalty=0.1),
        rows_per_step=64,
        windows_per_batch=8,
    )
    monkeypatch.setattr(demo, "_SAMPLE", 6)
    monkeypatch.setattr(demo, "settings", lambda *, whole: settings)
    run = tmp_path / "demo"
    assert cli.main(["demo", str(run)]) == 0
    out = capsys.readouterr().out
    assert "unexplained variance" in out and f"page     {run}" in out
    assert (run / "levels.json").is_file()
    recorded = bundle.read(run / "site", "data/live")
    assert all(text in str(recorded) for text in demo._SENTENCES)
    before = _times(run)
    assert cli.main(["demo", str(run)]) == 0
    after = _times(run)
    done = ("dictionary.safetensors", "report.json", "examples", "levels.json", "site")
    for name in done:
        assert before[run / name] == after[run / name], name
    levels = json.loads((run / "levels.json").read_text())["factors"]
    measured = [each and each["shares"] is not None for each in levels]
    assert 0 < measured.count(True) <= 6 < len(measured)
    # What has changed since is shown.
    (run / "site" / "index.html").write_text("")
    labels = {"0": {"label": "bank", "source": "me"}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert cli.main(["labels", str(run), f"--import={tmp_path / 'labels.json'}"]) == 0
    assert cli.main(["demo", str(run)]) == 0
    assert (run / "site" / "index.html").read_text()
    # The whole demo measures all levels.
    assert cli.main(["demo", str(run), "--whole"]) == 0
    levels = json.loads((run / "levels.json").read_text())["factors"]
    assert all(each is None or each["shares"] is not None for each in levels)


def test_the_whole_demo_has_more_of_each_article():
    for package in (demo._MODEL_PACKAGE, demo._TEXT_PACKAGE):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    some, whole = demo.settings(whole=False), demo.settings(whole=True)
    assert whole.corpus.max_document_tokens > 3 * some.corpus.max_document_tokens
    assert whole.model == some.model and whole.dictionary == some.dictionary


def _times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_view_makes_the_page_that_is_missing(toy_run, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    made = _times(run / "examples")
    served = []
    monkeypatch.setattr(server, "serve", lambda folder, **how: served.append(folder))
    assert cli.main(["view", str(run), "--nobrowser"]) == 0
    assert served == [run / "site"] and pipeline.has_page(run)
    # Its examples, of another number than by default, were kept.
    assert made == _times(run / "examples")
    assert "writing the page" in capsys.readouterr().err


def test_view_of_a_run_that_is_not_trained_names_the_command(toy_run, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(toy_run / "config.json", run)
    assert cli.main(["view", str(run)]) == 1
    assert f"tfvis train {run}" in capsys.readouterr().err


def test_tfvis_alone_says_what_to_do_next(toy_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def said():
        assert cli.main([]) == 2
        return " ".join(capsys.readouterr().out.split("next: ")[1].split())

    assert "no run" in said() and "`tfvis demo`" in said()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    assert "no run" in said()
    run = tmp_path / "runs" / "a b"
    run.mkdir(parents=True)
    shutil.copy(toy_run / "config.json", run)
    assert "not finished its training" in said() and "tfvis train 'runs/a b'" in said()
    shutil.copytree(toy_run, run, dirs_exist_ok=True)
    assert "`tfvis view 'runs/a b'` makes its page" in said()
    (run / "site" / "data").mkdir(parents=True)
    (run / "site" / "data" / "manifest.js").touch()
    assert "`tfvis levels 'runs/a b'`" in said()
    (run / "levels.json").touch()
    opens = "runs/a b has a page: `tfvis view 'runs/a b'` opens it."
    assert said() == opens
    levels = '{"factors": [null, {"kinship": 0.5}, {"kinship": %s}]}'
    (run / "levels.json").write_text(levels % "null")
    assert said() == (
        f"{opens} Some of its levels are guesses until `tfvis levels 'runs/a b'` "
        "measures them."
    )
    (run / "levels.json").write_text(levels % "0")
    assert said() == opens
    # The newest comes first.
    (tmp_path / "new").mkdir()
    shutil.copy(toy_run / "config.json", tmp_path / "new")
    os.utime(tmp_path / "new" / "config.json", (4e9, 4e9))
    assert (
        said().startswith("new has not finished") and "Other runs: runs/a b." in said()
    )
