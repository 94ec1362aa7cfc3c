"""Encodes rows that are on disk to a sparse matrix: rows a second, and peak memory.

    python -m benchmarks.scaling.many_rows
    python -m benchmarks.scaling.many_rows --rows 100000 --d_model 768 --n_factors 16384

Rows are sums of a few factors of a random dictionary and noise, scaled to a
root-mean-square norm of 1, in a memory-mapped file of float16. They are encoded by
`estimators.encode_rows` with the same dictionary. Memory is what the process had in use
at most while it encoded: *anonymous* is its own, the rest are pages of the file, which
the system takes back when it needs them.
"""

import pathlib
import tempfile
import time
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import script
from tfvis_jax import estimators
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment, outputs, tables

FLAGS = flags.FlagValues()
_ROWS = flags.DEFINE_integer(
    "rows", 2_000_000, "Rows to encode.", lower_bound=1, flag_values=FLAGS
)
_D_MODEL = flags.DEFINE_integer(
    "d_model", 64, "Numbers in a row.", lower_bound=1, flag_values=FLAGS
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors", 256, "Factors.", lower_bound=1, flag_values=FLAGS
)
_ACTIVE = flags.DEFINE_float(
    "active",
    8.0,
    "Mean number of factors that a row is a sum of.",
    lower_bound=0.1,
    flag_values=FLAGS,
)
_NOISE = flags.DEFINE_float(
    "noise",
    0.05,
    "Standard deviation of what is added to a number.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
_L1_PENALTY = flags.DEFINE_float(
    "l1_penalty", 0.06, "λ.", lower_bound=1e-6, flag_values=FLAGS
)
_TOLERANCE = flags.DEFINE_float(
    "tolerance", 1e-3, "Duality gap.", lower_bound=0.0, flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", None, "JSON to write, with the table beside it.", flag_values=FLAGS
)

# Rows that are made at once.
_BLOCK = 65_536


def main() -> None:
    """Makes the rows, encodes them, prints a table."""
    out = None if _OUT.value is None else pathlib.Path(_OUT.value)
    if out is not None and out.suffix != ".json":
        raise InputError(f"Expected --out to end in .json, got {out}.")
    with tempfile.TemporaryDirectory() as folder:
        outputs.say(f"writing {_ROWS.value} rows")
        path = pathlib.Path(folder) / "rows.npy"
        dictionary = write_rows(
            path,
            n_rows=_ROWS.value,
            d_model=_D_MODEL.value,
            n_factors=_N_FACTORS.value,
            active=_ACTIVE.value,
            noise=_NOISE.value,
        )
        row = measure(
            np.load(path, mmap_mode="r"),
            dictionary,
            l1_penalty=_L1_PENALTY.value,
            tolerance=_TOLERANCE.value,
        )
    document = {
        "schema": "tfvis-many-rows/1",
        **environment.describe("benchmarks.scaling.many_rows"),
        "rows": [row],
    }
    text = table(document)
    print(text)
    if out is not None:
        outputs.write(out, document, text)


def write_rows(
    path: pathlib.Path,
    *,
    n_rows: int,
    d_model: int,
    n_factors: int,
    active: float,
    noise: float,
) -> np.ndarray:
    """Writes rows of float16 as a .npy file and returns the dictionary.

    Args:
      path: to write.
      n_rows: rows.
      d_model: numbers in a row.
      n_factors: factors of unit norm.
      active: mean number of factors in a row, with exponential codes.
      noise: standard deviation of what is added, before rows are scaled.

    Returns:
      [n_factors, d_model] float32.
    """
    rng = np.random.default_rng(0)
    dictionary = rng.normal(size=(n_factors, d_model)).astype(np.float32)
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    rows = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float16, shape=(n_rows, d_model)
    )
    # E α² of an exponential code is 2; factors of random directions do not overlap.
    scale = np.sqrt(2 * active + noise**2 * d_model)
    # Bounded memory here too: the codes of a block are dense.
    block = max(1, min(_BLOCK, 2**24 // n_factors))
    for first in range(0, n_rows, block):
        shape = (min(block, n_rows - first), n_factors)
        codes = rng.exponential(size=shape).astype(np.float32)
        codes *= rng.random(shape, np.float32) < active / n_factors
        x = codes @ dictionary
        x += np.float32(noise) * rng.standard_normal(x.shape, np.float32)
        rows[first : first + len(x)] = x / scale
    rows.flush()
    return dictionary


def measure(
    rows: np.ndarray, dictionary: np.ndarray, *, l1_penalty: float, tolerance: float
) -> dict[str, Any]:
    """Returns rows a second and memory of encoding all rows to a sparse matrix.

    Args:
      rows: [rows, d_model], memory-mapped.
      dictionary: [n_factors, d_model].
      l1_penalty: λ.
      tolerance: largest duality gap.
    """
    settings = {"l1_penalty": l1_penalty, "tolerance": tolerance, "output": "sparse"}
    start = time.perf_counter()
    # Large enough for the batches to have the size that those of all rows have.
    estimators.encode_rows(rows[:4096], dictionary, **settings)
    compile_s = time.perf_counter() - start
    peak, told = {"VmRSS": 0.0, "RssAnon": 0.0}, 0

    def watch(done: int, total: int) -> None:
        for field, most in peak.items():
            peak[field] = max(most, _memory_mb(field))
        nonlocal told
        if done * 10 // total > told:
            told = done * 10 // total
            outputs.say(f"{done} of {total} rows")

    before = _memory_mb("RssAnon")
    start = time.perf_counter()
    found = estimators.encode_rows(rows, dictionary, progress=watch, **settings)
    seconds = time.perf_counter() - start
    codes = found.codes
    return {
        "rows": len(rows),
        "d_model": dictionary.shape[1],
        "n_factors": len(dictionary),
        "device": jax.devices()[0].platform,
        "l1_penalty": l1_penalty,
        "tolerance": tolerance,
        "seconds": seconds,
        "compile_s": compile_s,
        "rows_per_s": len(rows) / seconds,
        "nonzeros": int(codes.nnz),
        "l0": codes.nnz / len(rows),
        "not_converged": found.n_not_converged,
        "file_mb": rows.nbytes / 1e6,
        "codes_mb": (codes.data.nbytes + codes.indices.nbytes + codes.indptr.nbytes)
        / 1e6,
        "anonymous_before_mb": before,
        "peak_anonymous_mb": peak["RssAnon"],
        "peak_memory_mb": peak["VmRSS"],
    }


def table(document: dict[str, Any]) -> str:
    """Returns a line on where it was measured, and the table."""
    heads = ("rows", "d_model", "factors", "L0", "s", "rows/s", "not converged")
    memory = ("codes, MB", "anonymous before, MB", "at most, MB", "with the file, MB")
    lines = [
        (
            f"{row['rows']:,}",
            f"{row['d_model']}",
            f"{row['n_factors']:,}",
            f"{row['l0']:.1f}",
            f"{row['seconds']:.0f}",
            f"{row['rows_per_s']:,.0f}",
            f"{row['not_converged']}",
            f"{row['codes_mb']:,.0f}",
            f"{row['anonymous_before_mb']:,.0f}",
            f"{row['peak_anonymous_mb']:,.0f}",
            f"{row['peak_memory_mb']:,.0f}",
        )
        for row in document["rows"]
    ]
    return f"{tables.where(document)}\n\n{tables.markdown((*heads, *memory), lines)}"


def _memory_mb(field: str) -> float:
    """Returns a line of Linux's account of this process; 0 elsewhere."""
    path = pathlib.Path("/proc/self/status")
    if not path.exists():
        return 0.0
    line = next(s for s in path.read_text().splitlines() if s.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    script.run(main, FLAGS)
