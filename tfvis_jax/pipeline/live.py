"""Sentences for the page: the encoder of a run, kept warm."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tfvis_jax.notebook import run as run_lib
from tfvis_jax.notebook import sentence as sentence_lib
from tfvis_jax.reporting import devices
from tfvis_jax.viewer import live, sentences

# Sentences are padded to one of these numbers of tokens; each is compiled once. The
# first is that of most sentences people type.
_WARM_LENGTHS = (32, 16, 64, 128)
# Compiled programs depend on the length alone.
_WORD = "a"


class RunEncoder:
    """Encodes sentences as `Run.encode` does, layer by layer."""

    def __init__(self, run: run_lib.Run) -> None:
        """Loads model and dictionary.

        Args:
          run: trained.

        Raises:
          InputError: the model or the dictionary cannot be read.
        """
        self._opened, self._trained = run.opened, run.trained
        longest = self._opened.pretrained.config.max_positions
        self._lengths = tuple(n for n in sorted(_WARM_LENGTHS) if n <= longest)

    def warm_up(self) -> Iterator[None]:
        """Compiles the programs of one length a step."""
        for length in _WARM_LENGTHS:
            if length in self._lengths:
                sentence = sentence_lib.tokenize_sentence(
                    self._opened, _WORD, lengths=(length,)
                )
                for _ in sentence_lib.encode_layers(
                    self._opened, self._trained, sentence
                ):
                    break
                yield

    def encode(
        self, text: str, *, masked: Sequence[int] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yields the records of a sentence: its tokens, then one for each layer.

        Args:
          text: text with at most as many tokens as the model has positions.
          masked: indices of tokens to replace by the mask token.

        Raises:
          InputError: the text is empty or too long, or has no such token.
        """
        sentence = sentence_lib.tokenize_sentence(
            self._opened, text, masked=masked, lengths=self._lengths
        )
        yield sentences.header(
            sentence.text,
            pieces=sentence.tokens,
            spans=sentence.spans,
            words=sentence.words,
            layers=self._trained.layers,
        )
        layers = sentence_lib.encode_layers(self._opened, self._trained, sentence)
        for layer, rows in zip(self._trained.layers, layers, strict=True):
            yield sentences.layer_record(
                layer,
                x=np.asarray(rows.x),
                codes=np.asarray(rows.codes),
                gap=np.asarray(rows.gap),
                factors=self._trained.factors,
            )


def live_worker(
    directory: str | os.PathLike[str],
    *,
    on_failure: Callable[[str], None] = lambda message: None,
    patience: float | None = None,
) -> live.Worker:
    """Returns the worker that encodes sentences with a run, for the viewer's server.

    Args:
      directory: of the run, trained.
      on_failure: hears the reason if the model cannot be opened.
      patience: seconds that stopping waits for a compilation; None waits for its end.
    """

    def open_encoder() -> RunEncoder:
        devices.find()  # A device that cannot be used is named before the model loads.
        return RunEncoder(run_lib.load_run(directory))

    return live.Worker(
        open_encoder,
        on_failure=on_failure,
        patience=patience,
    )
