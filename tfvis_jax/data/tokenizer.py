"""Loads the tokenizer of a BERT: token ids, and where each token is in the text."""

import dataclasses
import functools
import hashlib
import logging
import pathlib
from collections.abc import Mapping

import numpy as np
import tokenizers

from tfvis_jax.data import tokenizer_settings, words
from tfvis_jax.errors import InputError

_CONTINUATION = "##"
# Ids may have gaps, but not such that a list of all ids takes a machine's memory.
_MAX_GAPS = 65_536
# Letters, accents, ideographs, digits and a sign, which each rule treats differently.
_PROBE = "The caf\u00e9s of \u6771\u4eac, 1.5 \u2603"


@dataclasses.dataclass(frozen=True)
class TokenizedText:
    """The tokens of a text, without special tokens.

    Attributes:
      ids: [n] int32.
      starts, ends: [n] int64, non-decreasing character offsets: token i is
        ``text[starts[i]:ends[i]]``, with the accents and format characters that the
        tokenizer removes. Tokens that share a character overlap.
      starts_word: [n] bool, True for tokens that begin a word (see `words.locate`).
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    starts_word: np.ndarray


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
        ids = np.asarray(encoded.ids, np.int32)
        starts, ends, starts_word = words.locate(
            text, offsets[:, 0], offsets[:, 1], continues=self.is_continuation[ids]
        )
        return TokenizedText(ids, starts, ends, starts_word)

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
      InputError: there is no fast tokenizer, a file is damaged, files contradict each
        other, a special token is missing, or the tokenizer has more ids than the model
        has embeddings.
    """
    folder = pathlib.Path(folder)
    settings = tokenizer_settings.read(folder)
    direct = settings.is_bert or settings.is_generic
    if direct and (folder / "tokenizer.json").is_file():
        backend, special = _load_directly(settings), settings.special
    else:
        backend, special = _load_with_transformers(settings)
    try:
        # The file may hold settings of some use: all-MiniLM-L6-v2 truncates at 128.
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
        vocabulary = backend.get_vocab(with_added_tokens=True)
        # A missing [UNK], among others, shows only now.
        backend.encode(_PROBE, add_special_tokens=False)
    except BaseException as error:
        raise _broken(folder, error) from error
    missing = [t for t in special.values() if t not in vocabulary]
    if missing:
        raise InputError(
            f"The tokenizer in {folder} lacks the special tokens "
            f"{', '.join(map(ascii, missing))}; use the tokenizer that belongs to the "
            "BERT."
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


def _broken(folder: pathlib.Path, error: BaseException) -> BaseException:
    """Returns what to raise for an error of the library.

    The library raises plain `Exception`, and where its Rust code panics, a class that
    is no `Exception` and has no public name.
    """
    if isinstance(error, InputError | KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    return InputError(
        f"The tokenizer in {folder} cannot be loaded ({_first_line(error)}): a file is "
        "not a tokenizer file or is damaged; download it again."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _load_directly(
    settings: tokenizer_settings.Settings,
) -> tokenizers.Tokenizer:
    path = settings.folder / "tokenizer.json"
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
        tokenizer_settings.check_agreement(settings, backend)
    except BaseException as error:
        raise _broken(settings.folder, error) from error
    return backend


def _load_with_transformers(
    settings: tokenizer_settings.Settings,
) -> tuple[tokenizers.Tokenizer, Mapping[str, str]]:
    folder = settings.folder
    has_file = (folder / "tokenizer.json").is_file()
    if not has_file and not any(folder.glob("vocab.*")):
        raise InputError(
            f"Expected a tokenizer (tokenizer.json or vocab.txt) in {folder}, got "
            "none; copy it from where the model came from."
        )
    if not has_file and settings.is_generic:
        raise InputError(
            f"Expected a tokenizer.json in {folder}, since its tokenizer class is "
            f"{settings.class_name}, got none; copy it from where the model came from."
        )
    given = {}
    vocabulary = folder / "vocab.txt"
    if settings.is_bert and vocabulary.is_file():
        # Without a word on it, transformers would lower-case the text.
        pieces = _read_vocabulary(vocabulary)
        if "do_lower_case" not in settings.rules:
            given["do_lower_case"] = not tokenizer_settings.is_cased(settings, pieces)
    # Slow to import, and seldom needed.
    import transformers

    # transformers warns of settings that do not matter here.
    advice = logging.getLogger("transformers")
    level = advice.level
    advice.setLevel(logging.ERROR)
    # AutoTokenizer chooses it too, but reads config.json, which has checks of its own.
    loader = (
        transformers.BertTokenizer if settings.is_bert else transformers.AutoTokenizer
    )
    try:
        found = loader.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **given
        )
    except ImportError as error:
        raise InputError(
            f"The tokenizer in {folder} is a {settings.class_name}, which needs a "
            f"package that is not installed ({' '.join(str(error).split())[:300]}) and "
            "may have no fast form. Choose a model with a fast tokenizer "
            "(tokenizer.json), which gives character offsets."
        ) from error
    except BaseException as error:
        raise _broken(folder, error) from error
    finally:
        advice.setLevel(level)
    if not getattr(found, "is_fast", False):
        raise InputError(
            f"Expected a fast tokenizer (tokenizer.json) in {folder}, got a "
            f"{type(found).__name__}, which gives no character offsets; choose a model "
            "with a fast tokenizer."
        )
    special = {
        name: str(getattr(found, name, None))
        for name in tokenizer_settings.SPECIAL_TOKENS
    }
    return found.backend_tokenizer, special


def _read_vocabulary(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"Expected UTF-8 text in {path}, got other bytes ({error}); download it "
            "again."
        ) from error
