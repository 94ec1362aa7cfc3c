"""What XLA says of a compiled program: memory, FLOPs and what devices send each other.

The programs are those of a run, lowered for shapes and a mesh: nothing is allocated,
and the devices of the mesh need not be at hand.
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
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step
from tfvis_jax.models import bert, bert_config

_KINDS = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "collective-permute",
    "reduce-scatter",
)


class Collective(NamedTuple):
    """One exchange between devices, as it stands in the program.

    Attributes:
      kind: XLA's name for it.
      num_bytes: of its result on one device.
      loops: inside how many loops it stands; 2 is a solver step, 1 a look at the gap.
      conditional: whether it stands in a branch that few steps take, the revival.
    """

    kind: str
    num_bytes: int
    loops: int
    conditional: bool


@dataclasses.dataclass(frozen=True)
class Figures:
    """What XLA says of a program; bytes and FLOPs are those of one device.

    Attributes:
      arguments: bytes of the inputs.
      results: bytes of the outputs that do not take the place of inputs.
      temporary: bytes of everything in between.
      code: bytes of the program itself.
      flops: with the body of every loop counted once.
      traffic: bytes read and written, counted alike.
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
        """Bytes of a device that the program takes while it runs."""
        return self.arguments + self.results + self.temporary + self.code


def rows_of_step(config: config_lib.RunConfig) -> int:
    """Returns the rows of a step over all devices, as many of every part of a batch."""
    parts = loader.num_parts(config.windows_per_batch)
    return parts * math.ceil(config.rows_per_step / parts)


def lower_step(
    config: config_lib.RunConfig,
    model: bert_config.BertConfig,
    *,
    mesh: jax.sharding.Mesh,
) -> jax.stages.Lowered:
    """Returns the dictionary step of a run, lowered for a mesh.

    Args:
      config: settings of the run.
      model: sizes of its BERT.
      mesh: with the axes of `sharding`; its devices may be those of a topology.
    """
    rows = rows_of_step(config)
    state = state_lib.abstract(
        n_factors=config.dictionary.n_factors,
        d_model=model.d_model,
        n_layers=len(layers_of(config, model)),
        config=config.dictionary,
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
        )


def lower_encoder(
    config: config_lib.RunConfig,
    model: bert_config.BertConfig,
    *,
    mesh: jax.sharding.Mesh,
) -> jax.stages.Lowered:
    """Returns the pass of the BERT over a batch of windows, lowered for a mesh."""
    layers = layers_of(config, model)
    windows = (config.windows_per_batch, config.corpus.window_length)
    with jax.set_mesh(mesh):
        return hidden_states.scaled_hidden_states.lower(
            jax.tree.map(
                lambda leaf: _whole(mesh, leaf.shape, leaf.dtype),
                bert.abstract(model, dtype=jnp.dtype(config.dtype)),
            ),
            _by_row(mesh, *windows, dtype=jnp.int32),
            _by_row(mesh, *windows, dtype=jnp.bool),
            _whole(mesh, (len(layers),), jnp.float32),
            layers=layers,
        )


def layers_of(
    config: config_lib.RunConfig, model: bert_config.BertConfig
) -> tuple[int, ...]:
    """Returns the hidden states that a run learns from."""
    return config.layers or tuple(range(model.n_layers + 1))


def figures(lowered: jax.stages.Lowered) -> Figures:
    """Compiles a program and returns what XLA says of it."""
    compiled = lowered.compile()
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    return Figures(
        arguments=memory.argument_size_in_bytes,
        results=memory.output_size_in_bytes - memory.alias_size_in_bytes,
        temporary=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        flops=cost.get("flops", 0.0),
        traffic=cost.get("bytes accessed", 0.0),
        collectives=tuple(collectives(compiled.as_text())),
    )


def collectives(text: str) -> Iterator[Collective]:
    """Yields the exchanges between devices in a program.

    Args:
      text: of a compiled program. One that is split into a start and an end, or shared
        between fusions, is one by its channel and counts once.
    """
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


def _by_row(mesh, *shape, dtype=jnp.float32):
    layout = jax.NamedSharding(mesh, sharding.rows(mesh))
    return jax.ShapeDtypeStruct(shape, dtype, sharding=layout)


def _whole(mesh, shape, dtype):
    layout = jax.NamedSharding(mesh, jax.P())
    return jax.ShapeDtypeStruct(shape, dtype, sharding=layout)


def _num_bytes(types: str) -> int:
    """Returns the bytes of the arrays in a type such as ``(f32[8,2]{1,0}, s32[])``."""
    total = 0
    for kind, size in re.findall(r"([a-z]+\d*)\[([\d,]*)\]", types):
        bits = int("".join(filter(str.isdigit, kind)) or 8)
        total += math.prod(int(n) for n in size.split(",") if n) * max(bits, 8) // 8
    return total


def _computations(text: str) -> dict[str, list[str]]:
    """Returns the lines of each computation of a program, by its name."""
    found, lines = {}, []
    for line in text.splitlines():
        if line[:1] in ("%", "E") and line.endswith("{"):
            lines = found.setdefault(_name(line.removeprefix("ENTRY ")), [])
        elif line.startswith(" "):
            lines.append(line)
    return found


def _places(text: str) -> dict[str, tuple[int, bool]]:
    """Returns inside how many loops each computation is called, and if in a branch."""
    computations = _computations(text)
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
