"""Explore a trained run in a notebook: `run = load_run("runs/demo")`."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable
from typing import Any

from tfvis_jax import codes, saliency, sites
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.notebook import factor as factor_lib
from tfvis_jax.notebook import findings, html, panels, sentence, steered, steering
from tfvis_jax.publishing import hub, upload
from tfvis_jax.publishing import options as options_lib
from tfvis_jax.runs import report_file, setup
from tfvis_jax.viewer import sentences


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

    def encode(
        self,
        text: str,
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> sentence.EncodedSentence:
        """Encodes a text: its codes and residuals at every layer.

        Args:
          text: text with at most as many tokens as the model has positions.
          progress: called with (layers done, layers in total).

        Raises:
          InputError: if the text is empty or too long.
        """
        encoded = sentence.encode_sentence(
            self.opened, self.trained, text, progress=progress
        )
        return dataclasses.replace(encoded, name=self.name)

    def show(self, text: str, *, token: int | None = None) -> panels.Panel:
        """Shows a text as tokens × layers, in words, and the sum of one token.

        Each cell says what fires the strongest factor of a token; its colour is the
        share of the hidden state that the factor explains. The run must have examples,
        of which the words are.

        Args:
          text: text with at most as many tokens as the model has positions.
          token: index of the token whose sum is written out, at the last layer; the
            first of the longest if None.

        Raises:
          InputError: if the text is empty or too long, or has no such token.
        """
        encoded = self.encode(text)
        if token is None:
            lengths = [end - start for start, end in encoded.spans]
            token = lengths.index(max(lengths))
        if not 0 <= token < len(encoded.tokens):
            raise InputError(
                f"Expected a token from 0 to {len(encoded.tokens) - 1}, got {token}."
            )
        head = sentences.header(
            encoded.text,
            pieces=encoded.tokens,
            spans=encoded.spans,
            words=range(len(encoded.tokens)),
            layers=encoded.layers,
        )
        layers = [
            sentences.layer_record(
                layer,
                x=encoded.x[i],
                codes=encoded.codes[i],
                gap=encoded.gap[i],
                factors=self.trained.factors,
            )
            for i, layer in enumerate(encoded.layers)
        ]
        names: dict[int, str] = {}

        def name(factor: int) -> str:
            if factor not in names:
                names[factor] = self.name(factor) or f"factor {factor}"
            return names[factor]

        return panels.sentence(
            [head, *layers],
            name=name,
            token=token,
            notice=encoded.notice,
        )

    def encode_texts(
        self, texts: Iterable[str] | None = None, **settings: Any
    ) -> "codes.EncodedTexts":
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

    @functools.cached_property
    def predicting(self) -> setup.Setup:
        """The model with its language model head, where it has one."""
        return setup.with_language_model(self.opened)

    def steer(
        self,
        text: str,
        *,
        factor: int,
        layer: int,
        by: float | None = None,
        ablate: bool = False,
        **settings: Any,
    ) -> steered.SteeredText:
        """Adds a factor to a text, or takes it out, and lets the model run on.

        With a language model head, predictions before and after are compared, without
        one the text's embedding; changes of equal size along other factors beside it.

        Args:
          text: text with at most as many tokens as the model has positions.
          factor: index of the factor.
          layer: at which layer.
          by: what is added to its activation at each token.
          ablate: takes the factor out instead.
          **settings: settings of `steering.steer`, such as ``tokens=[3]``,
            ``masked=[3]`` or ``beside=["Another sentence."]``.

        Raises:
          InputError: if neither or both of ``by`` and ``ablate`` are given; or there is
            no such factor, layer or token; or the text does not fire a factor that is
            to be taken out.
        """
        if (by is None) != ablate:
            raise InputError(
                f"Expected an amount to add (by) or ablate=True, got by={by} and "
                f"ablate={ablate}."
            )
        return steering.steer(
            self.predicting,
            self.trained,
            text,
            factor=factor,
            layer=layer,
            by=by,
            **settings,
        )

    def push_to_hub(
        self, repo: str, *, yes: bool = False, **options: Any
    ) -> str | None:
        """Uploads the run to the hub, privately, after showing what and asking.

        Args:
          repo: name of the repository, as "user/name".
          yes: If True, upload without a question.
          **options: fields of `publishing.Options`, such as ``public=True``,
            ``licence="apache-2.0"``, or ``examples=True`` to upload the text as well.

        Returns:
          The address of what was uploaded, for `load_run`; None if nothing was.

        Raises:
          InputError: the run is not trained; the repository exists; there is no token,
            no permission, no connection, or no terminal to ask on.
        """
        return upload.publish(
            self,
            repo,
            options_lib.Options(**options),
            labels=self.labels,
            agree=upload.tell if yes else upload.ask,
        )

    def __repr__(self) -> str:
        return f"Run({str(self.directory.path)!r})"

    def _repr_html_(self) -> str:
        trained = self.trained
        return html.run(
            str(self.directory.path),
            model=sites.named(trained.model, trained.site),
            n_factors=len(trained.factors),
            layers=trained.layers,
            l1_penalty=trained.l1_penalty,
        )


def load_run(path: str | os.PathLike[str], *, model: str | None = None) -> Run:
    """Opens a run that `tfvis train` made, here or from the hub.

    Args:
      path: path of the run directory, or ``hf://user/name`` or
        ``hf://user/name@revision``, which is downloaded to the hub's cache.
      model: folder or hub name of the run's model, if it is not where the run says.

    Raises:
      InputError: if ``path`` is not a run directory, or the hub has no such run.
    """
    if isinstance(path, str) and path.startswith(hub.SCHEME):
        path = hub.download(hub.parse(path))
    run = Run(path)
    if model is not None:
        run.config = dataclasses.replace(run.config, model=model)
    return run
