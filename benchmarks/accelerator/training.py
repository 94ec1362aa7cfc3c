"""A batch of training, as a run has it: encoder, rows, dictionary steps; and its trace.

Hidden states of random weights are no sums of factors. So the encoder's pass is taken
and its result dropped, and steps are on planted rows laid out as hidden states are.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator import clock, encoding, steps
from tfvis_jax import config as config_lib
from tfvis_jax.data import hidden_states
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step as step_lib

# As the loader divides a batch (`data.loader.WINDOWS_PER_PART`).
_WINDOWS_PER_PART = 8
SOLVER = config_lib.SolverConfig(solver="spectral")


class Setting(NamedTuple):
    """What a batch of training is made of.

    Attributes:
      model: one of `encoding.CONFIGS`.
      dtype: of its products.
      n_factors: of the dictionary.
      n_windows: windows in a batch.
      length: tokens in a window.
      rows_per_step: rows of a dictionary step.
    """

    model: str
    dtype: str
    n_factors: int
    n_windows: int
    length: int
    rows_per_step: int

    @property
    def n_layers(self) -> int:
        """Hidden states of a token."""
        return encoding.CONFIGS[self.model].n_layers + 1

    @property
    def n_parts(self) -> int:
        """Parts whose rows are shuffled among themselves."""
        whole = self.n_windows % _WINDOWS_PER_PART == 0
        return self.n_windows // _WINDOWS_PER_PART if whole else 1

    @property
    def rows_per_part(self) -> int:
        """Rows that a step takes of each part."""
        return math.ceil(self.rows_per_step / self.n_parts)

    @property
    def n_steps(self) -> int:
        """Dictionary steps in a batch."""
        rows = self.n_windows // self.n_parts * self.length * self.n_layers
        return math.ceil(rows / self.rows_per_part)


def throughput(device: steps.Device, *, setting: Setting) -> dict[str, Any]:
    """Times a batch, and its encoder and one of its steps alone.

    Args:
      device: its peaks and its problems.
      setting: what the batch is made of.
    """
    batch = _Batch(device, setting)
    encoder_s = clock.fastest(batch.encode)
    step_s = clock.fastest(batch.step)
    # Of the same programs, which ran just now.
    seconds = clock.fastest(batch.train, warm=True)
    n_tokens = setting.n_windows * setting.length
    return {
        "seconds": seconds,
        "tokens_per_s": n_tokens / seconds,
        "rows_per_s": n_tokens * setting.n_layers / seconds,
        "encoder_s": encoder_s,
        "step_s": step_s,
        "dictionary_steps": setting.n_steps,
        "l1_penalty": batch.penalty,
        "steps_mean": batch.steps_mean(),
        "l0": batch.l0(),
        "compile_s": batch.step_program.compile_s,
        "encoder_compile_s": batch.encoder_program.compile_s,
        "temporary": batch.step_program.temporary,
    }


def traced(
    device: steps.Device, *, setting: Setting, record: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """Records a profiler trace of one step, after one that is not recorded.

    Args:
      device: its problems.
      setting: what the step is of.
      record: calls what it is given under the profiler, and reads the trace.
    """
    batch = _Batch(device, setting)
    jax.block_until_ready(batch.step())
    return record(lambda: jax.block_until_ready(batch.step()))


class _Batch:
    """The programs of a batch and the arrays that they go over."""

    def __init__(self, device: steps.Device, setting: Setting):
        config = encoding.CONFIGS[setting.model]
        shape = (setting.n_layers, setting.n_windows, setting.length, config.d_model)
        problem, penalty = device.problem(
            n_rows=math.prod(shape[:-1]),
            d_model=config.d_model,
            n_factors=setting.n_factors,
        )
        self.penalty = penalty
        self._key, self._progress = jax.random.key(1), jnp.float32(0.5)
        self._setting = setting
        self._states = problem.x.reshape(shape)
        self.encoder_program, self._encoder = encoding.build(
            setting.model,
            dtype=setting.dtype,
            n_windows=setting.n_windows,
            length=setting.length,
        )
        self._windows = self._encoder[1:3]
        self._token_weights = jnp.ones((config.vocab_size,))
        self._state = state_lib.create(
            problem.dictionary,
            jnp.ones((setting.n_layers,)),
            l1_penalty=penalty,
            config=self._dictionary,
        )
        self._metrics: step_lib.StepMetrics | None = None
        rows = self._take(self._order(), 0)[:3]
        self.step_program = clock.build(
            step_lib.train_step,
            self._state,
            *rows,
            progress=self._progress,
            solver=SOLVER,
            dictionary=self._dictionary,
        )

    @property
    def _dictionary(self) -> config_lib.DictionaryConfig:
        return config_lib.DictionaryConfig(n_factors=self._setting.n_factors)

    def encode(self) -> jax.Array:
        """Returns the hidden states of the windows."""
        return self.encoder_program.run(*self._encoder)

    def step(self) -> step_lib.StepMetrics:
        """Takes the first dictionary step of the batch."""
        return self._step(self._order(), 0)

    def train(self) -> tuple[jax.Array, step_lib.StepMetrics]:
        """Encodes the windows and takes all dictionary steps."""
        states, order = self.encode(), self._order()
        for number in range(self._setting.n_steps):
            self._step(order, number)
        assert self._metrics is not None
        return states, self._metrics

    def steps_mean(self) -> float:
        """Returns the solver steps of a row in the last step."""
        assert self._metrics is not None
        return float(self._metrics.num_steps) / float(self._metrics.n_rows)

    def l0(self) -> float:
        """Returns the active factors of a row in the last step."""
        assert self._metrics is not None
        return float(self._metrics.n_active) / float(self._metrics.n_rows)

    def _step(self, order: jax.Array, number: int) -> step_lib.StepMetrics:
        x, weights, valid, _ = self._take(order, number)
        self._state, metrics = self.step_program.run(
            self._state, x, weights, valid, progress=self._progress
        )
        self._metrics = metrics
        return metrics

    def _order(self) -> jax.Array:
        setting = self._setting
        return hidden_states.shuffle_rows(
            self._key,
            self._windows[1],
            num_parts=setting.n_parts,
            n_layers=setting.n_layers,
            n_selected=setting.n_steps * setting.rows_per_part,
        )

    def _take(self, order: jax.Array, number: int) -> Any:
        setting = self._setting
        n_rows = setting.n_windows // setting.n_parts * setting.length
        n_valid = np.full(setting.n_parts, n_rows * setting.n_layers, np.int32)
        return hidden_states.take_rows(
            self._states,
            self._windows[0],
            order,
            token_weights=self._token_weights,
            n_valid=n_valid,
            # As in the loop of a run: these go along with the call.
            step=np.int32(number),
            n_steps=np.int32(setting.n_steps),
            size=setting.rows_per_part,
        )
