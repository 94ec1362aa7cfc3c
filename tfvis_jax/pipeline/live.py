"""Sentences for the page: the encoder of a run, kept warm."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tfvis_jax import saliency
from tfvis_jax.errors import InputError
from tfvis_jax.examples import results as results_lib
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.notebook import sentence as sentence_lib
from tfvis_jax.notebook import steered, steering
from tfvis_jax.reporting import devices
from tfvis_jax.runs import human_notes, ratings
from tfvis_jax.saliency import explanation, lime, variants
from tfvis_jax.viewer import live, sentences

# Sentences are padded to one of these numbers of tokens; each is compiled once. The
# first is that of most sentences people type.
_WARM_LENGTHS = (32, 16, 64, 128)
# Compiled programs depend on the length alone.
_WORD = "a"
# Other factors that stand beside one that is steered.
_CONTROLS = 20


class RunEncoder:
    """Encodes sentences as `Run.encode` does, layer by layer."""

    def __init__(self, run: run_lib.Run) -> None:
        """Loads model and dictionary.

        Args:
          run: trained.

        Raises:
          InputError: the model or the dictionary cannot be read.
        """
        self._run = run
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
            unknown=sentence.unknown,
            masked=sentence.masked,
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

    def explain(self, text: str, *, cell: live.Cell) -> Iterator[dict[str, Any]]:
        """Yields LIME's explanation of a cell, once after each round of masks.

        Args:
          text: text with at most as many tokens as the model has positions.
          cell: a factor that fires at a token of it, at a layer.

        Raises:
          InputError: there is no such token, layer or factor, or it does not fire.
        """
        n_factors = len(self._trained.factors)
        if not 0 <= cell.factor < n_factors:
            raise InputError(
                f"Expected a factor in 0 … {n_factors - 1}, got {cell.factor}."
            )
        target = saliency.target_of_text(
            self._opened, text, position=cell.token, factor=cell.factor
        )
        probe = variants.open_probe(self._opened, self._trained, layer=cell.layer)
        by = explanation.replacement_id(self._opened.tokenizer, "unk")
        whole = np.ones((1, len(target.places)), bool)
        [[alpha]] = probe.activations([variants.replacing(target, whole, by=by)])
        if alpha <= 0:
            raise InputError(
                f"Factor {cell.factor} does not fire at this token at layer "
                f"{cell.layer}; choose one that does."
            )
        for fit in lime.progressive(probe, target, replacement=by):
            yield sentences.explanation(
                weights=fit.weights.tolist(),
                activation=float(alpha),
                r2=fit.r2,
                samples=fit.n_samples,
                relative_error=fit.relative_error,
            )

    def steer(
        self, text: str, *, masked: Sequence[int] = (), change: live.Change
    ) -> Iterator[dict[str, Any]]:
        """Yields what a change does, as `Run.steer` finds it.

        Args:
          text: text with at most as many tokens as the model has positions.
          masked: indices of tokens to replace by the mask token.
          change: the factor, where it is changed, and by how much.

        Raises:
          InputError: there is no such token, layer or factor, or it does not fire and
            is to be taken out.
        """
        for found in steering.progressive(
            self._run.predicting,
            self._trained,
            text,
            factor=change.factor,
            layer=change.layer,
            by=change.by,
            tokens=None if change.token is None else [change.token],
            masked=masked,
            n_controls=_CONTROLS,
            lengths=self._lengths,
        ):
            yield _record(found)


def _record(found: steered.SteeredText) -> dict[str, Any]:
    sizes = found.relative_size.tolist()
    if found.predictions is not None:
        return sentences.steered(
            objective=found.predictions.objective,
            before=found.predictions.before,
            after=found.predictions.after,
            effect=found.predictions.kl.tolist(),
            controls=found.predictions.control_kl.tolist(),
            relative_size=sizes,
        )
    effect, others = found.effects()
    return sentences.steered(
        objective=None,
        effect=[effect],
        controls=[[each] for each in others.tolist()],
        relative_size=sizes,
    )


def note_store(directory: str | os.PathLike[str]) -> human_notes.Store | None:
    """Returns what people say of a run's factors, for the viewer's server.

    Args:
      directory: of the run.

    Returns:
      None if the run has no dictionary yet.
    """
    run = results_lib.Results(directory)
    if not run.directory.dictionary.is_file():
        return None
    return human_notes.Store(
        run.directory.notes,
        dictionary_hash=run.trained.content_hash,
        n_factors=len(run.trained.factors),
    )


def rating_store(directory: str | os.PathLike[str]) -> ratings.Store | None:
    """Returns what people say of contexts of a run, as `note_store` does of factors."""
    run = results_lib.Results(directory)
    if not run.directory.dictionary.is_file():
        return None
    return ratings.Store(
        run.directory.ratings,
        dictionary_hash=run.trained.content_hash,
        n_factors=len(run.trained.factors),
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
