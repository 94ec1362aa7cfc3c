"""Codes of a text in a folder, written block by block, in whole files or none.

settings.json        what is encoded and with what; no other pass resumes from it
tokens/              the text as windows of token ids
documents.jsonl      one line per document: its number, name and text
00000.layer-2.npz    codes of block 0 at layer 2, for `scipy.sparse.load_npz`
00000.layer-2.x.npy, 00000.layer-2.residual.npy   rows, where asked for
00000.tokens.npz     its tokens and gaps; written last, so a block that has it is whole
index.json           numbers of rows, written last of all

With the format "parquet" a block is one file, ``00000.parquet``: a line for each token
and layer, with lists of its factors and activations. The bytes of every file depend on
the text, the run and the settings alone, not on interruptions, processes or devices.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from tfvis_jax import files
from tfvis_jax import schema as schema_lib
from tfvis_jax.codes import blocks, parquet, tables
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import lock

SCHEMA = "tfvis-codes/1"
FORMATS = ("npz", "parquet")
_REMEDY = "Remove its folder, or choose another."


class CodesFolder:
    """The folder that codes are written to.

    Attributes:
      folder: its path.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Names the folder, which need not exist."""
        self.folder = folder

    @property
    def tokens(self) -> pathlib.Path:
        """The windows of the text."""
        return self.folder / "tokens"

    def check(self, about: dict[str, Any]) -> None:
        """Refuses a folder that holds something else.

        Args:
          about: run and settings, as JSON.

        Raises:
          InputError: it holds other codes, or no codes at all.
        """
        path = self.folder / "settings.json"
        if path.is_file():
            found = schema_lib.read(path, dict[str, Any], remedy=_REMEDY)
            if found.get("schema") != SCHEMA:
                raise InputError(
                    f"{self.folder} holds no codes. Choose another folder."
                )
            changed = [
                f"{name}: {found.get(name)!r} there, {value!r} requested"
                for name, value in about.items()
                if found.get(name) != value
            ]
            if changed:
                raise InputError(
                    f"{self.folder} holds other codes:\n  "
                    + "\n  ".join(changed)
                    + "\nNothing was changed. Choose another folder, or remove it."
                )
        elif self.folder.exists() and (
            not self.folder.is_dir()
            or any(path.name != lock.NAME for path in self.folder.iterdir())
        ):
            raise InputError(
                f"Expected a new or empty folder for the codes, got {self.folder}."
            )

    def begin(self, about: dict[str, Any]) -> None:
        """Makes the folder, or goes on with that of the same pass; see `check`."""
        self.check(about)
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in self.folder.glob(".*.partial"):
            stale.unlink(missing_ok=True)
        files.write_json(self.folder / "settings.json", {"schema": SCHEMA} | about)

    def is_finished(self) -> bool:
        """Returns whether all of it is written."""
        return (self.folder / "index.json").is_file()

    def has(self, number: int, *, format: str) -> bool:
        """Returns whether a block is written."""
        return self._last_file(number, format).is_file()

    def write(self, block: blocks.Block, layers: Sequence[int], *, format: str) -> None:
        """Writes a block.

        Args:
          block: codes of consecutive windows.
          layers: the layers of the codes.
          format: one of `FORMATS`.
        """
        if format == "parquet":
            with files.write_atomically(self._last_file(block.number, format)) as file:
                parquet.write(file, block, layers)
            return
        for place, layer in enumerate(layers):
            name = f"{block.number:05d}.layer-{layer}"
            with files.write_atomically(self.folder / f"{name}.npz") as file:
                scipy.sparse.save_npz(file, block.codes[place])
            for kind in ("x", "residual"):
                rows = getattr(block, kind)
                if rows is not None:
                    path = self.folder / f"{name}.{kind}.npy"
                    with files.write_atomically(path) as file:
                        np.save(file, rows[place])
        with files.write_atomically(self._last_file(block.number, format)) as file:
            columns: dict[str, Any] = _without_strings(block.tokens)
            np.savez_compressed(file, gap=block.gap, **columns)

    def finish(
        self,
        windows: windows_lib.Windows,
        about: dict[str, Any],
        *,
        division: blocks.Layout,
        n_factors: int,
    ) -> dict[str, Any]:
        """Writes the documents and, last, the index; returns its content.

        Args:
          windows: the text.
          about: run and settings, as in `check`.
          division: of the text into blocks, all of which are written.
          n_factors: columns of the codes.
        """
        n_documents = 0
        with files.write_atomically(self.folder / "documents.jsonl") as file:
            for number, (name, text) in enumerate(windows.document_texts()):
                line = {"document": number, "name": name, "text": text}
                file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                n_documents += 1
        index = {
            "schema": SCHEMA,
            **about,
            "n_factors": n_factors,
            "n_documents": n_documents,
            "n_rows": division.n_rows,
            "n_blocks": division.n_blocks,
        }
        files.write_json(self.folder / "index.json", index)
        return index

    def _last_file(self, number: int, format: str) -> pathlib.Path:
        suffix = "parquet" if format == "parquet" else "tokens.npz"
        return self.folder / f"{number:05d}.{suffix}"


def _without_strings(tokens: tables.TokenTable) -> dict[str, np.ndarray]:
    """Returns the columns, with the words as UTF-8, one after the other."""
    columns = {name: getattr(tokens, name) for name in tables.COLUMNS}
    words = [word.encode() for word in columns.pop("word")]
    return columns | {
        "word_utf8": np.frombuffer(b"".join(words), np.uint8),
        "word_bytes": np.array([len(word) for word in words], np.int32),
    }
