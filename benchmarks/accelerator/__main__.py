"""Measures the library on the accelerator of a bare machine, in a few minutes.

Needs this checkout, jax, flax, optax and numpy: no model, no text, no network. What
matters most comes first, and the tables are written after every row, so that nothing is
lost when the time is over or the machine is taken away: parity with float64 NumPy, the
device's peaks, training and a profiler trace of a step, whole solves, spectral steps,
the encoder, other sizes.

    python -m benchmarks.accelerator --minutes=8 --out=runs/accelerator

The same command with the same folder measures what is still missing. The last table,
accelerator.md, is ready for benchmarks/RESULTS.md. ``--small`` measures one of each
kind with sizes for a CPU; its times mean nothing.
"""

import pathlib
import sys

from absl import flags

from benchmarks.accelerator import ledger, report, sizes, tasks
from experiments import script
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import devices, environment, outputs

FLAGS = flags.FlagValues()
_MINUTES = flags.DEFINE_float(
    "minutes",
    8.0,
    "Time after which nothing more is begun.",
    lower_bound=0.05,
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out", "runs/accelerator", "Folder to write.", flag_values=FLAGS
)
_SMALL = flags.DEFINE_bool(
    "small", False, "Sizes with which a CPU is done in seconds.", flag_values=FLAGS
)


def main() -> None:
    """Measures, writes after every row, prints the tables."""
    device = devices.find()
    outputs.say(str(device) if device.fallback is None else device.fallback)
    if device.platform == "cpu" and not _SMALL.value:
        raise InputError(
            "Expected an accelerator, got a CPU, which would take hours: "
            "--small measures one of each kind, with sizes for one."
        )
    out = pathlib.Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": "tfvis-accelerator/1",
        **environment.describe("benchmarks.accelerator"),
        "sizes": "small" if _SMALL.value else "full",
    }
    book = ledger.Ledger(out / "accelerator.json", document, render=report.render)
    if _SMALL.value:
        found = tasks.first_of_each(tasks.all_of(sizes.SMALL, out=out))
    else:
        found = tasks.all_of(sizes.FULL, out=out)
    book.run(found, seconds=60 * _MINUTES.value)
    print(report.render(book.document))
    if failures := book.failures():
        sys.exit(f"accelerator: {len(failures)} failed: {'; '.join(failures)}")


if __name__ == "__main__":
    script.run(main, FLAGS, ["accelerator", *sys.argv[1:]])
