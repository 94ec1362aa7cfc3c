"""Show the tokens that fire a factor in their contexts."""

import dataclasses

from tfvis_jax import markup
from tfvis_jax.data import words as words_lib
from tfvis_jax.examples import reading
from tfvis_jax.examples import results as results_lib


@dataclasses.dataclass(frozen=True)
class Example:
    """One token of the corpus on which a factor fires, with its context.

    Attributes:
      before: text before the word, spelled as in the corpus.
      word: the word that contains the token.
      after: text after the word.
      activation: α.
      document: name of the document.
      window: index of the token window.
      position: index of the token in the window.
      folded: number of near-duplicates that were left out in its favour.
    """

    before: str
    word: str
    after: str
    activation: float
    document: str
    window: int
    position: int
    folded: int = 0

    def __str__(self) -> str:
        return f"{self.activation:6.3f}  {self.before}[{self.word}]{self.after}"

    def excerpt(self, *, width: int) -> str:
        """Returns the word in brackets and what stands around it, cut between words.

        Args:
          width: most characters before the word, and after it.
        """
        before, after = words_lib.nearest(self.before, self.after, room=(width, width))
        return f"{before}[{self.word}]{after}".strip()


class ExampleList(list[Example]):
    """Examples of one factor at one layer, strongest first.

    Attributes:
      factor: index of the factor.
      layer: layer at which the factor fires on them.
    """

    def __init__(self, examples: list[Example], *, factor: int, layer: int):
        """Initialises the list from examples of ``factor`` at ``layer``."""
        super().__init__(examples)
        self.factor, self.layer = factor, layer

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def as_html(self) -> str:
        """Returns the table that a notebook shows."""
        return markup.examples(
            [(e.activation, e.before, e.word, e.after, e.document) for e in self],
            factor=self.factor,
            layer=self.layer,
        )

    def _repr_html_(self) -> str:
        return self.as_html()


def in_context(
    results: results_lib.Results,
    references: reading.References,
    *,
    factor: int,
    layer: int,
) -> ExampleList:
    """Returns the referenced tokens in their contexts.

    Args:
      results: results of the run.
      references: tokens that fire the factor, from `reading`.
      factor: index of the factor.
      layer: layer at which it fires on them.
    """
    windows = results.windows
    examples = []
    # tolist: Python numbers, so that examples can be written as JSON.
    for activation, window, position, folded in zip(
        *(array.tolist() for array in references), strict=True
    ):
        context = windows.context(window, position)
        examples.append(
            Example(
                before=context.before,
                word=context.word,
                after=context.after,
                activation=activation,
                document=windows.document_name(window),
                window=window,
                position=position,
                folded=folded,
            )
        )
    return ExampleList(examples, factor=factor, layer=layer)


def strongest(
    results: results_lib.Results, factor: int, *, layer: int, n: int
) -> ExampleList:
    """Returns at most ``n`` top-activating examples of a factor at a layer."""
    # Arrays are indexed by the layer's place in the dictionary, not by its number.
    index = results.trained.layers.index(layer)
    found = reading.strongest(results.examples, index, factor, stop=n)
    return in_context(results, found, factor=factor, layer=layer)
