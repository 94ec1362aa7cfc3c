"""Concepts of which the level is known, planted as factors, and judged by the rule.

    python -m benchmarks.levels.planted --run=runs/demo \
        --out=benchmarks/levels/planted_in_demo.json

A word, a template ("after a preposition"), a domain (letters, novels) or a document
becomes a direction: the mean of its hidden states less what its words alone would give,
at one of three depths by turns. One is kept if at least 60 % of its 50 strongest tokens
belong to the concept. No planted factor is used to fit the rule.
"""

import pathlib

import numpy as np
from absl import flags

from benchmarks.levels import (
    concepts,
    fitting,
    planted_factors,
    planted_set,
    readings,
    word_families,
)
from experiments import script
from tfvis_jax.levels import gathering, rule
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.reporting import outputs, tables

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "Run in whose text to plant.", required=True, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON of the evidence.", required=True, flag_values=FLAGS
)
_PER_CLASS = flags.DEFINE_integer(
    "per_class", 40, "Concepts of a class.", flag_values=FLAGS
)
_PER_FACTOR = flags.DEFINE_integer(
    "per_factor", 6, "Firings to measure on.", lower_bound=1, flag_values=FLAGS
)

_STRONGEST = 1000
_CHECKED = 50
_MIN_PRECISION = 0.6


def plant(run: run_lib.Run, *, per_class: int, per_factor: int) -> list[readings.Read]:
    """Returns the planted factors that stand for their concept, with evidence.

    Args:
      run: gives model and text.
      per_class: concepts of a class, at most.
      per_factor: firings to measure each on.
    """
    tokenizer = run.opened.tokenizer
    tokens = concepts.read(run.windows, tokenizer.is_continuation)
    form = word_families.of_vocabulary(tokenizer.pieces)[tokens.token_id]
    plants = planted_set.choose(
        tokens,
        concepts.concepts(tokens),
        form=form,
        per_class=per_class,
        n_layers=len(run.trained.layers),
    )
    made = planted_factors.dictionary(
        run.opened, run.trained, run.windows, form=form, plants=plants
    )
    examples = planted_factors.examples(run.opened, made, run.windows, n=_STRONGEST)
    peak = np.array([each.layer for each in plants])
    kept = []
    for factor, each in enumerate(plants):
        top = examples.top(each.layer, factor, stop=_CHECKED)
        if len(top.window) == _CHECKED:
            rows = tokens.rows(top.window, top.position)
            if np.isin(rows, each.rows).mean() >= _MIN_PRECISION:
                kept.append(factor)
    outputs.say(f"{len(kept)} of {len(plants)} concepts fire what they were made of")
    evidence = gathering.of_dictionary(
        run.opened,
        made,
        run.windows,
        examples,
        peak=peak,
        per_factor=per_factor,
        progress=lambda done, total: None,
        factors=kept,
    )
    return [
        readings.Read(
            source=run.directory.path.name,
            factor=factor,
            levels=[plants[factor].level],
            readings=[plants[factor].name],
            confidence=[1.0],
            evidence=evidence[factor],
        )
        for factor in kept
        if evidence[factor] is not None
    ]


def main() -> None:
    """Plants concepts, measures them unless that is done, and prints the table."""
    path = pathlib.Path(_OUT.value)
    if not path.is_file():
        run = run_lib.load_run(_RUN.value)
        found = plant(run, per_class=_PER_CLASS.value, per_factor=_PER_FACTOR.value)
        readings.save(path, found, recipe="planted concepts")
    found = readings.load(path)
    names = [rule.judge(each.evidence).name for each in found]
    heads = ["planted", "n", *rule.LEVELS]
    rows = []
    for level in fitting.CLASSES:
        called = [n for n, e in zip(names, found, strict=True) if e.agreed == level]
        rows.append(
            [level, str(len(called)), *(str(called.count(n)) for n in rule.LEVELS)]
        )
    print(tables.markdown(heads, rows))


if __name__ == "__main__":
    script.run(main, FLAGS)
