"""Reads shards (`shards`): each file is compared with the others when it is opened."""

import functools

import msgspec
import numpy as np

from tfvis_jax import npy, schema
from tfvis_jax.data import copies, shards
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.errors import InputError, command_line


class Note(msgspec.Struct):
    """One kind of what was left out: see `notes.Notes`."""

    count: schema.Count
    places: list[str]


class Documents(msgspec.Struct):
    """The last file of a shard, with what it says of the others.

    Attributes:
      names: of the documents.
      byte_starts: [num_documents + 1] where their texts begin, and where the last ends.
      notes: what was left out when the shard was built.
    """

    num_documents: schema.Count
    num_windows: schema.Count
    num_tokens: schema.Count
    names: list[str]
    byte_starts: list[schema.Count]
    # Earlier versions did not write them.
    notes: dict[str, Note] = {}


class Shard:
    """A complete shard.

    Attributes:
      paths: of its files.
      documents: what its last file says.
      windows: [num_windows] records (document, first_char, num_tokens).
    """

    def __init__(self, paths: shards.Paths, *, capacity: int, vocab_size: int) -> None:
        """Opens a shard. Of its tokens only the header is read.

        Args:
          paths: of its files.
          capacity: tokens in a full window, not counting special tokens.
          vocab_size: of the tokenizer.

        Raises:
          InputError: a file is damaged, or disagrees with the shard's other files.
        """
        self.paths, self._vocab_size = paths, vocab_size
        self.documents = _read_documents(paths)
        self.windows = _read_windows(paths, self.documents, capacity=capacity)
        self._tokens = npy.read_array(
            paths.tokens,
            dtype=shards.token_dtype(vocab_size),
            shape=(self.documents.num_tokens,),
            remedy=_remedy(paths),
            mapped=True,
        )

    @functools.cached_property
    def tokens(self) -> np.ndarray:
        """[num_tokens] records (id, start, end), memory-mapped; read on first use.

        Raises:
          InputError: the vocabulary does not have one of the tokens.
        """
        # A shard is a few MB, and whoever needs a token of it needs others.
        largest = int(self._tokens["id"].max(initial=0))
        if largest >= self._vocab_size:
            raise self.damaged_tokens(
                f"Expected token ids below {self._vocab_size:,}, got {largest:,}"
            )
        return self._tokens

    def prints(self) -> np.ndarray:
        """Returns the fingerprints of the documents, [num_documents]."""
        return npy.read_array(
            self.paths.copies,
            dtype=copies.FINGERPRINT,
            shape=(self.documents.num_documents,),
            remedy=_remedy(self.paths),
        )

    def text(self, document: int) -> str:
        """Returns the text of a document; InputError if it is damaged."""
        first, last = self.documents.byte_starts[document : document + 2]
        with self.paths.text.open("rb") as file:
            file.seek(first)
            content = file.read(last - first)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise schema.damaged(
                self.paths.text,
                f"Expected UTF-8, got byte {content[error.start]:#04x} at offset "
                f"{first + error.start:,}",
                remedy=_remedy(self.paths),
            ) from error

    def damaged_tokens(self, why: str) -> InputError:
        """Returns the error of tokens that do not fit; `why` says what was expected."""
        return schema.damaged(self.paths.tokens, why, remedy=_remedy(self.paths))


def read_size(paths: shards.Paths) -> shards.Size | None:
    """Returns the size of a shard, or None if it is absent or incomplete."""
    # Earlier versions wrote no fingerprints.
    if not (paths.documents.is_file() and paths.copies.is_file()):
        return None
    found = _read_documents(paths)
    return shards.Size(found.num_documents, found.num_windows, found.num_tokens)


def read_notes(paths: shards.Paths) -> notes_lib.Notes:
    """Returns what was left out when a shard was built."""
    return notes_lib.Notes.of(msgspec.to_builtins(_read_documents(paths).notes))


def _read_documents(paths: shards.Paths) -> Documents:
    """Reads the last file of a shard, and compares the size of the text with it."""
    remedy = _remedy(paths)
    found = schema.read(paths.documents, Documents, remedy=remedy)
    starts = np.array(found.byte_starts, np.int64)
    if (len(found.names), len(starts)) != (found.num_documents, len(found.names) + 1):
        raise schema.damaged(
            paths.documents,
            f"Expected {found.num_documents} `names`, and one more of `byte_starts`; "
            f"got {len(found.names)} and {len(starts)}",
            remedy=remedy,
        )
    if starts[0] != 0 or np.any(np.diff(starts) < 0):
        raise schema.damaged(
            paths.documents,
            "Expected `byte_starts` that begin with 0 and do not fall",
            remedy=remedy,
        )
    size = paths.text.stat().st_size if paths.text.is_file() else 0
    if size != starts[-1]:
        raise schema.damaged(
            paths.text, f"Expected {starts[-1]:,} bytes, got {size:,}", remedy=remedy
        )
    return found


def _read_windows(
    paths: shards.Paths, documents: Documents, *, capacity: int
) -> np.ndarray:
    remedy = _remedy(paths)
    table = npy.read_array(
        paths.windows,
        dtype=shards.WINDOW,
        shape=(documents.num_windows,),
        remedy=remedy,
    )
    number, first = (
        table[name].astype(np.int64) for name in ("document", "first_char")
    )
    size = table["num_tokens"]
    fits = (
        1 <= size.min(initial=1) <= size.max(initial=1) <= capacity
        and size.sum(dtype=np.int64) == documents.num_tokens
        and number.max(initial=-1) == documents.num_documents - 1
        # In the order of the text.
        and np.all(np.diff(number, prepend=-1) <= 1)
        and np.all(
            (np.diff(number) > 0) | ((np.diff(number) == 0) & (np.diff(first) >= 0))
        )
    )
    if not fits:
        raise schema.damaged(
            paths.windows,
            f"Expected windows of 1 to {capacity} tokens, {documents.num_tokens:,} "
            f"together, of {documents.num_documents} documents in order",
            remedy=remedy,
        )
    return table


def _remedy(paths: shards.Paths) -> str:
    again = command_line("train", paths.folder.parent)
    return f"Remove {paths.folder}; `{again}` writes it again."
