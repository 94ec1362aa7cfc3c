"""Writes a corpus as token windows, in shards that survive an interruption.

settings.json   the requested settings, written first
00000.*, ...    shards, each complete or absent (`shards`)
sides.npy, token_counts.npy, is_continuation.npy if the vocabulary marks them
index.json      counts, written last: if it is present, everything is

The text is divided into shards before cleaning and tokenization. Every byte of the
result is therefore independent of the number of processes and of interruptions.
"""

import dataclasses
import hashlib
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfvis_jax import config as config_lib
from tfvis_jax import files, schema
from tfvis_jax.data import (
    corpus,
    readers,
    shard_reading,
    shard_workers,
    shards,
    unknown_tokens,
    windows_files,
    windows_index,
)
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError

# Large enough to keep the number of files small, small enough to occupy all workers.
SHARD_CHARS = 2_000_000


def build(
    folder: pathlib.Path | str,
    corpus_config: config_lib.CorpusConfig,
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    num_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    notify: Callable[[str], None] = warnings.warn,
    every_document: bool = False,
) -> windows_lib.Windows:
    """Reads, cleans and tokenizes a corpus into a folder, or resumes doing so.

    After an interruption, a second call builds only the shards that are incomplete and
    gives the same bytes as an uninterrupted one. A finished folder is only opened.

    Windows never cross documents and no token is dropped, so the last window of a
    document is padded. With ``max_tokens`` the corpus ends with the window that
    reaches that number; exact copies of an earlier document do not count. For the
    held-out windows see `split.choose`, for copies `copies`.

    Args:
      folder: where to write; created if absent, but its parent must exist.
      corpus_config: which text to read, and how to cut it.
      tokenizer: the tokenizer of the model.
      num_workers: number of processes that clean and tokenize; 1 uses the calling
        process only. Several are spawned, and each imports the calling script, which
        therefore needs the usual ``if __name__ == "__main__"``.
      progress: called with (bytes of the input done, bytes in all); the latter is 0 if
        it is unknown.
      notify: told in a sentence what was left out of the text, and if many of its
        tokens are unknown.
      every_document: If True, hold out all documents, copies included: for a text that
        is not trained on.

    Raises:
      InputError: the input is empty or cannot be read, most of its tokens are unknown,
        the folder was built with other settings (lists the differences), or the disk
        is full.
    """
    folder = pathlib.Path(folder)
    capacity = corpus_config.window_length - tokenizer.num_special(
        corpus_config.special_tokens
    )
    if not 1 <= capacity < 2**16:
        raise InputError(
            "Expected windows of 3 to 65,535 tokens, got "
            f"{corpus_config.window_length}; change --window_length."
        )
    # Settings are compared before anything is written or opened.
    finished = (folder / "index.json").is_file()
    notes = notes_lib.Notes()
    inputs = _find_inputs(corpus_config.paths, notes=notes, may_be_gone=finished)
    # A run says in JSON what it was made from.
    for name in map(str, (*corpus_config.paths, *inputs)):
        if any("\ud800" <= char <= "\udfff" for char in name):
            raise InputError(
                f"Expected names of files in UTF-8, got {name!r}; rename the file."
            )
    settings = _settings(corpus_config, inputs=inputs, tokenizer=tokenizer)
    if every_document:
        settings["every_document"] = True
    if (folder / "settings.json").is_file():
        before = schema.read(
            folder / "settings.json",
            dict[str, Any],
            remedy=f"Remove {folder}, and run the same command again.",
        )
        _check_same(folder, before, settings)
    if finished:
        return windows_lib.open(folder)
    folder.mkdir(exist_ok=True)
    # Left behind by a process that was killed while writing.
    for stale in folder.glob(".*.partial"):
        stale.unlink(missing_ok=True)
    files.write_json(folder / "settings.json", settings)

    num_bytes = sum(item.stat().st_size for item in inputs if not isinstance(item, str))
    # Noted of each shard, so that nothing depends on how far ahead the reader is.
    read_notes = notes_lib.Notes()
    raw = corpus.read_raw(
        inputs,
        replace_undecodable=corpus_config.replace_undecodable,
        text_field=corpus_config.text_field,
        notes=read_notes,
    )
    num_shards, num_tokens = 0, 0
    kept = windows_index.KeptTokens()
    results = shard_workers.build(
        _group(raw, notes=read_notes),
        folder=folder,
        tokenizer=tokenizer,
        clean=corpus_config.clean,
        capacity=capacity,
        max_document_tokens=corpus_config.max_document_tokens,
        max_unknown=corpus_config.max_unknown,
        num_workers=num_workers,
    )
    for size, position in results:
        num_shards += 1
        num_tokens += size.num_tokens
        if progress is not None:
            progress(min(position, num_bytes), num_bytes)
        if corpus_config.max_tokens is not None:
            shard = shards.Paths(folder, num_shards - 1)
            kept.add(
                shard_reading.Shard(
                    shard, capacity=capacity, vocab_size=tokenizer.vocab_size
                )
            )
            if kept.num_tokens >= corpus_config.max_tokens:
                break
    else:
        notes.add_all(read_notes)
    # Stops the workers, which may be ahead of ``max_tokens``.
    results.close()
    for number in range(num_shards):
        notes.add_all(shard_reading.read_notes(shards.Paths(folder, number)))
    for sentence in notes.sentences():
        notify(sentence)
    if not num_tokens:
        raise InputError(" ".join([corpus.no_text(inputs), *notes.sentences()]))
    index = windows_index.finish(
        folder,
        num_shards=num_shards,
        settings=settings,
        tokenizer=tokenizer,
        notes=notes,
    )
    # Refused before the index is written, so that settings may still be changed.
    if every_document:
        # Nothing is learned from it, so nothing is refused.
        if unknown := unknown_tokens.warning(index["unknown_tokens"]):
            notify(f"{unknown}.")
    else:
        for warning in unknown_tokens.check(
            index["unknown_tokens"], allow=corpus_config.allow_unknown_tokens
        ):
            notify(warning)
    files.write_json(folder / "index.json", index)
    if progress is not None:
        progress(num_bytes, num_bytes)
    windows = windows_lib.open(folder)
    if folded := windows_index.folded(windows.index):
        notify(folded)
    return windows


def _find_inputs(
    paths: Sequence[str], *, notes: notes_lib.Notes, may_be_gone: bool
) -> list[pathlib.Path | str]:
    try:
        return corpus.find_inputs(paths, notes=notes)
    except InputError:
        # The windows hold all that later commands need, so the text may have moved.
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
    # It decides whether text is refused, not what is made of it.
    del values["paths"], values["allow_unknown_tokens"]
    return {
        "schema_version": windows_files.SCHEMA_VERSION,
        **values,
        "tokenizer_hash": tokenizer.content_hash,
        "shard_chars": SHARD_CHARS,
        "inputs": [_fingerprint(item) for item in inputs],
    }


def _fingerprint(item: pathlib.Path | str) -> str:
    """Identifies a file by its name, size, and a hash of its first and last bytes."""
    if isinstance(item, str):
        return item
    size = item.stat().st_size
    with item.open("rb") as file:
        digest = hashlib.sha256(file.read(1 << 16))
        file.seek(max(size - (1 << 16), 0))
        digest.update(file.read())
    return f"{item.name}, {size:,} bytes, {digest.hexdigest()[:16]}"


def _check_same(folder: pathlib.Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    # Settings that there were not when the folder was built have their defaults, and a
    # folder of an earlier version is used with the split that it has.
    defaults = {f.name: f.default for f in dataclasses.fields(config_lib.CorpusConfig)}
    if old.get("schema_version") in windows_files.READABLE_VERSIONS:
        old = old | {"schema_version": new["schema_version"]}
        defaults["fold_near_copies"] = new["fold_near_copies"]
    old = {name: defaults.get(name) for name in new} | old
    compared = {*old, *new} - (set() if new["inputs"] else {"inputs"})
    changed = [
        f"{name}: {old.get(name)!r} there, {new.get(name)!r} requested"
        for name in sorted(compared)
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise InputError(
            f"{folder} was built with other settings:\n  "
            + "\n  ".join(changed)
            + "\nUse the same settings, or choose another folder."
        )


def _group(
    raw: Iterator[readers.RawDocument], *, notes: notes_lib.Notes
) -> Iterator[shard_workers.Group]:
    """Yields the documents of each shard, with what was noted while they were read."""
    group, size = [], 0
    for document in raw:
        group.append(document)
        size += len(document.text)
        if size >= SHARD_CHARS:
            yield shard_workers.Group(group, notes.take())
            group, size = [], 0
    if group:
        yield shard_workers.Group(group, notes.take())
