"""Compiles the training of a BERT-base for TPU slices that need not be at hand.

Memory of a chip, FLOPs and exchanges between chips, as XLA's compiler for TPUs states
them, against the number of chips and of factors; nothing runs.

    pip install 'tfvis_jax[tpu]'
    python -m benchmarks.compile_ahead --out=runs/compile_ahead.json

Each program takes one to three minutes. What --out holds already is kept, so that the
same command goes on where it stopped.
"""

import dataclasses
import pathlib

from absl import app, flags

from benchmarks import compiled_tables, environment, outputs, script
from tfvis_jax import files
from tfvis_jax.planning import compiled, topology

_OUT = flags.DEFINE_string("out", "runs/compile_ahead.json", "Where to write.")
_TOPOLOGIES = flags.DEFINE_list(
    "topologies", ["v5e:2x4", "v5e:16x16", "v5e:8x8", "v6e:2x4"], "Slices of TPUs."
)
_FACTORS = flags.DEFINE_list(
    "factors", ["2000", "65536", "1048576"], "Numbers of factors."
)
_ROWS = flags.DEFINE_integer(
    "rows", 2048, "Rows of a step for each device of the data axis.", lower_bound=1
)


@script.main
def main() -> None:
    """Compiles what is not there yet, and prints the table."""
    out = pathlib.Path(_OUT.value)
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
    tables = (
        compiled_tables.programs(document),
        compiled_tables.prediction(rows=_ROWS.value, factors=factors),
    )
    text = "\n\n".join(tables)
    print(text)
    outputs.write(out, document, text)


def _compile(document, out, name, program, *, n_factors):
    """Adds one program to the document, unless it is there."""
    factor = compiled_tables.split_over(n_factors)
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
        compiled_tables.settings(
            n_factors=n_factors, data=place["data"], rows=_ROWS.value
        ),
        compiled_tables.BERT_BASE,
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
    app.run(main)
