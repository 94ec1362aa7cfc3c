"""In which arithmetic the matrix products of steps are taken.

Codes, sums and everything elementwise are float32 always; only the operands of a matrix
product may be rounded: to 8 significant bits in bfloat16, on every platform, and to 11
in TF32, on GPUs that have it. Products are summed in float32. A certificate is never
computed in less than float32.
"""

import jax
import jax.numpy as jnp

NAMES = ("float32", "tf32", "bfloat16")

# The relative duality gap at which coarse steps have done what they can. Rows of a BERT
# with 34 and 89 factors in use came to rest at gaps of 1e-3 in the mean, 5e-3 at worst
# in bfloat16, 2e-4 and 1e-3 in TF32; until then they took as many steps as in float32.
REACH = {"bfloat16": 1e-2, "tf32": 2e-3}
# The same of steps that refine (`dense.Recursion`), in either arithmetic: planted rows
# with 35 and 60 of 1,024 and 4,096 factors in use came to it, in as many steps of a row
# as in float32 (emulated on a CPU); the slowest took up to a quarter more in bfloat16.
REFINED_REACH = 1e-5

# What the matrix units of a platform are built for.
_COARSE = {"tpu": "bfloat16", "gpu": "tf32"}


def coarse(platform: str) -> str:
    """Returns the arithmetic in which dense steps begin on a platform."""
    return _COARSE.get(platform, "float32")


def reach(precision: str, *, refines: bool) -> float:
    """Returns the gap from which steps of a coarse arithmetic lead no further.

    Args:
      precision: one of `NAMES`, not "float32".
      refines: as of `dense.Recursion`.
    """
    return REFINED_REACH if refines else REACH[precision]


def einsum(
    subscripts: str,
    left: jax.Array,
    right: jax.Array,
    *,
    precision: str,
    out_sharding: jax.NamedSharding | None = None,
) -> jax.Array:
    """Returns a float32 contraction of float32 arrays.

    Args:
      subscripts: as of `jnp.einsum`.
      left: first operand.
      right: second operand.
      precision: one of `NAMES`; "tf32" is float32 where there is no TF32.
      out_sharding: layout of the result, where it does not follow from the operands.
    """
    if precision == "bfloat16":
        left, right = left.astype(jnp.bfloat16), right.astype(jnp.bfloat16)
    in_full = precision == "float32"
    return jnp.einsum(
        subscripts,
        left,
        right,
        precision=jax.lax.Precision.HIGHEST if in_full else jax.lax.Precision.DEFAULT,
        preferred_element_type=jnp.float32,
        out_sharding=out_sharding,
    )
