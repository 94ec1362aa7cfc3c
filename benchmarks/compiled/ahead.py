"""Compiles the training of a BERT-base for TPU slices that need not be at hand.

Memory of a chip, FLOPs and exchanges between chips, as XLA's compiler for TPUs states
them, against the number of chips and of factors; nothing runs.

    pip install 'tfvis_jax[tpu]'
    python -m benchmarks.compiled.ahead --out=runs/compile_ahead.json

Each program takes one to three minutes. What --out holds already is kept, so that the
same command goes on where it stopped.
"""

import dataclasses
import pathlib
from typing import Any

from absl import flags

from benchmarks.compiled import tables
from experiments import script
from tfvis_jax import files
from tfvis_jax.planning import compiled, topology
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string(
    "out", "runs/compile_ahead.json", "Where to write.", flag_values=FLAGS
)
_TOPOLOGIES = flags.DEFINE_list(
    "topologies",
    ["v5e:2x4", "v5e:16x16", "v5e:8x8", "v6e:2x4"],
    "Slices of TPUs.",
    flag_values=FLAGS,
)
_FACTORS = flags.DEFINE_list(
    "factors",
    ["2000", "65536", "1048576"],
    "Numbers of factors.",
    flag_values=FLAGS,
)
_ROWS = flags.DEFINE_integer(
    "rows",
    2048,
    "Rows of a step for each device of the data axis.",
    lower_bound=1,
    flag_values=FLAGS,
)


def main() -> None:
    """Compiles what is not there yet, and prints the table."""
    out = pathlib.Path(_OUT.value)
    document = {
        "schema": "tfvis-compile-ahead/1",
        **environment.describe("benchmarks.compiled.ahead"),
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
    parts = (
        tables.programs(document),
        tables.prediction(rows=_ROWS.value, factors=factors),
    )
    text = "\n\n".join(parts)
    print(text)
    outputs.write(out, document, text)


def _compile(
    document: dict[str, Any],
    out: pathlib.Path,
    name: str,
    program: str,
    *,
    n_factors: int,
) -> None:
    """Adds one program to the document, unless it is there."""
    factor = tables.split_over(n_factors)
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
        tables.settings(n_factors=n_factors, data=place["data"], rows=_ROWS.value),
        tables.BERT_BASE,
        topology=name,
        data=place["data"],
        factor=factor,
        programs=(program,),
    )[program]
    if isinstance(figures, compiled.ProgramCost):
        figures = dataclasses.asdict(figures)
    document["programs"].append(place | {"figures": figures})
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(out, document)


if __name__ == "__main__":
    script.run(main, FLAGS)
