"""Explore a trained run in a notebook: `run = load_run("runs/demo")`."""

import functools
import os
from collections.abc import Iterable
from typing import Any

from tfvis_jax import codes, saliency
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.notebook import factor as factor_lib
from tfvis_jax.notebook import findings, html, sentence
from tfvis_jax.runs import report_file


class Run(findings.Findings):
    """A trained run: its results, factors and encoders. Each part is read on first use.

    Attributes:
      directory: paths of the run.
      config: settings of the run.
    """

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """The content of `report.json`; InputError if training is not finished."""
        if not self.directory.report.is_file():
            raise InputError(
                f"{self.directory.report} does not exist, because training is not "
                f"finished. `{command_line('train', self.directory)}` resumes it."
            )
        layers = self.trained.layers
        return report_file.read(self.directory.report, layers=layers)

    def factor(self, number: int) -> factor_lib.Factor:
        """Returns one factor; raises InputError if there is no factor ``number``."""
        self.check_factor(number)
        return factor_lib.Factor(self, int(number))

    def encode(self, text: str) -> sentence.EncodedSentence:
        """Encodes a text: its codes and residuals at every layer.

        Args:
          text: text with at most as many tokens as the model has positions.

        Raises:
          InputError: if the text is empty or too long.
        """
        return sentence.encode_sentence(self.opened, self.trained, text)

    def encode_texts(
        self, texts: Iterable[str] | None = None, **settings: Any
    ) -> codes.EncodedTexts:
        """Encodes texts of any length and number: codes as sparse arrays.

        Args:
          texts: the texts, each a document.
          **settings: settings of `codes.encode_texts`, such as ``layers=[2, 4]``,
            ``words=["left"]``, ``with_rows=True``, or ``files=["text/*.txt"]`` in
            place of ``texts``.

        Raises:
          InputError: if there is no text or no such layer.
        """
        return codes.encode_texts(self.opened, self.trained, texts, **settings)

    def explain(
        self, text: str, *, factor: int, layer: int, **settings: Any
    ) -> saliency.Explanation:
        """Explains what makes a factor fire in a text.

        It explains the token at which the factor fires most. A text longer than the
        model's positions is cut into windows, and the token is explained in its window.

        Args:
          text: text of any length.
          factor: index of the factor.
          layer: layer of the dictionary.
          **settings: settings of `saliency.explain`, such as
            ``methods=("occlusion",)``.

        Raises:
          InputError: if there is no such factor or layer, or if the text is empty or
            does not fire the factor.
        """
        self.check_factor(factor)
        found = saliency.target_in_text(
            self.opened, self.trained, text, layer=layer, factor=factor
        )
        return self.explain_target(found.target, layer=layer, **settings)

    def __repr__(self) -> str:
        return f"Run({str(self.directory.path)!r})"

    def _repr_html_(self) -> str:
        trained = self.trained
        return html.run(
            str(self.directory.path),
            model=trained.model,
            n_factors=len(trained.factors),
            layers=trained.layers,
            l1_penalty=trained.l1_penalty,
        )


def load_run(path: str | os.PathLike[str]) -> Run:
    """Opens a run directory that `tfvis train` made.

    Args:
      path: path of the run directory.

    Raises:
      InputError: if ``path`` is not a run directory.
    """
    return Run(path)
