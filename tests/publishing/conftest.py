"""A stand-in of the hub, and a run to publish."""

import pathlib
import shutil
import types

import huggingface_hub
import pytest

import tfvis_jax
from tfvis_jax.description import labels
from tfvis_jax.runs import human_notes


class Hub:
    """Repositories as folders; the calls that `publishing.hub` makes."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.calls, self.private = folder, [], {}
        self.failure: Exception | None = None

    def repo_exists(self, repo):
        self.calls.append("repo_exists")
        return (self.folder / repo).is_dir()

    def create_repo(self, repo, *, private):
        self.calls.append("create_repo")
        (self.folder / repo).mkdir(parents=True)
        self.private[repo] = private

    def create_commit(self, repo, operations, *, commit_message):
        self.calls.append("create_commit")
        if self.failure is not None:
            raise self.failure
        for operation in operations:
            path = self.folder / repo / operation.path_in_repo
            path.parent.mkdir(parents=True, exist_ok=True)
            with operation.as_file() as file:
                path.write_bytes(file.read())
        return types.SimpleNamespace(oid="c0ffee")

    def snapshot_download(self, repo, *, revision, allow_patterns):
        self.calls.append(("snapshot_download", revision))
        if self.failure is not None:
            raise self.failure
        folder = f"models--{repo.replace('/', '--')}"
        target = self.folder / "cache" / folder / "snapshots" / "c0ffee"
        for path in (self.folder / repo).rglob("*"):
            name = path.relative_to(self.folder / repo)
            if path.is_file() and any(name.match(p) for p in allow_patterns):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / name)
        return str(target)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A hub without network, and a token for it."""
    found = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: found)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found.snapshot_download)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_secret")
    return found


@pytest.fixture
def run(toy_run, tmp_path):
    path = tmp_path / "toy"
    shutil.copytree(toy_run, path, ignore=shutil.ignore_patterns("checkpoints"))
    opened = tfvis_jax.load_run(path)
    given = {3: labels.FactorLabel("bank", 0.5, "me")}
    labels.save(opened.directory.labels, given, opened.trained)
    human_notes.save(
        opened.directory.notes,
        {4: human_notes.Note(label="river", note="not for others", by="Ada")},
        dictionary_hash=opened.trained.content_hash,
    )
    return path
