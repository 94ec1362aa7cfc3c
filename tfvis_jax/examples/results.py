"""Open the results of a trained run; each part is read on first use."""

import functools
import os
import pathlib

import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import importance, stored
from tfvis_jax.runs import dictionary_file, setup, trained_dictionary
from tfvis_jax.runs import directory as directory_lib


class Results:
    """The dictionary of a run, its token windows, and the examples of each factor.

    Attributes:
      directory: paths of the run.
      config: settings of the run.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Opens a run directory; raises InputError if ``path`` is not one."""
        self.directory = directory_lib.RunDirectory(pathlib.Path(path))
        self.config: config_lib.RunConfig = self.directory.read_config()

    @functools.cached_property
    def trained(self) -> trained_dictionary.TrainedDictionary:
        """The factors and layer scales."""
        return dictionary_file.load(self.directory.dictionary)

    @functools.cached_property
    def examples(self) -> stored.Examples:
        """References to the examples of every layer and factor."""
        return stored.load(self.directory.examples, self.trained)

    @functools.cached_property
    def windows(self) -> windows_lib.Windows:
        """The corpus as token windows."""
        return setup.open_windows(self.directory, self.config)

    @functools.cached_property
    def opened(self) -> setup.Setup:
        """The model, its tokeniser and the settings of the run."""
        opened = setup.open_model(self.directory, self.config)
        if self.directory.dictionary.is_file():
            trained_dictionary.check_fits(self.trained, opened)
        return opened

    def importance(
        self, *, n: int | None = None, norm_free: bool = False
    ) -> np.ndarray:
        """Returns the importance scores, [n_layers, n_factors].

        Args:
          n: number of largest activations to average; all that are stored if None.
          norm_free: If True, divide by the mean ‖x‖ of the layer.

        Raises:
          InputError: if fewer than ``n`` activations are stored.
        """
        if n is None and not norm_free:
            return self._importance
        found = self.examples
        available = found.activation.shape[2]
        count = available if n is None else n
        if not 1 <= count <= available:
            more = command_line("examples", self.directory, f"--top_n={n}")
            raise InputError(
                f"Expected 1 … {available} activations, the number stored, got {n}; "
                f"`{more}` stores more."
            )
        scores = importance.importance_scores(found.activation, n=count)
        if norm_free:
            return importance.norm_free_scores(scores, found.mean_norm)
        return scores

    # Levels, descriptions and pages ask for the same scores, factor by factor.
    @functools.cached_property
    def _importance(self) -> np.ndarray:
        found = self.examples
        scores = importance.importance_scores(
            found.activation, n=found.activation.shape[2]
        )
        found.check_activations(scores)
        return scores

    def check_layer(self, layer: int) -> None:
        """Raises InputError unless ``layer`` is a layer of the dictionary."""
        if layer not in self.trained.layers:
            raise InputError(f"Expected a layer of {self.trained.layers}, got {layer}.")

    def check_factor(self, number: int) -> None:
        """Raises InputError unless ``number`` is the index of a factor."""
        n_factors = len(self.trained.factors)
        # A bool is an int in Python, but not the index of a factor.
        is_whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not is_whole or not 0 <= number < n_factors:
            raise InputError(f"Expected a factor in 0 … {n_factors - 1}, got {number}.")

    def check_fires(self, factor: int, *, layer: int) -> None:
        """Checks that a factor has examples at a layer.

        Raises:
          InputError: if there is no such factor or layer, if the factor is dead or does
            not fire at this layer, or if the run has no examples.
        """
        # First, because a dead factor fires at no layer, whichever was asked for.
        self._check_alive(factor)
        self.check_layer(layer)
        layers, examples = self.trained.layers, self.examples
        if not len(examples.top(layers.index(layer), factor).window):
            firing = [
                number
                for number, times in zip(
                    layers, examples.firing[:, factor], strict=True
                )
                if times
            ]
            raise InputError(
                f"Expected a layer at which factor {factor} fires, one of {firing}; "
                f"got {layer}, where it fires at no token of the corpus."
            )

    def peak_layer(self, factor: int) -> int:
        """Returns the layer at which a factor's importance score is largest.

        Raises:
          InputError: if there is no such factor, if it is dead, or if the run has no
            examples.
        """
        self._check_alive(factor)
        return self.trained.layers[int(np.argmax(self.importance()[:, factor]))]

    def _check_alive(self, factor: int) -> None:
        self.check_factor(factor)
        if not np.any(self.examples.firing[:, factor]):
            raise InputError(
                f"Factor {factor} is dead: it does not fire at any token of the corpus "
                "at any layer."
            )
