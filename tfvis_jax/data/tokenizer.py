"""Loads the tokenizer of a BERT: token ids, and where each token is in the text."""

import dataclasses
import functools
import hashlib
import json
import logging
import pathlib

import numpy as np
import tokenizers

from tfvis_jax.errors import InputError

_SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
}
_CONTINUATION = "##"


@dataclasses.dataclass(frozen=True)
class TokenizedText:
    """The tokens of a text, without special tokens.

    Attributes:
      ids: [n] int32.
      starts, ends: [n] int64, character offsets: token i is
        ``text[starts[i]:ends[i]]``.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A WordPiece tokenizer, reduced to what this package needs.

    Attributes:
      folder: where it was loaded from; worker processes load it from there.
      pieces: the word piece of every id; "" for an id without one.
      pad_id, unk_id, mask_id, cls_id, sep_id: ids of the special tokens.
    """

    folder: pathlib.Path
    pieces: tuple[str, ...]
    pad_id: int
    unk_id: int
    mask_id: int
    cls_id: int
    sep_id: int
    backend: tokenizers.Tokenizer = dataclasses.field(repr=False, compare=False)

    def encode(self, text: str) -> TokenizedText:
        """Tokenizes a text of any length, without truncation or special tokens.

        Text that looks like a special token ("[SEP]") is tokenized as ordinary text.
        """
        encoded = self.backend.encode(text, add_special_tokens=False)
        offsets = np.asarray(encoded.offsets, np.int64).reshape(-1, 2)
        return TokenizedText(
            np.asarray(encoded.ids, np.int32), offsets[:, 0], offsets[:, 1]
        )

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return len(self.pieces)

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """[vocab_size] bool, True for pieces that continue a word ("##ing")."""
        return np.array(
            [len(p) > 2 and p.startswith(_CONTINUATION) for p in self.pieces], bool
        )

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of the vocabulary and rules; equal hashes imply equal ids."""
        return hashlib.sha256(self.backend.to_str().encode()).hexdigest()


def load(folder: pathlib.Path | str, *, vocab_size: int | None = None) -> Tokenizer:
    """Loads the tokenizer in a model's folder.

    ``tokenizer.json`` is read directly, which takes a hundredth of the time that
    importing transformers takes and gives the same ids. Only if that file is absent is
    transformers used.

    Args:
      folder: a local Hugging Face folder.
      vocab_size: number of rows of the model's word embedding, checked against the
        tokenizer; None skips the check.

    Raises:
      InputError: there is no fast tokenizer, a special token is missing, or the
        tokenizer has more ids than the model has embeddings.
    """
    folder = pathlib.Path(folder)
    if (folder / "tokenizer.json").is_file():
        backend, special = _load_directly(folder)
    else:
        backend, special = _load_with_transformers(folder)
    # The file may hold settings of some use: all-MiniLM-L6-v2 truncates at 128 tokens.
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    vocabulary = backend.get_vocab(with_added_tokens=True)
    # Ids may have gaps.
    pieces = [""] * (max(vocabulary.values()) + 1)
    for piece, token_id in vocabulary.items():
        pieces[token_id] = piece
    missing = [t for t in special.values() if t not in vocabulary]
    if missing:
        raise InputError(
            f"The tokenizer in {folder} lacks the special tokens "
            f"{', '.join(missing)}; use the tokenizer that belongs to the BERT."
        )
    if vocab_size is not None and len(pieces) > vocab_size:
        raise InputError(
            f"The tokenizer in {folder} has {len(pieces):,} ids, but the model has "
            f"only {vocab_size:,} embeddings; use the tokenizer of the same model."
        )
    return Tokenizer(
        folder=folder,
        pieces=tuple(pieces),
        pad_id=vocabulary[special["pad_token"]],
        unk_id=vocabulary[special["unk_token"]],
        mask_id=vocabulary[special["mask_token"]],
        cls_id=vocabulary[special["cls_token"]],
        sep_id=vocabulary[special["sep_token"]],
        backend=backend,
    )


def _load_directly(folder: pathlib.Path) -> tuple[tokenizers.Tokenizer, dict[str, str]]:
    path = folder / "tokenizer.json"
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    # The library raises plain `Exception`.
    except Exception as error:
        raise InputError(
            f"{path} is not a tokenizer file ({error}); download it again."
        ) from error
    # The model may name other special tokens than BERT's; later files take precedence.
    special = dict(_SPECIAL_TOKENS)
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            try:
                given = json.loads((folder / name).read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(
                    f"{folder / name} is not JSON; download it again."
                ) from error
            for key in _SPECIAL_TOKENS.keys() & given.keys():
                value = given[key]
                special[key] = value["content"] if isinstance(value, dict) else value
    return backend, special


def _load_with_transformers(
    folder: pathlib.Path,
) -> tuple[tokenizers.Tokenizer, dict[str, str]]:
    if not folder.is_dir() or not any(folder.glob("vocab.*")):
        raise InputError(
            f"Expected a tokenizer (tokenizer.json or vocab.txt) in {folder}, got "
            "none; copy it from where the model came from."
        )
    # Slow to import, and seldom needed.
    import transformers

    # transformers warns of settings that do not matter here.
    advice = logging.getLogger("transformers")
    level = advice.level
    advice.setLevel(logging.ERROR)
    try:
        found = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"The tokenizer in {folder} cannot be loaded: {error}"
        ) from error
    finally:
        advice.setLevel(level)
    if not found.is_fast:
        raise InputError(
            f"Expected a fast tokenizer (tokenizer.json) in {folder}, got a "
            f"{type(found).__name__}, which gives no character offsets; save the "
            "tokenizer again as a fast one."
        )
    special = {name: getattr(found, name) for name in _SPECIAL_TOKENS}
    return found.backend_tokenizer, special
