"""Turn the top-activating examples of a run into targets of saliency maps."""

from tfvis_jax.errors import InputError
from tfvis_jax.examples import results as results_lib
from tfvis_jax.saliency import target as target_lib


def of_example(
    results: results_lib.Results, *, factor: int, layer: int, rank: int
) -> target_lib.Target:
    """Returns one of the top-activating examples of a factor as a target.

    Args:
      results: results of the run, with examples.
      factor: index of the factor.
      layer: layer of the dictionary.
      rank: rank of the example at the layer; 1 is the strongest.

    Raises:
      InputError: if there is no such factor, layer or rank, if the factor is dead or
        does not fire at this layer, or if the run has no examples.
    """
    results.check_fires(factor, layer=layer)
    top = results.examples.top(results.trained.layers.index(layer), factor)
    count = len(top.window)
    if not 1 <= rank <= count:
        raise InputError(
            f"Expected an example in 1 … {count}, the stored ones of factor {factor} "
            f"at layer {layer}; got {rank}."
        )
    return target_lib.of_window(
        results.windows,
        window=int(top.window[rank - 1]),
        position=int(top.position[rank - 1]),
        factor=factor,
    )
