"""How a run finds codes: by sparse inference, or by the encoder of an autoencoder."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from tfvis_jax import config as config_lib
from tfvis_jax import sparse_coding
from tfvis_jax.learning import inference
from tfvis_jax.runs import linear_encoder


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["dictionary", "l1_penalty", "encoder"],
    meta_fields=["solver"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Coder:
    """From rows to codes; a pytree, which a jitted function takes as an argument.

    Attributes:
      dictionary: [n_factors, d_model].
      solver: how codes are inferred where there is no encoder.
      l1_penalty: λ, in place of the solver's, so that one compiled program serves all;
        None where there is an encoder.
      encoder: what finds codes in place of the solver, if it is not None.
    """

    dictionary: jax.Array
    solver: config_lib.SolverConfig
    l1_penalty: jax.Array | None
    encoder: linear_encoder.LinearEncoder | None = None

    def infer(
        self, x: jax.Array, *, tolerance: jax.Array | None = None
    ) -> sparse_coding.Encoding:
        """Finds the codes of rows.

        Codes of an encoder minimise nothing: their gap is NaN, and they take no steps.

        Args:
          x: [batch, d_model], whitened and scaled as the run says.
          tolerance: of the solver, where several share a compiled program; the
            solver's own if None.
        """
        if self.encoder is None:
            return inference.infer(
                x,
                self.dictionary,
                solver=self.solver,
                l1_penalty=self.l1_penalty,
                tolerance=tolerance,
            )
        codes = self.encoder.codes(x)
        none = jnp.zeros(x.shape[0], jnp.int32)
        return sparse_coding.Encoding(
            codes,
            gap=jnp.full(x.shape[0], jnp.nan, codes.dtype),
            num_steps=none,
            converged=none == 0,
        )

    def refine(self, *, tolerance: float, max_steps: int) -> "Coder":
        """Returns a coder whose solver, if it is used, goes to another tolerance."""
        solver = dataclasses.replace(
            self.solver, tolerance=tolerance, max_steps=max_steps
        )
        return dataclasses.replace(self, solver=solver)

    @property
    def solver_name(self) -> str:
        """Name of the solver that infers codes where there is no encoder."""
        return inference.solver_name(self.solver, n_factors=len(self.dictionary))
