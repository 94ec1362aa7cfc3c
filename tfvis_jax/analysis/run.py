"""A trained run in a notebook: `run = load_run("runs/demo")`."""

import functools
import os
import pathlib

import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import files, models
from tfvis_jax.analysis import examples as examples_lib
from tfvis_jax.analysis import factor as factor_lib
from tfvis_jax.analysis import (
    importance,
    levels,
    notebook_html,
    saliency,
    sentence,
    vocabulary,
)
from tfvis_jax.analysis import labels as labels_lib
from tfvis_jax.analysis import target as target_lib
from tfvis_jax.analysis import word_counts as word_counts_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import dictionary_file, directory, setup


class Run:
    """What a run has learnt; everything is read when it is first asked for."""

    def __init__(self, path: str | os.PathLike[str]):
        """Opens a run directory; InputError where it is none."""
        self.directory = directory.RunDirectory(pathlib.Path(path))
        self.config: config_lib.RunConfig = self.directory.read_config()

    @functools.cached_property
    def trained(self) -> dictionary_file.TrainedDictionary:
        """The factors and layer scales."""
        return dictionary_file.load(self.directory.dictionary)

    @functools.cached_property
    def report(self) -> dict:
        """The content of `report.json`; InputError when training did not end."""
        if not self.directory.report.is_file():
            raise InputError(
                f"{self.directory.report} is not there: the run is not trained to its "
                f"end. `tfvis train {self.directory.path}` goes on where it stopped."
            )
        return files.read_json(self.directory.report)

    @functools.cached_property
    def examples(self) -> examples_lib.Examples:
        """References to the strongest tokens of every layer and factor."""
        return examples_lib.load(self.directory.examples, self.trained)

    @functools.cached_property
    def windows(self) -> windows_lib.Windows:
        """The corpus as token windows."""
        return windows_lib.open(self.directory.tokens)

    def importance(
        self, *, n: int | None = None, norm_free: bool = False
    ) -> np.ndarray:
        """Returns the importance scores, [n_layers, n_factors].

        Args:
          n: largest activations that count; all that are stored if None.
          norm_free: whether to divide by the mean ‖x‖ of the layer.

        Raises:
          InputError: fewer are stored than ``n``.
        """
        if n is None and not norm_free:
            return self._importance
        found = self.examples
        stored = found.activation.shape[2]
        n = stored if n is None else n
        if not 1 <= n <= stored:
            raise InputError(
                f"Expected 1 … {stored} activations, as many as are stored, got {n}. "
                f"`tfvis examples {self.directory.path} --top_n={n}` stores more."
            )
        scores = importance.importance_scores(found.activation, n=n)
        if norm_free:
            return importance.norm_free_scores(scores, found.mean_norm)
        return scores

    @functools.cached_property
    def levels(self) -> list[levels.Level]:
        """Low, mid, high or unclear, with the reason, for every factor."""
        return levels.of_run(self)

    @functools.cached_property
    def labels(self) -> dict[int, labels_lib.Label]:
        """What somebody calls the factors, as `tfvis labels` imported it."""
        return labels_lib.load(self.directory.labels, self.trained)

    @functools.cached_property
    def word_counts(self) -> word_counts_lib.WordCounts:
        """How often words and n-grams stand in the corpus."""
        return word_counts_lib.of_windows(self.windows)

    @functools.cached_property
    def opened(self) -> setup.Setup:
        """The model, its tokeniser and the settings."""
        return setup.open_model(self.directory, self.config)

    @functools.cached_property
    def masked_lm_head(self) -> vocabulary.Head | None:
        """The model's masked-LM head; None where it has none or is not at hand."""
        try:
            has_head = models.has_masked_lm_head(self.config.model)
        except InputError:
            return None
        return vocabulary.open_head(self.opened, self.windows) if has_head else None

    def factor(self, number: int) -> factor_lib.Factor:
        """Returns one factor; InputError says the range."""
        n_factors = len(self.trained.factors)
        is_whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not is_whole or not 0 <= number < n_factors:
            raise InputError(f"Expected a factor in 0 … {n_factors - 1}, got {number}.")
        return factor_lib.Factor(self, int(number))

    def check_layer(self, layer: int) -> None:
        """Refuses a layer that the dictionary does not have; InputError says which."""
        if layer not in self.trained.layers:
            raise InputError(f"Expected a layer of {self.trained.layers}, got {layer}.")

    def encode(self, text: str) -> sentence.EncodedSentence:
        """Writes a sentence of one's own as sums of factors, at every layer."""
        return sentence.encode_sentence(self.opened, self.trained, text)

    def explain(
        self, text: str, *, factor: int, layer: int, **settings
    ) -> saliency.Explanation:
        """Returns what makes a factor fire in a text of one's own.

        The token that fires it most is explained; of a text longer than the model's
        positions, in the window that holds it.

        Args:
          text: any.
          factor: number of the factor.
          layer: one of the dictionary's.
          **settings: of `saliency.explain`, such as ``methods=("occlusion",)``.

        Raises:
          InputError: no such factor or layer, an empty text, or one that does not fire
            the factor.
        """
        self.factor(factor)
        found = target_lib.in_text(
            self.opened, self.trained, text, layer=layer, factor=factor
        )
        return self.explain_target(found.target, layer=layer, **settings)

    def explain_target(
        self, target: target_lib.Target, *, layer: int, **settings
    ) -> saliency.Explanation:
        """Returns what makes a factor fire at a token; else as `explain`."""
        [explanation] = saliency.explain(
            self.opened, self.trained, [target], layer=layer, **settings
        )
        return explanation

    @functools.cached_property
    def _importance(self) -> np.ndarray:
        activation = self.examples.activation
        return importance.importance_scores(activation, n=activation.shape[2])

    def __repr__(self) -> str:
        return f"Run({str(self.directory.path)!r})"

    def _repr_html_(self) -> str:
        trained = self.trained
        return notebook_html.run(
            str(self.directory.path),
            model=trained.model,
            n_factors=len(trained.factors),
            layers=trained.layers,
            l1_penalty=trained.l1_penalty,
        )


def load_run(path: str | os.PathLike[str]) -> Run:
    """Opens a run directory that `tfvis train` made."""
    return Run(path)
