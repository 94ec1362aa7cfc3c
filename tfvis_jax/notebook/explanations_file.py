"""All that is known of every factor, one line of JSON each, in a file that grows.

The first line says what the others belong to. A line is written whole; a killed process
leaves at most a piece of one, which is cut off when the work goes on. Schema
`tfvis-explanations/1`:

    {"schema": …, "dictionary_hash": …, "levels_measured": …, "examples": …, …}
    {"factor": 12, "layer": 6, "level": …, …, "examples": […], "maps": […]}
    {"factor": 13, "dead": true}

with the fields of `description.Description`, ``examples`` as `contexts.Example` has
them, and ``maps`` as `explanation.Explanation.as_json` gives them, each with the
``rank`` of its example; one that could not be made is `{"rank": 2, "missing": "why"}`.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from tfvis_jax.description import terms
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.saliency import example_target, explanation

SCHEMA = "tfvis-explanations/1"
# Factors of one layer whose maps are made together, and lost together by a kill.
_TOGETHER = 8


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a line holds; lines of other settings are not added to a file.

    Attributes:
      examples: strongest contexts.
      maps: of the first so many of them, saliency maps; 0 for none.
      methods: of the maps, of `explanation.METHODS`.
    """

    examples: int = 10
    maps: int = 1
    methods: tuple[str, ...] = ("lime",)

    def __post_init__(self):
        if self.examples < 1 or self.maps < 0:
            raise InputError(
                "Expected at least one example and no negative number of maps, got "
                f"{self.examples} and {self.maps}."
            )
        if not self.methods or not set(self.methods) <= set(explanation.METHODS):
            raise InputError(
                f"Expected methods of {explanation.METHODS}, got {self.methods}."
            )


def explain_factors(
    run: run_lib.Run,
    factors: Sequence[int],
    path: pathlib.Path,
    *,
    settings: Settings,
    tagger: terms.Tagger | None = None,
    progress: Callable[[int, int], None],
) -> int:
    """Writes a line for each factor that the file does not have yet.

    Args:
      run: with its examples.
      factors: to be written; those of one layer come together, as their maps do.
      path: of the file, made if it is not there.
      settings: what a line holds.
      tagger: returns the part of speech of each word of a window.
      progress: called with (factors that have a line, factors asked for).

    Returns:
      How many lines were added.

    Raises:
      InputError: no such factor, a run without examples, a file of something else, or
        one that another process is adding to.
    """
    for factor in factors:
        run.check_factor(factor)
    head = {
        "schema": SCHEMA,
        "dictionary_hash": run.trained.content_hash,
        "stored_examples": run.examples.activation.shape[2],
        "levels_measured": run.directory.levels.is_file(),
        "tagged": tagger is not None,
        **dataclasses.asdict(settings),
    }
    # As JSON has it.
    head = json.loads(json.dumps(head))
    with _alone(path) as file:
        known = _begin(path, file, head)
        missing = [factor for factor in dict.fromkeys(factors) if factor not in known]
        done = total = len(set(factors))
        done -= len(missing)
        progress(done, total)
        for together, layer in _groups(run, missing):
            lines = _lines(run, together, layer, settings=settings, tagger=tagger)
            text = "".join(
                json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
                for line in lines
            )
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
            done += len(together)
            progress(done, total)
    return len(missing)


def read(path: pathlib.Path) -> dict[int, dict[str, Any]]:
    """Returns the lines of a file by factor; a piece of a line is left out.

    Raises:
      InputError: there is no such file, or it holds something else.
    """
    if not path.is_file():
        raise InputError(f"{path} is not there.")
    head, lines = _parse(path, path.read_bytes())
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise InputError(f"Expected lines of schema {SCHEMA} in {path}.")
    return {line["factor"]: line for line in lines}


@contextlib.contextmanager
def _alone(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file to be added to by one process; the system frees it when we die."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file; name another.")
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"Another process is adding to {path}. Wait for it, or stop it; "
                "nothing was changed."
            ) from None
        yield file


def _begin(path, file, head) -> set[int]:
    """Returns the factors that have a line; makes the file fit to be added to."""
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    if not whole:
        if content and not json.dumps(head).encode().startswith(content):
            raise InputError(f"{path} holds something else; name another file.")
        file.truncate(0)
        file.write(json.dumps(head).encode() + b"\n")
        return set()
    found, lines = _parse(path, content[:whole])
    if found != head:
        raise InputError(
            f"{path} was written of another dictionary, of other examples or levels, "
            "or with other settings. Use these, or another file."
        )
    file.truncate(whole)
    return {line["factor"] for line in lines}


def _parse(path, content):
    try:
        head, *lines = map(json.loads, content[: content.rfind(b"\n") + 1].splitlines())
        if any(type(line["factor"]) is not int for line in lines):
            raise ValueError("a line without a factor")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a file of explanations ({error}); name another."
        ) from error
    return head, lines


def _groups(run, factors):
    """Yields factors that peak at one layer, few enough together, with the layer."""
    firing = run.examples.firing
    of_layer: dict[int | None, list[int]] = {}
    for factor in factors:
        alive = firing[:, factor].any()
        layer = run.peak_layer(factor) if alive else None
        of_layer.setdefault(layer, []).append(factor)
    for layer in sorted(of_layer, key=lambda at: -1 if at is None else at):
        members = of_layer[layer]
        for start in range(0, len(members), _TOGETHER):
            yield members[start : start + _TOGETHER], layer


def _lines(run, factors, layer, *, settings, tagger):
    if layer is None:
        return [{"factor": factor, "dead": True} for factor in factors]
    found = {
        factor: run.factor(factor).examples(layer=layer, n=settings.examples)
        for factor in factors
    }
    maps = _maps(run, found, layer=layer, settings=settings)
    return [
        run.factor(factor).describe(layer=layer, tagger=tagger).as_json()
        | {
            "examples": [dataclasses.asdict(example) for example in found[factor]],
            "maps": maps[factor],
        }
        for factor in factors
    ]


def _maps(run, found, *, layer, settings):
    targets = {
        (factor, rank): example_target.of_example(
            run, factor=factor, layer=layer, rank=rank
        )
        for factor, examples in found.items()
        for rank in range(1, min(settings.maps, len(examples)) + 1)
    }
    made = _explain(run, list(targets.values()), layer=layer, methods=settings.methods)
    maps: dict[int, list[dict[str, Any]]] = {factor: [] for factor in found}
    for (factor, rank), of_target in zip(targets, made, strict=True):
        maps[factor].append({"rank": rank} | of_target)
    return maps


def _explain(run, targets, *, layer, methods) -> list[dict[str, Any]]:
    """Returns the maps of each target, or why there are none."""
    if not targets:
        return []
    # What is wrong with the model or the dictionary is no fault of a target.
    opened, trained = run.opened, run.trained
    try:
        found = explanation.explain(
            opened, trained, targets, layer=layer, methods=methods
        )
    except InputError as error:
        if len(targets) == 1:
            # An α within the tolerance that examples are solved to may be none here.
            return [{"missing": str(error)}]
        return [
            alone
            for target in targets
            for alone in _explain(run, [target], layer=layer, methods=methods)
        ]
    return [each.as_json() for each in found]
