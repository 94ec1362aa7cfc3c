"""Loads the tokenizer of a model: token ids, and where each token is in the text.

Fast tokenizers of every kind: WordPiece, byte-level BPE, and SentencePiece's Unigram
and BPE. Ids are those of transformers' `AutoTokenizer`.
"""

import dataclasses
import functools
import hashlib
import pathlib

import numpy as np
import tokenizers

from tfvis_jax.data import tokenizer_files, tokenizer_settings, words
from tfvis_jax.errors import InputError

_CONTINUATION = "##"
# Ids may have gaps, but not such that a list of all ids takes a machine's memory.
_MAX_GAPS = 65_536
# Characters that hardly any vocabulary knows: cuneiform, private use.
_UNSEEN = "\U00012029 \U0001202e \ue2f3 \U000f1b2e"
# Roles of special tokens, with the names that are looked for if no file states one.
_ROLES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}


@dataclasses.dataclass(frozen=True)
class TokenizedText:
    """The tokens of a text, without special tokens.

    Attributes:
      ids: [n] int32.
      starts, ends: [n] int64, non-decreasing character offsets: token i is
        ``text[starts[i]:ends[i]]``, with the accents and format characters that the
        tokenizer removes, without the white space around it. Tokens that share a
        character overlap.
      starts_word: [n] bool, True for tokens that begin a word (see `words.locate`).
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    starts_word: np.ndarray


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A tokenizer, reduced to what this package needs.

    Attributes:
      folder: where it was loaded from; worker processes load it from there.
      pieces: the word piece of every id; "" for an id without one.
      prefix, suffix: ids of the special tokens that its template puts around a text,
        such as [CLS] and [SEP], or <s> and </s>; none for GPT-2.
      pad_id: id that fills windows up; attention never sees it.
      unk_id: id of the token that stands for what the vocabulary lacks; None if it
        lacks nothing, as with bytes.
      mask_id: id of the mask token; None if there is none.
      marks_continuations: whether pieces that continue a word are marked ("##ing").
        Otherwise the text says where words begin.
    """

    folder: pathlib.Path
    pieces: tuple[str, ...]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad_id: int
    unk_id: int | None
    mask_id: int | None
    marks_continuations: bool
    backend: tokenizers.Tokenizer = dataclasses.field(repr=False, compare=False)

    def encode(self, text: str) -> TokenizedText:
        """Tokenizes a text of any length, without truncation or special tokens.

        Text that looks like a special token ("[SEP]") is tokenized as ordinary text.
        """
        encoded = self.backend.encode(text, add_special_tokens=False)
        starts, ends = np.asarray(encoded.offsets, np.int64).reshape(-1, 2).T
        ids = np.asarray(encoded.ids, np.int32)
        if self.is_continuation is None:
            starts, ends = words.without_space(text, starts, ends)
        starts, ends, starts_word = words.locate(
            text,
            starts,
            ends,
            continues=(
                None if self.is_continuation is None else self.is_continuation[ids]
            ),
        )
        return TokenizedText(ids, starts, ends, starts_word)

    def num_special(self, special_tokens: bool) -> int:
        """Returns how many special tokens a window has, if it has any at all."""
        return special_tokens * (len(self.prefix) + len(self.suffix))

    def required_mask_id(self) -> int:
        """Returns the id of the mask token.

        Raises:
          InputError: there is none.
        """
        if self.mask_id is None:
            raise InputError(
                f"The tokenizer in {self.folder} has no mask token, so no token can be "
                "masked. Choose a model that learned to fill masks in, such as BERT or "
                "RoBERTa."
            )
        return self.mask_id

    def spelled(self, token_id: int) -> str:
        """Returns a piece as text: "the", or "##ing" for one that continues a word.

        Whatever marks the vocabulary uses, a space before a word is not shown, and ##
        stands before letters that are not preceded by one. Special tokens, and parts of
        a character, are spelled as in the vocabulary. "" for an id without a piece,
        which a model may have embeddings for.
        """
        if token_id >= self.vocab_size or not self.pieces[token_id]:
            return ""
        piece = self.pieces[token_id]
        if self.marks_continuations or token_id in self.special_ids:
            return piece
        # Behind a word, so that a decoder shows the space that it drops at the start.
        before = self.backend.decode(self._word)
        text = self.backend.decode([*self._word, token_id])
        if not text.startswith(before) or "\N{REPLACEMENT CHARACTER}" in text:
            return piece
        text = text[len(before) :]
        is_joined = text[:1].isalnum()
        return f"{_CONTINUATION * is_joined}{words.shown(text.strip() or text)}"

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return len(self.pieces)

    @functools.cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of the special tokens that have a role."""
        roles = (self.pad_id, self.unk_id, self.mask_id, *self.prefix, *self.suffix)
        added = self.backend.get_added_tokens_decoder()
        return frozenset(
            {i for i in roles if i is not None}
            | {number for number, token in added.items() if token.special}
        )

    @functools.cached_property
    def is_continuation(self) -> np.ndarray | None:
        """[vocab_size] bool, True for pieces that continue a word ("##ing").

        None if pieces are not marked.
        """
        if not self.marks_continuations:
            return None
        return np.array(
            [len(p) > 2 and p.startswith(_CONTINUATION) for p in self.pieces], bool
        )

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of the vocabulary and rules; equal hashes imply equal ids."""
        return hashlib.sha256(self.backend.to_str().encode()).hexdigest()

    @functools.cached_property
    def _word(self) -> list[int]:
        return self.backend.encode("a", add_special_tokens=False).ids


def load(folder: pathlib.Path | str, *, vocab_size: int | None = None) -> Tokenizer:
    """Loads the tokenizer in a model's folder.

    ``tokenizer.json`` is read directly where transformers would take it as it is, which
    takes a hundredth of the time that importing transformers takes and gives the same
    ids. Otherwise transformers is used.

    Args:
      folder: a local Hugging Face folder.
      vocab_size: number of rows of the model's word embedding, checked against the
        tokenizer; None skips the check.

    Raises:
      InputError: there is no fast tokenizer, a file is damaged, files contradict each
        other, a special token is missing, ids are drawn at random, or the tokenizer has
        more ids than the model has embeddings.
    """
    folder = pathlib.Path(folder)
    settings = tokenizer_settings.read(folder)
    backend, special = tokenizer_files.read(settings)
    try:
        # The file may hold settings of some use: all-MiniLM-L6-v2 truncates at 128.
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
        vocabulary = backend.get_vocab(with_added_tokens=True)
        # A missing [UNK], among others, shows only now.
        prefix, suffix = tokenizer_files.template(folder, backend)
        emitted = backend.encode(_UNSEEN, add_special_tokens=False).ids
    except BaseException as error:
        raise tokenizer_files.broken(folder, error) from error
    missing = [t for t in special.values() if t not in vocabulary]
    if missing:
        raise InputError(
            f"The tokenizer in {folder} lacks the special tokens "
            f"{', '.join(map(ascii, missing))}; use the tokenizer that belongs to the "
            "model."
        )
    n_ids = max(vocabulary.values()) + 1
    if vocab_size is not None and n_ids > vocab_size:
        raise InputError(
            f"The tokenizer in {folder} has {n_ids:,} ids, but the model has "
            f"only {vocab_size:,} embeddings; use the tokenizer of the same model."
        )
    if n_ids > 4 * len(vocabulary) + _MAX_GAPS:
        raise InputError(
            f"The tokenizer in {folder} has {len(vocabulary):,} pieces, but ids up to "
            f"{n_ids - 1:,}; use the tokenizer of the same model."
        )
    pieces = [""] * n_ids
    for piece, token_id in vocabulary.items():
        pieces[token_id] = piece
    if settings.is_bert:
        # By its class, whatever the file says.
        prefix = (vocabulary[special["cls_token"]],)
        suffix = (vocabulary[special["sep_token"]],)
    model = backend.model
    pad, unk, mask = (
        vocabulary.get(special.get(role, usual)) for role, usual in _ROLES.items()
    )
    own = getattr(model, "unk_token", None)
    unknown = unk if own is None else vocabulary.get(own, unk)
    return Tokenizer(
        folder=folder,
        pieces=tuple(pieces),
        prefix=prefix,
        suffix=suffix,
        pad_id=0 if pad is None else pad,
        # Where bytes stand in for what is not in the vocabulary, it is there in name.
        unk_id=unknown if settings.is_bert or unknown in emitted else None,
        mask_id=mask,
        marks_continuations=(
            isinstance(model, tokenizers.models.WordPiece)
            and model.continuing_subword_prefix == _CONTINUATION
        ),
        backend=backend,
    )
