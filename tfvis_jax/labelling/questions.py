"""What a language model is asked of a factor, and how its answers are read.

Every answer is one JSON object. Models wrap it in prose, fences or thoughts: the last
object that has the expected field counts. Anything else is `Malformed`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tfvis_jax.description import factor_label
from tfvis_jax.errors import InputError
from tfvis_jax.labelling import excerpts, trials

# Longer texts are no answer.
_MAX_ANSWER = 100_000
MAX_LABEL = 200
# Excerpts that one question of detection or fuzzing shows.
_TOGETHER = 10
# Places where an answer's last object may begin.
_MAX_BRACES = 100

_NAMING = """\
A unit of a language model fires on some words of a text. Say what it stands for.
You read excerpts in which it fires, with <<marks>> around the words that fire it, \
from its strongest firings to weak ones, and then excerpts in which it is silent.
Name what the marked words or their contexts have in common and the silent excerpts \
lack, as specifically as the excerpts allow, in at most 12 words. Do not mention \
marks, excerpts or units.
Answer with one JSON object and nothing else: {"label": "…"}"""
_DETECTING = """\
A unit of a language model fires on texts that this label describes: LABEL
You read numbered excerpts. In which of them does something fit the label?
Answer with one JSON object and nothing else, with the numbers of those that fit, none \
or all of them if so: {"fit": [1, 2]}"""
_FUZZING = """\
A unit of a language model fires on words that this label describes, in their \
contexts: LABEL
You read numbered excerpts with <<marks>> around some words. In some excerpts the \
right words are marked, in others any words. In which are the marked words those that \
the label describes?
Answer with one JSON object and nothing else, with the numbers of these excerpts, none \
or all of them if so: {"right": [1, 2]}"""
_INTRUDING = """\
A unit of a language model fires on texts that this label describes: LABEL
You read groups of numbered excerpts. In each group the label fits all excerpts but \
one. Which one is it?
Answer with one JSON object and nothing else, with one number for each group in \
order: {"intruders": [3, 1]}"""
_AGAIN = "An earlier answer was none of that: {}. Answer with the JSON object alone."


class Malformed(ValueError):
    """An answer is not what was asked for; the message says why, in lower case."""


@dataclasses.dataclass(frozen=True)
class Question:
    """One request.

    Attributes:
      factor: that it is about.
      task: "label", or a name of `trials.NAMES`.
      messages: of the request.
      read: returns what an answer says; raises `Malformed`.
    """

    factor: int
    task: str
    messages: tuple[dict[str, str], ...]
    read: Callable[[str], Any]

    def key(self, model: str) -> str:
        """Returns what names the question to a model, the same in every call."""
        asked = json.dumps([model, self.messages], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()

    def again(self, why: Sequence[str]) -> list[dict[str, str]]:
        """Returns the messages of a further try, after answers that were malformed."""
        messages = [dict(message) for message in self.messages]
        for each in why[-1:]:
            messages[-1]["content"] += f"\n\n{_AGAIN.format(each)}"
        return messages


def name_it(material: excerpts.Material) -> Question:
    """Returns the question what a factor stands for; its answer is a text."""
    firing = [each.text(each.firing) for each in material.read]
    silent = [each.text() for each in material.read_silent]
    lines = ["It fires:", *_numbered(firing), "", "It is silent:", *_numbered(silent)]
    return _question(material.factor, "label", _NAMING, lines, read_label)


def detect(
    factor: int, label: str, asked: Sequence[trials.Detection]
) -> list[tuple[Question, list[bool]]]:
    """Returns questions in which excerpts the factor fires, and what is true."""
    return [
        _choose(factor, "detection", _DETECTING, label, part, "fit")
        for part in _parts([(each.excerpt.text(), each.answer) for each in asked])
    ]


def fuzz(
    factor: int, label: str, asked: Sequence[trials.Fuzzing]
) -> list[tuple[Question, list[bool]]]:
    """Returns questions whose marked words are right, and what is true."""
    return [
        _choose(factor, "fuzzing", _FUZZING, label, part, "right")
        for part in _parts(
            [(each.excerpt.text(each.marked), each.answer) for each in asked]
        )
    ]


def intrude(
    factor: int, label: str, asked: Sequence[trials.Intruder]
) -> list[tuple[Question, list[int]]]:
    """Returns at most one question for the intruder of each group, and what is true."""
    if not asked:
        return []
    lines: list[str] = []
    for number, each in enumerate(asked, start=1):
        texts = [excerpt.text() for excerpt in each.group]
        lines += [f"Group {number}:", *_numbered(texts), ""]
    counts = [len(each.group) for each in asked]

    def read(answer: str) -> list[int]:
        chosen = _numbers(answer, "intruders", most=max(counts))
        if len(chosen) != len(counts):
            raise Malformed(f"expected {len(counts)} numbers, got {len(chosen)}")
        return [number - 1 for number in chosen]

    text = _INTRUDING.replace("LABEL", json.dumps(label, ensure_ascii=False))
    question = _question(factor, "intruder", text, lines, read)
    return [(question, [each.answer for each in asked])]


def read_object(answer: str, field: str) -> Any:
    """Returns the field of the last JSON object in an answer that has it.

    Raises:
      Malformed: there is none.
    """
    if len(answer) > _MAX_ANSWER:
        raise Malformed(f"expected a short answer, got {len(answer):,} characters")
    # What a model thinks before it answers may hold drafts.
    answer = answer.rpartition("</think>")[2]
    end = len(answer)
    for _ in range(_MAX_BRACES):
        end = answer.rfind("{", 0, end)
        if end < 0:
            break
        try:
            value, _ = json.JSONDecoder().raw_decode(answer, end)
        except (ValueError, RecursionError):
            continue
        if field in value:
            return value[field]
    raise Malformed(f'expected an object with "{field}"')


def read_label(answer: str) -> str:
    """Returns the label in an answer; raises `Malformed`."""
    try:
        label = factor_label.label_of({"label": read_object(answer, "label")}).text
    except InputError as error:
        raise Malformed(str(error).rstrip(".")) from error
    if len(label) > MAX_LABEL:
        raise Malformed(f"expected at most {MAX_LABEL} characters, got {len(label)}")
    return label


def _choose(
    factor: int,
    task: str,
    asked: str,
    label: str,
    part: Sequence[tuple[str, bool]],
    field: str,
) -> tuple[Question, list[bool]]:
    def read(answer: str) -> list[bool]:
        chosen = set(_numbers(answer, field, most=len(part)))
        return [number in chosen for number in range(1, len(part) + 1)]

    asked = asked.replace("LABEL", json.dumps(label, ensure_ascii=False))
    lines = list(_numbered(text for text, _ in part))
    question = _question(factor, task, asked, lines, read)
    return question, [answer for _, answer in part]


def _question(
    factor: int, task: str, asked: str, lines: list[str], read: Callable[[str], Any]
) -> Question:
    text = "\n".join([asked, "", *lines])
    # A token may hold part of a character, a lone surrogate that UTF-8 refuses.
    text = text.encode("utf-8", "replace").decode()
    # One message: the templates of some models know no role but the user's.
    return Question(factor, task, ({"role": "user", "content": text},), read)


def _numbers(answer: str, field: str, *, most: int) -> list[int]:
    value = read_object(answer, field)
    if not isinstance(value, list) or not all(
        # A bool is an int in Python, and no number here.
        type(each) is int and 1 <= each <= most
        for each in value
    ):
        raise Malformed(
            f'expected "{field}" as a list of numbers from 1 to {most}, got '
            f"{factor_label.short(value)}"
        )
    return value


def _numbered(texts: Iterable[str]) -> Iterable[str]:
    return (f"{number}. {text}" for number, text in enumerate(texts, start=1))


def _parts(
    asked: Sequence[tuple[str, bool]],
) -> Iterable[Sequence[tuple[str, bool]]]:
    return (asked[i : i + _TOGETHER] for i in range(0, len(asked), _TOGETHER))
