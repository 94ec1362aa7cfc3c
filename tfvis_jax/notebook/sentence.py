"""Encode a sentence as sums of factors at every layer."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Any

import jax
import numpy as np

from tfvis_jax import sparse_coding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import unknown_tokens
from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import html
from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.runs import encoding, setup, trained_dictionary
from tfvis_jax.sparse_coding import checks

# Tighter than in training, because people read these codes one by one.
_TOLERANCE = 1e-5
_MAX_STEPS = 2000
# Sentences are padded to a multiple of this, so that few lengths are compiled.
_LENGTH_STEP = 16
_NUM_NAMED = 5
# Number of tokens that a notebook shows.
_SHOWN_TOKENS = 64


@dataclasses.dataclass(frozen=True)
class EncodedSentence:
    """The tokens of a text and their codes; x = codes @ factors + residual.

    Attributes:
      text: the text that was encoded.
      tokens: [n_tokens] word pieces, without special tokens; ## stands before those
        that continue a word.
      spans: [n_tokens] (start, end) character offsets in the text; tokens that share a
        character overlap.
      unknown: indices of the tokens that the model's vocabulary does not know.
      layers: layers of the dictionary.
      x: [n_layers, n_tokens, d_model] hidden states, divided by the layer's scale.
      codes: [n_layers, n_tokens, n_factors].
      residual: [n_layers, n_tokens, d_model].
      gap: [n_layers, n_tokens] relative duality gaps; NaN where an imported encoder
        found the codes.
      solve: summary of the solver over all layers and tokens; None where an imported
        encoder found the codes.
      name: returns the label or the words of a factor.
    """

    text: str
    tokens: list[str]
    spans: list[tuple[int, int]]
    unknown: tuple[int, ...]
    layers: tuple[int, ...]
    x: np.ndarray
    codes: np.ndarray
    residual: np.ndarray
    gap: np.ndarray
    solve: sparse_coding.Summary | None
    name: Callable[[int], str] = field(default=lambda factor: "", compare=False)

    @property
    def l0(self) -> np.ndarray:
        """Number of active factors, [n_layers, n_tokens]."""
        return np.count_nonzero(self.codes, axis=2)

    @property
    def relative_residual(self) -> np.ndarray:
        """‖residual‖ / ‖x‖, [n_layers, n_tokens]."""
        norm = np.linalg.norm(self.x, axis=2)
        return np.linalg.norm(self.residual, axis=2) / np.where(norm > 0, norm, 1)

    def strongest(self, layer: int, token: int, *, n: int) -> list[tuple[int, float]]:
        """Returns the active factors of a token as (factor, α) pairs, largest α first.

        Args:
          layer: number of the layer.
          token: index of the token, from 0.
          n: maximum number of factors.

        Raises:
          InputError: if there is no such layer or token, or ``n`` is no count.
        """
        if layer not in self.layers:
            raise InputError(f"Expected a layer of {self.layers}, got {layer}.")
        if not 0 <= token < len(self.tokens):
            raise InputError(
                f"Expected a token in 0 … {len(self.tokens) - 1}, got {token}."
            )
        checks.check_count("n", n, at_least=0)
        codes = self.codes[self.layers.index(layer), token]
        best = np.argsort(-codes, kind="stable")[:n]
        return [(int(f), float(codes[f])) for f in best if codes[f] > 0]

    @property
    def notice(self) -> str:
        """A sentence that names the unknown tokens; "" if there are none."""
        if not self.unknown:
            return ""
        words = [self.text[slice(*self.spans[i])] for i in self.unknown[:_NUM_NAMED]]
        more = ", ..." if len(self.unknown) > _NUM_NAMED else ""
        return (
            f"Of {len(self.tokens)} tokens, {len(self.unknown)} are unknown to the "
            f"model's vocabulary, which sees no difference between them: "
            f"{', '.join(words)}{more}."
        )

    def __repr__(self) -> str:
        # Without the arrays, which hold thousands of numbers.
        unknown = f", {len(self.unknown)} of them unknown" if self.unknown else ""
        return (
            f"EncodedSentence({self.text!r}, {len(self.tokens)} tokens{unknown}, "
            f"layers {self.layers})"
        )

    def _repr_html_(self) -> str:
        shown = range(min(len(self.tokens), _SHOWN_TOKENS))
        strongest = {
            layer: [self.strongest(layer, token, n=3) for token in shown]
            for layer in self.layers
        }
        named = {f for cells in strongest.values() for cell in cells for f, _ in cell}
        return html.sentence(
            [words_lib.shown(self.text[slice(*self.spans[token])]) for token in shown],
            strongest=strongest,
            n_tokens=len(self.tokens),
            notice=self.notice,
            names={factor: self.name(factor) for factor in sorted(named)},
        )


@dataclasses.dataclass(frozen=True)
class TokenizedSentence:
    """A text as one padded window.

    Attributes:
      text: the text that was tokenized.
      tokens: [n_tokens] word pieces, without special tokens.
      spans: [n_tokens] (start, end) character offsets in the text.
      words: [n_tokens] index of the word that each piece belongs to, from 0.
      unknown: indices of the tokens that the model's vocabulary does not know.
      masked: indices of the tokens that are replaced by the mask token.
      token_ids: [1, length] int32, with special tokens if the run uses them, padded.
      token_mask: [1, length] bool, False for padding.
      shown: the places of ``tokens`` in the window.
    """

    text: str
    tokens: list[str]
    spans: list[tuple[int, int]]
    words: list[int]
    unknown: tuple[int, ...]
    masked: tuple[int, ...]
    token_ids: np.ndarray
    token_mask: np.ndarray
    shown: slice


def encode_sentence(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    text: str,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EncodedSentence:
    """Encodes a text as one window, with special tokens if the run uses them.

    Args:
      opened: model, tokeniser and settings of the run.
      trained: dictionary of the run.
      text: text with at most as many tokens as the model has positions.
      progress: called with (layers done, layers in total).

    Raises:
      InputError: if the text is empty or too long.
    """
    sentence = tokenize_sentence(opened, text)
    layers = []
    for rows in encode_layers(opened, trained, sentence):
        layers.append(rows)
        progress(len(layers), len(trained.layers))

    def stack(name: str) -> Any:
        return np.stack([getattr(rows, name) for rows in layers])

    codes, gap = stack("codes"), stack("gap")
    solve = None
    if trained.encoder is None:
        solve = sparse_coding.summarise(
            sparse_coding.Encoding(codes, gap, stack("num_steps"), stack("converged")),
            solver=_coder(opened, trained).solver_name,
        )
    return EncodedSentence(
        text=sentence.text,
        tokens=sentence.tokens,
        spans=sentence.spans,
        unknown=sentence.unknown,
        layers=trained.layers,
        x=stack("x"),
        codes=codes,
        residual=stack("residual"),
        gap=gap,
        solve=solve,
    )


def tokenize_sentence(
    opened: setup.Setup,
    text: str,
    *,
    masked: Sequence[int] = (),
    lengths: Sequence[int] = (),
) -> TokenizedSentence:
    """Tokenizes a text and pads it to one window.

    Args:
      opened: model, tokeniser and settings of the run.
      text: text with at most as many tokens as the model has positions.
      masked: indices of tokens to replace by the mask token.
      lengths: lengths of windows, ascending; the window has the first that suffices.
        If none does, its length is a multiple of 16.

    Raises:
      InputError: if the text is empty or too long, has no token to mask, or there is
        no mask token.
    """
    # Command-line bytes that are not UTF-8 arrive as lone surrogates.
    text = text.encode("utf-8", "replace").decode()
    tokenizer = opened.tokenizer
    encoded = tokenizer.encode(text)
    n_tokens = len(encoded.ids)
    if not n_tokens:
        raise InputError("Expected a text with at least one word, got none.")
    prefix, suffix = (
        list(ids) if opened.config.corpus.special_tokens else []
        for ids in (tokenizer.prefix, tokenizer.suffix)
    )
    max_positions = opened.pretrained.config.max_positions
    limit = max_positions - len(prefix) - len(suffix)
    if n_tokens > limit:
        raise InputError(
            f"Expected a text of at most {limit} tokens, the number of positions of "
            f"{opened.pretrained.name}, got {n_tokens}; encode it in parts."
        )
    if not set(masked) <= set(range(n_tokens)):
        raise InputError(
            f"Expected tokens to mask in 0 … {n_tokens - 1}, got {list(masked)}."
        )
    ids = encoded.ids.tolist()
    for place in masked:
        ids[place] = tokenizer.required_mask_id()
    tokens = [tokenizer.spelled(i) for i in ids]
    ids = [*prefix, *ids, *suffix]
    multiple = -(-len(ids) // _LENGTH_STEP) * _LENGTH_STEP
    enough = next((length for length in lengths if length >= len(ids)), multiple)
    length = min(enough, max_positions)
    return TokenizedSentence(
        text=text,
        tokens=tokens,
        spans=list(zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True)),
        words=(np.cumsum(encoded.starts_word) - 1).tolist(),
        unknown=tuple(
            np.flatnonzero(
                unknown_tokens.are_unknown(encoded.ids, tokenizer.unk_id)
            ).tolist()
        ),
        token_ids=np.array([ids + [tokenizer.pad_id] * (length - len(ids))], np.int32),
        token_mask=np.arange(length)[None] < len(ids),
        masked=tuple(masked),
        shown=slice(len(prefix), len(prefix) + n_tokens),
    )


def encode_layers(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    sentence: TokenizedSentence,
) -> Iterator[encoding.LayerCodes]:
    """Encodes a sentence layer by layer.

    Args:
      opened: model, tokeniser and settings of the run.
      trained: dictionary of the run.
      sentence: from `tokenize_sentence`.

    Yields:
      The rows of the shown tokens at each layer, as NumPy arrays.
    """
    # One pass of the encoder gives the hidden states of all layers.
    hidden_states = hidden_states_lib.scaled_hidden_states(
        opened.pretrained.encoder,
        sentence.token_ids,
        sentence.token_mask,
        *trained.scaling,
        layers=trained.layers,
    )
    coder = _coder(opened, trained)
    for layer in hidden_states:
        rows = encoding.encode_layer(layer, sentence.token_mask, coder)
        # Special tokens and padding are encoded, but not shown.
        yield encoding.LayerCodes(*(r[sentence.shown] for r in jax.device_get(rows)))


def _coder(
    opened: setup.Setup, trained: trained_dictionary.TrainedDictionary
) -> coder_lib.Coder:
    coder = trained.coder(opened.config.solver)
    return coder.refine(tolerance=_TOLERANCE, max_steps=_MAX_STEPS)
