"""Markdown tables, to read in a terminal or paste into a page."""

from collections.abc import Sequence
from typing import Any

_ISO_DAY = 10


def markdown(
    heads: Sequence[str], lines: Sequence[Sequence[str]], *, n_left: int = 1
) -> str:
    """Returns a Markdown table with aligned columns.

    Args:
      heads: names of the columns.
      lines: cells of each line.
      n_left: the first columns, aligned to the left; numbers are to the right.
    """
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if place < n_left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if place < n_left else "-" * (width - 1) + ":"
        for place, width in enumerate(widths)
    ]
    return "\n".join([line(heads), line(rule), *map(line, lines)])


def captioned(
    caption: str,
    document: dict[str, Any],
    heads: Sequence[str],
    lines: Sequence[Sequence[str]],
) -> str:
    """Returns a Markdown table below a caption and where it was measured.

    Args:
      caption: what was measured, ending with a full stop.
      document: begins with `environment.describe`.
      heads: names of the columns.
      lines: cells of each line.
    """
    return f"{caption} {where(document)}\n\n{markdown(heads, lines)}"


def where(document: dict[str, Any]) -> str:
    """Returns hardware, versions and date of a measurement as two sentences.

    Args:
      document: begins with `environment.describe`.
    """
    load = document["hardware"]["load_average"]
    return (
        f"{machine(document['hardware'])} (load {load} at the start). "
        f"{versions(document['versions'])}; {day(document)}."
    )


def machine(hardware: dict[str, Any]) -> str:
    """Returns the processor, and the accelerators if there are any."""
    cpu = f"{hardware['cores']} cores of {hardware['cpu']}"
    if hardware["device"] == "cpu":
        return cpu
    return f"{hardware['num_devices']} × {hardware['device']}, {cpu}"


def versions(found: dict[str, str | None]) -> str:
    """Returns the installed packages and their versions."""
    return ", ".join(f"{name} {v}" for name, v in found.items() if v is not None)


def day(document: dict[str, Any]) -> str:
    """Returns the date of a measurement, such as 2026-11-22."""
    return document["date"][:_ISO_DAY]


def or_dash(value: float | None, format_spec: str) -> str:
    """Returns a formatted number, a dash for None."""
    return "–" if value is None else format(value, format_spec)
