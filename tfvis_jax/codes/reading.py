"""Reads codes in a folder, each file checked against the others as it is read."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import scipy.sparse

from tfvis_jax import npy, schema
from tfvis_jax.codes import blocks, encoded_texts, stored, tables
from tfvis_jax.errors import InputError

_Small = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_WHOLE = (
    *("document", "window", "position", "token_id", "start", "end"),
    *("word_start", "word_end"),
)
# The arrays of the files of a block.
_CODES = ("data", "indices", "indptr")
_TOKENS = (*_WHOLE, "gap", "word_utf8", "word_bytes")


class _Kind(msgspec.Struct):
    schema: Any = None
    format: Any = None


class _Index(msgspec.Struct):
    layers: list[_Small]
    n_factors: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    n_documents: _Small
    n_rows: schema.Count
    n_blocks: _Small
    with_rows: bool


class _Document(msgspec.Struct):
    document: int
    name: str
    text: str


class _Tokens(NamedTuple):
    """The tokens of a block and their gaps, [n_layers, rows]."""

    table: tables.TokenTable
    gap: np.ndarray


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
    path = folder / "index.json"
    if not path.is_file():
        raise InputError(
            f"{folder} holds no finished codes (no index.json); `tfvis codes` writes "
            "them, and the same command resumes."
        )
    remedy = f"Remove {folder}; `tfvis codes` writes it again."
    kind = schema.read(path, _Kind, remedy=remedy)
    if kind.schema != stored.SCHEMA or kind.format != "npz":
        raise InputError(
            f"Expected codes in the format npz, got {schema.short(kind.format)} in "
            f"{folder}; read Parquet files with pandas or pyarrow."
        )
    index = schema.read(path, _Index, remedy=remedy)
    available = tuple(index.layers)
    chosen = available if layers is None else tuple(sorted(set(layers)))
    if not chosen or not set(chosen) <= set(available):
        raise InputError(
            f"Expected layers out of {list(available)}, got {list(layers or ())}."
        )
    return _Folder(folder, index, remedy).read(chosen)


class _Folder:
    """The files of a folder of codes."""

    def __init__(self, folder: pathlib.Path, index: _Index, remedy: str) -> None:
        self._folder, self._index, self._remedy = folder, index, remedy

    def read(self, layers: tuple[int, ...]) -> encoded_texts.EncodedTexts:
        documents = self._documents()
        lengths = np.array([len(text) for text in documents.text], np.int64)
        # Before the codes: the index may claim any number of rows.
        tokens = [self._tokens(n, lengths) for n in range(self._index.n_blocks)]
        n_rows = sum(len(each.table) for each in tokens)
        if n_rows != self._index.n_rows:
            raise self._damaged(
                self._folder / "index.json",
                f"Expected as many rows as all blocks have, {n_rows}, got "
                f"{self._index.n_rows}",
            )
        places = [self._index.layers.index(layer) for layer in layers]
        return encoded_texts.collect(
            self._blocks(tokens, layers, places),
            layers,
            output="sparse",
            shape=(n_rows, self._index.n_factors),
            documents=documents,
        )

    def _documents(self) -> encoded_texts.DocumentTable:
        path = self._folder / "documents.jsonl"
        lines = schema.read_lines(path, _Document, remedy=self._remedy)
        found = [document for _, document in lines]
        numbers = [document.document for document in found]
        if numbers != list(range(self._index.n_documents)):
            raise self._damaged(
                path,
                f"Expected the documents 0 to {self._index.n_documents - 1} in order, "
                f"got {schema.short(numbers)}",
            )
        return encoded_texts.DocumentTable(
            tuple(document.name for document in found),
            tuple(document.text for document in found),
        )

    def _tokens(self, number: int, lengths: np.ndarray) -> _Tokens:
        path = self._folder / f"{number:05d}.tokens.npz"
        arrays = self._archive(path)
        n_layers = len(self._index.layers)
        rows = len(arrays["document"]) if arrays["document"].ndim else 0
        for name in _WHOLE:
            dtype = np.dtype(tables.TYPES[name])
            self._check(arrays[name], path, name, dtype=dtype, shape=(rows,))
        columns: dict[str, Any] = {name: arrays[name] for name in _WHOLE}
        self._check_places(path, columns, lengths)
        gap = arrays["gap"]
        self._check(gap, path, "gap", dtype=np.float32, shape=(n_layers, rows))
        words = self._words(path, arrays, rows)
        return _Tokens(tables.TokenTable(**columns, word=words), gap)

    def _check_places(
        self, path: pathlib.Path, columns: dict[str, np.ndarray], lengths: np.ndarray
    ) -> None:
        document, start, end = (columns[n] for n in ("document", "start", "end"))
        if np.any((document < 0) | (document >= len(lengths))) or np.any(
            np.diff(document) < 0
        ):
            raise self._damaged(
                path,
                f"Expected `document` ascending from 0 to {len(lengths) - 1}, got "
                f"{schema.short(document.tolist())}",
            )
        for first, last in (("start", "end"), ("word_start", "word_end")):
            start, end = columns[first], columns[last]
            bad = (start < 0) | (end < start) | (end > lengths[document])
            if bad.any():
                row = int(bad.argmax())
                raise self._damaged(
                    path,
                    f"Expected `{first}` and `{last}` within the "
                    f"{lengths[document[row]]} characters of the document, got "
                    f"{start[row]} and {end[row]} in row {row}",
                )
        for name in ("window", "position", "token_id"):
            if np.any(columns[name] < 0):
                raise self._damaged(
                    path, f"Expected `{name}` from 0 on, got {columns[name].min()}"
                )

    def _words(
        self, path: pathlib.Path, arrays: dict[str, np.ndarray], rows: int
    ) -> np.ndarray:
        text, sizes = arrays["word_utf8"], arrays["word_bytes"]
        self._check(text, path, "word_utf8", dtype=np.uint8, shape=(None,))
        self._check(sizes, path, "word_bytes", dtype=np.int32, shape=(rows,))
        if np.any(sizes < 0) or sizes.sum(dtype=np.int64) != len(text):
            raise self._damaged(
                path, f"Expected words of {len(text)} bytes in all, got {sizes.sum()}"
            )
        content, ends = text.tobytes(), np.cumsum(sizes, dtype=np.int64).tolist()
        starts = [0, *ends[:-1]] if ends else []
        try:
            words = [content[a:b].decode() for a, b in zip(starts, ends, strict=True)]
        except UnicodeDecodeError as error:
            raise self._damaged(path, f"its words are not UTF-8 ({error})") from error
        return np.array(words, tables.STRING)

    def _blocks(
        self, tokens: list[_Tokens], layers: tuple[int, ...], places: list[int]
    ) -> Iterator[blocks.Block]:
        width = None
        for number, each in enumerate(tokens):
            rows, x, residual = len(each.table), None, None
            codes = [self._codes(number, layer, rows) for layer in layers]
            if self._index.with_rows:
                x = self._rows(number, layers, rows, width, "x")
                width = x.shape[2]
                residual = self._rows(number, layers, rows, width, "residual")
            yield blocks.Block(
                number=number,
                tokens=each.table,
                codes=codes,
                gap=each.gap[places],
                x=x,
                residual=residual,
            )

    def _codes(self, number: int, layer: int, rows: int) -> scipy.sparse.csr_array:
        path = self._folder / f"{number:05d}.layer-{layer}.npz"
        arrays = self._archive(path)
        data, columns, starts = (arrays[n] for n in ("data", "indices", "indptr"))
        self._check(data, path, "data", dtype=np.float32, shape=(None,))
        for name, array in (("indices", columns), ("indptr", starts)):
            # SciPy counts in the smaller type that suffices.
            dtype = np.int64 if array.dtype == np.int64 else np.int32
            size = len(data) if name == "indices" else rows + 1
            self._check(array, path, name, dtype=dtype, shape=(size,))
        if not np.all((data >= 0) & np.isfinite(data)):
            raise self._damaged(path, "Expected finite activations from 0 on")
        n_factors = self._index.n_factors
        if np.any((columns < 0) | (columns >= n_factors)):
            raise self._damaged(path, f"Expected factors from 0 to {n_factors - 1}")
        if starts[0] != 0 or starts[-1] != len(data) or np.any(np.diff(starts) < 0):
            raise self._damaged(
                path, f"Expected rows that end in order, the last at {len(data)}"
            )
        return scipy.sparse.csr_array((data, columns, starts), shape=(rows, n_factors))

    def _rows(
        self,
        number: int,
        layers: Sequence[int],
        rows: int,
        width: int | None,
        kind: str,
    ) -> np.ndarray:
        """Returns [n_layers, rows, width]; all of one width, any if it is None."""
        found = []
        for layer in layers:
            path = self._folder / f"{number:05d}.layer-{layer}.{kind}.npy"
            found.append(
                npy.read_array(
                    path, dtype=np.float32, shape=(rows, width), remedy=self._remedy
                )
            )
            width = found[-1].shape[1]
            if not np.isfinite(found[-1]).all():
                raise self._damaged(path, "Expected finite numbers")
        return np.stack(found)

    def _archive(self, path: pathlib.Path) -> dict[str, np.ndarray]:
        wanted = _CODES if ".layer-" in path.name else _TOKENS
        try:
            found = npy.read_archive(path, wanted, packed=True)
        except (OSError, npy.NotAnArray) as error:
            raise self._damaged(path, str(error)) from error
        if missing := sorted(set(wanted) - set(found)):
            raise self._damaged(path, f"Expected the array `{missing[0]}`, got none")
        return found

    def _check(
        self,
        array: np.ndarray,
        path: pathlib.Path,
        name: str,
        *,
        dtype: np.dtype[Any] | type[np.generic],
        shape: Sequence[int | None],
    ) -> None:
        where = f"The array `{name}` of {path}"
        npy.check(array, where, dtype=np.dtype(dtype), shape=shape, remedy=self._remedy)

    def _damaged(self, path: pathlib.Path, why: str) -> InputError:
        return schema.damaged(path, why, remedy=self._remedy)
