"""Reads what a model's folder states about its tokenizer, beside the vocabulary.

The same rule may stand in several files. What transformers would make of them is
followed; where files contradict each other, none is preferred in silence.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import tokenizers

from tfvis_jax.errors import InputError

SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
}
# Rules of the normalizer, with the values that transformers takes for BERT by default.
_RULES = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
_CONFIG = "tokenizer_config.json"
_SPECIAL_MAP = "special_tokens_map.json"
# Classes with the rules of BERT's, and the types of model that have it by default.
_BERT = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer")
_BERT_MODELS = (None, "bert", "distilbert", "electra")
# Classes that take all rules from tokenizer.json.
_GENERIC = ("PreTrainedTokenizer", "TokenizersBackend")
# A cased vocabulary has far more upper-case pieces, and an uncased one has none.
_CASED_SHARE = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a tokenizer that its files state.

    Attributes:
      folder: the model's folder.
      class_name: the class in transformers, without "Fast"; "" if it is that of the
        model's type.
      special: the special tokens that files state, by their names in `SPECIAL_TOKENS`;
        all of them for BERT's classes.
      rules: the values of `do_lower_case`, `strip_accents` and
        `tokenize_chinese_chars`, where they are stated.
      added: the added tokens that have settings of their own, by id; None if
        tokenizer_config.json does not list them.
      legacy_added: the ids in added_tokens.json, by token.
    """

    folder: pathlib.Path
    class_name: str
    special: Mapping[str, str]
    rules: Mapping[str, bool | None]
    added: Mapping[int, tokenizers.AddedToken] | None
    legacy_added: Mapping[str, int]

    @property
    def is_bert(self) -> bool:
        """Whether transformers takes BERT's tokenizer."""
        return self.class_name in _BERT

    @property
    def is_generic(self) -> bool:
        """Whether transformers takes every rule from tokenizer.json."""
        return self.class_name in _GENERIC


def read(folder: pathlib.Path) -> Settings:
    """Reads the settings in a folder; files may be absent.

    Raises:
      InputError: a file is damaged, a value has another type than it must have, or two
        files contradict each other.
    """
    config_path, map_path = folder / _CONFIG, folder / _SPECIAL_MAP
    config, special_map = _mapping(config_path), _mapping(map_path)
    added = _added_tokens(config, config_path)
    class_name = _class_name(folder, config)
    return Settings(
        folder=folder,
        class_name=class_name,
        special=_special_tokens(
            (map_path, special_map),
            (config_path, config),
            is_bert=class_name in _BERT,
        ),
        rules=_rules(
            (config_path, config), (map_path, special_map), has_list=added is not None
        ),
        added=added,
        legacy_added=_legacy_added(folder / "added_tokens.json"),
    )


def is_cased(settings: Settings, pieces: Iterable[str]) -> bool:
    """Returns whether a vocabulary, for lack of a setting, has to be a cased one.

    Raises:
      InputError: only some pieces are in upper case, which leaves the answer open.
    """
    words = [p for p in pieces if any(c.isalpha() for c in p) and p[:1] not in "[<"]
    n_upper = sum(piece != piece.lower() for piece in words)
    if 0 < n_upper < _CASED_SHARE * len(words):
        raise InputError(
            f"The tokenizer in {settings.folder} does not say whether text is "
            f"lower-cased, and {n_upper:,} of its {len(words):,} words have capitals; "
            f'state "do_lower_case": true or false in {_CONFIG}.'
        )
    return n_upper > 0


def check_agreement(settings: Settings, backend: tokenizers.Tokenizer) -> None:
    """Checks that tokenizer.json does what transformers would do by the settings.

    Raises:
      InputError: it does not; the message names the contradiction.
    """
    if settings.is_bert:
        _check_parts(settings, backend)
    _check_rules(settings, backend)
    _check_added(settings, backend)


def _check_parts(settings: Settings, backend: tokenizers.Tokenizer) -> None:
    """transformers takes the vocabulary alone from the file of a BertTokenizer."""
    model = backend.model
    found: dict[str, object] = {
        "normalizer": type(backend.normalizer).__name__,
        "pre_tokenizer": type(backend.pre_tokenizer).__name__,
        "model": type(model).__name__,
    }
    expected: dict[str, object] = {
        "normalizer": "BertNormalizer",
        "pre_tokenizer": "BertPreTokenizer",
        "model": "WordPiece",
    }
    if isinstance(model, tokenizers.models.WordPiece):
        for name, value in (
            ("unk_token", settings.special["unk_token"]),
            ("continuing_subword_prefix", "##"),
            ("max_input_chars_per_word", 100),
        ):
            found[name], expected[name] = getattr(model, name), value
    other = [
        f"{name} is {found[name]!r} instead of {value!r}"
        for name, value in expected.items()
        if found[name] != value
    ]
    if other:
        raise InputError(
            f"The tokenizer.json in {settings.folder} is not that of a BertTokenizer: "
            f"{'; '.join(other)}. If it is right all the same, write "
            f'"tokenizer_class": "PreTrainedTokenizerFast" into {_CONFIG}.'
        )


def _check_rules(settings: Settings, backend: tokenizers.Tokenizer) -> None:
    normalizer = backend.normalizer
    if not isinstance(normalizer, tokenizers.normalizers.BertNormalizer):
        return
    rules = dict(settings.rules)
    if settings.is_bert:
        pieces = backend.get_vocab(with_added_tokens=False)
        # Two witnesses outweigh a default that nobody stated.
        if (
            "do_lower_case" not in rules
            and not normalizer.lowercase
            and is_cased(settings, pieces)
        ):
            rules["do_lower_case"] = False
        rules = _RULES | rules
    lower = rules.get("do_lower_case", normalizer.lowercase)
    pairs = {
        "do_lower_case": (lower, normalizer.lowercase),
        "strip_accents": (
            _strips(rules.get("strip_accents", normalizer.strip_accents), lower),
            _strips(normalizer.strip_accents, normalizer.lowercase),
        ),
        "tokenize_chinese_chars": (
            rules.get("tokenize_chinese_chars", normalizer.handle_chinese_chars),
            normalizer.handle_chinese_chars,
        ),
        "clean_text": (
            settings.is_bert or normalizer.clean_text,
            normalizer.clean_text,
        ),
    }
    other = [
        f"{name} is {ours!r} there, but {theirs!r} in {_CONFIG} or by default"
        for name, (theirs, ours) in pairs.items()
        if theirs != ours
    ]
    if other:
        raise InputError(
            f"The tokenizer.json in {settings.folder} contradicts the other files: "
            f"{'; '.join(other)}. State in {_CONFIG} what the model was trained with, "
            "and take tokenizer.json from the same model."
        )


def _strips(strip_accents: bool | None, lower: bool | None) -> bool | None:
    """Accents are stripped with lower-casing, unless it is said otherwise."""
    return lower if strip_accents is None else strip_accents


def _check_added(settings: Settings, backend: tokenizers.Tokenizer) -> None:
    stored = backend.get_added_tokens_decoder()
    vocabulary = backend.get_vocab(with_added_tokens=True)
    listed = settings.added
    wrong = []
    if listed is not None:
        # Special tokens have to exist only: in a text they are ordinary text.
        plain = {i: _state(t) for i, t in listed.items() if not t.special}
        kept = {i: _state(t) for i, t in stored.items() if not t.special}
        wrong = [
            stored.get(i, listed.get(i))
            for i in plain.keys() | kept.keys()
            if plain.get(i) != kept.get(i)
        ]
        wrong += [
            t for i, t in listed.items() if t.special and vocabulary.get(t.content) != i
        ]
        wrong = [token.content for token in wrong if token is not None]
    else:
        for token, token_id in settings.legacy_added.items():
            is_special = token in settings.special.values()
            held = token in vocabulary if is_special else token_id in stored
            if not held or vocabulary.get(token) != token_id:
                wrong.append(token)
    if wrong:
        raise InputError(
            f"The tokenizer.json in {settings.folder} has other added tokens than the "
            f"files beside it: {', '.join(map(repr, sorted(wrong)[:10]))}; take all "
            "files from the same model."
        )


def _state(token: tokenizers.AddedToken) -> tuple[object, ...]:
    return (
        token.content,
        token.single_word,
        token.lstrip,
        token.rstrip,
        token.normalized,
    )


def _mapping(path: pathlib.Path) -> dict[str, Any]:
    """Returns the JSON object in a file, or an empty one if there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    # RecursionError: it is nested too deeply to be settings.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}); download it again.") from error
    if not isinstance(value, dict):
        raise InputError(
            f"Expected a JSON object in {path}, got {_described(value)}; download it "
            "again, or remove it."
        )
    return value


def _described(value: object) -> str:
    said = json.dumps(value) if not isinstance(value, dict | list) else ""
    return said[:60] or ("a list" if isinstance(value, list) else "an object")


def _class_name(folder: pathlib.Path, config: Mapping[str, Any]) -> str:
    model_path = folder / "config.json"
    model = {} if config.get("tokenizer_class") else _mapping(model_path)
    for path, mapping in ((folder / _CONFIG, config), (model_path, model)):
        name = mapping.get("tokenizer_class")
        if name is not None and (not isinstance(name, str) or not name.isidentifier()):
            raise InputError(
                f'Expected "tokenizer_class" in {path} to be the name of a class, got '
                f"{_described(name)}; correct it, or remove the line."
            )
        if name is not None:
            return name.removesuffix("Fast")
    return _BERT[0] if model.get("model_type") in _BERT_MODELS else ""


def _special_tokens(
    *files: tuple[pathlib.Path, Mapping[str, Any]], is_bert: bool
) -> dict[str, str]:
    special: dict[str, str] = {}
    for path, mapping in files:
        for name in SPECIAL_TOKENS.keys() & mapping.keys():
            value = mapping[name]
            # GPT-2 and others say so of the tokens that they lack.
            if value is None and not is_bert:
                continue
            token = value.get("content") if isinstance(value, dict) else value
            if not isinstance(token, str) or not token:
                raise InputError(
                    f'Expected "{name}" in {path} to be a token such as '
                    f'"{SPECIAL_TOKENS[name]}", got {_described(value)}; write the '
                    "token of the vocabulary, or remove the line."
                )
            if special.setdefault(name, token) != token:
                raise InputError(
                    f'"{name}" is {token!r} in {path}, but {special[name]!r} in '
                    f"{files[0][0]}; keep the one that the model was trained with."
                )
    return SPECIAL_TOKENS | special if is_bert else special


def _rules(
    config: tuple[pathlib.Path, Mapping[str, Any]],
    special_map: tuple[pathlib.Path, Mapping[str, Any]],
    *,
    has_list: bool,
) -> dict[str, bool | None]:
    """Returns the stated rules.

    Args:
      config, special_map: path and content of the two files.
      has_list: whether added tokens are listed; transformers then reads no special
        tokens map.
    """
    rules: dict[str, bool | None] = {}
    for path, mapping in (config, special_map):
        for name, default in _RULES.items():
            if name not in mapping:
                continue
            value = mapping[name]
            if not isinstance(value, bool) and not (value is None and default is None):
                raise InputError(
                    f'Expected "{name}" in {path} to be true or false, got '
                    f"{_described(value)}; correct it, or remove the line."
                )
            stated = rules.get(name, default if has_list else value)
            if path == special_map[0] and stated != value:
                raise InputError(
                    f'"{name}" is {json.dumps(value)} in {path}, but '
                    f"{json.dumps(stated)} in {config[0]} or by default; state in the "
                    "latter what the model was trained with, and remove it from the "
                    "former."
                )
            rules[name] = value
    return rules


def _added_tokens(
    config: Mapping[str, Any], path: pathlib.Path
) -> dict[int, tokenizers.AddedToken] | None:
    if "added_tokens_decoder" not in config:
        return None
    added = {}
    try:
        for number, stated in config["added_tokens_decoder"].items():
            token = tokenizers.AddedToken(**stated)
            # The library makes an empty token of anything that lacks a content.
            if not isinstance(stated["content"], str) or not 0 <= int(number) < 2**31:
                raise ValueError(f"token {number}")
            added[int(number)] = token
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'"added_tokens_decoder" in {path} is not a list of added tokens '
            f"({error}); download it again."
        ) from error
    return added


def _legacy_added(path: pathlib.Path) -> dict[str, int]:
    added = _mapping(path)
    for token, number in added.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise InputError(
                f"Expected the id of {token!r} in {path} to be an integer >= 0, got "
                f"{_described(number)}; download it again."
            )
    return added
