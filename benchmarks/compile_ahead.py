"""Compiles the training of a BERT-base for TPU slices that need not be at hand.

Memory of a chip, FLOPs and exchanges between chips, as XLA's compiler for TPUs states
them, against the number of chips and of factors; nothing runs.

    pip install 'tfvis_jax[tpu]'
    python -m benchmarks.compile_ahead --out=benchmarks/results/compile_ahead.json

Each program takes one to three minutes. What --out holds already is kept, so that the
same command goes on where it stopped.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from benchmarks import environment, outputs
from tfvis_jax import config as config_lib
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.models import bert_config
from tfvis_jax.training import compiled, topology

_OUT = flags.DEFINE_string(
    "out", "benchmarks/results/compile_ahead.json", "Where to write."
)
_TOPOLOGIES = flags.DEFINE_list(
    "topologies", ["v5e:2x4", "v5e:16x16", "v5e:8x8", "v6e:2x4"], "Slices of TPUs."
)
_FACTORS = flags.DEFINE_list(
    "factors", ["2000", "65536", "1048576"], "Numbers of factors."
)
_ROWS = flags.DEFINE_integer(
    "rows", 2048, "Rows of a step for each device of the data axis.", lower_bound=1
)
BERT_BASE = bert_config.BertConfig(
    vocab_size=30522, d_model=768, n_layers=12, n_heads=12, d_hidden=3072
)
# From so many factors on, their codes are too large for a chip of 16 GiB.
_SPLIT_FROM, _SPLIT_OVER = 2**20, 8
# Below it an exchange is a number a row, a factor or a dimension.
_LARGE = 2**20


def main(argv: Sequence[str]) -> None:
    """Compiles what is not there yet, and prints the table."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    try:
        _run(pathlib.Path(_OUT.value))
    except InputError as error:
        sys.exit(f"compile_ahead: {error}")


def settings(*, n_factors: int, data: int, rows: int) -> config_lib.RunConfig:
    """Returns a run with as many rows and windows for each device of the data axis."""
    default = config_lib.RunConfig.windows_per_batch
    return config_lib.RunConfig(
        model="BERT-base",
        corpus=config_lib.CorpusConfig(paths=("-",)),
        dictionary=config_lib.DictionaryConfig(n_factors=n_factors),
        windows_per_batch=default * data,
        rows_per_step=rows * data,
    )


def _run(out):
    document = {
        "schema": "tfvis-compile-ahead/1",
        **environment.describe("benchmarks.compile_ahead"),
        "rows": _ROWS.value,
        "programs": [],
    }
    if out.is_file():
        document["programs"] = files.read_json(out)["programs"]
    factors = [int(number) for number in _FACTORS.value]
    # A device encodes its windows by itself: the program is the same on every slice.
    _compile(document, out, _TOPOLOGIES.value[0], "encoder", n_factors=factors[0])
    for name in _TOPOLOGIES.value:
        for n_factors in factors:
            _compile(document, out, name, "step", n_factors=n_factors)
    text = table(document)
    print(text)
    out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")


def _compile(document, out, name, program, *, n_factors):
    """Adds one program to the document, unless it is there."""
    factor = _SPLIT_OVER if n_factors >= _SPLIT_FROM else 1
    place = {
        "topology": name,
        "program": program,
        "n_factors": n_factors,
        "data": topology.num_chips(name) // factor,
        "factor": factor,
    }
    if any(place.items() <= each.items() for each in document["programs"]):
        return
    outputs.say(f"{program} of {n_factors:,} factors for {name}")
    figures = topology.compile_programs(
        settings(n_factors=n_factors, data=place["data"], rows=_ROWS.value),
        BERT_BASE,
        topology=name,
        data=place["data"],
        factor=factor,
        programs=(program,),
    )[program]
    if isinstance(figures, compiled.Figures):
        figures = dataclasses.asdict(figures)
    document["programs"].append(place | {"figures": figures})
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(out, document)


def table(document: dict) -> str:
    """Returns the document as a Markdown table, one row for each program."""
    lines = [
        "| slice | program | factors | mesh | MiB a chip | of it in between | GFLOP | "
        "exchanged: each solver step | each look | once |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in document["programs"]:
        figures = each["figures"]
        cells = [
            each["topology"],
            each["program"],
            f"{each['n_factors']:,}" if each["program"] == "step" else "",
            f"data={each['data']},factor={each['factor']}",
        ]
        if isinstance(figures, str):
            lines.append(f"| {' | '.join(cells)} | {figures.splitlines()[0]} ||||||")
            continue
        inputs = figures["arguments"] + figures["results"] + figures["code"]
        cells += [
            f"{(inputs + figures['temporary']) / 2**20:,.0f}",
            f"{figures['temporary'] / 2**20:,.0f}",
            f"{figures['flops'] / 1e9:,.0f}",
            *(_exchanged(figures["collectives"], loops) for loops in (2, 1, 0)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _exchanged(collectives, loops):
    """Returns the large exchanges in so many loops; the revival's in brackets."""
    large = [c for c in collectives if c[2] == loops and c[1] >= _LARGE]
    texts = [f"{kind} {size / 2**20:,.1f} MiB" for kind, size, *_ in large]
    rare = [conditional for *_, conditional in large]
    return ", ".join(
        f"({text})" if seldom else text
        for text, seldom in zip(texts, rare, strict=True)
    )


if __name__ == "__main__":
    app.run(main)
