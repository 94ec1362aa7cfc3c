"""Writes a corpus as token windows, in shards that survive an interruption.

settings.json   what was asked for, written first
00000.*, ...    shards, each whole or not there (`shards`)
is_continuation.npy, held_out.npy, token_counts.npy
index.json      counts, written last: its presence means that all is there

Shards are cut from the text before cleaning and tokenisation, so that they, and every
byte of the result, depend neither on the number of processes nor on interruptions.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfvis_jax import config as config_lib
from tfvis_jax import errors, files
from tfvis_jax.data import corpus, readers, shard_workers, windows_index
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib

# Large enough that a shard's files are few, small enough that workers share a corpus.
SHARD_CHARS = 2_000_000


def build(
    folder: pathlib.Path | str,
    corpus_config: config_lib.CorpusConfig,
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    num_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> windows_lib.Windows:
    """Reads, cleans and tokenises a corpus into a folder, or goes on doing so.

    Called again after an interruption it re-does only the shards that were not whole,
    with the same bytes as a result; called on a finished folder it only opens it.

    Windows never cross documents and no token is dropped, so the last window of a
    document is padded. With ``max_tokens`` the corpus ends with the window that
    reaches it. For the held-out windows see `cutting.held_out_windows`.

    Args:
      folder: made if it is not there; the parent must exist.
      corpus_config: which text, how cut.
      tokenizer: the BERT's.
      num_workers: processes that clean and tokenise; 1 is the calling one alone. More
        are spawned, which imports the calling script again: it needs the usual
        ``if __name__ == "__main__"``.
      progress: called with (bytes of the input that are done, bytes in all); in all is
        0 where that is not known.

    Raises:
      InputError: unreadable or empty input, a folder made with other settings (lists
        the differences), a full disk.
    """
    folder = pathlib.Path(folder)
    capacity = corpus_config.window_length - 2 * corpus_config.special_tokens
    if not 1 <= capacity < 2**16:
        raise errors.InputError(
            "Expected windows of 3 to 65,535 tokens, got "
            f"{corpus_config.window_length}."
        )
    finished = (folder / "index.json").is_file()
    inputs = _find_inputs(corpus_config.paths, may_be_gone=finished)
    settings = _settings(corpus_config, inputs=inputs, tokenizer=tokenizer)
    if (folder / "settings.json").is_file():
        _check_same(folder, files.read_json(folder / "settings.json"), settings)
    if finished:
        return windows_lib.open(folder)
    folder.mkdir(exist_ok=True)
    for stale in folder.glob(".*.partial"):
        stale.unlink(missing_ok=True)
    files.write_json(folder / "settings.json", settings)

    num_bytes = sum(item.stat().st_size for item in inputs if not isinstance(item, str))
    raw = corpus.read_raw(inputs, replace_undecodable=corpus_config.replace_undecodable)
    num_shards, num_tokens = 0, 0
    results = shard_workers.build(
        _group(raw),
        folder=folder,
        tokenizer=tokenizer,
        clean=corpus_config.clean,
        capacity=capacity,
        num_workers=num_workers,
    )
    for summary, position in results:
        num_shards += 1
        num_tokens += summary.num_tokens
        if progress is not None:
            progress(min(position, num_bytes), num_bytes)
        if corpus_config.max_tokens is not None and (
            num_tokens >= corpus_config.max_tokens
        ):
            break
    results.close()
    if not num_tokens:
        raise errors.InputError(corpus.no_text(inputs))
    windows_index.finish(
        folder, num_shards=num_shards, settings=settings, tokenizer=tokenizer
    )
    if progress is not None:
        progress(num_bytes, num_bytes)
    return windows_lib.open(folder)


def _find_inputs(
    paths: Sequence[str], *, may_be_gone: bool
) -> list[pathlib.Path | str]:
    try:
        return corpus.find_inputs(paths)
    except errors.InputError:
        # The windows hold all that later commands need: the text may have moved.
        if may_be_gone:
            return []
        raise


def _settings(
    corpus_config: config_lib.CorpusConfig,
    *,
    inputs: Sequence[pathlib.Path | str],
    tokenizer: tokenizer_lib.Tokenizer,
) -> dict[str, Any]:
    values = dataclasses.asdict(corpus_config)
    del values["paths"]
    return {
        "schema_version": windows_lib.SCHEMA_VERSION,
        **values,
        "tokenizer_hash": tokenizer.content_hash,
        "shard_chars": SHARD_CHARS,
        "inputs": [_fingerprint(item) for item in inputs],
    }


def _fingerprint(item: pathlib.Path | str) -> str:
    """Tells a file from another by name, size, first and last bytes."""
    if isinstance(item, str):
        return item
    size = item.stat().st_size
    with item.open("rb") as file:
        digest = hashlib.sha256(file.read(1 << 16))
        file.seek(max(size - (1 << 16), 0))
        digest.update(file.read())
    return f"{item.name}, {size:,} bytes, {digest.hexdigest()[:16]}"


def _check_same(folder: pathlib.Path, old: dict, new: dict) -> None:
    compared = (
        [*(old | new)] if new["inputs"] else [k for k in old | new if k != "inputs"]
    )
    changed = [
        f"{name}: {old.get(name)!r} there, {new.get(name)!r} requested"
        for name in sorted(compared)
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise errors.InputError(
            f"{folder} was made with other settings:\n  "
            + "\n  ".join(changed)
            + "\nUse these settings, or another folder."
        )


def _group(
    raw: Iterator[readers.RawDocument],
) -> Iterator[list[readers.RawDocument]]:
    group, size = [], 0
    for document in raw:
        group.append(document)
        size += len(document.text)
        if size >= SHARD_CHARS:
            yield group
            group, size = [], 0
    if group:
        yield group
