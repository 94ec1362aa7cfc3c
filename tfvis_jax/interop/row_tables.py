"""Tables of rows as CSV or Parquet, written a few rows at a time."""

import contextlib
import csv
import dataclasses
import importlib.util
import itertools
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from tfvis_jax.errors import InputError

FORMATS = ("csv", "parquet")
# What a spreadsheet would run as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Rows in a group of a Parquet file.
_GROUP = 65_536
_TYPES = {int: "int32", float: "float32", str: "string"}


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows and their columns.

    Attributes:
      name: of the file, without its ending.
      columns: by name, int, float or str; None stands for a missing number.
      rows: a value for each column; read once.
    """

    name: str
    columns: Mapping[str, type]
    rows: Iterable[tuple[Any, ...]]


def check_format(format: str) -> None:
    """Raises InputError if the format cannot be written here."""
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            "The format parquet needs pyarrow; `pip install 'tfvis_jax[parquet]'` "
            "installs it. The format csv needs nothing more."
        )


def write(folder: pathlib.Path, table: Table, *, format: str) -> int:
    """Writes one table.

    A CSV file is UTF-8; a text that a spreadsheet would run begins with an apostrophe,
    and a missing number is empty. A Parquet file has texts as they are.

    Args:
      folder: to write to.
      table: what to write.
      format: of `FORMATS`.

    Returns:
      The number of rows.
    """
    path = folder / f"{table.name}.{format}"
    return _write_csv(path, table) if format == "csv" else _write_parquet(path, table)


def _write_csv(path: pathlib.Path, table: Table) -> int:
    n_rows = 0
    # Halves of surrogate pairs cannot be written.
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        for row in table.rows:
            writer.writerow([_cell(value) for value in row])
            n_rows += 1
    return n_rows


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return f"{value:.6g}" if isinstance(value, float) else value


def _write_parquet(path: pathlib.Path, table: Table) -> int:
    # Only who writes Parquet needs it.
    import pyarrow  # pyright: ignore[reportMissingImports]
    import pyarrow.parquet  # pyright: ignore[reportMissingImports]

    schema: Any = pyarrow.schema(
        [(name, pyarrow.type_for_alias(_TYPES[k])) for name, k in table.columns.items()]
    )
    n_rows, waiting = 0, iter(table.rows)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("wb"))
        writer: Any = stack.enter_context(
            pyarrow.parquet.ParquetWriter(file, schema, compression="zstd")
        )
        while group := list(itertools.islice(waiting, _GROUP)):
            columns = [
                [_whole(value) for value in column]
                for column in zip(*group, strict=True)
            ]
            arrays = [
                pyarrow.array(column, field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pyarrow.table(arrays, schema=schema))
            n_rows += len(group)
    return n_rows


def _whole(value: Any) -> Any:
    """Replaces halves of surrogate pairs, which Parquet cannot hold."""
    return (
        value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    )
