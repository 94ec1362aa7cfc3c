"""Codes of texts in memory, with the tables that say what each row is."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tfvis_jax.codes import blocks, tables
from tfvis_jax.data import build_windows, text_windows
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.estimators import csr
from tfvis_jax.runs import parallel_encoding, setup, trained_dictionary

OUTPUTS = ("dense", "sparse")


@dataclasses.dataclass(frozen=True)
class DocumentTable:
    """The documents that were encoded.

    Attributes:
      name: title, or file and number; for texts from memory their number.
      text: what the character offsets of the tokens count in.
    """

    name: tuple[str, ...]
    text: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.name)

    def __repr__(self) -> str:
        return f"DocumentTable({len(self):,} documents)"


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedTexts:
    """Codes of every token at every layer; x = codes @ factors + residual.

    Rows are tokens in reading order, the same for every layer.

    Attributes:
      layers: the layers.
      codes: [rows, n_factors] by layer, a `scipy.sparse.csr_array` or an array.
      gap: [rows] float32 by layer, relative duality gaps.
      tokens: what each row is.
      documents: the texts.
      x: [rows, d_model] float32 by layer, hidden states divided by the layer's scale;
        None unless asked for.
      residual: [rows, d_model] float32 by layer; None unless asked for.
    """

    layers: tuple[int, ...]
    codes: dict[int, Any]
    gap: dict[int, np.ndarray]
    tokens: tables.TokenTable
    documents: DocumentTable
    x: dict[int, np.ndarray] | None = None
    residual: dict[int, np.ndarray] | None = None

    def rows_of(self, document: int, start: int, end: int) -> np.ndarray:
        """Returns the rows of the tokens that overlap a span of a document.

        Args:
          document: number of the document.
          start: first character of the span.
          end: character after its last.

        Returns:
          [n] int64, ascending; empty where no token of the table lies in the span.
        """
        of_document = slice(
            *np.searchsorted(self.tokens.document, [document, document + 1])
        )
        first = np.maximum(self.tokens.start[of_document], start)
        inside = first < np.minimum(self.tokens.end[of_document], end)
        return np.flatnonzero(inside) + of_document.start

    def __repr__(self) -> str:
        # Without the arrays, which hold millions of numbers.
        return (
            f"EncodedTexts({len(self.tokens):,} tokens of {len(self.documents):,} "
            f"documents, layers {self.layers})"
        )


def encode_texts(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    texts: Iterable[str] | None = None,
    *,
    files: Sequence[str | os.PathLike[str]] | None = None,
    layers: Sequence[int] | None = None,
    words: Collection[str] | None = None,
    output: str = "sparse",
    with_rows: bool = False,
    devices: parallel_encoding.Devices | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    notify: Callable[[str], None] = warnings.warn,
) -> EncodedTexts:
    """Encodes texts of any length and number with the dictionary of a run.

    Texts are cut into windows and encoded as the corpus of the run was, with the
    solver's settings of the run. Besides the result, memory holds one block of rows.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      texts: the texts, each a document; nothing in them is changed.
      files: files, folders, globs or ``hf://`` names to read in place of ``texts``, as
        for training.
      layers: layers of the dictionary; all if None.
      words: keep only the tokens of these words, in any case; all tokens if None.
      output: "sparse" or "dense", the form of the codes.
      with_rows: If True, also return hidden states and residuals.
      devices: devices of this process; all if None.
      progress: called with (windows done, windows in all).
      notify: told in a sentence what was left out of the files, and if many tokens are
        unknown.

    Raises:
      InputError: neither or both of ``texts`` and ``files`` are given, there is no
        text or no such layer, or hidden states are not finite.
    """
    check_words(words)
    if isinstance(texts, str) or isinstance(files, str):
        raise InputError("Expected a list of texts or of files, got one string.")
    texts = None if texts is None else list(texts)
    if output not in OUTPUTS:
        raise InputError(f"Expected `output` to be one of {OUTPUTS}, got {output!r}.")
    trained = trained.of_layers(layers)
    with _windows(opened, texts, files, notify=notify) as windows:
        division = blocks.layout(opened, windows, words=words, with_rows=with_rows)
        n_windows = len(division.windows)
        found = blocks.encode(
            opened,
            trained,
            windows,
            division,
            todo=range(division.n_blocks),
            words=words,
            with_rows=with_rows,
            devices=devices,
            progress=lambda done: progress(done, n_windows),
        )
        encoded = collect(
            found,
            trained.layers,
            output=output,
            shape=(division.n_rows, len(trained.factors)),
            documents=_documents(windows),
        )
    return encoded if texts is None else _in_given_order(encoded, texts)


def collect(
    found: Iterator[blocks.Block],
    layers: tuple[int, ...],
    *,
    output: str,
    shape: tuple[int, int],
    documents: DocumentTable,
) -> EncodedTexts:
    """Joins blocks of codes.

    Args:
      found: the blocks in order.
      layers: their layers.
      output: "sparse" or "dense".
      shape: (rows, n_factors) of the codes of a layer.
      documents: the texts.
    """
    kind = csr.CsrBuilder if output == "sparse" else csr.DenseBuilder
    builders = [kind(n_rows=shape[0], n_columns=shape[1]) for _ in layers]
    parts: list[tables.TokenTable] = []
    gap, x, residual = [], [], []
    for block in found:
        for builder, codes in zip(builders, block.codes, strict=True):
            builder.append(codes if output == "sparse" else codes.toarray())
        parts.append(block.tokens)
        gap.append(block.gap)
        if block.x is not None and block.residual is not None:
            x.append(block.x)
            residual.append(block.residual)

    def by_layer(rows: list[np.ndarray]) -> dict[int, np.ndarray]:
        empty = np.zeros((len(layers), 0), np.float32)
        together = np.concatenate(rows, axis=1) if rows else empty
        return dict(zip(layers, together, strict=True))

    return EncodedTexts(
        layers=layers,
        codes={
            layer: builder.finish()
            for layer, builder in zip(layers, builders, strict=True)
        },
        gap=by_layer(gap),
        tokens=tables.joined(parts),
        documents=documents,
        x=by_layer(x) if x else None,
        residual=by_layer(residual) if x else None,
    )


def check_words(words: Collection[str] | None) -> None:
    """Refuses a string in place of a collection of words."""
    if isinstance(words, str) or (words is not None and not words):
        raise InputError(f'Expected `words` such as ["left", "right"], got {words!r}.')


@contextlib.contextmanager
def _windows(
    opened: setup.Setup,
    texts: Sequence[str] | None,
    paths: Sequence[str | os.PathLike[str]] | None,
    *,
    notify: Callable[[str], None],
) -> Iterator[windows_lib.Windows]:
    """Yields the windows of texts or files, which are removed afterwards."""
    if (texts is None) == (paths is None):
        raise InputError("Expected either `texts` or `files`, got both or neither.")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        corpus = opened.config.corpus
        if texts is not None:
            yield text_windows.build(
                path, texts, corpus, tokenizer=opened.tokenizer, notify=notify
            )
        else:
            yield build_windows.build(
                path / "tokens",
                opened.other_text(paths or ()),
                tokenizer=opened.tokenizer,
                notify=notify,
                every_document=True,
            )


def _documents(windows: windows_lib.Windows) -> DocumentTable:
    names, texts = zip(*windows.document_texts(), strict=True)
    return DocumentTable(names, texts)


def _in_given_order(encoded: EncodedTexts, texts: Sequence[str]) -> EncodedTexts:
    """Numbers documents as the texts are: those without a token have no window."""
    numbers = np.array([int(name) for name in encoded.documents.name], np.int32)
    return dataclasses.replace(
        encoded,
        tokens=dataclasses.replace(
            encoded.tokens, document=numbers[encoded.tokens.document]
        ),
        documents=DocumentTable(
            tuple(str(number) for number in range(len(texts))), tuple(texts)
        ),
    )
