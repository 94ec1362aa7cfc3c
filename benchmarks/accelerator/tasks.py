"""What is measured, in order: what matters most comes first, and large sizes last."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from benchmarks.accelerator import clock, encoding, parity, steps, trace, training
from benchmarks.accelerator.sizes import Sizes

# Groups in the order of the report.
PARITY, PEAKS, SPLIT, TRAINING = "parity", "peaks", "split products", "training"
STEPS, SOLVE, ENCODER, TRACE = "steps", "solve", "encoder", "trace"
Measure = Callable[[], dict[str, Any]]


class Task(NamedTuple):
    """One row of a table.

    Attributes:
      group: the table.
      setting: what identifies the row in it.
      measure: returns the rest of the row.
    """

    group: str
    setting: dict[str, Any]
    measure: Measure


def first_of_each(found: Iterable[Task]) -> Iterator[Task]:
    """Yields one task of each kind, whatever its arithmetic and its number of rows."""
    seen: set[tuple[Any, ...]] = set()
    for task in found:
        names = ("what", "form", "n_factors")
        kind = (task.group, *(task.setting.get(name) for name in names))
        if kind not in seen:
            seen.add(kind)
            yield task


def all_of(sizes: Sizes, *, out: pathlib.Path) -> Iterator[Task]:
    """Yields the tasks; rows that other rows are compared with come before them.

    Args:
      sizes: how large everything is.
      out: folder of the trace.
    """
    device = steps.Device()
    first, *more = _training(device, sizes)
    yield from _parity(sizes)
    yield from _peaks(device, sizes)
    yield first
    yield _trace(device, sizes, out=out)
    yield from _solves(device, sizes, (sizes.gram,))
    yield from more[:1]
    yield from _solves(device, sizes, sizes.factors[:1])
    yield _rarer_looks(device, sizes)
    yield from more[1 : len(sizes.rows)]
    yield from _solves(device, sizes, sizes.factors[1:3])
    yield from _steps(device, sizes)
    yield from _split(sizes)
    yield from more[len(sizes.rows) :]
    yield from _encoder(device, sizes)
    yield from _parity_of_all(sizes)
    yield from _larger(device, sizes)


def _trace(device: steps.Device, sizes: Sizes, *, out: pathlib.Path) -> Task:
    setting = _batch(sizes, sizes.models[0], n_factors=sizes.gram)
    record = functools.partial(trace.record, out=out)
    measure = functools.partial(training.traced, device, setting=setting, record=record)
    return Task(TRACE, setting._asdict(), measure)


def _parity(sizes: Sizes) -> Iterator[Task]:
    """Yields one comparison of each kind."""
    _, gram, n_factors = sizes.parity
    for precision in clock.precisions():
        yield _codes(sizes, n_factors, precision)
    yield _codes(sizes, gram, _arithmetics()[1])
    setting = _compared(sizes, n_factors)
    yield _task(PARITY, parity.training_step, "dictionary step", setting)
    yield _hidden_states(sizes, sizes.models[-1], "float32", None)


def _parity_of_all(sizes: Sizes) -> Iterator[Task]:
    """Yields the other comparisons."""
    _, gram, n_factors = sizes.parity
    for precision in clock.precisions():
        yield _codes(sizes, gram, precision)
    yield _task(PARITY, parity.fista, "codes, FISTA", _compared(sizes, n_factors))
    yield _hidden_states(sizes, sizes.models[-1], "float32", "highest")
    yield _hidden_states(sizes, sizes.models[0], "bfloat16", None)


def _compared(sizes: Sizes, n_factors: int) -> dict[str, Any]:
    return {
        "n_rows": sizes.parity_rows,
        "d_model": sizes.parity[0],
        "n_factors": n_factors,
    }


def _codes(sizes: Sizes, n_factors: int, precision: str) -> Task:
    setting = {"precision": precision, **_compared(sizes, n_factors)}
    return _task(PARITY, parity.solver, "codes, spectral", setting)


def _hidden_states(sizes: Sizes, model: str, dtype: str, precision: str | None) -> Task:
    setting = {"model": model, "dtype": dtype, "precision": precision}
    setting |= {"length": sizes.length}
    return _task(PARITY, parity.encoder, "hidden states", setting)


def _peaks(device: steps.Device, sizes: Sizes) -> Iterator[Task]:
    def product(name: str) -> dict[str, Any]:
        found = clock.product_rate(name, size=sizes.product)
        device.product_rate[name] = found["rate"]
        return found

    def memory() -> dict[str, Any]:
        device.memory_rate = clock.memory_rate(num_bytes=sizes.memory)
        return {"rate": device.memory_rate}

    for name in clock.precisions():
        setting = {"what": f"FLOP/s, {name}"}
        yield Task(PEAKS, setting, functools.partial(product, name))
    yield Task(PEAKS, {"what": "bytes/s"}, memory)


def _split(sizes: Sizes) -> Iterator[Task]:
    for name in clock.split_products():
        measure = functools.partial(clock.product_rate, name, size=sizes.product)
        yield Task(SPLIT, {"what": f"FLOP/s, {name}"}, measure)


def _training(device: steps.Device, sizes: Sizes) -> Iterator[Task]:
    """Yields batches, first of more factors, then of other rows a step."""
    first, last = sizes.models[0], sizes.models[-1]
    usual = _batch(sizes, first, n_factors=sizes.gram)
    settings = [
        usual,
        _batch(sizes, first, n_factors=sizes.factors[0]),
        *(usual._replace(rows_per_step=n_rows) for n_rows in sizes.rows[1:]),
        _batch(sizes, last, n_factors=sizes.gram),
        usual._replace(dtype="bfloat16"),
    ]
    for setting in dict.fromkeys(settings):
        yield Task(
            TRAINING,
            setting._asdict(),
            functools.partial(training.throughput, device, setting=setting),
        )


def _batch(sizes: Sizes, model: str, *, n_factors: int) -> training.Setting:
    return training.Setting(
        model=model,
        dtype="float32",
        n_factors=n_factors,
        n_windows=sizes.windows[0],
        length=sizes.length,
        rows_per_step=sizes.rows[0],
    )


def _steps(device: steps.Device, sizes: Sizes) -> Iterator[Task]:
    for form, n_factors in (
        ("gram", sizes.gram),
        ("dictionary", sizes.factors[0]),
        ("dictionary", sizes.gram),
    ):
        # The coarsest, with which a solve begins, first.
        for precision in reversed(clock.precisions()):
            yield _step(
                device, sizes, n_factors, sizes.rows[0], form=form, precision=precision
            )


def _encoder(device: steps.Device, sizes: Sizes) -> Iterator[Task]:
    for n_windows in sizes.windows:
        for model in sizes.models:
            for dtype in ("float32", "bfloat16"):
                setting = {"model": model, "dtype": dtype}
                setting |= {"n_windows": n_windows, "length": sizes.length}
                measure = functools.partial(encoding.throughput, device, **setting)
                yield Task(ENCODER, setting, measure)


def _solves(
    device: steps.Device, sizes: Sizes, factors: Iterable[int]
) -> Iterator[Task]:
    """Yields solves that begin as the platform does, and in the coarsest arithmetic."""
    for n_factors in factors:
        for precision in dict.fromkeys(clock.precisions()[1:]):
            yield _solve(device, sizes, n_factors, sizes.rows[0], precision=precision)


def _rarer_looks(device: steps.Device, sizes: Sizes) -> Task:
    """Returns a solve that looks at the gap half as often."""
    size = (sizes.factors[0], sizes.rows[0])
    return _solve(device, sizes, *size, precision=_arithmetics()[1], block_steps=20)


def _arithmetics() -> tuple[str, str, str]:
    """Returns the finest, that in which the platform's solves begin, the coarsest."""
    finest, usual, *_ = found = clock.precisions()
    return finest, usual, found[-1]


def _larger(device: steps.Device, sizes: Sizes) -> Iterator[Task]:
    """Yields solves and steps of more factors and of other numbers of rows."""
    exact, usual, coarse = _arithmetics()
    for n_factors in (sizes.gram, *sizes.factors):
        yield _solve(device, sizes, n_factors, sizes.rows[0], precision=exact)
    yield from _solves(device, sizes, sizes.factors[3:])
    for n_rows in sizes.rows[1:]:
        yield _solve(device, sizes, sizes.factors[0], n_rows, precision=usual)
    for n_rows in sizes.rows[1:]:
        yield _step(device, sizes, sizes.factors[0], n_rows, precision=coarse)
    for n_factors in sizes.factors[1:]:
        for precision in (coarse, exact):
            yield _step(device, sizes, n_factors, sizes.rows[0], precision=precision)


def _step(
    device: steps.Device,
    sizes: Sizes,
    n_factors: int,
    n_rows: int,
    *,
    form: str = "dictionary",
    precision: str,
) -> Task:
    setting = {"form": form, "precision": precision}
    setting |= _size(sizes, n_factors, n_rows)
    return Task(STEPS, setting, functools.partial(steps.steps, device, **setting))


def _solve(
    device: steps.Device,
    sizes: Sizes,
    n_factors: int,
    n_rows: int,
    *,
    precision: str,
    block_steps: int = 10,
) -> Task:
    setting = {"precision": precision, "block_steps": block_steps}
    setting |= _size(sizes, n_factors, n_rows)
    return Task(SOLVE, setting, functools.partial(steps.solve, device, **setting))


def _size(sizes: Sizes, n_factors: int, n_rows: int) -> dict[str, Any]:
    return {"n_rows": n_rows, "d_model": sizes.d_model, "n_factors": n_factors}


def _task(
    group: str,
    measure: Callable[..., dict[str, Any]],
    what: str,
    setting: dict[str, Any],
) -> Task:
    return Task(group, {"what": what, **setting}, functools.partial(measure, **setting))
