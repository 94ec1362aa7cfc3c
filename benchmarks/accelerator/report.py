"""Tables of a measurement, ready for benchmarks/RESULTS.md."""

from collections.abc import Callable
from typing import Any

from benchmarks.accelerator import tasks
from tfvis_jax.reporting import tables

Row = dict[str, Any]
_SIZE = (("d_model", "d_model", "d"), ("factors", "n_factors", ",d"))


def render(document: dict[str, Any]) -> str:
    """Returns device, versions and date, and a table for each group that has rows."""
    parts = [f"### {_device(document)}, {tables.day(document)}", _header(document)]
    for group, (caption, table) in _TABLES.items():
        rows = [row for row in document["rows"] if row["group"] == group]
        if rows:
            parts += [caption, table(rows)]
    if document["left_out"]:
        parts.append(
            f"Not measured for lack of time: {'; '.join(document['left_out'])}."
        )
    return "\n\n".join(parts)


def _device(document: dict[str, Any]) -> str:
    hardware = document["hardware"]
    name = hardware["cpu"] if hardware["device"] == "cpu" else hardware["device"]
    return f"{hardware['num_devices']} × {name}"


def _header(document: dict[str, Any]) -> str:
    return (
        f"`{document['command']}`. {tables.where(document)} Rows are planted sums of "
        "factors with a falling spectrum and a shared mean, weights are random. Shares "
        "are of the peaks measured here, by FLOPs of the formulae and by the bytes "
        "that XLA counts; times are of the fastest run."
    )


def _parity(rows: list[Row]) -> str:
    return _table(
        rows,
        ("what", _text("what")),
        ("of", _of),
        ("arithmetic", _arithmetic),
        ("error", _number("error", ".1e")),
        ("limit", _number("limit", ".1e")),
        ("", lambda row: "passed" if row.get("passed") else "FAILED"),
    )


def _peaks(rows: list[Row]) -> str:
    return _table(
        rows,
        ("peak", _text("what")),
        ("rate", _number("rate", ".3g")),
        ("error", _number("error", ".0e")),
    )


def _training(rows: list[Row]) -> str:
    return _table(
        rows,
        ("model", _text("model")),
        ("products", _text("dtype")),
        ("factors", _number("n_factors", ",d")),
        ("windows", lambda row: f"{row['n_windows']} × {row['length']}"),
        ("rows a step", _number("rows_per_step", ",d")),
        ("tokens/s", _number("tokens_per_s", ",.0f")),
        ("rows/s", _number("rows_per_s", ",.0f")),
        ("encoder ms", _number("encoder_s", ",.2f", 1e3)),
        ("steps", _number("dictionary_steps", "d")),
        ("step ms", _number("step_s", ",.2f", 1e3)),
        ("solver steps", _number("steps_mean", ".1f")),
        ("L0", _number("l0", ".1f")),
        ("MiB", _number("temporary", ",.0f", 2**-20)),
        ("compile s", _number("compile_s", ".1f")),
    )


def _steps(rows: list[Row]) -> str:
    return _table(
        rows,
        ("form", _text("form")),
        ("products", _text("precision")),
        *((head, _number(name, spec)) for head, name, spec in _SIZE),
        ("rows", _number("n_rows", ",d")),
        ("ms", _number("step_s", ",.3f", 1e3)),
        ("rows/s", _number("rows_per_s", ",.0f")),
        *_SHARES,
        ("compile s", _number("compile_s", ".1f")),
    )


def _encoder(rows: list[Row]) -> str:
    return _table(
        rows,
        ("model", _text("model")),
        ("products", _text("dtype")),
        ("windows", lambda row: f"{row['n_windows']} × {row['length']}"),
        ("tokens/s", _number("tokens_per_s", ",.0f")),
        ("rows/s", _number("rows_per_s", ",.0f")),
        *_SHARES,
        ("MiB", _number("temporary", ",.0f", 2**-20)),
        ("compile s", _number("compile_s", ".1f")),
    )


def _solve(rows: list[Row]) -> str:
    return _table(
        rows,
        ("first products", _text("precision")),
        ("a look every", _number("block_steps", "d")),
        *((head, _number(name, spec)) for head, name, spec in _SIZE),
        ("rows", _number("n_rows", ",d")),
        ("L0", _number("l0", ".1f")),
        ("ms", _number("seconds", ",.2f", 1e3)),
        ("rows/s", _number("rows_per_s", ",.0f")),
        ("steps", _number("steps_mean", ".1f")),
        ("most", _number("steps_most", "d")),
        ("gap", _number("gap_mean", ".0e")),
        ("worst", _number("gap_max", ".0e")),
        ("MiB", _number("temporary", ",.0f", 2**-20)),
        ("compile s", _number("compile_s", ".1f")),
    )


def _trace(rows: list[Row]) -> str:
    lines = [
        (
            _short(each["name"]),
            f"{each['calls']:,}",
            f"{1e3 * each['seconds']:.3f}",
            f"{each['share']:.0%}",
        )
        for row in rows
        for each in row.get("operations", ())
    ]
    if not lines:
        return "; ".join(row["status"] for row in rows)
    table = tables.markdown(("operation", "calls", "ms", "share"), lines)
    busy = [
        f"The device was busy for {1e3 * row['busy_s']:.2f} of the "
        f"{1e3 * row['span_s']:.2f} ms from the program's first operation to its last."
        for row in rows
        if row.get("span_s")
    ]
    return "\n\n".join([table, *busy])


Cell = Callable[[Row], str]


def _table(rows: list[Row], *columns: tuple[str, Cell]) -> str:
    """Returns a table; a row that was not measured says why in its last column."""
    lines = [[cell(row) for _, cell in columns] for row in rows]
    for row, line in zip(rows, lines, strict=True):
        if row["status"] != "ok":
            line[-1] = row["status"].replace("|", "/")
    return tables.markdown([head for head, _ in columns], lines)


def _text(name: str) -> Cell:
    return lambda row: str(row[name])


def _number(name: str, spec: str, times: float | None = None) -> Cell:
    def cell(row: Row) -> str:
        value = row.get(name)
        return tables.or_dash(
            value if value is None or times is None else value * times, spec
        )

    return cell


_SHARES: tuple[tuple[str, Cell], ...] = (
    ("TFLOP/s", _number("flops", ",.2f", 1e-12)),
    ("of peak", _number("peak_share", ".0%")),
    ("GB/s", _number("traffic", ",.0f", 1e-9)),
    ("of memory", _number("memory_share", ".0%")),
)


def _of(row: Row) -> str:
    if "model" in row:
        return row["model"]
    return f"{row['n_rows']} × {row['d_model']} × {row['n_factors']:,}"


def _arithmetic(row: Row) -> str:
    named = (row.get("dtype"), row.get("precision"))
    return ", ".join(name for name in named if name) or "float32"


def _short(name: str, *, most: int = 60) -> str:
    name = name.replace("|", "/")
    return name if len(name) <= most else f"{name[: most - 1]}…"


_TABLES: dict[str, tuple[str, Callable[[list[Row]], str]]] = {
    tasks.PARITY: ("Against float64 NumPy:", _parity),
    tasks.PEAKS: ("Peaks, as measured:", _peaks),
    tasks.SPLIT: ("Float32 products in parts, which nothing uses:", _peaks),
    tasks.TRAINING: (
        "Training, batch by batch: encoder and all dictionary steps.",
        _training,
    ),
    tasks.STEPS: ("One spectral step:", _steps),
    tasks.SOLVE: ("Solves to a gap of 1e-3:", _solve),
    tasks.ENCODER: ("The encoder, all hidden states:", _encoder),
    tasks.TRACE: ("One training step by its trace:", _trace),
}
