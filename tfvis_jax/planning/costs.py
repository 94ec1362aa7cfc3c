"""Estimates what a run costs a device by formula: bytes, FLOPs, communication.

On ``data · factor`` devices, with n rows in a step, F factors and d = d_model, a device
holds and computes

    rows                  n / data · d
    codes                 n / data · F / factor
    dictionary            F / factor · d
    a matrix product      2 · n / data · F / factor · d FLOPs
    sum of a product      n / data · d exchanged over `factor`, if factors are split
    sum of a step         F / factor · d exchanged over `data`, if rows are split

A solver step takes two such products, one of them with an exchange. A check of the gap,
after every tenth step, takes two more. A dictionary step begins with one check and ends
with the residual and the gradient. Costs that do not grow with the rows (the Lipschitz
bound: at most a product with d rows, DᵀD) and element-wise operations are left out.

How many arrays of codes exist at once depends on XLA's buffers, not on arithmetic. A
solver states the number (`solver.Solver.numbers_alive`), taken from XLA's compiled
programs on a CPU, and a test compares them. On a TPU one array fewer is needed.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.learning import first_state
from tfvis_jax.learning import state as state_lib
from tfvis_jax.models import encoder_config
from tfvis_jax.models import registry as architectures
from tfvis_jax.planning import compiled
from tfvis_jax.sparse_coding import registry
from tfvis_jax.sparse_coding import solver as solver_lib

# Arrays of rows: the rows, their residual and its product.
_ROWS = 3
# Arrays of the size of the dictionary (or a device's share) needed to initialise it.
_FIRST_FACTORS = {"normal": 4, "samples": 6, "spread": 4}
_FLOAT = 4


class Mesh(NamedTuple):
    """Sizes of a mesh whose devices need not be present.

    Attributes:
      data: devices that share the rows.
      factor: devices that share the dictionary.
      platform: "cpu", "gpu" or "tpu".
    """

    data: int
    factor: int
    platform: str


class Memory(NamedTuple):
    """Bytes on one device.

    Attributes:
      weights: the encoder's parameters and the token weights.
      dictionary: the factors.
      update_state: state of the dictionary update, and steps since factors fired.
      hidden_states: one batch of windows, all requested layers.
      rows: the rows of one step and their residuals.
      codes: all arrays of codes that exist at once in a step, and Gram matrices.
      encoder_buffers: intermediate arrays of the encoder.
      first_factors: what initialising the dictionary needs besides the dictionary.
    """

    weights: int
    dictionary: int
    update_state: int
    hidden_states: int
    rows: int
    codes: int
    encoder_buffers: int
    first_factors: int

    @property
    def peak(self) -> int:
        """The most that is held at once: temporary arrays are never held together."""
        held = self.weights + self.dictionary + self.update_state + self.hidden_states
        turns = (self.rows + self.codes, self.encoder_buffers, self.first_factors)
        return held + max(turns)


class Work(NamedTuple):
    """What one device computes and receives in one dictionary step.

    Attributes:
      encoder_flops: FLOPs of the encoder for the tokens of a step's rows.
      solver_flops: FLOPs of inferring the codes.
      update_flops: FLOPs of the residual and the gradient.
      exchanged_rows: bytes of sums over `factor`.
      exchanged_gradient: bytes of sums over `data`.
    """

    encoder_flops: float
    solver_flops: float
    update_flops: float
    exchanged_rows: float
    exchanged_gradient: float

    @property
    def flops(self) -> float:
        """All FLOPs of a step on one device."""
        return self.encoder_flops + self.solver_flops + self.update_flops


def solver_name(config: config_lib.RunConfig, mesh: Mesh) -> str:
    """Returns the name of the solver that a run uses on a mesh."""
    if config.solver.solver != "auto":
        return config.solver.solver
    return registry.choose_solver(
        platform=mesh.platform,
        n_factors=config.dictionary.n_factors,
        factors_are_split=mesh.factor > 1,
    )


def _solver(config: config_lib.RunConfig, mesh: Mesh) -> solver_lib.Solver:
    return registry.solver(
        config.solver.solver,
        platform=mesh.platform,
        n_factors=config.dictionary.n_factors,
        factors_are_split=mesh.factor > 1,
    )


def memory(
    config: config_lib.RunConfig, model: encoder_config.EncoderConfig, *, mesh: Mesh
) -> Memory:
    """Returns the bytes that a run needs on each device of a mesh.

    Args:
      config: settings of the run.
      model: sizes of its encoder.
      mesh: devices.
    """
    layers = len(config.layers_of(model.n_layers))
    windows = math.ceil(config.windows_per_batch / mesh.data)
    tokens = windows * config.corpus.window_length
    hidden = tokens * model.d_model * _FLOAT
    scores = tokens * config.corpus.window_length * model.n_heads * _FLOAT
    expanded = tokens * model.d_expanded * _FLOAT
    dictionary, update_state = _state_bytes(config, model, layers=layers, mesh=mesh)
    rows = math.ceil(compiled.rows_of_step(config) / mesh.data)
    return Memory(
        weights=num_parameters(model) * jnp.dtype(config.dtype).itemsize
        + model.vocab_size * _FLOAT,
        dictionary=dictionary,
        update_state=update_state,
        hidden_states=layers * hidden,
        rows=_ROWS * rows * model.d_model * _FLOAT,
        codes=_codes_bytes(config, rows=rows, mesh=mesh),
        encoder_buffers=max(3 * expanded + 6 * hidden, 2 * scores + 2 * hidden),
        first_factors=_first_factors_bytes(config, model, mesh=mesh),
    )


def work(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    mesh: Mesh,
    solver_steps: float,
) -> Work:
    """Returns what a dictionary step costs each device of a mesh.

    Args:
      config: settings of the run.
      model: sizes of its encoder.
      mesh: where it runs.
      solver_steps: number of steps until the last row has converged. For "working_set",
        whose work on few factors is left out, it is the rounds of an average row.
    """
    rows = compiled.rows_of_step(config) / mesh.data
    factors = config.dictionary.n_factors / mesh.factor
    product = 2 * rows * factors * model.d_model
    passes = _solver(config, mesh).num_passes(solver_steps)
    tokens = rows / (len(config.layers_of(model.n_layers)) * config.row_fraction)
    split_rows, split_factors = mesh.data > 1, mesh.factor > 1
    return Work(
        encoder_flops=tokens * encoder_flops(config, model),
        solver_flops=2 * product * passes,
        update_flops=2 * product,
        exchanged_rows=split_factors * (passes + 1) * rows * model.d_model * _FLOAT,
        exchanged_gradient=split_rows * factors * model.d_model * _FLOAT,
    )


def stored_token(
    config: config_lib.RunConfig, model: encoder_config.EncoderConfig
) -> int:
    """Returns the bytes of a token's hidden states on a disk, in float32."""
    return len(config.layers_of(model.n_layers)) * model.d_model * _FLOAT


def num_parameters(model: encoder_config.EncoderConfig) -> int:
    """Returns the number of weights of an encoder."""
    leaves = jax.tree.leaves(architectures.abstract(model))
    return sum(math.prod(leaf.shape) for leaf in leaves)


def encoder_flops(
    config: config_lib.RunConfig, model: encoder_config.EncoderConfig
) -> float:
    """Returns the FLOPs per token of the encoder, up to the deepest requested layer."""
    encoder = architectures.abstract(model)
    depth, length = max(config.layers_of(model.n_layers)), config.corpus.window_length
    layers = [encoder.layer(number) for number in range(1, depth + 1)]
    products = sum(_kernel_sizes(part) for part in (encoder.embeddings, *layers))
    return 2 * products + depth * encoder.attention_flops(length)


def _kernel_sizes(part: Any) -> int:
    """Returns how many numbers the kernels of a part have; a token meets each once."""
    return sum(
        math.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(part)
        if any(
            getattr(key, "key", getattr(key, "name", "")) == "kernel" for key in path
        )
    )


def _state_bytes(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    layers: int,
    mesh: Mesh,
) -> tuple[int, int]:
    """Returns the bytes of the dictionary and those of the rest of the state."""
    state = state_lib.abstract(
        n_factors=config.dictionary.n_factors,
        d_model=model.d_model,
        n_layers=layers,
        config=config.dictionary,
        whitened=config.whitening > 0,
    )
    shape = jax.sharding.AbstractMesh(
        (mesh.data, mesh.factor), (sharding.DATA, sharding.FACTOR)
    )
    specs = jax.tree.leaves(
        state_lib.partition(state, shape), is_leaf=lambda leaf: isinstance(leaf, jax.P)
    )
    total = sum(
        _num_bytes(leaf) // (mesh.factor if spec else 1)
        for leaf, spec in zip(jax.tree.leaves(state), specs, strict=True)
    )
    dictionary = _num_bytes(state.dictionary) // mesh.factor
    return dictionary, total - dictionary


def _first_factors_bytes(
    config: config_lib.RunConfig, model: encoder_config.EncoderConfig, *, mesh: Mesh
) -> int:
    """Returns the bytes that initialising the dictionary needs besides the result."""
    whole = config.dictionary.n_factors * model.d_model * _FLOAT
    kind = config.dictionary.initialisation
    shares = 1 if kind == "spread" else mesh.factor
    made = (_FIRST_FACTORS[kind] - 1) * whole // shares
    if config.sparsity.target_l0 is None:
        return made
    # Every device searches for λ on the same rows, with the automatic choice of solver.
    rows = first_state.PENALTY_ROWS
    config = dataclasses.replace(config, solver=config_lib.SolverConfig())
    codes = _codes_bytes(config, rows=rows, mesh=mesh)
    return max(made, codes + _ROWS * rows * model.d_model * _FLOAT)


def _codes_bytes(config: config_lib.RunConfig, *, rows: int, mesh: Mesh) -> int:
    """Returns the bytes of the arrays of codes, and of Gram matrices."""
    n_factors = config.dictionary.n_factors
    held = _solver(config, mesh).numbers_alive(
        rows=rows, n_factors=n_factors, num_parts=mesh.factor
    )
    update = registry.update(config.dictionary)
    return (held + update.numbers_alive(n_factors=n_factors)) * _FLOAT


def _num_bytes(leaf: jax.Array | jax.ShapeDtypeStruct) -> int:
    return math.prod(leaf.shape) * leaf.dtype.itemsize
