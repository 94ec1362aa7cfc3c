"""Times what explains factors, beside the procedure of the published code.

On a finished run with examples:

    tfvis demo runs/demo
    python -m benchmarks.saliency.speed --out interpretation.json

Prints a line for each task and writes them as JSON: masks a second, seconds, the
process's largest memory so far in MB, and the seconds of the published procedure on the
same masks. That one is timed on some batches, next to ours and as often, and scaled to
all. The task `examples` is the pass that gathers them, in rows of hidden states; its
baseline is the encoding alone, see `examples_pass`. Compilation is not counted; of the
others it is told apart, as ``first_seconds`` of a first run. ``cpu_seconds`` is the
processor time of all threads, which neighbours disturb less.
"""

import dataclasses
import pathlib
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags

from benchmarks.saliency import examples_pass
from benchmarks.saliency import published as published_lib
from experiments import script
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.reporting import environment, outputs
from tfvis_jax.runs import setup
from tfvis_jax.saliency import example_target, explanation, lime, variants
from tfvis_jax.saliency import target as target_lib

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", "runs/demo", "Finished run with its examples.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string("out", None, "JSON to write.", flag_values=FLAGS)
_LAYER = flags.DEFINE_integer(
    "layer",
    None,
    "Layer of the targets; the last, which costs most, by default.",
    flag_values=FLAGS,
)
_EXAMPLES = flags.DEFINE_integer(
    "examples",
    20,
    "Targets: strongest tokens of as many factors.",
    lower_bound=1,
    flag_values=FLAGS,
)
_BATCHES = flags.DEFINE_integer(
    "baseline_batches",
    12,
    "Batches of 8 that the published procedure is timed on.",
    lower_bound=1,
    flag_values=FLAGS,
)
_REPEATS = flags.DEFINE_integer(
    "repeats",
    3,
    "Timed runs; the fastest counts.",
    lower_bound=1,
    flag_values=FLAGS,
)
_PASS_BATCHES = flags.DEFINE_integer(
    "pass_batches",
    16,
    "Batches of windows that the pass for examples is timed on.",
    lower_bound=1,
    flag_values=FLAGS,
)
_TASKS = flags.DEFINE_list(
    "tasks", None, "Tasks to run; all by default.", flag_values=FLAGS
)

_MASKS = 2001


@dataclasses.dataclass(frozen=True)
class Workload:
    """What tasks work on.

    Attributes:
      run: the run.
      opened: its model.
      probe: at the layer in question.
      targets: strongest tokens of factors spread evenly over the dictionary.
      replacement: id of [UNK].
    """

    run: run_lib.Run
    opened: setup.Setup
    probe: variants.Probe
    targets: list[target_lib.Target]
    replacement: int


def lime_all_masks(world: Workload) -> dict[str, Any]:
    """LIME with all masks for one target, against the published procedure."""
    target = world.targets[0]
    drawn = lime.draw_masks(
        np.random.default_rng(0), n_tokens=len(target.places), count=_MASKS - 1
    )
    kept = np.concatenate([np.ones_like(drawn[:1]), drawn])
    request = variants.replacing(target, kept, by=world.replacement)

    def ours():
        [alpha] = world.probe.activations([request])
        return alpha, lime.fit(kept, alpha)

    model = published_lib.open_model(world.opened.pretrained.folder)
    part = published_lib.BATCH * _BATCHES.value
    trained = world.run.trained

    def published():
        return published_lib.activations(
            model,
            request.token_ids[:part],
            trained.factors,
            layer=world.probe.layer,
            position=target.position,
            factor=target.factor,
            layer_scale=float(world.probe.scale),
            l1_penalty=trained.l1_penalty,
        )

    theirs = published()
    (alpha, fit), spent, beside = _time(ours, beside=published)
    share = _MASKS / len(theirs)
    return _row(
        "lime_2001_masks",
        masks=_MASKS,
        spent=spent,
        baseline_seconds=beside["seconds"] * share,
        baseline_cpu_seconds=beside["cpu_seconds"] * share,
        baseline_masks=len(theirs),
        largest_difference=float(np.max(np.abs(alpha[: len(theirs)] - theirs))),
        activation=float(alpha[0]),
        r2=fit.r2,
        relative_error=fit.relative_error,
    )


def lime_adaptive(world: Workload) -> dict[str, Any]:
    """LIME for one target until its standard errors are small enough."""
    [found], spent, _ = _time(lambda: _lime(world, world.targets[:1]))
    return _row(
        "lime_adaptive",
        masks=found.fit.n_samples,
        spent=spent,
        r2=found.fit.r2,
        relative_error=found.fit.relative_error,
        stability=found.stability,
    )


def lime_together(world: Workload) -> dict[str, Any]:
    """Adaptive LIME for all targets at once, and one by one."""
    found, spent, alone = _time(
        lambda: _lime(world, world.targets),
        beside=lambda: [_lime(world, [target]) for target in world.targets],
    )
    masks = [each.fit.n_samples for each in found]
    return _row(
        "lime_adaptive_together",
        masks=sum(masks),
        spent=spent,
        examples=len(masks),
        seconds_one_by_one=alone["seconds"],
        cpu_seconds_one_by_one=alone["cpu_seconds"],
        median_masks=float(np.median(masks)),
        most_masks=max(masks),
        median_r2=float(np.median([each.fit.r2 for each in found])),
        median_stability=float(np.median([each.stability for each in found])),
    )


def examples(world: Workload) -> dict[str, Any]:
    """The pass that gathers the examples, against encoding alone."""
    return examples_pass.measure(
        world.opened,
        world.run.trained,
        world.run.windows,
        n=world.run.examples.activation.shape[2],
        num_batches=_PASS_BATCHES.value,
    )


# Others' rows have no baseline of their own: it is that of the first, by masks.
TASKS: dict[str, Callable[[Workload], dict[str, Any]]] = {
    "lime_2001_masks": lime_all_masks,
    "lime_adaptive": lime_adaptive,
    "lime_adaptive_together": lime_together,
    "examples": examples,
}


def main() -> None:
    """Runs the tasks, prints their rows and writes them."""
    names = list(TASKS) if _TASKS.value is None else _TASKS.value
    if not set(names) <= set(TASKS):
        raise InputError(f"Expected --tasks of {', '.join(TASKS)}; got {names}.")
    document = environment.describe("benchmarks.saliency.speed")
    world = _world()
    document["rows"] = rows = []
    for name in names:
        outputs.say(f"{name} …")
        rows.append(TASKS[name](world))
        _fill_baseline(rows)
        print(rows[-1], flush=True)
        if _OUT.value is not None:
            files.write_json(pathlib.Path(_OUT.value), document)


def _world() -> Workload:
    run = run_lib.load_run(_RUN.value)
    layer = run.trained.layers[-1] if _LAYER.value is None else _LAYER.value
    opened = setup.open_model(run.directory, run.config)
    probe = variants.open_probe(opened, run.trained, layer=layer)
    firing = np.flatnonzero(run.examples.firing[run.trained.layers.index(layer)])
    spread = np.linspace(0, len(firing) - 1, _EXAMPLES.value).round().astype(int)
    targets = [
        example_target.of_example(run, factor=int(factor), layer=layer, rank=1)
        for factor in firing[spread]
    ]
    # The one that is explained alone fills its window.
    targets.sort(key=lambda target: -len(target.token_ids))
    replacement = explanation.replacement_id(opened.tokenizer, "unk")
    return Workload(run, opened, probe, targets, replacement)


def _lime(world: Workload, targets: list[target_lib.Target]) -> list[Any]:
    return lime.explain(world.probe, targets, replacement=world.replacement)


def _time(
    work: Callable[[], Any], *, beside: Callable[[], Any] | None = None
) -> tuple[Any, dict[str, float], dict[str, float]]:
    """Returns the result and the least time of it, and that of what runs beside.

    What runs beside does so after each timed run: a disturbance slows both.
    """
    _, first = _clock(work)
    result, own, others = None, [], []
    for _ in range(_REPEATS.value):
        result, spent = _clock(work)
        own.append(spent)
        if beside is not None:
            others.append(_clock(beside)[1])
    best = {"first_seconds": first["seconds"], **_least(own)}
    return result, best, _least(others) if others else {}


def _clock(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    start, cpu_start = time.perf_counter(), time.process_time()
    result = work()
    return result, {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }


def _least(times: list[dict[str, float]]) -> dict[str, float]:
    return {name: min(spent[name] for spent in times) for name in times[0]}


def _row(
    task: str, *, masks: int, spent: dict[str, float], **more: Any
) -> dict[str, Any]:
    return {
        "task": task,
        "rows_per_s": masks / spent["seconds"],
        "seconds": spent["seconds"],
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "baseline_seconds": None,
        "masks": masks,
        **spent,
        **more,
    }


def _fill_baseline(rows: list[dict[str, Any]]) -> None:
    """Gives a row without a baseline that of the first: all masks for each example."""
    first = next((row for row in rows if "masks" in row), {})
    for name in ("baseline_seconds", "baseline_cpu_seconds"):
        baseline = first.get(name)
        if rows[-1].get(name) is None and baseline is not None:
            rows[-1][name] = baseline * rows[-1].get("examples", 1)


if __name__ == "__main__":
    script.run(main, FLAGS)
