"""The examples of a run as targets of saliency maps."""

import typing

import numpy as np

from tfvis_jax.analysis import target as target_lib
from tfvis_jax.errors import InputError

if typing.TYPE_CHECKING:  # A run imports this file.
    from tfvis_jax.analysis import run as run_lib


def of_run(
    run: "run_lib.Run", *, factor: int, layer: int, rank: int
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
    check_fires(run, factor=factor, layer=layer)
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


def check_fires(run: "run_lib.Run", *, factor: int, layer: int) -> None:
    """Refuses a layer at which a factor has no examples.

    Raises:
      InputError: no such factor or layer, a factor that fires nowhere or not at this
        layer, or a run without examples; says what there is.
    """
    _check_alive(run, factor)
    run.check_layer(layer)
    layers, examples = run.trained.layers, run.examples
    if not np.any(examples.activation[layers.index(layer), factor] > 0):
        firing = [
            number
            for number, times in zip(layers, examples.firing[:, factor], strict=True)
            if times
        ]
        raise InputError(
            f"Factor {factor} fires at no token of the corpus at layer {layer}; it "
            f"does at layers {firing}."
        )


def peak_layer(run: "run_lib.Run", *, factor: int) -> int:
    """Returns the layer at which a factor's importance score is largest.

    Raises:
      InputError: no such factor, one that fires nowhere, or a run without examples.
    """
    _check_alive(run, factor)
    return run.trained.layers[int(np.argmax(run.importance()[:, factor]))]


def _check_alive(run, factor):
    run.factor(factor)  # says the range
    if not np.any(run.examples.firing[:, factor]):
        raise InputError(
            f"Factor {factor} is dead: it fires at no token of the corpus, at no layer."
        )
