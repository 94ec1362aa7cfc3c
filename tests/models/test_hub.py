"""Finding a model: folders, the Hugging Face cache, and every way a name can fail."""

import pathlib
import types

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub import errors as hub_errors

from tfvis_jax.errors import InputError
from tfvis_jax.models import hub

_COMPLETE = ("config.json", "tokenizer.json", "model.safetensors")


def _folder(path: pathlib.Path, *names: str) -> pathlib.Path:
    path.mkdir(parents=True)
    for name in names:
        (path / name).touch()
    return path


@pytest.mark.parametrize("tokenizer", ["tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize(
    "weights",
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"],
)
def test_a_complete_folder_is_taken_as_it_is(tokenizer, weights, tmp_path):
    folder = _folder(tmp_path / "model", "config.json", tokenizer, weights)
    assert hub.resolve(folder) == folder
    assert hub.resolve(str(folder)) == folder


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (_COMPLETE[1:], "lacks config.json;"),
        (_COMPLETE[:2], "lacks weights"),
        (_COMPLETE[::2], "lacks a tokenizer"),
        ((), r"lacks config\.json, weights .*, a tokenizer .*; copy"),
    ],
)
def test_a_folder_says_all_that_it_lacks(names, lacking, tmp_path):
    folder = _folder(tmp_path / "model", *names)
    with pytest.raises(InputError, match=lacking):
        hub.resolve(folder)


def test_a_path_that_is_not_there_is_no_hub_name(tmp_path):
    for path in (tmp_path / "gone", str(tmp_path / "gone"), "./gone", "~/gone/gone"):
        with pytest.raises(InputError, match=r"no model folder .*gone"):
            hub.resolve(path)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> pathlib.Path:
    """An empty Hugging Face cache of a machine that is offline by HF_HUB_OFFLINE."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def _cached(cache: pathlib.Path, *names: str) -> pathlib.Path:
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = cache / "models--some--bert"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit)
    return _folder(model / "snapshots" / commit, *names)


def test_the_cache_serves_an_offline_machine(cache):
    snapshot = _cached(cache, *_COMPLETE)
    assert hub.resolve("some/bert") == snapshot


def test_torch_weights_are_taken_where_nothing_else_is(cache):
    snapshot = _cached(cache, "config.json", "vocab.txt", "pytorch_model.bin")
    assert hub.resolve("some/bert") == snapshot


def test_an_incomplete_cache_says_what_it_lacks(cache):
    _cached(cache, "config.json", "vocab.txt")
    with pytest.raises(InputError, match="lacks weights"):
        hub.resolve("some/bert")


def test_an_offline_machine_without_the_model_gets_one_clear_error(cache):
    with pytest.raises(InputError, match=r"'some/bert' .*HF_HUB_OFFLINE"):
        hub.resolve("some/bert")


def test_an_impossible_name_is_refused(cache):
    with pytest.raises(InputError, match="nor a possible hub name"):
        hub.resolve("some/bert/deeper")


def _response(status: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(
        status_code=status, headers={}, request=None, text="", url="there"
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (hub_errors.GatedRepoError("no", response=_response(403)), "is gated"),
        (
            hub_errors.RepositoryNotFoundError("no", response=_response(404)),
            "no folder and no hub model named 'some/bert'",
        ),
        (hub_errors.HfHubHTTPError("down", response=_response(503)), r"down\)"),
        (hub_errors.HTTPError("a proxy refused"), "HTTPError: a proxy refused"),
        (OSError(28, "No space left on device"), "No space left"),
    ],
)
def test_what_the_hub_answers_becomes_one_clear_error(error, message, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(InputError, match=message) as caught:
        hub.resolve("some/bert")
    assert caught.value.__cause__ is error


def test_only_what_is_needed_is_downloaded(tmp_path, monkeypatch):
    small = ["config.json", "tokenizer.json", "vocab.txt"]
    others = ["tf_model.h5", "onnx/model.onnx", "model.fp16.safetensors", "README.md"]
    in_repository = [*small, *others, "model.safetensors", "pytorch_model.bin"]
    folder, wanted = tmp_path / "snapshot", []

    def download(name, *, allow_patterns):
        keep = huggingface_hub.utils.filter_repo_objects(
            in_repository, allow_patterns=allow_patterns
        )
        wanted.append(sorted(keep))
        folder.mkdir(exist_ok=True)
        for file in wanted[-1]:
            (folder / file).touch()
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub.resolve("some/bert") == folder
    assert wanted == [sorted([*small, "model.safetensors"])]
    (folder / "model.safetensors").unlink()
    in_repository.remove("model.safetensors")
    assert hub.resolve("some/bert") == folder
    assert wanted[1:] == [sorted(small), sorted([*small, "pytorch_model.bin"])]
