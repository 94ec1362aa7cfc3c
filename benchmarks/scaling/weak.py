"""What a device does and holds while devices and rows grow together, as compiled.

Training steps are compiled for fake devices of this machine, 1 to 64 on the data axis
with as many rows and windows for each; nothing runs, so that the figures do not depend
on the machine. Flat columns mean that more devices take more rows in the same time, but
for the exchange.

    python -m benchmarks.scaling.weak --out=runs/weak_scaling.json
"""

import pathlib

import jax
from absl import flags

from benchmarks.compiled import tables
from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.models import bert
from tfvis_jax.planning import compiled
from tfvis_jax.reporting import environment, outputs

FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string(
    "out", "runs/weak_scaling.json", "Where to write.", flag_values=FLAGS
)
_DEVICES = flags.DEFINE_list(
    "devices",
    ["1", "2", "4", "8", "16", "32", "64"],
    "Devices on the data axis.",
    flag_values=FLAGS,
)
# Of each device: what a run on one has by default.
_ROWS = config_lib.RunConfig.rows_per_step
_WINDOWS = config_lib.RunConfig.windows_per_batch
_N_FACTORS = 1024
_BERT = bert.BertConfig(
    vocab_size=1000, d_model=256, n_layers=2, n_heads=4, d_hidden=1024
)


def main() -> None:
    """Compiles, prints the table and writes it with JSON."""
    sizes = [int(size) for size in _DEVICES.value]
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", max(sizes))
    document = {
        "schema": "tfvis-weak-scaling/1",
        **environment.describe("benchmarks.scaling.weak"),
        "programs": [_measure(size) for size in sizes],
    }
    out, text = (
        pathlib.Path(_OUT.value),
        tables.weak_scaling(document["programs"]),
    )
    print(text)
    outputs.write(out, document, text)


def _measure(size: int) -> dict:
    outputs.say(f"{size} devices")
    mesh = jax.make_mesh(
        (size, 1), (sharding.DATA, sharding.FACTOR), devices=jax.devices()[:size]
    )
    config = config_lib.RunConfig(
        model="BERT",
        corpus=config_lib.CorpusConfig(paths=("-",)),
        # What accelerators use; working sets follow the data.
        solver=config_lib.SolverConfig(solver="spectral"),
        dictionary=config_lib.DictionaryConfig(n_factors=_N_FACTORS),
        windows_per_batch=_WINDOWS * size,
        rows_per_step=_ROWS * size,
    )
    step = compiled.program_cost(compiled.lower_step(config, _BERT, mesh=mesh))
    encoder = compiled.program_cost(compiled.lower_encoder(config, _BERT, mesh=mesh))
    return {
        "devices": size,
        **{
            f"{name}_{part}": getattr(figures, part)
            for name, figures in (("step", step), ("encoder", encoder))
            for part in ("flops", "traffic", "peak")
        },
        "exchanged": sum(
            each.num_bytes for each in step.collectives if not each.conditional
        ),
    }


if __name__ == "__main__":
    script.run(main, FLAGS)
