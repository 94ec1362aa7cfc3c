"""The BERT's own tokenizer: ids with the place of every token in the text."""

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
class Encoding:
    """The tokens of a text, without special ones.

    Attributes:
      ids: [n] int32.
      starts, ends: [n] int64, characters of the text: token i is ``text[start:end]``.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A WordPiece tokenizer as the rest of the package sees it.

    Attributes:
      folder: where it came from; another process loads it from there.
      pieces: the piece of every id, "" where an id has none.
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

    def encode(self, text: str) -> Encoding:
        """Tokenises a text of any length, whole, without special tokens.

        What looks like a special token ("[SEP]") is read as the text it is.
        """
        encoded = self.backend.encode(text, add_special_tokens=False)
        offsets = np.asarray(encoded.offsets, np.int64).reshape(-1, 2)
        return Encoding(np.asarray(encoded.ids, np.int32), offsets[:, 0], offsets[:, 1])

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return len(self.pieces)

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """[vocab_size] bool, whether a piece goes on with the word before it."""
        return np.array(
            [len(p) > 2 and p.startswith(_CONTINUATION) for p in self.pieces], bool
        )

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 over vocabulary and rules; equal ones give equal ids."""
        return hashlib.sha256(self.backend.to_str().encode()).hexdigest()


def load(folder: pathlib.Path | str, *, vocab_size: int | None = None) -> Tokenizer:
    """Loads the tokenizer of a model's folder.

    ``tokenizer.json`` is read directly, which starts in a hundredth of the time that
    importing transformers takes and gives the same ids; transformers is asked only
    where that file is absent.

    Args:
      folder: a local Hugging Face folder.
      vocab_size: rows of the model's embedding; more ids than that is an error.

    Raises:
      InputError: no fast tokenizer there, a special token is missing, or the tokenizer
        has more ids than the model has embeddings.
    """
    folder = pathlib.Path(folder)
    if (folder / "tokenizer.json").is_file():
        backend, special = _load_directly(folder)
    else:
        backend, special = _load_with_transformers(folder)
    # The file may carry the settings of some use: all-MiniLM-L6-v2 cuts at 128.
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    vocabulary = backend.get_vocab(with_added_tokens=True)
    pieces = [""] * (max(vocabulary.values()) + 1)
    for piece, token_id in vocabulary.items():
        pieces[token_id] = piece
    missing = [t for t in special.values() if t not in vocabulary]
    if missing:
        raise InputError(
            f"The tokenizer in {folder} lacks the special tokens "
            f"{', '.join(missing)}; expected the tokenizer of a BERT."
        )
    if vocab_size is not None and len(pieces) > vocab_size:
        raise InputError(
            f"The tokenizer in {folder} has {len(pieces):,} ids, but the model has "
            f"only {vocab_size:,} embeddings: they do not belong together."
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
    # The library raises bare exceptions.
    except Exception as error:
        raise InputError(f"{path} is no tokenizer file: {error}.") from error
    special = dict(_SPECIAL_TOKENS)
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            try:
                given = json.loads((folder / name).read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"{folder / name} is not JSON.") from error
            for key in _SPECIAL_TOKENS.keys() & given.keys():
                value = given[key]
                special[key] = value["content"] if isinstance(value, dict) else value
    return backend, special


def _load_with_transformers(
    folder: pathlib.Path,
) -> tuple[tokenizers.Tokenizer, dict[str, str]]:
    if not folder.is_dir() or not any(folder.glob("vocab.*")):
        raise InputError(
            f"{folder}: expected a tokenizer (tokenizer.json or vocab.txt) beside the "
            "model."
        )
    import transformers

    advice = logging.getLogger("transformers")
    level = advice.level
    advice.setLevel(logging.ERROR)
    try:
        found = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: the tokenizer cannot be loaded: {error}"
        ) from error
    finally:
        advice.setLevel(level)
    if not found.is_fast:
        raise InputError(
            f"{folder}: {type(found).__name__} gives no character offsets; a fast "
            "tokenizer (tokenizer.json) is required."
        )
    special = {name: getattr(found, name) for name in _SPECIAL_TOKENS}
    return found.backend_tokenizer, special
