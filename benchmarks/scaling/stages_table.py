"""The table of `stages`: a line for each stage, number of factors and of tokens."""

import itertools
from typing import Any

from benchmarks.scaling import one_stage
from tfvis_jax.reporting import tables

# A stage is named as not linear where it takes so many processor seconds, and more than
# this share of them are beyond what a token cost before; memory as growing where it is
# more than so many MB, and so many times what it was.
_LEAST_S, _BEYOND = 2.0, 0.15
_MORE_MB, _TIMES_MB = 50.0, 1.2


def render(document: dict[str, Any]) -> str:
    """Returns the table with what is not linear or not flat below it."""
    lines = []
    for _, rows in _curves(document):
        costs = [None, *itertools.starmap(_marginal, itertools.pairwise(rows))]
        lines += [
            (
                row["stage"],
                f"{row['n_factors']:,}",
                f"{row['tokens']:,}",
                f"{row['seconds']:,.1f}",
                f"{row['cpu_s']:,.1f}",
                tables.or_dash(cost, ",.2f"),
                f"{row['memory_mb']:,.0f}",
            )
            for row, cost in zip(rows, costs, strict=True)
        ]
    heads = ("stage", "factors", "tokens", "s", "processor s")
    heads = (*heads, "processor s per 100,000 further tokens", "MB")
    settings = document["settings"]
    caption = (
        f"A BERT of two layers with random weights, d_model {settings['d_model']}, its "
        f"last layer, {settings['row_fraction']:.0%} of the rows learned from, all "
        "encoded for examples."
    )
    found = findings(document)
    verdict = " ".join(found) if found else "All are linear in tokens, memory is flat."
    table = tables.captioned(caption, document, heads, lines)
    return f"{table}\n\n{verdict}"


def findings(document: dict[str, Any]) -> list[str]:
    """Returns a sentence for each stage that is not linear or whose memory grows."""
    found = []
    for (stage, n_factors), rows in _curves(document):
        name = f"{stage}, {n_factors:,} factors"
        for first, second, third in zip(rows, rows[1:], rows[2:], strict=False):
            more = (third["tokens"] - second["tokens"]) / 1e5
            linear = second["cpu_s"] + max(_marginal(first, second), 0.0) * more
            beyond = third["cpu_s"] - linear
            if third["cpu_s"] >= _LEAST_S and beyond > _BEYOND * third["cpu_s"]:
                found.append(
                    f"{name}: {third['cpu_s']:,.1f} processor seconds for "
                    f"{third['tokens']:,} tokens, where {linear:,.1f} would be linear."
                )
        for first, second in itertools.pairwise(rows):
            least = max(_TIMES_MB * first["memory_mb"], first["memory_mb"] + _MORE_MB)
            if second["memory_mb"] > least:
                found.append(
                    f"{name}: memory grows from {first['memory_mb']:,.0f} to "
                    f"{second['memory_mb']:,.0f} MB, from {first['tokens']:,} to "
                    f"{second['tokens']:,} tokens."
                )
    return found


def _curves(
    document: dict[str, Any],
) -> list[tuple[tuple[str, int], list[dict[str, Any]]]]:
    """Returns the rows of each stage and number of factors, by growing tokens."""
    factors = sorted({row["n_factors"] for row in document["rows"]})
    curves = []
    for stage, n_factors in itertools.product(one_stage.STAGES, factors):
        rows = [
            row
            for row in document["rows"]
            if (row["stage"], row["n_factors"]) == (stage, n_factors)
        ]
        if rows:
            curves.append(
                ((stage, n_factors), sorted(rows, key=lambda row: row["tokens"]))
            )
    return curves


def _marginal(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Returns the processor seconds of 100,000 tokens more."""
    tokens = (second["tokens"] - first["tokens"]) / 1e5
    return (second["cpu_s"] - first["cpu_s"]) / tokens
