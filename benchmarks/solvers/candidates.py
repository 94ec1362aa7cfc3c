"""Our solvers as programs: jitted, or mapped over devices with pmap or shard_map.

A program takes λ and the tolerance as arguments, so that one compilation serves every
setting. It is compiled ahead of time, so that its memory is known.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.solvers import timing
from tfvis_jax import config as config_lib
from tfvis_jax import sparse_coding
from tfvis_jax.sparse_coding import registry

# Solvers whose steps take two products with the whole dictionary.
_DENSE = ("ista", "fista", "fista_restart", "spectral")
# Solvers that choose k factors instead of minimising the lasso.
_MAPPINGS = ("jit", "pmap", "shard_map")
_MAX_STEPS = 3000


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled solver for one shape.

    Attributes:
      solver: its name.
      mapping: "jit", "pmap" or "shard_map".
      num_devices: how many devices share the rows.
      precision: in which dense steps begin, as dense solvers take it.
      batch: number of rows.
      call: maps (x, dictionary, λ, tolerance), placed, to a `sparse_coding.Encoding`.
      place: puts x and dictionary where ``call`` wants them.
      compile_s: seconds that tracing and compiling took.
      memory_mb: memory beyond the arguments, all devices together.
    """

    solver: str
    mapping: str
    num_devices: int
    precision: str | None
    batch: int
    call: Callable[..., sparse_coding.Encoding]
    place: Callable[[np.ndarray, np.ndarray], tuple[jax.Array, jax.Array]]
    compile_s: float
    memory_mb: float

    def candidate(
        self,
        x: np.ndarray,
        dictionary: np.ndarray,
        *,
        l1_penalty: float,
        tolerance: float,
        k: int | None = None,
    ) -> timing.TimedSolver:
        """Returns the program at one setting; arrays stay on their devices."""
        placed = self.place(x[: self.batch], dictionary)
        arguments = (*placed, np.float32(l1_penalty), np.float32(tolerance))
        n_factors, d_model = dictionary.shape

        def solve():
            start = time.perf_counter()
            encoding = jax.block_until_ready(self.call(*arguments))
            seconds = time.perf_counter() - start
            return timing.Solved(
                codes=encoding.codes.reshape(self.batch, n_factors),
                num_steps=encoding.num_steps.reshape(self.batch),
                seconds=seconds,
                memory_mb=self.memory_mb,
            )

        return timing.TimedSolver(
            solver=self.solver,
            batch=self.batch,
            setting={
                "tolerance": None if k else tolerance,
                "k": k,
                "mapping": self.mapping,
                "num_devices": self.num_devices,
                "precision": self.precision,
            },
            solve=solve,
            device=jax.devices()[0].device_kind,
            compile_s=self.compile_s,
            step_flop=(
                4 * n_factors * d_model
                if chosen(self.solver, n_factors) in _DENSE
                else None
            ),
        )


def chosen(solver: str, n_factors: int) -> str:
    """Returns the solver that a name stands for, which is another one for "auto"."""
    if solver != "auto":
        return solver
    return sparse_coding.choose_solver(
        platform=jax.default_backend(), n_factors=n_factors, factors_are_split=False
    )


@functools.cache
def compile_program(
    solver: str,
    *,
    batch: int,
    d_model: int,
    n_factors: int,
    mapping: str = "jit",
    num_devices: int = 1,
    precision: str | None = None,
    k: int | None = None,
) -> Program:
    """Compiles a solver for one shape; each once.

    Args:
      solver: one of `config.SOLVERS` or `config.PURSUITS`.
      batch: number of rows, a multiple of ``num_devices``.
      d_model: length of a row.
      n_factors: number of factors.
      mapping: "jit", "pmap" or "shard_map".
      num_devices: how many devices share the rows.
      precision: in which dense steps begin, as dense solvers take it.
      k: factors in use, for a solver that wants it.
    """
    if k is None:
        function = _lasso_solver(solver, n_factors=n_factors, precision=precision)
    else:
        function = functools.partial(_pursue, method=solver, k=k)
    devices = jax.devices()[:num_devices]
    mapped, place, context = _map(function, mapping, devices)
    placed = place(
        np.zeros((batch, d_model), np.float32),
        np.zeros((n_factors, d_model), np.float32),
    )
    start = time.perf_counter()
    with context:
        lowered = mapped.lower(*placed, np.float32(1), np.float32(1))
        compiled = lowered.compile()
    compile_s = time.perf_counter() - start
    memory = compiled.memory_analysis()
    per_device = memory.temp_size_in_bytes + memory.output_size_in_bytes
    return Program(
        solver=solver,
        mapping=mapping,
        num_devices=num_devices,
        precision=precision,
        batch=batch,
        call=compiled,
        place=place,
        compile_s=compile_s,
        memory_mb=per_device * num_devices / 1e6,
    )


def _lasso_solver(solver, *, n_factors, precision):
    """Returns the function of a solver that begins in an arithmetic."""
    value = solver
    if precision is not None and chosen(solver, n_factors) in _DENSE:
        made = registry.solver(
            solver,
            platform=jax.default_backend(),
            n_factors=n_factors,
            factors_are_split=False,
        )
        value = dataclasses.replace(made, precision=precision)

    def function(x, dictionary, l1_penalty, tolerance):
        return sparse_coding.encode(
            x,
            dictionary,
            l1_penalty=l1_penalty,
            tolerance=tolerance,
            solver=value,
            max_steps=_MAX_STEPS,
        )

    return function


def _pursue(x, dictionary, l1_penalty, tolerance, *, method, k):
    """Returns codes of k factors with their gap; a step picks a factor."""
    codes = sparse_coding.pursue(x, dictionary, k=k, method=method)
    gap = sparse_coding.duality_gap(x, dictionary, codes, l1_penalty=l1_penalty)
    num_steps = jnp.full_like(gap, k, jnp.int32)
    return sparse_coding.Encoding(codes, gap, num_steps, gap <= tolerance)


def lasso_programs(
    solvers: Sequence[str],
    *,
    batch: int,
    d_model: int,
    n_factors: int,
    precision: str | None,
    progress: Callable[[str], None],
) -> list[Program]:
    """Compiles lasso solvers on one device, and `auto` in all ways over one and all.

    Args:
      solvers: names; those that are not of the lasso are left out.
      batch: number of rows; what devices cannot share equally is left out.
      d_model: length of a row.
      n_factors: number of factors.
      precision: in which dense steps begin, as dense solvers take it.
      progress: called with a line of text before each.
    """
    shape = {"d_model": d_model, "n_factors": n_factors, "precision": precision}
    layouts = [(name, "jit", 1) for name in solvers if name not in config_lib.PURSUITS]
    if "auto" in solvers:
        for num_devices in sorted({1, jax.device_count()}):
            layouts += [("auto", mapping, num_devices) for mapping in _MAPPINGS]
    programs = []
    for name, mapping, num_devices in dict.fromkeys(layouts):
        progress(f"compiling {name}, {mapping} on {num_devices}")
        programs.append(
            compile_program(
                name,
                batch=batch // num_devices * num_devices,
                mapping=mapping,
                num_devices=num_devices,
                **shape,
            )
        )
    return programs


def lasso_candidates(
    programs: Sequence[Program],
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    l1_penalty: float,
    tolerances: Sequence[float],
) -> list[timing.TimedSolver]:
    """Returns each program at those of the tolerances that are worth its time."""
    return [
        program.candidate(x, dictionary, l1_penalty=l1_penalty, tolerance=tolerance)
        for program in programs
        for tolerance in _worthwhile(program, sorted(tolerances, reverse=True))
    ]


def _worthwhile(program: Program, tolerances: list[float]) -> list[float]:
    """ISTA is too slow for all but the loosest; `auto` is another solver's double."""
    if program.solver == "ista":
        return tolerances[:1]
    over_all = ("shard_map", jax.device_count())
    if program.solver == "auto" and (program.mapping, program.num_devices) != over_all:
        return tolerances[-1:]
    return tolerances


def greedy_candidates(
    solvers: Sequence[str],
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    l1_penalty: float,
    k: int,
    progress: Callable[[str], None],
) -> list[timing.TimedSolver]:
    """Returns those of the solvers that choose ``k`` factors, on one device."""
    (batch, d_model), n_factors = x.shape, len(dictionary)
    candidates = []
    for name in (name for name in solvers if name in config_lib.PURSUITS):
        progress(f"compiling {name}, k = {k}")
        program = compile_program(
            name, batch=batch, d_model=d_model, n_factors=n_factors, k=k
        )
        candidates.append(
            program.candidate(x, dictionary, l1_penalty=l1_penalty, tolerance=1e-4, k=k)
        )
    return candidates


def _map(function, mapping, devices):
    """Returns the mapped function, how to place its arrays, and a mesh context."""
    if mapping == "jit" and len(devices) == 1:

        def on_one_device(x, dictionary):
            return jax.device_put((x, dictionary), devices[0])

        return jax.jit(function), on_one_device, contextlib.nullcontext()

    if mapping == "pmap":

        def on_each(x, dictionary):
            parts = x.reshape(len(devices), -1, x.shape[1])
            # The identity leaves its results where the next call wants them.
            place = jax.pmap(lambda *arrays: arrays, in_axes=(0, None), devices=devices)
            return place(parts, dictionary)

        mapped = jax.pmap(function, in_axes=(0, 0, None, None), devices=devices)
        return mapped, on_each, contextlib.nullcontext()

    mesh = jax.make_mesh((len(devices),), ("rows",), devices=devices)

    def on_mesh(x, dictionary):
        layouts = (jax.P("rows"), jax.P())
        return tuple(
            jax.device_put(array, jax.NamedSharding(mesh, layout))
            for array, layout in zip((x, dictionary), layouts, strict=True)
        )

    if mapping == "shard_map":
        function = jax.shard_map(
            function,
            mesh=mesh,
            in_specs=(jax.P("rows"), jax.P(), jax.P(), jax.P()),
            out_specs=jax.P("rows"),
        )
    return jax.jit(function), on_mesh, jax.set_mesh(mesh)
