"""Writes texts that are in memory as token windows, every character where it was.

Nothing is cleaned, so that character offsets count in the texts as they were given.
"""

import dataclasses
import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator

from tfvis_jax import config as config_lib
from tfvis_jax import files
from tfvis_jax.data import (
    build_windows,
    corpus,
    shards,
    unknown_tokens,
    windows_index,
)
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError


def build(
    folder: pathlib.Path,
    texts: Iterable[str],
    corpus_config: config_lib.CorpusConfig,
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    notify: Callable[[str], None] = warnings.warn,
) -> windows_lib.Windows:
    """Cuts texts into windows as those of a corpus are cut.

    Each text is a document, named by its number from 0. Texts without a token have no
    window.

    Args:
      folder: an empty folder to write to.
      texts: the texts; half a surrogate pair is read as "?".
      corpus_config: length of the windows and whether they have special tokens.
      tokenizer: the tokenizer of the model.
      notify: told in a sentence if many tokens are unknown.

    Raises:
      InputError: a text is no string, or no text has a token.
    """
    capacity = corpus_config.window_length - tokenizer.num_special(
        corpus_config.special_tokens
    )
    num_shards, num_tokens = 0, 0
    for group in _groups(texts):
        size = shards.write(
            shards.Paths(folder, num_shards),
            group,
            tokenizer=tokenizer,
            capacity=capacity,
        )
        # A shard without a token is written over, or removed at the end.
        num_shards += size.num_tokens > 0
        num_tokens += size.num_tokens
    if not num_tokens:
        raise InputError("Expected texts with at least one word, got none.")
    settings = dataclasses.asdict(corpus_config) | {
        "max_tokens": None,
        "inputs": [],
        "every_document": True,
    }
    index = windows_index.finish(
        folder,
        num_shards=num_shards,
        settings=settings,
        tokenizer=tokenizer,
        notes=notes_lib.Notes(),
    )
    if unknown := unknown_tokens.warning(index["unknown_tokens"]):
        notify(f"{unknown}.")
    files.write_json(folder / "index.json", index)
    return windows_lib.open(folder)


def _groups(texts: Iterable[str]) -> Iterator[list[corpus.Document]]:
    """Yields the documents of each shard."""
    group: list[corpus.Document] = []
    size = 0
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"Expected texts to be strings, got {type(text).__name__} at place "
                f"{number}."
            )
        # One character for one, so that offsets stay.
        text = text.encode("utf-8", "replace").decode()
        group.append(corpus.Document(str(number), text))
        size += len(text)
        if size >= build_windows.SHARD_CHARS:
            yield group
            group, size = [], 0
    if group:
        yield group
