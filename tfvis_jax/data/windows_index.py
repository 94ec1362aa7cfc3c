"""Finishes a build of windows: held-out split, token counts, index."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.data import cutting, shards
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib


def finish(
    folder: pathlib.Path,
    *,
    num_shards: int,
    settings: dict[str, Any],
    tokenizer: tokenizer_lib.Tokenizer,
) -> None:
    """Writes the held-out split, the token counts and, last, the index.

    Shards beyond the end of the corpus are removed first.

    Args:
      folder: folder that holds the shards.
      num_shards: number of shards that make up the corpus.
      settings: settings of the build, stored in the index.
      tokenizer: the tokenizer of the BERT.
    """
    # Workers may have built shards beyond the one that reached ``max_tokens``.
    for path in folder.glob("[0-9]*.*"):
        if int(path.name.split(".")[0]) >= num_shards:
            path.unlink()
    paths = [shards.Paths(folder, number) for number in range(num_shards)]
    # They may have been written by an earlier call, and damaged since.
    documents = [shards.read_documents(each) for each in paths]
    capacity = settings["window_length"] - 2 * settings["special_tokens"]
    tables = [
        shards.read_windows(each, found, capacity=capacity)
        for each, found in zip(paths, documents, strict=True)
    ]
    tables[-1] = _up_to(tables, max_tokens=settings["max_tokens"])
    # Every document of a shard has a window, so the last index gives their number.
    kept = [
        shards.Size(
            int(table["document"][-1]) + 1 if len(table) else 0,
            len(table),
            int(table["num_tokens"].sum(dtype=np.int64)),
        )
        for table in tables
    ]
    first_document = np.cumsum([0, *(size.num_documents for size in kept)])
    held_out = cutting.held_out_windows(
        np.concatenate(
            [
                table["document"].astype(np.int64) + first
                for table, first in zip(tables, first_document, strict=False)
            ]
        ),
        fraction=settings["held_out_fraction"],
    )
    tokens = [
        shards.open_tokens(each, found, vocab_size=tokenizer.vocab_size)
        for each, found in zip(paths, documents, strict=True)
    ]
    for each, found in zip(paths, tokens, strict=True):
        shards.check_tokens(each, found, vocab_size=tokenizer.vocab_size)
    token_counts = _count(tokens, tables, held_out, vocab_size=tokenizer.vocab_size)
    for name, array in (
        ("is_continuation", tokenizer.is_continuation),
        ("held_out", held_out),
        ("token_counts", token_counts),
    ):
        with files.write_atomically(folder / f"{name}.npy") as file:
            np.save(file, array)
    files.write_json(
        folder / "index.json",
        {
            "schema_version": windows_lib.SCHEMA_VERSION,
            "settings": settings,
            "tokenizer": {
                "hash": tokenizer.content_hash,
                "vocab_size": tokenizer.vocab_size,
                "pad_id": tokenizer.pad_id,
                "cls_id": tokenizer.cls_id,
                "sep_id": tokenizer.sep_id,
            },
            "num_documents": int(first_document[-1]),
            "num_windows": len(held_out),
            "num_held_out_windows": int(held_out.sum()),
            "num_tokens": sum(size.num_tokens for size in kept),
            "num_training_tokens": int(token_counts.sum()),
            "shards": [dataclasses.asdict(size) for size in kept],
        },
    )


def _up_to(tables: list[np.ndarray], *, max_tokens: int | None) -> np.ndarray:
    """Returns the last table, cut after the window that reaches ``max_tokens``."""
    last = tables[-1]
    if max_tokens is None:
        return last
    before = sum(int(t["num_tokens"].sum(dtype=np.int64)) for t in tables[:-1])
    reached = np.cumsum(last["num_tokens"], dtype=np.int64) + before
    return last[: int(np.searchsorted(reached, max_tokens)) + 1]


def _count(
    tokens: list[np.ndarray],
    tables: list[np.ndarray],
    held_out: np.ndarray,
    *,
    vocab_size: int,
) -> np.ndarray:
    """Returns the occurrences in the training windows, [vocab_size] int64."""
    counts = np.zeros(vocab_size, np.int64)
    first = 0
    for records, table in zip(tokens, tables, strict=True):
        train = ~held_out[first : first + len(table)]
        first += len(table)
        # The table of the last shard may have been cut, so its tokens are cut alike.
        counted = np.repeat(train, table["num_tokens"])
        ids = np.asarray(records["id"][: len(counted)])[counted]
        counts += np.bincount(ids, minlength=vocab_size)
    return counts
