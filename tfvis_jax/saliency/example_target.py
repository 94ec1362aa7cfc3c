"""The examples of a run as targets of saliency maps."""

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.examples import results
from tfvis_jax.saliency import target as target_lib


def of_example(
    run: results.Results, *, factor: int, layer: int, rank: int
) -> target_lib.Target:
    """Returns one of the tokens that fire a factor most.

    Args:
      run: with its examples.
      factor: number of the factor.
      layer: one of the dictionary's.
      rank: 1 is the strongest token of the layer.

    Raises:
      InputError: no such factor, layer or rank, a factor that fires nowhere or not at
        this layer, or a run without examples; says what there is.
    """
    run.check_fires(factor, layer=layer)
    examples = run.examples
    index = run.trained.layers.index(layer)
    count = int(np.count_nonzero(examples.activation[index, factor] > 0))
    if not 1 <= rank <= count:
        raise InputError(
            f"Expected an example in 1 … {count}, the stored ones of factor {factor} "
            f"at layer {layer}; got {rank}."
        )
    return target_lib.of_window(
        run.windows,
        window=int(examples.window[index, factor, rank - 1]),
        position=int(examples.position[index, factor, rank - 1]),
        factor=factor,
    )
