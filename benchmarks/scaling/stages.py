"""How the cost of each stage of a run grows with tokens and with factors.

Windows, learning, examples and page of runs on made text and a small BERT with random
weights, each stage in a process of its own: seconds, processor seconds, and the most
memory. From one number of tokens to the next, a stage that is linear costs as much for
each further token, and its memory stays.

    python -m benchmarks.scaling.stages --out=runs/stages.json

What --out holds already is kept: the same command goes on where it stopped. --small is
for a try. Close other programs: the clock counts them.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from absl import flags

from benchmarks.scaling import made_text, one_stage, stages_table
from experiments import script
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string(
    "out", "runs/stages.json", "JSON, with the table beside it.", flag_values=FLAGS
)
_TOKENS = flags.DEFINE_list(
    "tokens", ["100000", "500000", "2000000"], "Tokens of text.", flag_values=FLAGS
)
_FACTORS = flags.DEFINE_list(
    "factors", ["1024", "4096", "16384"], "Numbers of factors.", flag_values=FLAGS
)
_D_MODEL = flags.DEFINE_integer(
    "d_model", 32, "Of the model.", lower_bound=8, flag_values=FLAGS
)
_ROW_FRACTION = flags.DEFINE_float(
    "row_fraction",
    0.1,
    "Share of the rows learned from; examples take all.",
    lower_bound=0.001,
    upper_bound=1.0,
    flag_values=FLAGS,
)
_SMALL = flags.DEFINE_bool(
    "small", False, "Two thousand tokens, a few factors.", flag_values=FLAGS
)
_SMALL_TOKENS, _SMALL_FACTORS = (2000,), (24,)
_COMPILING = {"JAX_ENABLE_COMPILATION_CACHE": "false"}


def main() -> None:
    """Measures what is not there yet, prints and writes the table."""
    out = pathlib.Path(_OUT.value)
    if out.suffix != ".json":
        raise InputError(f"Expected --out to end in .json, got {out}.")
    tokens = sorted(script.numbers("tokens", _TOKENS.value, int))
    factors = sorted(script.numbers("factors", _FACTORS.value, int))
    if _SMALL.value:
        tokens, factors = list(_SMALL_TOKENS), list(_SMALL_FACTORS)
    settings = {"d_model": _D_MODEL.value, "row_fraction": _ROW_FRACTION.value}
    document: dict[str, Any] = {
        "schema": "tfvis-stages/1",
        **environment.describe("benchmarks.scaling.stages"),
        "settings": settings,
        "rows": [],
    }
    if out.is_file():
        before = files.read_json(out)
        if before["settings"] != settings:
            raise InputError(
                f"{out} was measured with other settings, {before['settings']}; "
                "expected a new --out."
            )
        document["rows"] = before["rows"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        made_text.write_model(folder / "model", d_model=_D_MODEL.value)
        # All factors of a text before the next text: a table is complete early.
        for n_tokens in tokens:
            text = folder / f"{n_tokens}.txt"
            for n_factors in factors:
                place = {"tokens": n_tokens, "n_factors": n_factors}
                if any(place.items() <= row.items() for row in document["rows"]):
                    continue
                if not text.exists():
                    made_text.write_text(text, n_tokens=n_tokens)
                document["rows"] += _measure(folder, text, place)
                _write(out, document, announce=False)
    print(stages_table.render(document))
    _write(out, document, announce=True)


def _measure(
    folder: pathlib.Path, text: pathlib.Path, place: dict[str, int]
) -> list[dict[str, Any]]:
    """Returns a row for each stage of a run; the run is removed."""
    run = folder / "run"
    rows = []
    for stage in one_stage.STAGES:
        outputs.say(
            f"{place['tokens']:,} tokens, {place['n_factors']:,} factors: {stage}"
        )
        command = [
            *(sys.executable, "-m", "benchmarks.scaling.one_stage"),
            *(f"--run={run}", f"--stage={stage}"),
            *(f"--model={folder / 'model'}", f"--text={text}"),
            f"--n_factors={place['n_factors']}",
            f"--row_fraction={_ROW_FRACTION.value}",
        ]
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=pathlib.Path(__file__).parents[2],
            # Every size compiles its programs, or the first alone would pay for all.
            env=os.environ | ({} if _SMALL.value else _COMPILING),
        )
        if child.returncode:
            last = (child.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"The stage {stage!r} failed: {last}")
        found = json.loads(child.stdout.splitlines()[-1])
        rows.append({**place, "stage": stage, **found})
    shutil.rmtree(run)
    return rows


def _write(out: pathlib.Path, document: dict[str, Any], *, announce: bool) -> None:
    outputs.write(out, document, stages_table.render(document), announce=announce)


if __name__ == "__main__":
    script.run(main, FLAGS)
