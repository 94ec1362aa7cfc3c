"""The files beside the shards of token windows: what they hold, and how they are read.

index.json            settings, tokenizer, counts; the last to be written
sides.npy             [num_windows] uint8 of `split.Side`; held_out.npy in version 1
token_counts.npy      [vocab_size] int64
is_continuation.npy   [vocab_size] bool; absent if the vocabulary marks no continuations
"""

import pathlib
from typing import Annotated, Any

import msgspec
import numpy as np

from tfvis_jax import npy, schema
from tfvis_jax.data import shard_reading, shards, split
from tfvis_jax.errors import InputError, command_line

SCHEMA_VERSION = 3
# Version 1 split documents by their position and kept copies; up to version 2 all
# tokenizers were BERT's.
READABLE_VERSIONS = (1, 2, SCHEMA_VERSION)


class _Version(msgspec.Struct):
    schema_version: Any = None


class _Settings(msgspec.Struct):
    window_length: Annotated[int, msgspec.Meta(ge=3, le=2**16 + 1)]
    special_tokens: bool


class _Tokenizer(msgspec.Struct):
    vocab_size: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    pad_id: schema.Count
    prefix: list[schema.Count] = []
    suffix: list[schema.Count] = []
    marks_continuations: bool = True
    # Of version 1 and 2.
    cls_id: schema.Count | None = None
    sep_id: schema.Count | None = None


class _Folded(msgspec.Struct):
    exact: schema.Count
    near: schema.Count


class _HeldOut(msgspec.Struct):
    num_documents: schema.Count
    num_sections: schema.Count


class _Unknown(msgspec.Struct):
    """Of a document, or of the text."""

    share: schema.NotNegative
    name: str = ""
    count: schema.Count = 0
    documents: list["_Unknown"] = []


class Index(msgspec.Struct):
    """What is read of index.json; what it says beside it is for people.

    Attributes:
      num_windows: windows that are used; copies have none.
      num_tokens: in these.
      continuing_documents: parts of long documents but the first, numbered among all.
      shards: their sizes, copies included.
    """

    schema_version: int
    settings: _Settings
    tokenizer: _Tokenizer
    num_documents: schema.Count
    num_windows: schema.Count
    num_tokens: schema.Count
    shards: Annotated[list[shards.Size], msgspec.Meta(min_length=1)]
    continuing_documents: list[schema.Count] = []
    num_folded_documents: _Folded | None = None
    held_out: _HeldOut | None = None
    unknown_tokens: _Unknown | None = None
    notes: dict[str, shard_reading.Note] = {}


def read_index(folder: pathlib.Path) -> tuple[Index, dict[str, Any]]:
    """Reads index.json of the windows in a folder.

    Returns:
      What the windows are made of; all that the file holds.

    Raises:
      InputError: it is damaged, or was written by another version.
    """
    path, again = folder / "index.json", remedy(folder)
    version = schema.read(path, _Version, remedy=again).schema_version
    # Not `in`, for which true is 1.
    if type(version) is not int or version not in READABLE_VERSIONS:
        raise InputError(
            f"Expected version {SCHEMA_VERSION} of the window files in {folder}, got "
            f"{schema.short(version)}; build the windows again with this version."
        )
    index, plain = schema.read_plain(path, Index, remedy=again)
    special = index.tokenizer
    if version < SCHEMA_VERSION:
        special.prefix = [] if special.cls_id is None else [special.cls_id]
        special.suffix = [] if special.sep_id is None else [special.sep_id]
    ids = (special.pad_id, *special.prefix, *special.suffix)
    capacity = index.settings.window_length - num_special(index)
    num_parts = sum(size.num_documents for size in index.shards)
    for is_right, why in (
        (
            max(ids) < special.vocab_size,
            f"Expected special tokens with ids below `vocab_size`, "
            f"{special.vocab_size}; got {ids}",
        ),
        (
            version == SCHEMA_VERSION or len(ids) == 3,
            "Expected `cls_id` and `sep_id`, got none",
        ),
        (
            1 <= capacity < 2**16,
            f"Expected windows with room for 1 to {2**16 - 1} tokens, got {capacity}",
        ),
        (
            max(index.continuing_documents, default=-1) < num_parts,
            f"Expected `continuing_documents` below {num_parts}, the documents of all "
            "shards",
        ),
        (
            version == 1 or None not in (index.num_folded_documents, index.held_out),
            "Expected `num_folded_documents` and `held_out`, got none",
        ),
    ):
        if not is_right:
            raise schema.damaged(path, why, remedy=again)
    return index, plain


def num_special(index: Index) -> int:
    """Returns how many special tokens a window has."""
    special = index.tokenizer
    return index.settings.special_tokens * (len(special.prefix) + len(special.suffix))


def read_sides(folder: pathlib.Path, index: Index) -> np.ndarray:
    """Returns the `split.Side` of each window of the shards, [n] uint8."""
    # The first version had two sides.
    is_first = index.schema_version == 1
    name, dtype = ("held_out", np.bool) if is_first else ("sides", np.uint8)
    path, again = folder / f"{name}.npy", remedy(folder)
    num_windows = sum(size.num_windows for size in index.shards)
    sides = npy.read_array(path, dtype=dtype, shape=(num_windows,), remedy=again)
    sides = sides.astype(np.uint8)
    num_used = int((sides != split.Side.COPY).sum())
    if sides.max(initial=0) > max(split.Side) or num_used != index.num_windows:
        raise schema.damaged(
            path,
            f"Expected sides of 0 to {int(max(split.Side))}, {index.num_windows} of "
            f"them of no copy; got up to {sides.max(initial=0)}, {num_used} of no copy",
            remedy=again,
        )
    return sides


def read_token_counts(folder: pathlib.Path, index: Index) -> np.ndarray:
    """Returns the occurrences in the training windows, [vocab_size] int64."""
    path, again = folder / "token_counts.npy", remedy(folder)
    counts = _of_vocabulary(path, index, np.int64)
    # Their sum is a number of tokens.
    if counts.min() < 0 or counts.sum(dtype=np.float64) > index.num_tokens:
        raise schema.damaged(
            path,
            f"Expected counts of {index.num_tokens:,} tokens at most, got numbers from "
            f"{counts.min():,} to {counts.max():,}",
            remedy=again,
        )
    return counts


def read_is_continuation(folder: pathlib.Path, index: Index) -> np.ndarray | None:
    """Returns whether each token id continues a word, [vocab_size] bool.

    None if the vocabulary does not mark those that do.
    """
    if not index.tokenizer.marks_continuations:
        return None
    return _of_vocabulary(folder / "is_continuation.npy", index, np.bool)


def remedy(folder: pathlib.Path) -> str:
    """Returns what to do about damaged windows."""
    again = command_line("train", folder.parent)
    return f"Remove {folder}; `{again}` writes it again."


def _of_vocabulary(
    path: pathlib.Path, index: Index, dtype: type[np.generic]
) -> np.ndarray:
    return npy.read_array(
        path,
        dtype=dtype,
        shape=(index.tokenizer.vocab_size,),
        remedy=remedy(path.parent),
    )
