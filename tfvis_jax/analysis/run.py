"""A trained run in a notebook: `run = load_run("runs/demo")`."""

import dataclasses
import functools
import os
import pathlib

import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import files, run_directory
from tfvis_jax.analysis import (
    example_target,
    importance,
    levels,
    notebook_html,
    saliency,
    sentence,
)
from tfvis_jax.analysis import examples as examples_lib
from tfvis_jax.analysis import target as target_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.training import dictionary_file, setup


@dataclasses.dataclass(frozen=True)
class Example:
    """One token of the corpus on which a factor fires.

    Attributes:
      before: the text before the word, in the corpus's own spelling.
      word: the word that the token belongs to.
      after: the text after it.
      activation: α.
      document: name of the document.
      window: number of the token window.
      position: place of the token in it.
    """

    before: str
    word: str
    after: str
    activation: float
    document: str
    window: int
    position: int

    def __str__(self) -> str:
        return f"{self.activation:6.3f}  {self.before}[{self.word}]{self.after}"


class Run:
    """What a run has learnt; everything is read when it is first asked for."""

    def __init__(self, path: str | os.PathLike[str]):
        """Opens a run directory; InputError where it is none."""
        self.directory = run_directory.RunDirectory(pathlib.Path(path))
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

    @functools.cached_property
    def importance(self) -> np.ndarray:
        """Importance scores, [n_layers, n_factors]."""
        activation = self.examples.activation
        return importance.importance_scores(activation, n=activation.shape[2])

    @functools.cached_property
    def levels(self) -> list[levels.Level]:
        """Low, mid, high or unclear, with the reason, for every factor."""
        return levels.classify(
            self.importance, self.examples.firing, layers=self.trained.layers
        )

    def factor(self, number: int) -> "Factor":
        """Returns one factor; InputError says the range."""
        n_factors = len(self.trained.factors)
        if not 0 <= number < n_factors:
            raise InputError(f"Expected a factor in 0 … {n_factors - 1}, got {number}.")
        return Factor(self, number)

    def encode(self, text: str) -> sentence.EncodedSentence:
        """Writes a sentence of one's own as sums of factors, at every layer."""
        return sentence.encode_sentence(self._opened, self.trained, text)

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
            self._opened, self.trained, text, layer=layer, factor=factor
        )
        return self._explain(found.target, layer=layer, **settings)

    def _explain(self, target, *, layer, **settings):
        [explanation] = saliency.explain(
            self._opened, self.trained, [target], layer=layer, **settings
        )
        return explanation

    @functools.cached_property
    def _opened(self) -> setup.Setup:
        return setup.open_model(self.directory, self.config)

    def __repr__(self) -> str:
        return f"Run({str(self.directory.path)!r})"


@dataclasses.dataclass(frozen=True)
class Factor:
    """One transformer factor of a run."""

    run: Run
    number: int

    @property
    def vector(self) -> np.ndarray:
        """The unit direction, [d_model]."""
        return self.run.trained.factors[self.number]

    @property
    def importance(self) -> dict[int, float]:
        """Importance score of each layer."""
        curve = self.run.importance[:, self.number].tolist()
        return dict(zip(self.run.trained.layers, curve, strict=True))

    @property
    def level(self) -> levels.Level:
        """Low, mid, high or unclear, with the reason."""
        return self.run.levels[self.number]

    def examples(self, *, layer: int, n: int = 20) -> list[Example]:
        """Returns the n strongest tokens of a layer in their contexts."""
        layers = self.run.trained.layers
        if layer not in layers:
            raise InputError(f"Expected a layer of {layers}, got {layer}.")
        found, index = self.run.examples, layers.index(layer)
        kept = found.activation[index, self.number, :n]
        places = zip(
            kept.tolist(),
            found.window[index, self.number, :n].tolist(),
            found.position[index, self.number, :n].tolist(),
            strict=True,
        )
        return [
            self._example(activation, window, position)
            for activation, window, position in places
            if activation > 0
        ]

    def explain(
        self, *, layer: int | None = None, example: int = 1, **settings
    ) -> saliency.Explanation:
        """Returns what makes the factor fire at one of its strongest tokens.

        Args:
          layer: one of the dictionary's; where the factor peaks if None.
          example: 1 is the strongest token of the layer.
          **settings: of `saliency.explain`, such as ``methods=("occlusion",)``.

        Raises:
          InputError: no such layer or example, or a factor that fires nowhere.
        """
        if layer is None:
            layer = example_target.peak_layer(self.run, factor=self.number)
        target = example_target.of_run(
            self.run, factor=self.number, layer=layer, rank=example
        )
        return self.run._explain(target, layer=layer, **settings)

    def _repr_html_(self) -> str:
        importance = self.importance
        layer = max(importance, key=importance.__getitem__)
        return notebook_html.factor(
            self.number,
            level=self.level.name,
            reason=self.level.reason,
            importance=importance,
            examples=[
                (example.activation, example.before, example.word, example.after)
                for example in self.examples(layer=layer, n=10)
            ],
            layer=layer,
        )

    def _example(self, activation: float, window: int, position: int) -> Example:
        context = self.run.windows.context(window, position)
        return Example(
            before=context.before,
            word=context.word,
            after=context.after,
            activation=activation,
            document=self.run.windows.document_name(window),
            window=window,
            position=position,
        )


def load_run(path: str | os.PathLike[str]) -> Run:
    """Opens a run directory that `tfvis train` made."""
    return Run(path)
