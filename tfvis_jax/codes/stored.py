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
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from tfvis_jax import files
from tfvis_jax.codes import blocks, encoded_texts, parquet, tables
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import lock

SCHEMA = "tfvis-codes/1"
FORMATS = ("npz", "parquet")


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
            found = files.read_json(path)
            if not isinstance(found, dict) or found.get("schema") != SCHEMA:
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


def load(
    folder: pathlib.Path | str, *, layers: Sequence[int] | None = None
) -> encoded_texts.EncodedTexts:
    """Reads codes that `tfvis codes` wrote.

    Args:
      folder: where they are.
      layers: layers to read; all if None.

    Raises:
      InputError: the folder holds no codes, they are unfinished, damaged or Parquet,
        or there is no such layer.
    """
    folder = pathlib.Path(folder)
    if not (folder / "index.json").is_file():
        raise InputError(
            f"{folder} holds no finished codes (no index.json); `tfvis codes` writes "
            "them, and the same command resumes."
        )
    index = files.read_json(folder / "index.json")
    if index.get("schema") != SCHEMA or index.get("format") != "npz":
        raise InputError(
            f"Expected codes in the format npz, got {index.get('format')!r} in "
            f"{folder}; read Parquet files with pandas or pyarrow."
        )
    available = tuple(index["layers"])
    chosen = available if layers is None else tuple(sorted(set(layers)))
    if not chosen or not set(chosen) <= set(available):
        raise InputError(
            f"Expected layers out of {list(available)}, got {list(layers or ())}."
        )
    rows = [available.index(layer) for layer in chosen]
    try:
        return encoded_texts.collect(
            (
                _read_block(folder, number, layers=chosen, places=rows)
                for number in range(index["n_blocks"])
            ),
            chosen,
            output="sparse",
            shape=(index["n_rows"], index["n_factors"]),
            documents=_read_documents(folder),
        )
    except (
        *(OSError, EOFError, ValueError, KeyError, TypeError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise InputError(
            f"The codes in {folder} are damaged ({error}). Remove the folder; `tfvis "
            "codes` writes it again."
        ) from error


def _read_block(
    folder: pathlib.Path, number: int, *, layers: Sequence[int], places: list[int]
) -> blocks.Block:
    name = f"{number:05d}"
    with np.load(folder / f"{name}.tokens.npz", allow_pickle=False) as content:
        arrays = dict(content)
    gap = arrays.pop("gap")[places]

    def rows(kind: str) -> np.ndarray | None:
        paths = [folder / f"{name}.layer-{layer}.{kind}.npy" for layer in layers]
        return np.stack([np.load(p) for p in paths]) if paths[0].is_file() else None

    return blocks.Block(
        number=number,
        tokens=_with_strings(arrays),
        codes=[
            scipy.sparse.csr_array(
                scipy.sparse.load_npz(folder / f"{name}.layer-{layer}.npz")
            )
            for layer in layers
        ],
        gap=gap,
        x=rows("x"),
        residual=rows("residual"),
    )


def _read_documents(folder: pathlib.Path) -> encoded_texts.DocumentTable:
    with (folder / "documents.jsonl").open(encoding="utf-8", newline="\n") as file:
        lines = [json.loads(line) for line in file]
    return encoded_texts.DocumentTable(
        tuple(line["name"] for line in lines), tuple(line["text"] for line in lines)
    )


def _without_strings(tokens: tables.TokenTable) -> dict[str, np.ndarray]:
    """Returns the columns, with the words as UTF-8, one after the other."""
    columns = {name: getattr(tokens, name) for name in tables.COLUMNS}
    words = [word.encode() for word in columns.pop("word")]
    return columns | {
        "word_utf8": np.frombuffer(b"".join(words), np.uint8),
        "word_bytes": np.array([len(word) for word in words], np.int32),
    }


def _with_strings(columns: dict[str, np.ndarray]) -> tables.TokenTable:
    text, sizes = columns.pop("word_utf8").tobytes(), columns.pop("word_bytes")
    ends = np.cumsum(sizes).tolist()
    starts = [0, *ends[:-1]]
    words = [text[a:b].decode() for a, b in zip(starts, ends, strict=False)]
    return tables.TokenTable(**columns, word=np.array(words, tables.STRING))
