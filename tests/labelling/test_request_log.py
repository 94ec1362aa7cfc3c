"""The log of requests: only added to, whole lines, of one dictionary."""

import json

import pytest

from tfvis_jax.errors import InputError
from tfvis_jax.labelling import request_log

OF_RUN = "0" * 64


def _line(n, outcome="read"):
    return request_log.Line(f"{n:064x}", n, "label", "m", "an answer", outcome)


def _write(path, *numbers):
    with request_log.opened(path, dictionary_hash=OF_RUN) as log:
        for n in numbers:
            log.add(_line(n), {"messages": [{"role": "user", "content": "é\ud800\n"}]})
        return log.answers


def test_what_is_added_comes_back(tmp_path):
    path = tmp_path / "labelling.jsonl"
    _write(path, 1, 2)
    before = path.read_bytes()
    answers = _write(path, 2, 3)
    assert path.read_bytes().startswith(before)
    assert {key: len(lines) for key, lines in answers.items()} == {
        _line(n).key: count for n, count in ((1, 1), (2, 2), (3, 1))
    }
    lines = path.read_text().splitlines()
    assert len(lines) == 5
    assert json.loads(lines[1])["messages"][0]["content"] == "é?\n"


def test_half_a_row_is_dropped_wherever_it_was_cut(tmp_path):
    path = tmp_path / "labelling.jsonl"
    _write(path, 1, 2)
    whole = path.read_bytes()
    kept = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for size in (*range(0, 30), kept, kept + 1, len(whole) - 1):
        path.write_bytes(whole[:size])
        found = request_log.read(path, dictionary_hash=OF_RUN)
        assert found == [_line(1)][: int(size >= kept)]
        _write(path, 3)
        assert request_log.read(path, dictionary_hash=OF_RUN) == [*found, _line(3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"my diary", "something else"),
        (b"my diary\n", "not JSON"),
        (b'{"schema": "other/1"}\n', "schema tfvis-labelling/1"),
        (b'{"schema": "tfvis-labelling/1", "dictionary_hash": "x"}\n', "another dict"),
    ],
)
def test_other_files_are_refused_and_left(tmp_path, content, message):
    path = tmp_path / "labelling.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        _write(path, 1)
    assert path.read_bytes() == content


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "labelling.jsonl"
    _write(path, 1)
    path.write_text(path.read_text().replace('"read"', '"maybe"'))
    with pytest.raises(InputError, match=r"Line 2 of .*maybe"):
        request_log.read(path, dictionary_hash=OF_RUN)
