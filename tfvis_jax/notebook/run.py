"""A trained run in a notebook: `run = load_run("runs/demo")`."""

import functools
import os

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import factor as factor_lib
from tfvis_jax.notebook import findings, html, sentence
from tfvis_jax.saliency import explanation as explanation_lib
from tfvis_jax.saliency import target as target_lib


class Run(findings.Findings):
    """What a run has learnt; everything is read when it is first asked for."""

    @functools.cached_property
    def report(self) -> dict:
        """The content of `report.json`; InputError if training has not finished."""
        if not self.directory.report.is_file():
            raise InputError(
                f"{self.directory.report} does not exist: the training of the run has "
                f"not finished. `tfvis train {self.directory.path}` resumes it."
            )
        return files.read_json(self.directory.report)

    def factor(self, number: int) -> factor_lib.Factor:
        """Returns one factor; InputError says the range."""
        self.check_factor(number)
        return factor_lib.Factor(self, int(number))

    def encode(self, text: str) -> sentence.EncodedSentence:
        """Writes a sentence of one's own as sums of factors, at every layer."""
        return sentence.encode_sentence(self.opened, self.trained, text)

    def explain(
        self, text: str, *, factor: int, layer: int, **settings
    ) -> explanation_lib.Explanation:
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
        self.check_factor(factor)
        found = target_lib.in_text(
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
    """Opens a run directory that `tfvis train` made."""
    return Run(path)
