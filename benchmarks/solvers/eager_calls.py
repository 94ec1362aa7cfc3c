"""Times calls of the sparse coding library as a user makes them, without `jax.jit`.

Every function is called three ways on the same arrays: for the first time, when it is
compiled; again, when its checks and one compiled program run; and inside a `jax.jit` of
the caller's, which leaves the checks out. The last two should take the same time.

    python -m benchmarks.solvers.eager_calls --out eager_calls.json

Prints a Markdown table; writes it with JSON.
"""

import functools
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import script
from tfvis_jax import sparse_coding
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs, tables

FLAGS = flags.FlagValues()
_ROWS = flags.DEFINE_list(
    "rows", ["64", "2048"], "Rows, one number a size.", flag_values=FLAGS
)
_FACTORS = flags.DEFINE_list(
    "factors", ["256", "1024"], "Factors, as many numbers.", flag_values=FLAGS
)
_D_MODEL = flags.DEFINE_integer(
    "d_model", 64, "Length of a row.", lower_bound=1, flag_values=FLAGS
)
_REPEATS = flags.DEFINE_integer(
    "repeats", 20, "Timed calls of each.", lower_bound=1, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON to write, with a table beside it.", flag_values=FLAGS
)

_L1_PENALTY, _K = 0.2, 8
# Calls that are shorter are timed several together.
_LEAST_SECONDS = 2e-3


def calls(
    x: jax.Array, dictionary: jax.Array, codes: jax.Array
) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Returns what is timed, by name: a function and its arrays.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors].
    """
    penalised = {"l1_penalty": _L1_PENALTY}

    def encode(solver):
        return functools.partial(sparse_coding.encode, solver=solver, **penalised)

    def pursue(method):
        return functools.partial(sparse_coding.pursue, k=_K, method=method)

    found = {
        f"encode, {solver}": (encode(solver), (x, dictionary))
        for solver in ("fista", "spectral", "working_set")
    }
    found["refit"] = sparse_coding.refit, (x, dictionary, codes)
    found[f"refit, k = {_K}"] = (
        functools.partial(sparse_coding.refit, k=_K),
        (x, dictionary, codes),
    )
    for method in ("omp", "gradient_pursuit", "top_k"):
        found[f"pursue, {method}"] = pursue(method), (x, dictionary)
    found["decode"] = sparse_coding.decode, (codes, dictionary)
    for name in ("duality_gap", "lasso_objective", "kkt_residual"):
        function = functools.partial(getattr(sparse_coding, name), **penalised)
        found[name] = function, (x, dictionary, codes)
    found["row_sums"] = (
        functools.partial(sparse_coding.row_sums, valid=jnp.ones(len(x), bool)),
        (x, codes, x),
    )
    found["power_iteration"] = sparse_coding.power_iteration, (dictionary,)
    return found


def measure(
    function: Callable[..., Any], arrays: tuple[Any, ...], *, repeats: int
) -> dict[str, float]:
    """Returns seconds of the first call, the next ones, and those of a jitted caller.

    Args:
      function: what to call.
      arrays: its positional arguments.
      repeats: timed calls, of which the median counts; the two ways take turns.
    """
    first = _seconds(function, arrays)
    jitted = jax.jit(function)
    _seconds(jitted, arrays)
    together = max(1, int(_LEAST_SECONDS / max(_seconds(function, arrays), 1e-9)))
    times = {"second_s": [], "jitted_s": []}
    for _ in range(repeats):
        for name, call in (("second_s", function), ("jitted_s", jitted)):
            times[name].append(_seconds(call, arrays, together=together))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    # Neighbours in time are compared, so that what disturbs a machine disturbs both.
    ratio = statistics.median(
        eager / jitted
        for eager, jitted in zip(times["second_s"], times["jitted_s"], strict=True)
    )
    return {"first_s": first} | medians | {"ratio": ratio}


def measure_search(
    x: jax.Array, dictionary: jax.Array, *, repeats: int
) -> dict[str, float]:
    """Returns the same of `for_l0`, which solves up to a dozen times.

    Its jitted form is the search with a jitted function for each λ.
    """
    search = functools.partial(sparse_coding.for_l0, target_l0=_K)
    first = _seconds(search, (x, dictionary))
    tried = []

    @jax.jit
    def l0(x, dictionary, l1_penalty):
        codes = sparse_coding.encode(
            x, dictionary, l1_penalty=l1_penalty, tolerance=1e-3
        ).codes
        return jnp.mean(jnp.sum(codes != 0, axis=1))

    @jax.jit
    def highest(x, dictionary):
        return jnp.max(sparse_coding.correlate(x, dictionary))

    def by_hand(x, dictionary):
        tried.clear()
        high = float(highest(x, dictionary))
        low, middle = 1e-4 * high, 0.1 * high
        for _ in range(12):
            tried.append(middle)
            found = float(l0(x, dictionary, np.float32(middle)))
            if abs(found / _K - 1) <= 0.01:
                break
            low, high = (middle, high) if found > _K else (low, middle)
            middle = (low * high) ** 0.5
        return jnp.float32(tried[-1])

    _seconds(by_hand, (x, dictionary))
    times = {"second_s": [], "jitted_s": []}
    for _ in range(repeats):
        for name, call in (("second_s", search), ("jitted_s", by_hand)):
            times[name].append(_seconds(call, (x, dictionary)))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    return {
        "first_s": first,
        **medians,
        "ratio": medians["second_s"] / medians["jitted_s"],
    }


def _seconds(
    call: Callable[..., Any], arrays: tuple[Any, ...], *, together: int = 1
) -> float:
    start = time.perf_counter()
    for _ in range(together):
        jax.block_until_ready(call(*arrays))
    return (time.perf_counter() - start) / together


def main() -> None:
    """Measures, prints a table, writes it with JSON."""
    if len(_ROWS.value) != len(_FACTORS.value):
        raise InputError(
            f"Expected as many --rows as --factors, got {_ROWS.value} and "
            f"{_FACTORS.value}."
        )
    document = environment.describe("benchmarks.solvers.eager_calls") | {"rows": []}
    for batch, n_factors in zip(
        map(int, _ROWS.value), map(int, _FACTORS.value), strict=True
    ):
        x, dictionary = _problem(batch, n_factors)
        codes = sparse_coding.encode(x, dictionary, l1_penalty=_L1_PENALTY).codes
        jax.clear_caches()
        size = {"batch": batch, "n_factors": n_factors}
        for name, (function, arrays) in calls(x, dictionary, codes).items():
            outputs.say(f"{name}: {batch} rows, {n_factors} factors")
            times = measure(function, arrays, repeats=_REPEATS.value)
            document["rows"].append({"call": name} | size | times)
        times = measure_search(x, dictionary, repeats=_REPEATS.value)
        document["rows"].append({"call": "for_l0"} | size | times)
    text = _table(document)
    print(text)
    if _OUT.value:
        outputs.write(pathlib.Path(_OUT.value), document, text)


def _problem(batch: int, n_factors: int) -> tuple[jax.Array, jax.Array]:
    """Returns rows that are sums of a few unit factors, and noise."""
    rng = np.random.default_rng(0)
    dictionary = rng.normal(size=(n_factors, _D_MODEL.value))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    uses = rng.random((batch, n_factors)) < _K / n_factors
    x = (uses * rng.exponential(size=uses.shape)) @ dictionary
    x += 0.1 * rng.normal(size=x.shape)
    return jnp.asarray(x, jnp.float32), jnp.asarray(dictionary, jnp.float32)


def _table(document: dict[str, Any]) -> str:
    cells = [
        (
            row["call"],
            f"{row['batch']:,} × {row['n_factors']:,}",
            f"{row['first_s']:.2f}",
            f"{1e3 * row['second_s']:.3f}",
            f"{1e3 * row['jitted_s']:.3f}",
            f"{row['ratio']:.2f}",
        )
        for row in document["rows"]
    ]
    heads = ("call", "rows × factors", "first call, s", "second, ms")
    heads += ("jitted, ms", "second ÷ jitted")
    return "\n".join([tables.where(document), "", tables.markdown(heads, cells)])


if __name__ == "__main__":
    script.run(main, FLAGS)
