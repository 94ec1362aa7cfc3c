"""Reads the tokenizer of a model's folder: the file itself, or through transformers.

transformers takes some files as they are. Of others it takes the vocabulary, and has
rules of its own for each class: these are followed, and what it makes of the vocabulary
is compared with what the folder holds.
"""

import json
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tokenizers

from tfvis_jax.data import tokenizer_settings
from tfvis_jax.errors import InputError

# Letters, accents, ideographs, digits and a sign, which each rule treats differently.
PROBE = "The caf\u00e9s of \u6771\u4eac, 1.5 \u2603"
_FILE = "tokenizer.json"
_KINDS = ("WordPiece", "BPE", "Unigram", "WordLevel")
_WORKS = (
    "A tokenizer.json with a WordPiece, BPE, Unigram or WordLevel model works, and so "
    "do vocab.txt (WordPiece) and vocab.json with merges.txt (byte-level BPE)"
)
# How a folder gets its tokenizer.json.
_CONVERSION = (
    "`AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)` of transformers "
    "may write one"
)


def read(
    settings: tokenizer_settings.Settings,
) -> tuple[tokenizers.Tokenizer, Mapping[str, str]]:
    """Reads a tokenizer.

    Args:
      settings: of its folder.

    Returns:
      The tokenizer; its special tokens by their names, such as "mask_token".

    Raises:
      InputError: the files are no fast tokenizer, are damaged, or contradict each
        other.
    """
    path = settings.folder / _FILE
    if path.is_file() and (settings.is_bert or settings.is_generic):
        backend, special = _directly(settings, path), settings.special
    else:
        backend, special = _with_transformers(settings)
    model = backend.model
    for name in ("dropout", "alpha"):
        if getattr(model, name, None):
            raise InputError(
                f"The tokenizer in {settings.folder} draws its pieces at random "
                f"({name} is {getattr(model, name)}), so ids would differ from those "
                f"that the model is used with; set {name} to null in {path}."
            )
    return backend, special


def template(
    folder: pathlib.Path, backend: tokenizers.Tokenizer
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the ids of the special tokens before and after a text.

    Args:
      folder: where the tokenizer was read.
      backend: without truncation or padding.

    Raises:
      InputError: the template puts something else around a text, or no token is found.
    """
    inner = backend.encode(PROBE, add_special_tokens=False)
    whole = backend.encode(PROBE, add_special_tokens=True)
    is_special = list(map(bool, whole.special_tokens_mask))
    first = is_special.index(False) if False in is_special else 0
    last = first + len(inner.ids)
    is_frame = whole.ids[first:last] == inner.ids and all(
        is_special[:first] + is_special[last:]
    )
    # A template may also hold the text twice.
    if not inner.ids or not is_frame or inner.offsets != sorted(inner.offsets):
        raise InputError(
            f"Expected the tokenizer in {folder} to put special tokens before and "
            f"after the tokens of a text; of {PROBE!r} it makes {whole.tokens}. Take "
            "its files from the same model."
        )
    return tuple(whole.ids[:first]), tuple(whole.ids[last:])


def broken(folder: pathlib.Path, error: BaseException) -> BaseException:
    """Returns what to raise for an error of the library.

    The library raises plain `Exception`, and where its Rust code panics, a class that
    is no `Exception` and has no public name.
    """
    if isinstance(error, InputError | KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    kind = _model(folder).get("type")
    if kind is not None and kind not in _KINDS:
        return InputError(
            f"The tokenizer.json in {folder} holds a model of kind {_short(kind)}, "
            f"which cannot be read. {_WORKS}."
        )
    return InputError(
        f"The tokenizer in {folder} cannot be loaded ({_first_line(error)}): a file is "
        "not a tokenizer file or is damaged; download it again."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _short(value: object) -> str:
    return repr(value)[:60]


def _directly(
    settings: tokenizer_settings.Settings, path: pathlib.Path
) -> tokenizers.Tokenizer:
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
        tokenizer_settings.check_agreement(settings, backend)
    except BaseException as error:
        raise broken(settings.folder, error) from error
    return backend


def _with_transformers(
    settings: tokenizer_settings.Settings,
) -> tuple[tokenizers.Tokenizer, Mapping[str, str]]:
    folder = settings.folder
    stated = _stated_vocabulary(settings)
    given = {}
    # Without a word on it, transformers would lower-case the text.
    if settings.is_bert and "do_lower_case" not in settings.rules:
        given["do_lower_case"] = not tokenizer_settings.is_cased(settings, stated)
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
        raise broken(folder, error) from error
    finally:
        advice.setLevel(level)
    if not getattr(found, "is_fast", False):
        raise InputError(
            f"Expected a fast tokenizer (tokenizer.json) in {folder}, got a "
            f"{type(found).__name__}, which gives no character offsets; choose a model "
            f"with a fast tokenizer. {_WORKS}."
        )
    backend = found.backend_tokenizer
    _check_vocabulary(folder, stated, backend, class_name=type(found).__name__)
    _check_rules(folder, backend, class_name=type(found).__name__)
    special = {
        name: str(token)
        for name in tokenizer_settings.SPECIAL_TOKENS
        if (token := getattr(found, name, None)) is not None
    }
    return backend, special


def _stated_vocabulary(settings: tokenizer_settings.Settings) -> dict[str, int]:
    """Returns the id of every piece in the file that transformers will read.

    Raises:
      InputError: there is no such file, or it is damaged.
    """
    folder, has = settings.folder, {p.name for p in settings.folder.glob("*")}
    if _FILE in has:
        return _ids(_model(folder).get("vocab"), folder / _FILE)
    if settings.is_generic:
        raise InputError(
            f"Expected a tokenizer.json in {folder}, since its tokenizer class is "
            f"{settings.class_name}, got none; copy it from where the model came from."
        )
    if {"vocab.json", "merges.txt"} <= has:
        return _ids(_json(folder / "vocab.json"), folder / "vocab.json")
    if "vocab.txt" in has:
        lines = _read_text(folder / "vocab.txt").split("\n")
        pieces = lines[:-1] if lines[-1] == "" else lines
        return {piece: number for number, piece in enumerate(pieces)}
    others = sorted(
        name
        for name in has
        if name.endswith((".model", ".tiktoken"))
        or name in ("vocab.json", "merges.txt", "tekken.json")
    )
    if others:
        raise InputError(
            f"Expected a fast tokenizer in {folder}, got {', '.join(others)}, which "
            f"alone gives no character offsets. {_WORKS}; {_CONVERSION}."
        )
    raise InputError(
        f"Expected a tokenizer (tokenizer.json, vocab.txt, or vocab.json with "
        f"merges.txt) in {folder}, got none; copy it from where the model came from."
    )


def _ids(vocabulary: object, path: pathlib.Path) -> dict[str, int]:
    """Returns ids by piece, of a mapping or of a list of pieces with their scores."""
    found: dict[Any, Any] = {}
    if isinstance(vocabulary, dict):
        found = vocabulary
    elif isinstance(vocabulary, list):
        # Of two pieces that are spelled alike, the library uses the last.
        found = {
            entry[0]: number
            for number, entry in enumerate(vocabulary)
            if isinstance(entry, list) and entry and isinstance(entry[0], str)
        }
        if len({type(entry) for entry in vocabulary}) > 1:
            found = {}
    if not found or not all(
        isinstance(piece, str) and type(number) is int and 0 <= number < 2**31
        for piece, number in found.items()
    ):
        raise InputError(
            f"Expected a vocabulary of pieces with ids in {path}, got something else. "
            f"{_WORKS}. Download it again."
        )
    return found


def _check_vocabulary(
    folder: pathlib.Path,
    stated: Mapping[str, int],
    backend: tokenizers.Tokenizer,
    *,
    class_name: str,
) -> None:
    """transformers builds some classes from parts, and from none if a file lacks."""
    found = backend.get_vocab(with_added_tokens=True)
    wrong = [piece for piece, number in stated.items() if found.get(piece) != number]
    if wrong:
        raise InputError(
            f"The vocabulary in {folder} has {len(stated):,} pieces, of which "
            f"transformers' {class_name} does not use {_named(wrong)}. Probably the "
            'files are of another kind of tokenizer: state "tokenizer_class" in '
            "tokenizer_config.json as the model has it, or take all files from the "
            f"same model. {_WORKS}."
        )


def _check_rules(
    folder: pathlib.Path, backend: tokenizers.Tokenizer, *, class_name: str
) -> None:
    """transformers has rules of its own for a class, which the file may contradict."""
    path = folder / _FILE
    if not path.is_file():
        return
    try:
        stated = tokenizers.Tokenizer.from_file(str(path))
        stated.no_truncation()
        ours, theirs = (
            each.encode(PROBE, add_special_tokens=False).tokens
            for each in (stated, backend)
        )
    except BaseException as error:
        raise broken(folder, error) from error
    if ours != theirs:
        raise InputError(
            f"The tokenizer.json in {folder} and transformers' {class_name}, which the "
            f"files beside it name, read text differently: of {PROBE!r} they make "
            f"{ours} and {theirs}. State in tokenizer_config.json the class and the "
            "settings that the model was trained with; "
            '"tokenizer_class": "PreTrainedTokenizerFast" takes tokenizer.json as it '
            "is."
        )


def _named(pieces: Sequence[str]) -> str:
    more = f" and {len(pieces) - 3:,} more" if len(pieces) > 3 else ""
    return ", ".join(map(ascii, pieces[:3])) + more


def _model(folder: pathlib.Path) -> Mapping[str, Any]:
    """Returns the model in a folder's tokenizer.json; empty if there is none."""
    try:
        whole = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    # RecursionError: it is nested too deeply.
    except (OSError, ValueError, RecursionError):
        return {}
    model = whole.get("model") if isinstance(whole, dict) else None
    return model if isinstance(model, dict) else {}


def _json(path: pathlib.Path) -> object:
    try:
        return json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}); download it again.") from error


def _read_text(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"Expected UTF-8 text in {path}, got other bytes ({error}); download it "
            "again."
        ) from error
