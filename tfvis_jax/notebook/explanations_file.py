"""Write everything known about each factor, one line of JSON per factor.

The first line names what the others belong to. A killed process leaves at most one
incomplete line, which is cut off when the work resumes. Schema `tfvis-explanations/1`:

    {"schema": …, "dictionary_hash": …, "levels_measured": …, "examples": …, …}
    {"factor": 12, "layer": 6, "level": …, …, "examples": […], "maps": […]}
    {"factor": 13, "dead": true}

Lines have the fields of `description.Description`; ``examples`` have those of
`examples.Example`; ``maps`` are `saliency.Explanation.as_json`, each with the ``rank``
of its example. A map that could not be computed is `{"rank": 2, "missing": "why"}`.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from tfvis_jax import saliency
from tfvis_jax.description import terms
from tfvis_jax.errors import InputError
from tfvis_jax.examples import contexts
from tfvis_jax.notebook import run as run_lib

SCHEMA = "tfvis-explanations/1"
# Factors of a layer whose maps are computed in one batch; a kill loses one batch.
_TOGETHER = 8


@dataclasses.dataclass(frozen=True)
class LineSettings:
    """What each line contains. All lines of a file have the same settings.

    Attributes:
      examples: number of top-activating examples.
      maps: number of these that get saliency maps; 0 for none.
      methods: methods of the maps, from `saliency.METHODS`.
    """

    examples: int = 10
    maps: int = 1
    methods: tuple[str, ...] = ("lime",)

    def __post_init__(self):
        if self.examples < 1 or self.maps < 0:
            raise InputError(
                "Expected at least one example and a non-negative number of maps, got "
                f"{self.examples} and {self.maps}."
            )
        if not self.methods or not set(self.methods) <= set(saliency.METHODS):
            raise InputError(
                f"Expected methods of {saliency.METHODS}, got {self.methods}."
            )


def explain_factors(
    run: run_lib.Run,
    factors: Sequence[int],
    path: pathlib.Path,
    *,
    settings: LineSettings,
    tagger: terms.Tagger | None = None,
    progress: Callable[[int, int], None],
) -> int:
    """Writes a line for each factor that has none yet in the file.

    Args:
      run: the run, with examples.
      factors: factors to write. Those that peak at the same layer are written together,
        since their maps are computed together.
      path: path of the file; created if it does not exist.
      settings: what each line contains.
      tagger: returns a part-of-speech tag for each word of a window.
      progress: called with (factors with a line, factors asked for).

    Returns:
      The number of lines added.

    Raises:
      InputError: if there is no such factor, if the run has no examples, if the file
        holds something else, or if another process is adding to it.
    """
    for factor in factors:
        run.check_factor(factor)
    head = {
        "schema": SCHEMA,
        "dictionary_hash": run.trained.content_hash,
        "stored_examples": run.examples.activation.shape[2],
        # Their number: more of them may have been measured since.
        "levels_measured": sum(bool(each.context) for each in run.level_evidence),
        "tagged": tagger is not None,
        **dataclasses.asdict(settings),
    }
    # Tuples become lists, as in the head that is read back.
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
            # In one call and flushed to disk, so that a kill cuts at most one line.
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
            done += len(together)
            progress(done, total)
    return len(missing)


def read(path: pathlib.Path) -> dict[int, dict[str, Any]]:
    """Returns the lines of a file, by factor; an incomplete last line is left out.

    Raises:
      InputError: if the file does not exist or holds something else.
    """
    if not path.is_file():
        raise InputError(f"Expected a file of explanations; {path} does not exist.")
    head, lines = _parse(path, path.read_bytes())
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise InputError(f"Expected lines of schema {SCHEMA} in {path}.")
    return {line["factor"]: line for line in lines}


@contextlib.contextmanager
def _alone(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file for appending and locks it; the lock ends with the process."""
    if path.exists() and not path.is_file():
        raise InputError(f"Expected a file, but {path} is not one; name another.")
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"Another process is adding to {path}. Wait for it or stop it; nothing "
                "was changed."
            ) from None
        yield file


def _begin(path: pathlib.Path, file: BinaryIO, head: dict[str, Any]) -> set[int]:
    """Writes the head or cuts off an incomplete line; returns factors with a line."""
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    if not whole:
        # The head itself may have been cut off; anything else is not our file.
        if content and not json.dumps(head).encode().startswith(content):
            raise InputError(f"{path} holds something else; name another file.")
        file.truncate(0)
        file.write(json.dumps(head).encode() + b"\n")
        return set()
    found, lines = _parse(path, content[:whole])
    if found != head:
        raise InputError(
            f"{path} was written for another dictionary, for other examples or levels, "
            "or with other settings. Use those, or name another file."
        )
    file.truncate(whole)
    return {line["factor"] for line in lines}


def _parse(path: pathlib.Path, content: bytes) -> tuple[Any, list[dict[str, Any]]]:
    """Returns the head and the complete lines."""
    try:
        head, *lines = map(json.loads, content[: content.rfind(b"\n") + 1].splitlines())
        # Not isinstance, which would accept true and false.
        if any(type(line["factor"]) is not int for line in lines):
            raise ValueError("a line without a factor")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a file of explanations ({error}); name another."
        ) from error
    return head, lines


def _groups(
    run: run_lib.Run, factors: Sequence[int]
) -> Iterator[tuple[list[int], int | None]]:
    """Yields batches of factors that peak at one layer; None for dead factors."""
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


def _lines(
    run: run_lib.Run,
    factors: Sequence[int],
    layer: int | None,
    *,
    settings: LineSettings,
    tagger: terms.Tagger | None,
) -> list[dict[str, Any]]:
    """Returns the lines of factors that peak at one layer."""
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


def _maps(
    run: run_lib.Run,
    found: Mapping[int, contexts.ExampleList],
    *,
    layer: int,
    settings: LineSettings,
) -> dict[int, list[dict[str, Any]]]:
    """Returns the maps of the first examples of each factor."""
    targets = {
        (factor, rank): saliency.target_of_example(
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


def _explain(
    run: run_lib.Run,
    targets: Sequence[saliency.Target],
    *,
    layer: int,
    methods: Sequence[str],
) -> list[dict[str, Any]]:
    """Returns the maps of each target, or the reason why there are none."""
    if not targets:
        return []
    # Opened outside the try: errors of the model are not errors of a target.
    opened, trained = run.opened, run.trained
    try:
        found = saliency.explain(opened, trained, targets, layer=layer, methods=methods)
    except InputError as error:
        if len(targets) == 1:
            # An α below the tolerance of the examples pass may be 0 here.
            return [{"missing": str(error)}]
        # One target fails the whole batch; find it by explaining each alone.
        return [
            alone
            for target in targets
            for alone in _explain(run, [target], layer=layer, methods=methods)
        ]
    return [each.as_json() for each in found]
