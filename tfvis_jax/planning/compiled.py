"""Reads the cost of a compiled program from XLA: memory, FLOPs and communication.

The programs are those of a run, lowered for shapes and a mesh. Nothing is allocated,
and the devices of the mesh need not be present.
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import hidden_states, loader
from tfvis_jax.errors import InputError
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step, whitening
from tfvis_jax.models import encoder_config, registry

_KINDS = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "collective-permute",
    "reduce-scatter",
)


class Collective(NamedTuple):
    """One collective operation of a program, in which devices exchange data.

    Attributes:
      kind: XLA's name of the operation.
      num_bytes: size of its result on one device.
      loops: number of loops around it; 2 in a solver step, 1 in a check of the gap.
      conditional: True if it is in a branch that few steps take, the revival.
    """

    kind: str
    num_bytes: int
    loops: int
    conditional: bool


@dataclasses.dataclass(frozen=True)
class ProgramCost:
    """What XLA reports of a program; bytes and FLOPs are those of one device.

    Attributes:
      arguments: bytes of the inputs.
      results: bytes of the outputs that do not reuse the memory of inputs.
      temporary: bytes of all intermediate buffers.
      code: bytes of the program itself.
      flops: FLOPs, counting the body of every loop once.
      traffic: bytes read and written, counting the body of every loop once.
      collectives: in the order of the program's text.
    """

    arguments: int
    results: int
    temporary: int
    code: int
    flops: float
    traffic: float
    collectives: tuple[Collective, ...]

    @property
    def peak(self) -> int:
        """Bytes that the program needs on a device while it runs."""
        return self.arguments + self.results + self.temporary + self.code


def rows_of_step(config: config_lib.RunConfig) -> int:
    """Returns the rows of a step over all devices, an equal number from every part."""
    parts = loader.num_parts(config.windows_per_batch)
    return parts * math.ceil(config.rows_per_step / parts)


def lower_step(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    mesh: jax.sharding.Mesh,
) -> jax.stages.Lowered:
    """Returns the dictionary step of a run, lowered for a mesh.

    Args:
      config: settings of the run.
      model: sizes of its encoder.
      mesh: a mesh with the axes of `sharding`; its devices can be those of a topology.
    """
    rows = rows_of_step(config)
    # Shapes alone: the state of a large run would not fit this machine.
    state = state_lib.abstract(
        n_factors=config.dictionary.n_factors,
        d_model=model.d_model,
        n_layers=len(config.layers_of(model.n_layers)),
        config=config.dictionary,
        whitened=config.whitening > 0,
    )
    with jax.set_mesh(mesh):
        return step.train_step.lower(
            state_lib.with_layout(state, mesh),
            _by_row(mesh, rows, model.d_model),
            _by_row(mesh, rows),
            _by_row(mesh, rows, dtype=jnp.bool),
            progress=jax.ShapeDtypeStruct((), jnp.float32),
            solver=config.solver,
            dictionary=config.dictionary,
            sparsity=config.sparsity,
        )


def lower_encoder(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    mesh: jax.sharding.Mesh,
) -> jax.stages.Lowered:
    """Returns the encoder's pass over a batch of windows, lowered for a mesh."""
    layers = config.layers_of(model.n_layers)
    windows = (config.windows_per_batch, config.corpus.window_length)
    with jax.set_mesh(mesh):
        return hidden_states.scaled_hidden_states.lower(
            jax.tree.map(
                lambda leaf: _whole(mesh, leaf.shape, leaf.dtype),
                registry.abstract(model, dtype=jnp.dtype(config.dtype)).at(config.site),
            ),
            _by_row(mesh, *windows, dtype=jnp.int32),
            _by_row(mesh, *windows, dtype=jnp.bool),
            _whole(mesh, (len(layers),), jnp.float32),
            _whitening(config, model, mesh=mesh) if config.whitening else None,
            layers=layers,
        )


def _whitening(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    mesh: jax.sharding.Mesh,
) -> whitening.Whitening:
    square = _whole(mesh, (model.d_model, model.d_model), jnp.float32)
    n_layers = len(config.layers_of(model.n_layers))
    mean = _whole(mesh, (n_layers, model.d_model), jnp.float32)
    return whitening.Whitening(mean, square, square)  # pyright: ignore[reportArgumentType]


def program_cost(lowered: jax.stages.Lowered) -> ProgramCost:
    """Compiles a program and returns its cost as XLA reports it.

    Raises:
      InputError: XLA reports no cost for this platform.
    """
    compiled = lowered.compile()
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    text = compiled.as_text()
    if memory is None or cost is None or text is None:
        raise InputError(
            "Expected XLA to report memory, FLOPs and text of a program, got none on "
            f"{jax.default_backend()}; compile for another platform."
        )
    return ProgramCost(
        arguments=memory.argument_size_in_bytes,
        results=memory.output_size_in_bytes - memory.alias_size_in_bytes,
        temporary=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        flops=cost.get("flops", 0.0),
        traffic=cost.get("bytes accessed", 0.0),
        collectives=tuple(collectives(text)),
    )


def collectives(text: str) -> Iterator[Collective]:
    """Yields the collective operations in a program.

    An operation that is split into a start and an end, or that several fusions share,
    has a single channel and is counted once.

    Args:
      text: the text of a compiled program.
    """
    # By channel, or by its line where an operation has none.
    places, found = _places(text), {}
    for name, lines in _computations(text).items():
        for line in lines:
            match = re.search(rf"= (.*?) ({'|'.join(_KINDS)})(?:-start)?\(", line)
            if match is None:
                continue
            channel = re.search(r"channel_id=(\d+)", line)
            found.setdefault(
                channel.group(1) if channel else line,
                Collective(
                    match.group(2),
                    _num_bytes(match.group(1)),
                    *places.get(name, (0, False)),
                ),
            )
    yield from found.values()


def _by_row(
    mesh: jax.sharding.Mesh, *shape: int, dtype: jax.typing.DTypeLike = jnp.float32
) -> jax.ShapeDtypeStruct:
    """Returns an array whose first axis is split over the devices that share rows."""
    layout = jax.NamedSharding(mesh, sharding.rows(mesh))
    return jax.ShapeDtypeStruct(shape, dtype, sharding=layout)


def _whole(
    mesh: jax.sharding.Mesh, shape: tuple[int, ...], dtype: jax.typing.DTypeLike
) -> jax.ShapeDtypeStruct:
    """Returns an array that every device holds as a whole."""
    layout = jax.NamedSharding(mesh, jax.P())
    return jax.ShapeDtypeStruct(shape, dtype, sharding=layout)


def _num_bytes(types: str) -> int:
    """Returns the bytes of a type such as ``(f32[8,2]{1,0}, s32[])``."""
    total = 0
    for kind, size in re.findall(r"([a-z]+\d*)\[([\d,]*)\]", types):
        # The digits of a type are its bits; "pred" has none and takes a byte.
        bits = int("".join(filter(str.isdigit, kind)) or 8)
        total += math.prod(int(n) for n in size.split(",") if n) * max(bits, 8) // 8
    return total


def _computations(text: str) -> dict[str, list[str]]:
    """Returns the lines of each computation of a program, by name."""
    found, lines = {}, []
    for line in text.splitlines():
        # A computation begins unindented, with "%name" or "ENTRY %name".
        if line[:1] in ("%", "E") and line.endswith("{"):
            lines = found.setdefault(_name(line.removeprefix("ENTRY ")), [])
        elif line.startswith(" "):
            lines.append(line)
    return found


def _places(text: str) -> dict[str, tuple[int, bool]]:
    """Returns, by name, the loops around each computation and if it is conditional."""
    computations = _computations(text)
    # From the entry computation along all calls; only the body of a loop repeats.
    entry = re.search(r"^ENTRY (\S+)", text, re.MULTILINE)
    places, waiting = {}, [(_name(entry.group(1)), 0, False)] if entry else []
    while waiting:
        name, loops, conditional = waiting.pop()
        if name in places or name not in computations:
            continue
        places[name] = loops, conditional
        for line in computations[name]:
            for role, called in re.findall(r"(\w+)=\{?((?:%[\w.\-]+(?:, )?)+)", line):
                waiting += [
                    (
                        _name(each),
                        loops + (role == "body"),
                        conditional or role.endswith(("branch_computations", "branch")),
                    )
                    for each in called.split(", ")
                ]
    return places


def _name(text: str) -> str:
    return text.split(" ")[0].removeprefix("%").rstrip(",}")
