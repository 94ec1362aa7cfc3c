"""A block of codes as a Parquet file; needs pyarrow, which nothing else does."""

import importlib.util
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from tfvis_jax.codes import blocks, tables
from tfvis_jax.errors import InputError


def check_installed() -> None:
    """Raises InputError if pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            "The format parquet needs pyarrow; `pip install 'tfvis_jax[parquet]'` "
            "installs it. The format npz needs nothing more."
        )


def write(file: BinaryIO, block: blocks.Block, layers: Sequence[int]) -> None:
    """Writes a row group for each layer, a line for each token.

    Its columns are ``layer``, those of `TokenTable`, ``gap``, the lists ``factor`` and
    ``activation``, and the lists ``x`` and ``residual`` where the block has them.

    Args:
      file: to write to.
      block: the codes.
      layers: their layers.
    """
    # Only who writes Parquet needs it.
    import pyarrow  # pyright: ignore[reportMissingImports]
    import pyarrow.parquet  # pyright: ignore[reportMissingImports]

    n_rows = len(block.tokens)
    shared: dict[str, Any] = {
        name: pyarrow.array(
            block.tokens.word.tolist()
            if name == "word"
            else getattr(block.tokens, name),
            pyarrow.string() if name == "word" else None,
        )
        for name in tables.COLUMNS
    }
    writer: Any = None
    for place, (layer, codes) in enumerate(zip(layers, block.codes, strict=True)):
        starts = pyarrow.array(codes.indptr.astype(np.int32))
        columns = {
            "layer": pyarrow.array(np.full(n_rows, layer, np.int16)),
            **shared,
            "gap": pyarrow.array(block.gap[place]),
            "factor": pyarrow.ListArray.from_arrays(starts, codes.indices),
            "activation": pyarrow.ListArray.from_arrays(starts, codes.data),
        }
        for kind in ("x", "residual"):
            rows = getattr(block, kind)
            if rows is not None:
                columns[kind] = pyarrow.FixedSizeListArray.from_arrays(
                    rows[place].reshape(-1), rows.shape[2]
                )
        table = pyarrow.table(columns)
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(
                file, table.schema, compression="zstd"
            )
        writer.write_table(table, row_group_size=max(n_rows, 1))
    writer.close()
