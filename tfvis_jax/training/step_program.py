"""The program of a training step, compiled while the first state is made."""

import concurrent.futures
import contextlib
import functools
from collections.abc import Generator
from typing import Any

import jax
import jax.numpy as jnp

from tfvis_jax import sharding
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step
from tfvis_jax.runs import setup
from tfvis_jax.training import schedule

_Result = tuple[state_lib.TrainState, step.StepMetrics]


class StepProgram:
    """`step.train_step` with the settings of a run."""

    def __init__(
        self, opened: setup.Setup, length: schedule.Schedule, *, mesh: jax.sharding.Mesh
    ) -> None:
        """Describes the step; `compiling` makes its program.

        Args:
          opened: model, layers and settings.
          length: of the run.
          mesh: that trains.
        """
        config = opened.config
        self._settings = {
            "solver": config.solver.of_training,
            "dictionary": config.dictionary,
            "sparsity": config.sparsity,
        }
        self._mesh = mesh
        self._n_rows = length.num_parts * length.rows_per_part
        self.state = state_lib.with_layout(
            state_lib.abstract(
                n_factors=config.dictionary.n_factors,
                d_model=opened.pretrained.config.d_model,
                n_layers=len(opened.layers),
                config=config.dictionary,
                whitened=config.whitening > 0,
            ),
            mesh,
        )
        self._found: concurrent.futures.Future[jax.stages.Compiled] | None = None

    @contextlib.contextmanager
    def compiling(self) -> Generator[None, None, None]:
        """Compiles in another thread during the block, or until it is done.

        Only what is compiled in this way may overlap: two programs that are run at once
        on the same devices may each wait for the other.
        """
        with concurrent.futures.ThreadPoolExecutor(1, "compile") as pool:
            self._found = pool.submit(self._compile)
            yield

    def __call__(
        self,
        state: state_lib.TrainState,
        x: jax.Array,
        token_weights: jax.Array,
        valid: jax.Array,
        *,
        progress: jax.Array,
        layer: jax.Array | None,
    ) -> _Result:
        """Takes a step; arguments are those of `step.train_step`."""
        arguments = (state, x, token_weights, valid)
        if self._found is not None:
            assert layer is None
            return self._found.result()(*arguments, progress=progress)
        return step.train_step(
            *arguments, progress=progress, layer=layer, **self._settings
        )

    def _compile(self) -> jax.stages.Compiled:
        shapes, tree = jax.tree.flatten(self.state)
        return _compiled(
            self._mesh, self._n_rows, tree, tuple(shapes), **self._settings
        )


# Cached as jit would, for runs of the same process.
@functools.lru_cache(maxsize=4)
def _compiled(
    mesh: jax.sharding.Mesh,
    n_rows: int,
    tree: Any,
    shapes: tuple[jax.ShapeDtypeStruct, ...],
    **settings: Any,
) -> jax.stages.Compiled:
    state = jax.tree.unflatten(tree, shapes)

    def rows(dtype: jax.typing.DTypeLike, *d_model: int) -> jax.ShapeDtypeStruct:
        layout = jax.NamedSharding(mesh, sharding.rows(mesh))
        return jax.ShapeDtypeStruct((n_rows, *d_model), dtype, sharding=layout)

    with jax.set_mesh(mesh):
        return step.train_step.lower(
            state,
            rows(jnp.float32, state.dictionary.shape[1]),
            rows(jnp.float32),
            rows(jnp.bool_),
            progress=jax.ShapeDtypeStruct(
                (), jnp.float32, sharding=jax.NamedSharding(mesh, jax.P())
            ),
            **settings,
        ).compile()
