"""Tiny tokenizers of every kind, as folders of the models that have them."""

import functools
import json
import pathlib

import many_scripts
import tokenizers
from tokenizers import (
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

CORPUS = [
    "The bank raised the rate again; banks don't raise rates. Hello, world! (1990s)",
    "she left the bank on the left bank of the river with her left hand...",
    "café naïve Ünïcödé Straße, ελληνικά γλώσσα, русский язык бабушка",
    "東京は日本の首都です 銀行 ธนาคาร বাংলা हिन्दी 한국어 العربية",
    "👩‍👦 😀😀 ❤️ a_b x=5 e\u0301 https://a.b/c?d=e",
    *many_scripts.LETTERS.values(),
] * 3
_BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_END = "<|endoftext|>"


def _bytes(
    special: list[str], *, add_prefix_space: bool = False
) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special,
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def _unigram(special: list[str], unknown: str) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=260, special_tokens=special, unk_token=unknown, show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def _albert(special: list[str]) -> tokenizers.Tokenizer:
    backend = _unigram(special, "<unk>")
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    return backend


def _wordpiece(special: list[str], *, lowercase: bool) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=420, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def _around(
    backend: tokenizers.Tokenizer, first: str, last: str
) -> tokenizers.Tokenizer:
    backend.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(name, backend.token_to_id(name)) for name in (first, last)],
    )
    return backend


def _llama() -> tokenizers.Tokenizer:
    """BPE on characters with ▁ for a space, and bytes for unknown ones."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=460, special_tokens=special, show_progress=False, limit_alphabet=60
    )
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    backend.train_from_iterator(CORPUS, trainer)
    content = json.loads(backend.to_str())
    content["model"] |= {"unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True}
    content["pre_tokenizer"] = None
    content["added_tokens"] = content["added_tokens"][:3]
    backend = tokenizers.Tokenizer.from_str(json.dumps(content))
    backend.decoder = decoders.Sequence(
        [
            *(decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()),
            decoders.Strip(" ", 1, 0),
        ]
    )
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return backend


# By name: type of the model, class of the tokenizer, further settings, how it is made.
KINDS = {
    "bert_cased": (
        *("bert", "BertTokenizer", {"do_lower_case": False}),
        functools.partial(_wordpiece, _BERT, lowercase=False),
    ),
    "distilbert": (
        *("distilbert", "DistilBertTokenizer", {}),
        functools.partial(_wordpiece, _BERT, lowercase=True),
    ),
    "electra": (
        *("electra", None, {}),
        functools.partial(_wordpiece, _BERT, lowercase=True),
    ),
    "mpnet": (
        *("mpnet", "MPNetTokenizer", {}),
        functools.partial(_wordpiece, [*_ROBERTA, "[UNK]"], lowercase=True),
    ),
    "roberta": (
        *("roberta", "RobertaTokenizer", {}),
        functools.partial(_bytes, _ROBERTA),
    ),
    "roberta_prefix": (
        *("roberta", None, {"add_prefix_space": True}),
        functools.partial(_bytes, _ROBERTA, add_prefix_space=True),
    ),
    "gpt2": (
        *("gpt2", "GPT2Tokenizer", {"pad_token": None}),
        functools.partial(_bytes, [_END]),
    ),
    "gpt_neox": (
        *("gpt_neox", "GPTNeoXTokenizerFast", {}),
        functools.partial(_bytes, [_END, "<|padding|>"]),
    ),
    "deberta": (
        *("deberta", "DebertaTokenizer", {}),
        functools.partial(_bytes, _BERT),
    ),
    "modernbert": (
        "modernbert",
        "PreTrainedTokenizerFast",
        {"pad_token": "[PAD]", "mask_token": "[MASK]", "unk_token": "[UNK]"},
        lambda: _around(_bytes(_BERT), "[CLS]", "[SEP]"),
    ),
    "bert_of_bytes": (
        *("bert", "PreTrainedTokenizerFast", {"mask_token": "<mask>"}),
        lambda: _around(_bytes(_ROBERTA), "<s>", "</s>"),
    ),
    "xlm_roberta": (
        *("xlm-roberta", "XLMRobertaTokenizer", {}),
        functools.partial(_unigram, _ROBERTA, "<unk>"),
    ),
    "camembert": (
        *("camembert", "CamembertTokenizer", {}),
        functools.partial(_unigram, _ROBERTA, "<unk>"),
    ),
    "albert": (
        *("albert", "AlbertTokenizer", {}),
        functools.partial(_albert, ["<pad>", "<unk>", *_BERT[2:]]),
    ),
    "deberta_v2": (
        *("deberta-v2", "DebertaV2Tokenizer", {}),
        functools.partial(_unigram, _BERT, "[UNK]"),
    ),
    "llama_like": (
        "bert",
        "PreTrainedTokenizerFast",
        {"unk_token": "<unk>", "pad_token": "</s>"},
        _llama,
    ),
}
NO_MASK = ("gpt2", "gpt_neox", "llama_like")
MARKED = ("bert_cased", "distilbert", "electra", "mpnet")
KNOWS_ALL = (
    *("roberta", "roberta_prefix", "gpt2", "gpt_neox", "deberta", "modernbert"),
    *("bert_of_bytes", "llama_like"),
)


def save(folder: pathlib.Path, kind: str, *, as_parts: bool = False) -> pathlib.Path:
    """Writes the folder of a tokenizer.

    Args:
      folder: where to write.
      kind: one of `KINDS`.
      as_parts: If True, write vocab.json and merges.txt and no tokenizer.json.
    """
    model_type, class_name, settings, make = KINDS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    backend = make()
    if as_parts:
        backend.model.save(str(folder))
    else:
        backend.save(str(folder / "tokenizer.json"))
    if class_name is not None:
        settings = settings | {"tokenizer_class": class_name}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return folder
