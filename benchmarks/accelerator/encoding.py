"""An encoder with random weights of a BERT's sizes, and its pass over windows."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator import clock, steps
from tfvis_jax.data import hidden_states
from tfvis_jax.models import bert, encoder, encoder_config, registry

# Of published checkpoints.
CONFIGS = {
    "BERT-base": bert.BertConfig(
        vocab_size=30522, d_model=768, n_layers=12, n_heads=12, d_hidden=3072
    ),
    "MiniLM": bert.BertConfig(
        vocab_size=30522, d_model=384, n_layers=6, n_heads=12, d_hidden=1536
    ),
    "tiny": bert.BertConfig(
        vocab_size=50, d_model=32, n_layers=2, n_heads=4, d_hidden=64
    ),
}
# Standard deviation of weights, as BERT is initialised.
_SPREAD = 0.02


def make(config: encoder_config.EncoderConfig, *, dtype: str) -> encoder.Encoder:
    """Returns the encoder with random weights, norms near the identity.

    Args:
      config: its sizes.
      dtype: of weights and matrix products.
    """
    shapes = registry.abstract(config, dtype=jnp.dtype(dtype))
    # By NumPy: compiling so many draws takes longer than making the numbers.
    rng = np.random.default_rng(0)

    def draw(path: Any, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        noise = _SPREAD * rng.standard_normal(leaf.shape, np.float32)
        mean = 1 if "scale" in jax.tree_util.keystr(path) else 0
        return jnp.asarray(mean + noise, leaf.dtype)

    return jax.tree.map_with_path(draw, shapes)


def windows(
    config: encoder_config.EncoderConfig, *, n_windows: int, length: int
) -> tuple[jax.Array, jax.Array]:
    """Returns random tokens [n_windows, length] and a mask of no padding."""
    rng = np.random.default_rng(0)
    shape = (n_windows, length)
    token_ids = rng.integers(config.vocab_size, size=shape, dtype=np.int32)
    return jnp.asarray(token_ids), jnp.ones(shape, bool)


def flops(config: encoder_config.EncoderConfig, *, length: int) -> float:
    """Returns the FLOPs of a token: products with weights, and attention."""
    d_model = config.d_model
    weights = 8 * d_model**2 + 4 * d_model * config.d_hidden
    return config.n_layers * (weights + 4 * length * d_model)


# The newest alone: batches of training that differ in their steps share it.
@functools.lru_cache(maxsize=1)
def build(
    model: str, *, dtype: str, n_windows: int, length: int
) -> tuple[clock.Program, tuple[Any, ...]]:
    """Compiles the pass that gives all hidden states of windows.

    Args:
      model: one of `CONFIGS`.
      dtype: of weights and matrix products.
      n_windows: windows in a pass.
      length: tokens in a window.

    Returns:
      The program and its arguments: encoder, token ids, mask, scale of the layers.
    """
    config = CONFIGS[model]
    layers = tuple(range(config.n_layers + 1))
    arguments = (
        make(config, dtype=dtype),
        *windows(config, n_windows=n_windows, length=length),
        jnp.ones((len(layers),)),
    )
    program = clock.build(hidden_states.scaled_hidden_states, *arguments, layers=layers)
    return program, arguments


def throughput(
    device: steps.Device, *, model: str, dtype: str, n_windows: int, length: int
) -> dict[str, Any]:
    """Times the pass that gives all hidden states of windows.

    Args:
      device: its peaks.
      model: one of `CONFIGS`.
      dtype: of weights and matrix products; float32 products are what the platform
        makes of them by default.
      n_windows: windows in a pass.
      length: tokens in a window.
    """
    config = CONFIGS[model]
    program, arguments = build(model, dtype=dtype, n_windows=n_windows, length=length)
    seconds = clock.fastest(functools.partial(program.run, *arguments))
    n_tokens = n_windows * length
    rates = device.shares(
        product_of(dtype),
        flops=n_tokens * flops(config, length=length) / seconds,
        traffic=None if program.traffic is None else program.traffic / seconds,
    )
    return {
        "seconds": seconds,
        "tokens_per_s": n_tokens / seconds,
        "rows_per_s": n_tokens * (config.n_layers + 1) / seconds,
        "compile_s": program.compile_s,
        "temporary": program.temporary,
        **rates,
    }


def product_of(dtype: str) -> str:
    """Returns the arithmetic of an encoder's products, which ask for no precision."""
    if dtype != "float32":
        return dtype
    return {"gpu": "tf32", "tpu": "bfloat16"}.get(jax.default_backend(), "float32")
