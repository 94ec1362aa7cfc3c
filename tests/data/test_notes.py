"""What was left out of a text is told, and kept with its windows."""

import json

import pytest

from tfvis_jax import config, files
from tfvis_jax.data import build_windows, notes, readers, shards
from tfvis_jax.errors import InputError


def _corpus(folder):
    folder.mkdir()
    lines = [
        *({"text": f"the {i} blue lobsters {i * i}"} for i in range(20)),
        {"text": None},
        *({"text": f"of {i} the {i * i * i} alert one"} for i in range(20)),
        *({"text": None} for _ in range(5)),
    ]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "picture.png").write_bytes(b"x")
    (folder / "without").write_text("the blue one")
    # Deep brackets, which are not parsed.
    page = "{{a|" * 200 + "}}" * 200 + "\n\nThe [[lobster]] is blue.\n"
    (folder / "z.xml").write_text(
        f"<mediawiki><page><title>T</title><revision><text>{page}</text></revision>"
        "</page></mediawiki>"
    )
    return folder


def _build(
    folder, path, *, tokenizer, notify=lambda _: None, num_workers=1, **settings
):
    return build_windows.build(
        folder,
        config.CorpusConfig(
            paths=(str(path),), window_length=12, fold_near_copies=False, **settings
        ),
        tokenizer=tokenizer,
        num_workers=num_workers,
        notify=notify,
    )


def _counts(index) -> dict[str, int]:
    return {what: found["count"] for what, found in index["notes"].items()}


EXPECTED = {
    "Files not read (an unknown suffix)": 1,
    "Files without a suffix read as text": 1,
    "Records without text, skipped": 6,
    "Documents whose markup would take too long to parse, cleaned in a simpler way": 1,
}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(build_windows, "SHARD_CHARS", 100)


def test_notes_are_told_and_kept(small_tokenizer, tmp_path, small_shards):
    told = []
    path = _corpus(tmp_path / "text")
    built = _build(tmp_path / "a", path, tokenizer=small_tokenizer, notify=told.append)
    assert len(built.index["shards"]) > 5
    assert _counts(built.index) == EXPECTED
    sentences = list(notes.Notes.of(built.index["notes"]).sentences())
    assert sentences == told
    assert "Records without text, skipped: 6 (" in "\n".join(told)
    # They are published with a page: not where the text was.
    assert str(tmp_path) not in json.dumps(built.index["notes"])
    # However far ahead the readers of several processes are.
    _build(tmp_path / "b", path, tokenizer=small_tokenizer, num_workers=2)
    assert files.read_json(tmp_path / "b" / "index.json") == built.index


def test_notes_survive_an_interruption(small_tokenizer, tmp_path, small_shards):
    path = _corpus(tmp_path / "text")
    whole = _build(tmp_path / "a", path, tokenizer=small_tokenizer)
    folder = tmp_path / "a"
    # As if it had been stopped before the last two shards.
    n = len(whole.index["shards"])
    for number in (n - 2, n - 1):
        shards.Paths(folder, number).documents.unlink()
    (folder / "index.json").unlink()
    told = []
    again = _build(folder, path, tokenizer=small_tokenizer, notify=told.append)
    assert again.index == whole.index
    assert len(told) == len(EXPECTED)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_text_that_is_not_used_is_not_noted(
    small_tokenizer, tmp_path, small_shards, monkeypatch, num_workers
):
    # The sample that tells a file's style is always read.
    monkeypatch.setattr(readers, "_SAMPLE_CHARS", 1)
    built = _build(
        tmp_path / "a",
        _corpus(tmp_path / "text"),
        tokenizer=small_tokenizer,
        max_tokens=20,
        num_workers=num_workers,
    )
    assert "Records without text, skipped" not in _counts(built.index)


def test_a_folder_built_before_a_setting_existed_is_used(small_tokenizer, tmp_path):
    path = _corpus(tmp_path / "text")
    first = _build(tmp_path / "a", path, tokenizer=small_tokenizer)
    settings = files.read_json(tmp_path / "a" / "settings.json")
    del settings["text_field"], settings["max_unknown"]
    files.write_json(tmp_path / "a" / "settings.json", settings)
    again = _build(tmp_path / "a", path, tokenizer=small_tokenizer)
    assert again.index == first.index
    with pytest.raises(InputError, match="text_field: 'text' there, 'body' requested"):
        _build(tmp_path / "a", path, tokenizer=small_tokenizer, text_field="body")


def test_notes_add_up():
    first, second = notes.Notes(), notes.Notes()
    for number in range(3):
        first.add("Left out", place=f"a{number}")
        second.add("Left out", place=f"b{number}")
    second.add("Changed", place="c")
    first.add_all(notes.Notes.of(json.loads(json.dumps(second.as_json()))))
    assert list(first.sentences()) == [
        "Left out: 6 (a0, a1, a2, ...).",
        "Changed: 1 (c).",
    ]
    assert list(first.take().sentences()) and not list(first.sentences())
