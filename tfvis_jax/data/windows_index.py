"""Finishes a build of windows: copies, held-out split, token counts, index."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.data import (
    copies,
    shard_reading,
    shards,
    split,
    unknown_tokens,
    windows_files,
)
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.data import tokenizer as tokenizer_lib


class KeptTokens:
    """Counts the tokens of shards, in their order, without those of exact copies.

    Attributes:
      num_tokens: tokens so far.
    """

    def __init__(self) -> None:
        """Starts at zero."""
        self.num_tokens = 0
        self._seen: set[int] = set()

    def add(self, shard: shard_reading.Shard) -> None:
        """Adds the next shard."""
        table, prints = shard.windows, shard.prints()
        for text, tokens in zip(
            prints["text"].tolist(),
            np.bincount(table["document"], table["num_tokens"], len(prints)).tolist(),
            strict=True,
        ):
            if text not in self._seen:
                self._seen.add(text)
                self.num_tokens += int(tokens)


def finish(
    folder: pathlib.Path,
    *,
    num_shards: int,
    settings: dict[str, Any],
    tokenizer: tokenizer_lib.Tokenizer,
    notes: notes_lib.Notes,
) -> dict[str, Any]:
    """Writes the sides of the windows and the token counts, and returns the index.

    Shards beyond the end of the corpus are removed first.

    Args:
      folder: folder that holds the shards.
      num_shards: number of shards that make up the corpus.
      settings: settings of the build, stored in the index.
      tokenizer: the tokenizer of the model.
      notes: what was left out, stored in the index.

    Returns:
      The content of index.json, which is to be written last.
    """
    # Workers may have built shards beyond the one that reached ``max_tokens``.
    for path in folder.glob("[0-9]*.*"):
        if int(path.name.split(".")[0]) >= num_shards:
            path.unlink()
    # They may have been written by an earlier call, and damaged since.
    opened = [
        shard_reading.Shard(
            shards.Paths(folder, number),
            capacity=settings["window_length"]
            - tokenizer.num_special(settings["special_tokens"]),
            vocab_size=tokenizer.vocab_size,
        )
        for number in range(num_shards)
    ]
    tables = [shard.windows for shard in opened]
    all_prints = [shard.prints() for shard in opened]
    tables[-1] = _up_to(tables, all_prints, max_tokens=settings["max_tokens"])
    # Every document of a shard has a window, so the last index gives their number.
    kept = [
        shards.Size(
            int(table["document"][-1]) + 1 if len(table) else 0,
            len(table),
            int(table["num_tokens"].sum(dtype=np.int64)),
        )
        for table in tables
    ]
    prints = np.concatenate(
        [p[: size.num_documents] for p, size in zip(all_prints, kept, strict=True)]
    )
    first_part = copies.first_parts(prints["continues"])
    document = _numbered(tables, all_prints)
    if settings.get("every_document"):
        groups = copies.apart(len(prints))
        found = split.Split(
            np.full(len(document), split.Side.HELD_OUT, np.uint8),
            num_documents=len(np.unique(first_part)),
            num_sections=0,
        )
    else:
        groups = copies.group(prints, near=settings["fold_near_copies"])
        found = split.choose(
            document,
            groups,
            fraction=settings["held_out_fraction"],
            paragraphs=functools.partial(
                _paragraphs,
                opened,
                tables,
                first_document=np.cumsum([0, *(size.num_documents for size in kept)]),
            ),
        )
    token_counts = _count(
        opened, tables, found.sides == split.Side.TRAIN, vocab_size=tokenizer.vocab_size
    )
    arrays = {"sides": found.sides, "token_counts": token_counts}
    if tokenizer.is_continuation is not None:
        arrays["is_continuation"] = tokenizer.is_continuation
    for name, array in arrays.items():
        with files.write_atomically(folder / f"{name}.npy") as file:
            np.save(file, array)
    num_tokens = np.concatenate([table["num_tokens"] for table in tables])
    is_used = found.sides != split.Side.COPY
    return {
        "schema_version": windows_files.SCHEMA_VERSION,
        "settings": settings,
        "tokenizer": {
            "hash": tokenizer.content_hash,
            "vocab_size": tokenizer.vocab_size,
            "pad_id": tokenizer.pad_id,
            "prefix": list(tokenizer.prefix),
            "suffix": list(tokenizer.suffix),
            "marks_continuations": tokenizer.marks_continuations,
        },
        "num_documents": len(np.unique(first_part[groups.is_first])),
        "num_folded_documents": {
            "exact": groups.num_exact,
            "near": groups.num_near,
        },
        "num_windows": int(is_used.sum()),
        "num_held_out_windows": int((found.sides == split.Side.HELD_OUT).sum()),
        "held_out": {
            "num_documents": found.num_documents,
            "num_sections": found.num_sections,
        },
        "num_tokens": int(num_tokens[is_used].sum(dtype=np.int64)),
        "num_training_tokens": int(token_counts.sum()),
        # Parts of long documents, numbered among all parts and documents.
        "continuing_documents": np.flatnonzero(prints["continues"]).tolist(),
        "shards": [dataclasses.asdict(size) for size in kept],
        "unknown_tokens": _unknown(opened, tables, is_used, unk_id=tokenizer.unk_id),
        "notes": notes.as_json(),
    }


def _unknown(
    opened: Sequence[shard_reading.Shard],
    tables: Sequence[np.ndarray],
    is_used: np.ndarray,
    *,
    unk_id: int | None,
) -> dict[str, Any]:
    """Returns the `unknown_tokens.summary` of the documents that are used."""
    num_tokens, num_unknown, names = [], [], []
    first = 0
    for shard, table in zip(opened, tables, strict=True):
        if not len(table):
            continue
        counts = np.where(is_used[first : first + len(table)], table["num_tokens"], 0)
        first += len(table)
        document = np.repeat(table["document"], table["num_tokens"])
        used = np.repeat(counts > 0, table["num_tokens"])
        ids = shard.tokens["id"][: len(document)]
        num_tokens.append(np.bincount(document, used))
        is_unknown = used & unknown_tokens.are_unknown(ids, unk_id)
        num_unknown.append(np.bincount(document, is_unknown))
        names += shard.documents.names[: len(num_tokens[-1])]
    return unknown_tokens.summary(
        np.concatenate(num_tokens), np.concatenate(num_unknown), names=names
    )


def folded(index: Mapping[str, Any]) -> str:
    """Returns how many documents are left out as copies, as a sentence; "" for none."""
    num = index["num_folded_documents"]
    if not num["exact"] + num["near"]:
        return ""
    return (
        "Documents left out because they are copies of others: "
        f"{num['exact']:,} exact, {num['near']:,} nearly the same."
    )


def _up_to(
    tables: list[np.ndarray], prints: list[np.ndarray], *, max_tokens: int | None
) -> np.ndarray:
    """Returns the last table, cut after the window that reaches ``max_tokens``."""
    last = tables[-1]
    if max_tokens is None:
        return last
    is_copy = copies.is_exact_copy(np.concatenate(prints))
    num_tokens = np.concatenate([table["num_tokens"] for table in tables])
    counted = np.where(is_copy[_numbered(tables, prints)], 0, num_tokens)
    reached = int(np.searchsorted(np.cumsum(counted, dtype=np.int64), max_tokens))
    return last[: reached + 1 - (len(num_tokens) - len(last))]


def _numbered(tables: list[np.ndarray], prints: list[np.ndarray]) -> np.ndarray:
    """Returns the number of each window's document in the corpus, [num_windows]."""
    first = np.cumsum([0, *map(len, prints)])
    numbers = zip(tables, first, strict=False)
    return np.concatenate([t["document"].astype(np.int64) + i for t, i in numbers])


def _paragraphs(
    opened: list[shard_reading.Shard],
    tables: list[np.ndarray],
    document: int,
    *,
    first_document: np.ndarray,
) -> split.Paragraphs:
    """Returns the paragraphs of a document's windows; see `split.choose`."""
    shard = int(np.searchsorted(first_document, document, side="right")) - 1
    number = document - int(first_document[shard])
    text, table = opened[shard].text(number), tables[shard]
    own = table["first_char"][table["document"] == number].astype(np.int64)
    # Blank lines divide a text that has some; otherwise every line is a paragraph.
    blank = re.compile(r"\n[^\S\n]*\n\s*")
    between = blank if blank.search(text) else re.compile(r"\n\s*")
    starts = np.array([0, *(match.end() for match in between.finditer(text))])
    first = np.searchsorted(starts, own, side="right") - 1
    last = np.searchsorted(starts, np.append(own[1:], len(text))) - 1
    return first, np.maximum(first, last)


def _count(
    opened: list[shard_reading.Shard],
    tables: list[np.ndarray],
    train: np.ndarray,
    *,
    vocab_size: int,
) -> np.ndarray:
    """Returns the occurrences in the training windows, [vocab_size] int64."""
    counts = np.zeros(vocab_size, np.int64)
    first = 0
    for shard, table in zip(opened, tables, strict=True):
        chosen = train[first : first + len(table)]
        first += len(table)
        # The table of the last shard may have been cut, so its tokens are cut alike.
        counted = np.repeat(chosen, table["num_tokens"])
        ids = np.asarray(shard.tokens["id"][: len(counted)])[counted]
        counts += np.bincount(ids, minlength=vocab_size)
    return counts
