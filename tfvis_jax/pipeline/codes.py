"""Codes of another text with the dictionary of a run, written to a folder."""

import contextlib
import os
import pathlib
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.codes import blocks, encoded_texts, parquet, stored
from tfvis_jax.data import build_windows
from tfvis_jax.errors import InputError
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.runs import (
    dictionary_file,
    lock,
    parallel_encoding,
    setup,
    stored_hidden_states,
    trained_dictionary,
)
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.sparse_coding import checks


def write_codes(
    directory: str | os.PathLike[str],
    text: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    layers: Sequence[int] | None = None,
    words: Collection[str] | None = None,
    with_rows: bool = False,
    format: str = "npz",
    num_workers: int = 1,
    progress: progress_lib.Progress = progress_lib.silent,
    mesh: jax.sharding.Mesh | None = None,
    notify: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Encodes a text and writes its codes; resumes if interrupted.

    Every document is encoded, whether the run was trained on it or not. See
    `codes.stored` for the files.

    Args:
      directory: of a trained run, which is only read.
      text: files, folders, globs or ``hf://`` names.
      folder: where to write; new, empty, or of an interrupted call with the same
        settings.
      layers: layers of the dictionary; all if None.
      words: write only the tokens of these words, in any case; all tokens if None.
      with_rows: If True, also write hidden states and residuals.
      format: "npz", or "parquet", which needs pyarrow.
      num_workers: processes that turn text into tokens.
      progress: hears of the stages "model", "tokens" and "codes".
      mesh: devices to use, of all processes, each of which encodes with the whole
        dictionary; all if None.
      notify: told in a sentence what was left out of the text.

    Returns:
      The content of ``index.json``; empty in all processes but the first.

    Raises:
      InputError: the training of the run has not finished, there is no text or no such
        layer, or the folder holds something else.
    """
    encoded_texts.check_words(words)
    checks.check_count("num_workers", num_workers)
    if format not in stored.FORMATS:
        raise InputError(
            f"Expected `format` to be one of {stored.FORMATS}, got {format!r}."
        )
    if format == "parquet":
        parquet.check_installed()
    if mesh is not None and mesh.shape[sharding.FACTOR] > 1:
        raise InputError(
            "Expected a mesh that splits the rows only, such as data=-1, since each "
            f"device encodes with the whole dictionary; got {dict(mesh.shape)}."
        )
    run = directory_lib.RunDirectory(directory)
    config = run.read_config()
    whole = dictionary_file.load(run.dictionary)
    trained = whole.of_layers(layers)
    out = stored.CodesFolder(pathlib.Path(folder))
    about: dict[str, Any] = {
        "dictionary": whole.content_hash,
        "layers": list(trained.layers),
        "l1_penalty": trained.l1_penalty,
        "tolerance": config.solver.tolerance,
        "words": None if words is None else sorted({word.lower() for word in words}),
        "with_rows": with_rows,
        "format": format,
    }
    first = sharding.is_first_process()
    if first:
        out.check(about)
    with lock.locked(out.folder) if first else contextlib.nullcontext():
        return _write(
            run,
            config,
            trained,
            out,
            about,
            text,
            words=words,
            num_workers=num_workers,
            stages=progress_lib.Stages(progress),
            devices=None if mesh is None else mesh.local_devices,
            notify=notify if first else _ignore,
        )


def _write(
    run: directory_lib.RunDirectory,
    config: config_lib.RunConfig,
    trained: trained_dictionary.TrainedDictionary,
    out: stored.CodesFolder,
    about: dict[str, Any],
    text: Sequence[str],
    *,
    words: Collection[str] | None,
    num_workers: int,
    stages: progress_lib.Stages,
    devices: parallel_encoding.Devices | None,
    notify: Callable[[str], None],
) -> dict[str, Any]:
    """Writes the codes to a folder that is locked."""
    first = sharding.is_first_process()
    format, with_rows = about["format"], about["with_rows"]
    with stages.stage("model"):
        opened = setup.open_model(run, config)
    with (
        sharding.first_process_first("tokens of the codes"),
        stages.stage("tokens") as show,
    ):
        if first:
            out.begin(about)
        windows = build_windows.build(
            out.tokens,
            opened.other_text(text),
            tokenizer=opened.tokenizer,
            num_workers=num_workers,
            progress=show,
            notify=notify,
            every_document=True,
        )
    with stages.stage("codes") as show:
        division = blocks.layout(opened, windows, words=words, with_rows=with_rows)
        todo = [
            number
            for number in range(division.n_blocks)
            if not out.has(number, format=format)
        ]
        # All processes must read the same list before any of them writes.
        sharding.wait_for_all("codes to do")
        # Interleaved, so that all processes advance through the text together.
        ours = todo[jax.process_index() :: jax.process_count()]
        total = len(division.windows)
        n_before = total - sum(len(division.of_block(number)) for number in todo)
        for block in blocks.encode(
            opened,
            trained,
            windows,
            division,
            todo=ours,
            words=words,
            with_rows=with_rows,
            devices=devices,
            # An estimate: the other processes are about as far as this one.
            progress=lambda done: show(
                min(n_before + done * jax.process_count(), total), total
            ),
        ):
            out.write(block, trained.layers, format=format)
        sharding.wait_for_all("codes written")
        show(total, total)
    if not first:
        return {}
    inputs = {
        "model": trained.model,
        "site": trained.site,
        "text": stored_hidden_states.windows_hash(windows),
    }
    return out.finish(
        windows,
        about | inputs,
        division=division,
        n_factors=len(trained.factors),
    )


def _ignore(notice: str) -> None:
    del notice
