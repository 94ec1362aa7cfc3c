"""Measures how much of a known world each kind of dictionary recovers.

Worlds have correlated, hierarchical features that fire as often as Zipf's law has it
(`ground_truth.synthetic`); scores are those of `ground_truth.recovery`.

    python -m benchmarks.dictionaries.recovery --out recovery.json
    python -m benchmarks.dictionaries.recovery --out recovery.json --quick
    python -m benchmarks.dictionaries.recovery --out recovery.json --n_true 16384 \
        --d_model 768 --n_factors 4096 --l0 15,20,25,30 --rows 1000000

The second is done in minutes, the third is of the published size and wants an
accelerator. Prints Markdown tables; writes them with JSON and a plot. The JSON is
written anew after every method.
"""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks.dictionaries import recovery_candidates, recovery_report
from benchmarks.ground_truth import recovery, synthetic, world_config
from experiments import script
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs

_DEFAULTS = recovery_candidates.RecoveryConfig()
FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string("out", None, "JSON file to write.", flag_values=FLAGS)
_QUICK = flags.DEFINE_bool(
    "quick",
    False,
    "One small world, one L0, one learning rate, whatever the other flags say.",
    flag_values=FLAGS,
)
_N_TRUE = flags.DEFINE_integer(
    "n_true", 512, "True features of a world.", lower_bound=1, flag_values=FLAGS
)
_D_MODEL = flags.DEFINE_integer(
    "d_model", 96, "Width of its rows.", lower_bound=1, flag_values=FLAGS
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors",
    _DEFAULTS.n_factors,
    "Factors in each dictionary.",
    lower_bound=1,
    flag_values=FLAGS,
)
_ROWS = flags.DEFINE_integer(
    "rows", 100_000, "Rows to learn from.", lower_bound=2, flag_values=FLAGS
)
_HELD_OUT = flags.DEFINE_integer(
    "held_out",
    16_384,
    "Other rows to score on.",
    lower_bound=1,
    flag_values=FLAGS,
)
_PASSES = flags.DEFINE_integer(
    "passes",
    _DEFAULTS.num_passes,
    "Passes over the rows.",
    lower_bound=1,
    flag_values=FLAGS,
)
_L0 = flags.DEFINE_list(
    "l0",
    [f"{l0:g}" for l0 in _DEFAULTS.l0],
    "Mean numbers of active factors.",
    flag_values=FLAGS,
)
_RATES = flags.DEFINE_list(
    "learning_rates",
    [f"{r:g}" for r in _DEFAULTS.learning_rates],
    "Learning rates of autoencoders.",
    flag_values=FLAGS,
)
_PENALTIES = flags.DEFINE_list(
    "l1_penalties",
    [f"{value:g}" for value in _DEFAULTS.l1_penalties],
    "λ of plain dictionaries, on rows scaled to unit distance from their mean.",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_list(
    "seeds", ["0", "1"], "One world, and one fit in it, each.", flag_values=FLAGS
)
_METHODS = flags.DEFINE_list(
    "methods", list(_DEFAULTS.methods), "Methods to fit.", flag_values=FLAGS
)
_QUICK_FLAGS = {
    "n_true": 256,
    "d_model": 64,
    "n_factors": 64,
    "rows": 20_480,
    "held_out": 8192,
    "passes": 10,
    "l0": ["2"],
    "learning_rates": ["3e-3"],
    "l1_penalties": ["0.06", "0.25"],
    "seeds": ["0"],
}
# Rows to score on come from another stream of random numbers than those to learn from.
_LEARNT, _SCORED = 1, 1_000_000


def main() -> None:
    """Fits, scores, prints tables, writes JSON, Markdown and a plot."""
    if _OUT.value is None or not _OUT.value.endswith(".json"):
        raise InputError(f"Expected --out to end in .json, got {_OUT.value}.")
    out = pathlib.Path(_OUT.value)
    if _QUICK.value:
        for name, value in _QUICK_FLAGS.items():
            FLAGS[name].value = value
    settings = recovery_candidates.RecoveryConfig(
        methods=tuple(_METHODS.value),
        n_factors=_N_FACTORS.value,
        l0=script.numbers("l0", _L0.value),
        num_passes=_PASSES.value,
        learning_rates=script.numbers("learning_rates", _RATES.value),
        l1_penalties=script.numbers("l1_penalties", _PENALTIES.value),
    )
    seeds = script.numbers("seeds", _SEEDS.value, int)
    config = world_config.WorldConfig.sized(
        n_true=_N_TRUE.value, d_model=_D_MODEL.value
    )
    rates = world_config.expected_rates(world_config.base_rates(config), config)
    out.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": "tfvis-synthetic-recovery/1",
        **environment.describe("benchmarks.dictionaries.recovery"),
        "world": dataclasses.asdict(config),
        "settings": dataclasses.asdict(settings),
        "seeds": seeds,
        "n_rows": _ROWS.value,
        "n_held_out_rows": _HELD_OUT.value,
        "l0_in_reach": float(np.sum(rates[: settings.n_factors])),
        "rows": [],
    }
    for seed in seeds:
        for row in _rows_of_world(config, settings, seed=seed):
            document["rows"].append(row)
            files.write_json(out, document)
    text = recovery_report.table(document)
    print(text)
    outputs.write(out, document, text, draw=recovery_report.draw)


def _rows_of_world(
    config: world_config.WorldConfig,
    settings: recovery_candidates.RecoveryConfig,
    *,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yields the scores of every method in one world."""
    world = synthetic.make_world(jax.random.key(seed), config)
    draw = recovery_candidates.batches
    x = np.concatenate(
        [x for x, _ in draw(world, n_rows=_ROWS.value, seed=seed + _LEARNT)]
    )[: _ROWS.value]
    for candidate in recovery_candidates.candidates(
        x,
        world,
        settings,
        seed=seed,
        progress=lambda what: outputs.say(f"world {seed}: {what}"),
    ):
        method = candidate.method
        scores = recovery.evaluate(
            draw(world, n_rows=_HELD_OUT.value, seed=seed + _SCORED),
            encode=method.codes,
            decode=lambda codes, method=method: (
                method.offset[None, :] + codes @ method.factors
            ),
            dictionary=method.factors,
            features=world.features,
        )
        outputs.say(
            f"  L0 {scores.l0:.2f}: F1 {scores.f1:.3f}, MCC {scores.mcc:.3f}, "
            f"explained variance {scores.explained_variance:.3f}, "
            f"{candidate.seconds:.0f} s"
        )
        yield {
            "method": candidate.name,
            "seed": seed,
            "target_l0": candidate.target_l0,
            "learning_rate": candidate.learning_rate,
            "l1_penalty": candidate.l1_penalty,
            **dataclasses.asdict(scores),
            "seconds": candidate.seconds,
            "rows_seen": candidate.rows_seen,
        }


if __name__ == "__main__":
    script.run(main, FLAGS)
