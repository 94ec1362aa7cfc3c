"""What people say of factors: kept, checked, shown beside what was computed."""

import concurrent.futures
import json
import shutil

import pytest

import tfvis_jax
from tfvis_jax import cli, errors, pipeline
from tfvis_jax.runs import human_notes
from tfvis_jax.viewer import bundle

HASH = "0" * 64
LEVELS = ("low", "mid", "high", "unclear")


def _store(path):
    return human_notes.Store(path, dictionary_hash=HASH, n_factors=24)


def test_a_note_is_stored_replaced_and_removed(tmp_path):
    store = _store(tmp_path / "notes.json")
    assert store.read() == {}
    note = human_notes.Note(
        level="mid", label=" a\n name ", note=" <b>\r\nline ", by="X"
    )
    store.change(7, note, levels=LEVELS)
    store.change(11, human_notes.Note(label="other"), levels=LEVELS)
    found = store.read()
    assert list(found) == [7, 11]
    assert found[7].label == "a name" and found[7].note == "<b>\nline"
    assert (found[7].level, found[7].by, len(found[7].changed)) == ("mid", "X", 10)
    store.change(7, human_notes.Note(by="X"), levels=LEVELS)
    assert list(store.read()) == [11]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]


def test_what_could_steer_a_terminal_is_replaced(tmp_path):
    store = _store(tmp_path / "notes.json")
    note = human_notes.Note(label="a\x1b[2Jb", note="c\u202ed\x07", by="e\x00")
    store.change(0, note, levels=LEVELS)
    found = store.read()[0]
    assert (found.label, found.note, found.by) == (
        "a\ufffd[2Jb",
        "c\ufffdd\ufffd",
        "e\ufffd",
    )


def test_changes_at_once_are_all_kept(tmp_path):
    store = _store(tmp_path / "notes.json")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [
            pool.submit(store.change, f, human_notes.Note(note=f"{f}"), levels=LEVELS)
            for f in range(24)
        ]
    assert [each.result() for each in done] == [None] * 24
    assert {f: note.note for f, note in store.read().items()} == {
        f: f"{f}" for f in range(24)
    }


@pytest.mark.parametrize(
    ("factor", "note", "message"),
    [
        (24, human_notes.Note(label="a"), r"0 … 23, got 24"),
        (-1, human_notes.Note(label="a"), r"0 … 23, got -1"),
        (1, human_notes.Note(level="lowest"), "low, mid, high, unclear, got 'lowest'"),
    ],
)
def test_what_does_not_exist_is_refused(tmp_path, factor, note, message):
    store = _store(tmp_path / "notes.json")
    with pytest.raises(errors.InputError, match=message):
        store.change(factor, note, levels=LEVELS)
    assert not (tmp_path / "notes.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ('{"schema": "tfvis-notes/9"}', "tfvis-notes/9"),
        ('{"schema": "tfvis-notes/1", "dictionary_hash": "1"}', "another dictionary"),
        ({"notes": {"99": {}}}, "from 0 to 23"),
        ({"notes": {"x": {}}}, "from 0 to 23"),
        ({"notes": {"1": {"label": 3}}}, "label"),
        ({"notes": {"1": {"label": "a" * 201}}}, "200"),
        ({"notes": {"9" * 5000: {}}}, "from 0 to 23"),
        ({"notes": {"1": {"html": "a"}}}, "html"),
        ({"notes": []}, "damaged"),
    ],
)
def test_a_damaged_file_is_named_and_stays_as_it_is(tmp_path, text, message):
    path = tmp_path / "notes.json"
    if isinstance(text, dict):
        head = {"schema": human_notes.SCHEMA, "dictionary_hash": HASH}
        text = json.dumps(head | text)
    path.write_text(text)
    store = _store(path)
    for act in (
        store.read,
        lambda: store.change(1, human_notes.Note(label="a"), levels=LEVELS),
    ):
        with pytest.raises(errors.InputError, match=message) as raised:
            act()
        assert str(path) in str(raised.value)
    assert path.read_text() == text


def test_notes_are_shown_as_human_in_command_notebook_and_export(
    toy_run, tmp_path, capsys
):
    path = tmp_path / "run"
    shutil.copytree(toy_run, path)
    plain = tfvis_jax.load_run(path)
    factor = int(plain.examples.firing.sum(axis=0).argmax())
    rule = plain.levels[factor]
    level = "mid" if rule.name != "mid" else "high"
    store = pipeline.note_store(path)
    store.change(
        factor,
        human_notes.Note(level=level, label="Rivers", note="Two\nlines", by="Ada"),
        levels=LEVELS,
    )
    run = tfvis_jax.load_run(path)
    found = run.factor(factor)
    assert found.level.name == level
    assert found.level.reason.startswith(f"Set by Ada; the rule says {rule.name}. ")
    assert str(found.label) == "Rivers (Ada)"
    assert run.name(factor) == "Rivers"
    assert run.computed_levels[factor] == rule and run.imported_labels == {}

    capsys.readouterr()
    assert cli.main(["describe", str(path), f"--factor={factor}"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{level} Rivers (Ada)" in said and "Set by Ada" in said
    assert "note: Two lines" in said
    assert cli.main(["encode", str(path), "the bank of a river", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == {str(factor): "Rivers"}

    # The export has both: what people say is shown in the place of the rule's.
    bundle.write(tmp_path / "site", pipeline.site_data(run, contexts=2))
    notes = bundle.read(tmp_path / "site", "data/notes")
    assert notes["editable"] is False
    [(number, note)] = notes["notes"]
    assert number == factor and note["label"] == "Rivers"
    index = bundle.read(tmp_path / "site", "data/index")
    names = bundle.read(tmp_path / "site", "data/manifest")["level_names"]
    assert names[index["levels"][factor]] == rule.name and index["labels"] == []

    # Labels that are imported later do not take in those of people.
    given = tmp_path / "given.json"
    given.write_text(json.dumps({str(factor): "imported"}))
    assert cli.main(["labels", str(path), f"--import={given}"]) == 0
    run = tfvis_jax.load_run(path)
    assert run.imported_labels[factor].text == "imported"
    assert run.labels[factor].text == "Rivers"
