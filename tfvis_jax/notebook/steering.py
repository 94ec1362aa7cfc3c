"""What a factor does to a text: it is taken out or added, and the model runs on.

At some tokens of one layer the hidden state h is changed along the factor φ,

    h' = h + s c φ,    c = −α to take the factor out, or any amount that is added

(in a run of attention or MLP outputs that output, before it is added to the sum), where
s is the layer's scale, so that c is in the units of the activation α. The layers
above run on. With a language model head, p' at every token is compared with p of the
text as it is:

    KL = Σ_w p(w) log p(w) / p'(w), in nats

Without one, the embedding of the text (the mean of the last hidden states) is compared
with those of other sentences. Any change of a hidden state changes what follows: beside
the factor stand changes of the same size along other factors, drawn at random.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import sites
from tfvis_jax.errors import InputError
from tfvis_jax.models import heads
from tfvis_jax.notebook import sentence, steered
from tfvis_jax.runs import setup, trained_dictionary

# Other factors between two results of `progressive`.
_AT_ONCE = 5


def steer(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    text: str,
    **settings: Any,
) -> steered.SteeredText:
    """Takes a factor out of a text, or adds it, and lets the model run on.

    Args:
      opened: model and settings of the run; with its language model head, if what it
        predicts is wanted (`setup.with_language_model`).
      trained: the dictionary.
      text: text with at most as many tokens as the model has positions.
      **settings: of `progressive`.

    Raises:
      InputError: as `progressive`.
    """
    *_, found = progressive(opened, trained, text, **settings)
    return found


def progressive(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    text: str,
    *,
    factor: int,
    layer: int,
    by: float | None = None,
    tokens: Sequence[int | str] | None = None,
    masked: Sequence[int | str] = (),
    beside: Sequence[str] = (),
    n_controls: int = 20,
    top: int = 5,
    seed: int = 0,
    lengths: Sequence[int] = (),
) -> Iterator[steered.SteeredText]:
    """Steers as `steer` does, a few of the other factors at a time.

    Args:
      opened: model and settings of the run.
      trained: the dictionary.
      text: text with at most as many tokens as the model has positions.
      factor: index of the factor.
      layer: at which layer.
      by: what is added to α at each token; None takes the factor out.
      tokens: the tokens that are changed, by index, or the words; all if None.
      masked: tokens or words to replace by the mask token, so that a masked language
        model predicts them.
      beside: sentences whose embeddings are compared; for a model without a head.
      n_controls: number of other factors.
      top: word pieces kept of each prediction.
      seed: of the other factors.
      lengths: of windows, as of `sentence.tokenize_sentence`.

    Yields:
      The result without other factors, then with ever more of them, at last with all.

    Raises:
      InputError: there is no such factor, layer or token; the factor fires at none of
        the tokens that it is to be taken out of; or the text is empty or too long.
    """
    if not 0 <= factor < len(trained.factors):
        raise InputError(
            f"Expected a factor from 0 to {len(trained.factors) - 1}, got {factor}."
        )
    if by is not None and not np.isfinite(by):
        raise InputError(f"Expected a finite amount to add, got {by}.")
    one = trained.of_layers([layer])
    read = sentence.tokenize_sentence(opened, text, lengths=lengths)
    chosen = range(len(read.tokens)) if tokens is None else _places(read, tokens)
    if masked:
        read = sentence.tokenize_sentence(
            opened, text, masked=_places(read, masked), lengths=lengths
        )
    codes = next(sentence.encode_layers(opened, one, read)).codes
    activation = np.asarray(codes)[:, factor]
    added = np.zeros_like(activation)
    added[list(chosen)] = -activation[list(chosen)] if by is None else by
    if not added.any():
        raise InputError(
            f"Expected factor {factor} to fire at layer {layer} in a token that is "
            "changed, but it fires at none: nothing can be taken out. Choose another "
            "token, layer or factor, or an amount to add."
        )
    controls = _controls(trained, factor, n=n_controls, seed=seed)
    encoder = opened.pretrained.encoder
    tokens_and_mask = read.token_ids, read.token_mask
    hidden = _hidden(encoder, *tokens_and_mask, layers=(layer,))[0]
    below = None
    if encoder.site != sites.HIDDEN:
        whole = encoder.at(sites.HIDDEN)
        below = _hidden(whole, *tokens_and_mask, layers=(layer - 1,))[0]
    changes = _changes(one, added, np.append(factor, controls))

    run_on = functools.partial(_run_on, encoder, below, read.token_mask, layer=layer)

    def changed(change: np.ndarray) -> jax.Array:
        at_tokens = np.zeros(hidden.shape, np.float32)
        at_tokens[0, read.shown] = change
        return run_on(hidden + at_tokens)

    effect = _Effect(opened, read, run_on(hidden), beside=beside, top=top)
    norms = np.linalg.norm(np.asarray(hidden)[0, read.shown], axis=1)
    sizes = np.linalg.norm(changes[0], axis=1)
    found = steered.SteeredText(
        text=read.text,
        tokens=read.tokens,
        factor=factor,
        layer=layer,
        activation=activation,
        added=added,
        relative_size=sizes / np.where(norms > 0, norms, 1),
        controls=controls[:0],
        predictions=None,
        similarity=None,
    )
    found = effect.of_factor(found, changed(changes[0]))
    yield found
    figures: list[np.ndarray] = []
    for change in changes[1:]:
        figures.append(effect.of_control(changed(change)))
        n = len(figures)
        if n % _AT_ONCE == 0 or n == len(controls):
            yield found.with_controls(controls[:n], np.stack(figures))


class _Effect:
    """What the last hidden states of a window are compared by."""

    def __init__(
        self,
        opened: setup.Setup,
        read: sentence.TokenizedSentence,
        before: jax.Array,
        *,
        beside: Sequence[str],
        top: int,
    ) -> None:
        self._read, self._top = read, top
        self._spelled = opened.tokenizer.spelled
        self._model = opened.pretrained.language_model
        if self._model is not None:
            self._before = _log_shares(self._model, before)[0, read.shown]
            return
        of_text = _embedding(before, read.token_mask)
        others = [_embedding_of(opened, text) for text in beside]
        self._sentences = (read.text, *beside)
        self._embeddings = np.stack([of_text, *others])

    def of_factor(
        self, found: steered.SteeredText, final: jax.Array
    ) -> steered.SteeredText:
        """Fills in what the change along the factor does."""
        if self._model is None:
            cosines = self.of_control(final)
            similarity = steered.Similarity(
                sentences=self._sentences,
                before=self._embeddings @ self._embeddings[0],
                after=cosines,
                control=np.zeros((0, len(cosines)), np.float32),
            )
            return dataclasses.replace(found, similarity=similarity)
        after = _log_shares(self._model, final)[0, self._read.shown]
        predictions = steered.Predictions(
            objective=self._model.objective,
            before=_most_probable(self._before, self._spelled, self._top),
            after=_most_probable(after, self._spelled, self._top),
            kl=_kl(self._before, after),
            control_kl=np.zeros((0, len(after)), np.float32),
        )
        return dataclasses.replace(found, predictions=predictions)

    def of_control(self, final: jax.Array) -> np.ndarray:
        """Returns the KL of each token, or the cosine with each sentence."""
        if self._model is None:
            return self._embeddings @ _embedding(final, self._read.token_mask)
        after = _log_shares(self._model, final)[0, self._read.shown]
        return _kl(self._before, after)


def _places(read: sentence.TokenizedSentence, wanted: Sequence[int | str]) -> list[int]:
    """Returns the indices of tokens that are given by index or by their word."""
    of_word: dict[str, list[int]] = {}
    words = np.asarray(read.words)
    for number in range(words.max() + 1):
        places = np.flatnonzero(words == number).tolist()
        start, end = read.spans[places[0]][0], read.spans[places[-1]][1]
        of_word.setdefault(read.text[start:end].casefold(), []).extend(places)
    found: list[int] = []
    for each in wanted:
        if isinstance(each, str) and each.casefold() in of_word:
            found += of_word[each.casefold()]
        elif not isinstance(each, str) and 0 <= each < len(words):
            found.append(int(each))
        else:
            raise InputError(
                f"Expected words of the text, or tokens in 0 … {len(words) - 1}, got "
                f"{each!r}."
            )
    if not found:
        raise InputError("Expected tokens or words to change, got none.")
    return sorted(set(found))


def _controls(
    trained: trained_dictionary.TrainedDictionary, factor: int, *, n: int, seed: int
) -> np.ndarray:
    """Draws other factors, without those that are zero."""
    living = np.flatnonzero(np.linalg.norm(trained.factors, axis=1) > 0)
    others = living[living != factor]
    return np.sort(np.random.default_rng(seed).permutation(others)[:n])


def _changes(
    one: trained_dictionary.TrainedDictionary, added: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """Returns h' − h, [n_factors, n_tokens, d_model]: of the first factor, and others.

    All move each token equally far.
    """
    directions = one.directions[factors]
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.where(norms > 0, norms, 1) * norms[0]
    changes = one.layer_scale[0] * added[:, None] * directions[:, None]
    return changes.astype(np.float32)


def _kl(before: jax.Array, after: jax.Array) -> np.ndarray:
    """Returns Σ p log p / p' of each token, from log p and log p'."""
    kl = np.asarray(jnp.sum(jnp.exp(before) * (before - after), axis=-1))
    # Rounding leaves tiny negative numbers where nothing has changed.
    return np.maximum(kl, 0)


def _most_probable(
    log_shares: jax.Array, spelled: Callable[[int], str], top: int
) -> list[list[tuple[str, float]]]:
    values, ids = jax.lax.top_k(log_shares, min(top, log_shares.shape[-1]))
    shares: list[list[float]] = np.exp(np.asarray(values)).tolist()
    of_token: list[list[int]] = np.asarray(ids).tolist()
    return [
        [(spelled(i), share) for i, share in zip(*both, strict=True)]
        for both in zip(of_token, shares, strict=True)
    ]


def _embedding_of(opened: setup.Setup, text: str) -> np.ndarray:
    read = sentence.tokenize_sentence(opened, text)
    last = opened.pretrained.config.n_layers
    encoder = opened.pretrained.encoder.at(sites.HIDDEN)
    final = _hidden(encoder, read.token_ids, read.token_mask, layers=(last,))[0]
    return _embedding(final, read.token_mask)


def _embedding(final: jax.Array, token_mask: np.ndarray) -> np.ndarray:
    """Returns the mean of a window's last hidden states, of norm 1, [d_model]."""
    mean = np.asarray(final)[0][token_mask[0]].mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)


@functools.partial(jax.jit, static_argnames=("layers",))
def _hidden(
    encoder: Any, token_ids: jax.Array, mask: jax.Array, *, layers: tuple[int, ...]
) -> jax.Array:
    return encoder(token_ids, mask, layers=layers)


@functools.partial(jax.jit, static_argnames=("layer",))
def _run_on(
    encoder: Any,
    below: jax.Array | None,
    mask: jax.Array,
    altered: jax.Array,
    *,
    layer: int,
) -> jax.Array:
    """Returns the last hidden states where a layer's output at the site is altered."""
    if below is None:
        return encoder.from_layer(altered, mask, start=layer)
    return encoder.from_layer(below, mask, start=layer - 1, altered=altered)


@jax.jit
def _log_shares(model: heads.LanguageModel, final: jax.Array) -> jax.Array:
    return jax.nn.log_softmax(model.logits(final), axis=-1)
