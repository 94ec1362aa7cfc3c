"""Runs go to a stand-in of the hub and come back; nothing touches the network."""

import inspect
import json
import re
import types

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants
from huggingface_hub import errors as hub_errors

import tfvis_jax
from tfvis_jax import cli
from tfvis_jax.errors import InputError
from tfvis_jax.publishing import hub
from tfvis_jax.runs import imported_file

REPO = "ada/factors"


def _publish(capsys, run, *arguments):
    code = cli.main(["publish", str(run), f"--repo={REPO}", *arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert "hf_secret" not in captured.out + captured.err
    return code, captured.out, captured.err


def _error(kind, status=500, said="no"):
    response = types.SimpleNamespace(status_code=status, headers={}, request=None)
    return kind(said, response=response)


def test_a_run_goes_up_and_comes_back(run, fake, capsys, toy_bert_folder):
    code, out, err = _publish(capsys, run, "--yes", "--license=apache-2.0")
    assert code == 0, err
    assert fake.calls == ["repo_exists", "create_repo", "create_commit"]
    assert fake.private == {REPO: True}
    files = {p.name for p in (fake.folder / REPO).rglob("*")}
    assert files == {
        *("README.md", "config.json", "report.json", "dictionary.safetensors"),
        *("labels.json", "model.json"),
    }
    for name in files:
        size = (fake.folder / REPO / name).stat().st_size
        assert name in out
        assert size >= 1000 or f"{size} B" in out
    assert "private" in out and "The text of the run stays here." in out
    assert f"hf://{REPO}@c0ffee" in out

    before = tfvis_jax.load_run(run)
    after = tfvis_jax.load_run(f"hf://{REPO}@c0ffee", model=str(toy_bert_folder))
    assert fake.calls[-1] == ("snapshot_download", "c0ffee")
    assert after.trained.content_hash == before.trained.content_hash
    np.testing.assert_array_equal(after.trained.factors, before.trained.factors)
    assert after.report["fvu"] == before.report["fvu"]
    assert {f: e.text for f, e in after.labels.items()} == {3: "bank", 4: "river"}
    text = "the bank of the river"
    np.testing.assert_allclose(
        after.encode(text).codes, before.encode(text).codes, atol=1e-5
    )
    with pytest.raises(InputError, match="tfvis examples"):
        _ = after.examples


def test_no_path_of_this_machine_and_no_text_is_uploaded(run, fake, capsys, toy_corpus):
    assert _publish(capsys, run, "--yes")[0] == 0
    content = b"".join(p.read_bytes() for p in (fake.folder / REPO).iterdir())
    assert str(toy_corpus.parent).encode() not in content
    assert str(run.parent).encode() not in content
    assert b"not for others" not in content and b"feather left" not in content
    config = json.loads((fake.folder / REPO / "config.json").read_text())
    assert config["model"].startswith("./") and config["corpus"]["paths"] == ["toy.txt"]
    # Not a name that anyone could take on the hub.
    with pytest.raises(InputError, match="no model folder"):
        _ = tfvis_jax.load_run(f"hf://{REPO}").opened


def test_the_card_has_the_figures(run, fake, capsys):
    # The toy has too few documents for intervals.
    report = json.loads((run / "report.json").read_text())
    for name in ("fvu", "fvu_debiased"):
        values = report[name]["per_layer"]
        interval = {"all": [0.1234, 0.5678], "per_layer": [[0.1, 0.2] for _ in values]}
        report[name]["interval_95"] = interval
    (run / "report.json").write_text(json.dumps(report))
    code, _, _ = _publish(
        *(capsys, run, "--yes", "--license=cc0-1.0", "--base_model=ada/bert"),
    )
    assert code == 0
    card = (fake.folder / REPO / "README.md").read_text()
    head, body = card.removeprefix("---\n").split("---\n", 1)
    assert 'license: "cc0-1.0"' in head and 'base_model: "ada/bert"' in head
    for name in ("fvu", "fvu_debiased"):
        assert f"{report[name]['all']:.3f} [0.123, 0.568]" in body
        assert f"{report[name]['per_layer'][2]:.3f} [0.100, 0.200]" in body
    n_rows = f"{report['n_held_out_rows']:,}"
    assert re.search(
        rf"^\* figures: of {n_rows} hidden states of .*held-out", body, re.M
    )
    assert f"{report['n_tokens']:,}" in body and "`toy.txt`" in body
    assert f'tfvis_jax.load_run("hf://{REPO}")' in body
    config = json.loads((fake.folder / REPO / "config.json").read_text())
    assert config["model"] == "ada/bert"


def test_the_text_is_uploaded_where_it_is_asked_for(run, fake, capsys, toy_bert_folder):
    code, out, err = _publish(capsys, run, "--yes", "--site")
    assert code == 1 and "`tfvis export" in err and not fake.calls
    assert cli.main(["export", str(run), "--contexts=2"]) == 0
    capsys.readouterr()
    code, out, err = _publish(capsys, run, "--yes", "--site", "--examples", "--public")
    assert code == 0, err
    assert "hold the text" in out and "passages of the text" in out
    assert "notes and ratings of people" in out
    assert "anyone may read it" in out and fake.private == {REPO: False}
    assert (fake.folder / REPO / "site" / "index.html").is_file()
    opened = tfvis_jax.load_run(f"hf://{REPO}", model=str(toy_bert_folder))
    assert opened.factor(3).examples(n=2)[0].word
    # The page is for people, and is not downloaded.
    assert not opened.directory.site.exists()


def _closed(prompt):
    raise EOFError


def test_nothing_leaves_without_agreement(run, fake, capsys, monkeypatch):
    code, out, err = _publish(capsys, run)
    assert code == 1 and "no terminal" in err and "dictionary.safetensors" in out
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    for answer in ("", "n", "yesterday"):
        monkeypatch.setattr("builtins.input", lambda prompt, answer=answer: answer)
        code, out, _ = _publish(capsys, run)
        assert code == 0 and "Nothing was uploaded" in out
    assert fake.calls == []
    monkeypatch.setattr("builtins.input", _closed)
    code, out, _ = _publish(capsys, run)
    assert code == 0 and "Nothing was uploaded" in out and fake.calls == []
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    assert _publish(capsys, run)[0] == 0 and "create_commit" in fake.calls


def test_a_repository_that_exists_is_left(run, fake, capsys):
    code, _, err = _publish(capsys, run, "--yes", "--update")
    assert code == 1 and "no repository ada/factors to update" in err
    assert _publish(capsys, run, "--yes")[0] == 0
    before = fake.calls.copy()
    code, _, err = _publish(capsys, run, "--yes")
    assert code == 1 and "exists already" in err and "--update" in err
    assert fake.calls == [*before, "repo_exists"]
    code, out, _ = _publish(capsys, run, "--yes", "--update")
    assert code == 0 and "as a new revision" in out
    assert fake.calls.count("create_repo") == 1


def test_no_token_and_offline_are_sentences(run, fake, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    code, _, err = _publish(capsys, run, "--yes")
    assert code == 1 and "hf auth login" in err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, _, err = _publish(capsys, run, "--yes")
    assert code == 1 and "HF_HUB_OFFLINE" in err
    assert fake.calls == []


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (_error(hub_errors.HfHubHTTPError, 401), "does not know this token"),
        (_error(hub_errors.HfHubHTTPError, 403), "may not write there"),
        (_error(hub_errors.HfHubHTTPError, 500, "Down.\nmore"), "the hub says Down;"),
        (ConnectionError("no route"), r"reached now (ConnectionError: no route)"),
        (OSError(28, "No space left"), "reached now (OSError"),
    ],
)
def test_failures_of_an_upload_are_sentences(run, fake, capsys, failure, message):
    fake.failure = failure
    code, _, err = _publish(capsys, run, "--yes")
    message = message.rstrip(";")
    assert code == 1 and message in err and len(err.strip().splitlines()) == 1
    assert "was made and is empty" in err


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (_error(hub_errors.RepositoryNotFoundError, 404), "no repository ada/factors"),
        (_error(hub_errors.RevisionNotFoundError, 404), "no revision v9"),
        (_error(hub_errors.GatedRepoError, 403), "is gated"),
        (hub_errors.OfflineModeIsEnabled("off"), "offline: HF_HUB_OFFLINE"),
        (hub_errors.LocalEntryNotFoundError("not there"), "not whole, in the hub"),
    ],
)
def test_failures_of_a_download_are_sentences(fake, failure, message):
    fake.failure = failure
    with pytest.raises(InputError, match=message):
        tfvis_jax.load_run(f"hf://{REPO}@v9")


def test_a_repository_of_something_else_is_named(fake):
    (fake.folder / REPO).mkdir(parents=True)
    (fake.folder / REPO / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds no run of tfvis_jax.*dictionary"):
        tfvis_jax.load_run(f"hf://{REPO}")


def test_what_comes_down_is_checked(run, fake, capsys):
    assert _publish(capsys, run, "--yes")[0] == 0
    path = fake.folder / REPO / "dictionary.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        _ = tfvis_jax.load_run(f"hf://{REPO}").trained


def test_addresses():
    assert hub.parse("hf://a/b") == ("a/b", None)
    assert hub.parse("hf://a/b@refs/pr/1") == ("a/b", "refs/pr/1")
    for wrong in ("hf://a", "hf://a/b/c", "hf://a/../b", "hf://a/b@", "hf://a/b@ x"):
        with pytest.raises(InputError, match="hf://user/name"):
            tfvis_jax.load_run(wrong)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--repo="], 2, "--repo=user/name"),
        (["--repo=mine"], 1, "as user/name, got 'mine'"),
        (["--license=do what you like"], 1, "identifier of a licence"),
        (["--base_model=/home/ada/bert"], 1, "hub name of the model"),
    ],
)
def test_mistakes_are_named(run, fake, capsys, arguments, code, message):
    got, out, err = _publish(capsys, run, "--yes", *arguments)
    assert got == code and message in err and out == "" and not fake.calls


def test_an_untrained_run_is_named(run, fake, capsys):
    (run / "report.json").unlink()
    code, _, err = _publish(capsys, run, "--yes")
    assert code == 1 and "`tfvis train" in err and not fake.calls


def test_where_a_dictionary_is_from_is_published(run, fake, capsys):
    about = imported_file.Imported(format="saelens", sha256="0" * 64, model="/home/ada")
    imported_file.write(run / "imported.json", about)
    assert _publish(capsys, run, "--yes")[0] == 0
    opened = tfvis_jax.load_run(f"hf://{REPO}")
    found = imported_file.read(opened.directory.imported)
    assert found == imported_file.Imported(format="saelens", sha256="0" * 64)


def test_files_of_the_hubs_cache_are_links(run, fake, capsys, tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    expected = {}
    for folder in ("tokens", "examples"):
        for path in [p for p in (run / folder).rglob("*") if p.is_file()]:
            expected[path.relative_to(run).as_posix()] = path.read_bytes()
            path.rename(blobs / str(len(expected)))
            path.symlink_to(blobs / str(len(expected)))
    # A folder elsewhere is not of the run, and a broken link is nothing.
    (run / "tokens" / "elsewhere").symlink_to(tmp_path)
    (run / "tokens" / "broken").symlink_to(tmp_path / "nothing")
    assert _publish(capsys, run, "--yes", "--examples")[0] == 0
    found = {
        path.relative_to(fake.folder / REPO).as_posix(): path.read_bytes()
        for folder in ("tokens", "examples")
        for path in (fake.folder / REPO / folder).rglob("*")
        if path.is_file()
    }
    assert expected and found == expected


def test_a_models_folder_keeps_its_last_part(run, fake, capsys):
    path = run / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"model": "/home/ada/bert"}))
    assert _publish(capsys, run, "--yes")[0] == 0
    config = json.loads((fake.folder / REPO / "config.json").read_text())
    assert config["model"] == "./bert"
    content = b"".join(p.read_bytes() for p in (fake.folder / REPO).iterdir())
    assert b"/ada/bert" not in content


def test_the_client_takes_these_calls():
    """The stand-in has the arguments of the real client, whatever its version."""
    api = huggingface_hub.HfApi
    for function, arguments, named in (
        (api.repo_exists, (None, REPO), {}),
        (api.create_repo, (None, REPO), {"private": True}),
        (api.create_commit, (None, REPO, []), {"commit_message": "…"}),
        (
            huggingface_hub.snapshot_download,
            (REPO,),
            {"revision": None, "allow_patterns": []},
        ),
    ):
        inspect.signature(function).bind(*arguments, **named)
