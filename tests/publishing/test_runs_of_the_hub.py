"""Commands take hf://user/name where they read, and say why where they write."""

import http.client
import json
import threading

import pytest

from tfvis_jax import cli, pipeline
from tfvis_jax.cli import run_argument
from tfvis_jax.errors import InputError
from tfvis_jax.publishing import hub
from tfvis_jax.runs import directory
from tfvis_jax.viewer import payload, server

REPO, ADDRESS = "ada/factors", "hf://ada/factors"


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(run_argument, "_DOWNLOADED", {})


@pytest.fixture
def published(run, fake, toy_bert_folder, tmp_path, monkeypatch, capsys):
    """Publishes the run with its text; where we are, its model has the name it has."""
    arguments = ["publish", str(run), f"--repo={REPO}", "--yes", "--examples"]
    assert cli.main(arguments) == 0
    here = tmp_path / "here"
    here.mkdir()
    (here / toy_bert_folder.name).symlink_to(toy_bert_folder)
    monkeypatch.chdir(here)
    capsys.readouterr()
    return fake


def _snapshot(fake):
    [found] = (fake.folder / "cache").glob("models--ada--factors/snapshots/*")
    return found


def _files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def _read_only(folder):
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _same_output(capsys, run, before, after=()):
    """Runs a command on the run and on what was published of it; returns what it says.

    Numbers are equal: the same codes, of the same files.
    """
    assert cli.main([*before, str(run), *after]) == 0
    expected = capsys.readouterr().out
    assert cli.main([*before, ADDRESS, *after]) == 0
    found = capsys.readouterr().out
    assert found == expected
    return found


def test_what_reads_a_run_prints_the_same_of_one_of_the_hub(run, published, capsys):
    text = "the bank of the river"
    _same_output(capsys, run, ["encode"], [text, "--json"])
    _same_output(capsys, run, ["steer"], [text, "--factor=3", "--by=2", "--json"])
    _same_output(
        *(capsys, run, ["explain"]),
        ["--factor=3", "--layer=1", "--methods=occlusion", "--json"],
    )
    _same_output(capsys, run, ["describe"], ["--factor=3", "--json"])
    assert "bank" in _same_output(capsys, run, ["labels"])
    # Once for each command, at the newest revision.
    assert published.calls[-5:] == [("snapshot_download", None)] * 5
    assert cli.main(["encode", f"{ADDRESS}@v2", text, "--json"]) == 0
    assert published.calls[-1] == ("snapshot_download", "v2")


def test_what_writes_elsewhere_leaves_the_cache_as_it_is(
    run, published, tmp_path, toy_corpus, capsys
):
    folder = hub.download(hub.parse(ADDRESS))
    _read_only(folder)
    # Whoever may write anywhere is stopped by no permission.
    before = _files(folder)
    out = tmp_path / "out"
    for arguments in (
        ["export", f"--out={out / 'site'}", "--contexts=2"],
        ["export", "--format=csv", f"--out={out / 'tables'}"],
        ["codes", f"--text={toy_corpus}", f"--out={out / 'codes'}"],
        ["labels", f"--export={out / 'prompts.json'}"],
        ["describe", f"--out={out / 'words.json'}"],
        ["evaluate", f"--out={out / 'metrics.json'}", "--loss_windows=0"],
    ):
        # Writing it again downloads nothing into files that are not to be written.
        assert _main_in(folder, [arguments[0], ADDRESS, *arguments[1:]]) == 0, arguments
    assert _files(folder) == before
    _, manifest = payload.loads((out / "site" / "data" / "manifest.js").read_text())
    assert manifest["title"] == "factors"
    index = json.loads((out / "tables" / "tfvis.json").read_text())
    assert index["run"] == "factors"
    metrics = json.loads((out / "metrics.json").read_text())
    assert cli.main(["evaluate", str(run), "--loss_windows=0"]) == 0
    assert (
        metrics["codes"] == json.loads((run / "evaluation.json").read_text())["codes"]
    )
    capsys.readouterr()


def _main_in(folder, arguments):
    """Runs a command that finds the run in a folder that is there already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "download", lambda address: folder)
        return cli.main(arguments)


def test_figures_of_a_run_of_the_hub(published, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    out = tmp_path / "figures"
    assert cli.main(["figures", ADDRESS, f"--out={out}", "--format=svg"]) == 0
    assert list(out.glob("*.svg"))


def test_its_page_is_shown_and_not_kept(published, monkeypatch, capsys):
    """The server itself, asked once; nothing can be written on the page."""
    asked = {}

    def ask(address):
        host = address.removeprefix("http://").rstrip("/")
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("GET", "/data/manifest.js")
        asked["manifest"] = connection.getresponse().read().decode()
        connection.request("POST", "/api/note", "{}")
        asked["note"] = connection.getresponse().status

    made = server.make_server

    def make(folder, **settings):
        found, asked["folder"] = made(folder, **settings), folder
        address = f"http://127.0.0.1:{found.server_port}/"
        serve = found.serve_forever

        def serve_and_ask():
            thread = threading.Thread(
                target=lambda: (ask(address), found.shutdown()), daemon=True
            )
            thread.start()
            serve()
            thread.join()

        found.serve_forever = serve_and_ask
        return found

    monkeypatch.setattr(server, "make_server", make)
    assert cli.main(["view", ADDRESS, "--port=0", "--nobrowser"]) == 0
    assert payload.loads(asked["manifest"])[1]["title"] == "factors"
    assert asked["note"] in (404, 405)
    assert not asked["folder"].exists()
    assert not (_snapshot(published) / "site").exists()


def test_a_page_needs_examples(run, fake, capsys):
    assert cli.main(["publish", str(run), f"--repo={REPO}", "--yes"]) == 0
    capsys.readouterr()
    for command in (["view"], ["export", "--out=site"], ["describe", "--factor=3"]):
        assert cli.main([command[0], ADDRESS, *command[1:]]) == 1
        said = capsys.readouterr().err
        # What a person typed, for the folder of the cache.
        assert f"no examples in {ADDRESS}/examples" in said and "snapshots" not in said
        assert "what was published with it" in said and "hf download ada/f" in said


def test_a_model_that_is_not_here(run, fake, tmp_path, monkeypatch, capsys):
    assert cli.main(["publish", str(run), f"--repo={REPO}", "--yes"]) == 0
    monkeypatch.chdir(tmp_path)
    assert cli.main(["encode", ADDRESS, "the bank"]) == 1
    said = capsys.readouterr().err
    assert "There is no model folder" in said and "or a link to it" in said
    assert f'load_run("{ADDRESS}", model="FOLDER")' in said


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["levels"], ""),
        (["examples"], ""),
        (["label"], ""),
        (["labels", "--import=labels.csv"], ""),
        (["train", "--model=m", "--text=t"], ""),
        (["import", "--dictionary=d.npy"], ""),
        (["hidden_states"], ""),
        (["demo"], ""),
        (["export"], "give --out=FOLDER"),
        (["figures"], "give --out=FOLDER"),
        (["evaluate"], "give --out=FILE.json"),
    ],
)
def test_what_writes_to_a_run_says_how(fake, capsys, arguments, instead):
    name, *flags = arguments
    assert cli.main([name, f"{ADDRESS}@v2", *flags]) == 1
    said = capsys.readouterr().err
    assert f"got {ADDRESS}@v2, which is only read" in said and instead in said
    copy = "hf download ada/factors --revision=v2 --local-dir=runs/factors"
    assert copy in said
    # Nothing was downloaded for it.
    assert fake.calls == []


def test_addresses_that_are_none(fake, capsys):
    for name, *more in (["encode", "the bank"], ["plan"], ["levels"], ["view"]):
        assert cli.main([name, "hf://ada", *more]) == 1
        assert "hf://user/name" in capsys.readouterr().err


def test_the_library_does_not_write_to_the_cache_either(published, tmp_path):
    folder = hub.download(hub.parse(ADDRESS))
    before = _files(folder)
    with pytest.raises(InputError, match=r"hub's cache.*`hf download ada/factors --lo"):
        pipeline.measure_levels(folder)
    assert _files(folder) == before


def test_names_of_runs(tmp_path):
    cached = tmp_path / "models--ada--factors" / "snapshots" / "c0ffee"
    assert directory.RunDirectory(cached).hub_repo == REPO
    assert directory.RunDirectory(cached).name == "factors"
    for path in (
        *(tmp_path / "models--ada" / "snapshots" / "c0ffee", tmp_path / "mine"),
        *(cached.parents[1] / "blobs" / "c0ffee", cached.parents[2], cached / "x"),
    ):
        found = directory.RunDirectory(path)
        assert found.hub_repo == "" and found.name == path.name
    assert directory.RunDirectory("/").name == ""


def test_a_file_of_something_else_is_not_overwritten(run, tmp_path, capsys):
    for text in ("{}", '{"schema": "other/1"}', "no JSON"):
        path = tmp_path / "mine.json"
        path.write_text(text)
        assert cli.main(["evaluate", str(run), f"--out={path}"]) == 1
        assert "holds something else" in capsys.readouterr().err
        assert path.read_text() == text


def test_plan_takes_the_settings_of_a_run_of_the_hub(run, published, capsys):
    assert cli.main(["plan", ADDRESS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"]
