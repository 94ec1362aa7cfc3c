"""Every request to a language model and its answer: `labelling.jsonl` of a run.

    {"schema": "tfvis-labelling/1", "dictionary_hash": …}
    {"key": …, "factor": 12, "task": "label", "model": …, "endpoint": …,
     "messages": […], "answer": "{\"label\": …}", "outcome": "read", "tokens": [812, 9]}

Lines are only added. A killed process leaves at most one incomplete line, which is cut
off when the work resumes. Keys and headers are not in it; the messages hold excerpts of
the corpus.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, BinaryIO, Literal

import msgspec

from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import human_files

SCHEMA = "tfvis-labelling/1"


class Line(msgspec.Struct, frozen=True):
    """One answer.

    Attributes:
      key: of the question and the model.
      factor: that was asked about.
      task: "label", or the name of a score.
      model: that answered.
      answer: its text.
      outcome: "read", "malformed" or "refused".
      why: what was wrong with it; "" if nothing was.
    """

    key: schema_lib.Hash
    factor: schema_lib.Count
    task: Annotated[str, msgspec.Meta(max_length=40)]
    model: Annotated[str, msgspec.Meta(max_length=200)]
    answer: str
    outcome: Literal["read", "malformed", "refused"]
    why: str = ""


class _Head(msgspec.Struct):
    schema: Any = None
    dictionary_hash: Any = None


class RequestLog:
    """The answers of earlier calls and of this one.

    Attributes:
      answers: by key of the question, in the order in which they came.
    """

    def __init__(self, path: pathlib.Path, file: BinaryIO, lines: list[Line]) -> None:
        """Called by `opened`."""
        self._path, self._file = path, file
        self.answers: dict[str, list[Line]] = {}
        for line in lines:
            self.answers.setdefault(line.key, []).append(line)

    def add(self, line: Line, beside: Mapping[str, Any]) -> None:
        """Writes an answer, whole and at once, and flushes it to the disk.

        Args:
          line: of the file.
          beside: what the line holds for people.
        """
        text = json.dumps(msgspec.to_builtins(line) | dict(beside), ensure_ascii=False)
        try:
            self._file.write(text.encode("utf-8", "replace") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(
                f"{self._path} cannot be written ({error.strerror or error}). Answers "
                "so far are kept; the same command goes on."
            ) from error
        self.answers.setdefault(line.key, []).append(line)


@contextlib.contextmanager
def opened(path: pathlib.Path, *, dictionary_hash: str) -> Iterator[RequestLog]:
    """Opens the answers of a run to add to them; one process at a time.

    Args:
      path: of the file; made if there is none.
      dictionary_hash: `content_hash` of the run's dictionary.

    Raises:
      InputError: the file is damaged or belongs to another dictionary.
    """
    lines = read(path, dictionary_hash=dictionary_hash)
    with path.open("a+b") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        if b"\n" not in content:
            head = {"schema": SCHEMA, "dictionary_hash": dictionary_hash}
            file.write(json.dumps(head).encode() + b"\n")
        yield RequestLog(path, file, lines)


def read(path: pathlib.Path, *, dictionary_hash: str) -> list[Line]:
    """Returns the whole lines of a file; none if there is no file.

    Raises:
      InputError: as `opened`.
    """
    if not path.exists():
        return []
    remedy = human_files.REMEDY
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}). {remedy}"
        ) from error
    # What follows the last line end was cut off.
    whole = content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]
    if not whole:
        start = json.dumps({"schema": SCHEMA})[:-1].encode()
        if not (content.startswith(start) or start.startswith(content)):
            raise InputError(f"{path} holds something else. {remedy}")
        return []
    head = schema_lib.decode(whole[0], _Head, where=f"Line 1 of {path}", remedy=remedy)
    if head.schema != SCHEMA:
        raise InputError(
            f"Expected answers of schema {SCHEMA} in {path}, got "
            f"{schema_lib.short(head.schema)}. {remedy}"
        )
    if head.dictionary_hash != dictionary_hash:
        raise InputError(
            f"The answers in {path} are about another dictionary. Move the file away, "
            "or restore that dictionary."
        )
    return [
        schema_lib.decode(line, Line, where=f"Line {number} of {path}", remedy=remedy)
        for number, line in enumerate(whole[1:], start=2)
    ]
