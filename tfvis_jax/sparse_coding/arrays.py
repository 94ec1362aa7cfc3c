"""Shapes of the arrays that public functions take and return.

Type checkers see JAX's and NumPy's arrays, memory-mapped ones among them; the shapes
are for readers, and for `jaxtyping.jaxtyped`, with which the tests check them.
"""

import jax
import numpy as np
from jaxtyping import Float, Shaped

AnyArray = jax.Array | np.ndarray

Rows = Shaped[AnyArray, "batch d_model"]
"""Rows to encode, of any real type."""
Factors = Shaped[AnyArray, "n_factors d_model"]
"""A dictionary, of any real type."""
Codes = Shaped[AnyArray, "batch n_factors"]
"""Codes of rows, of any real type."""

Reconstructions = Float[jax.Array, "batch d_model"]
NewCodes = Float[jax.Array, "batch n_factors"]
PerRow = Float[jax.Array, "batch"]
Scalar = Float[jax.Array, ""]
