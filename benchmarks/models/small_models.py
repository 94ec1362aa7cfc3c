"""Small models of random weights with tokenizers of their own, made by transformers.

They are for what must work with any model: sizes, tokenizers and norms are those of the
architecture, and nothing is learned.
"""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

# As wide as keeps hidden states of one size through layers of 64 numbers.
_WIDTH = 0.125
_VOCABULARY = 800
_SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 128,
}
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_END = ("<|endoftext|>",)


def _bytes(special: Sequence[str], texts: Sequence[str]) -> tokenizers.Tokenizer:
    """Byte-level BPE."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend


def _unigram(special: Sequence[str], texts: Sequence[str]) -> tokenizers.Tokenizer:
    """SentencePiece's Unigram."""
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=list(special),
        unk_token="[UNK]",
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend


class _Kind(NamedTuple):
    """A class of transformers, its settings, and what tokenizes for it."""

    class_name: str
    settings: Mapping[str, Any]
    tokenizer: Callable[[Sequence[str], Sequence[str]], tokenizers.Tokenizer]
    special: Sequence[str]


_KINDS = {
    "modernbert": _Kind(
        "ModernBertForMaskedLM",
        {
            **_SIZES,
            "local_attention": 32,
            **{"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3},
            **{"bos_token_id": 2, "eos_token_id": 3},
        },
        _bytes,
        _BERT,
    ),
    "deberta-v2": _Kind(
        "DebertaV2ForMaskedLM",
        {
            **_SIZES,
            "type_vocab_size": 0,
            "relative_attention": True,
            "position_buckets": 32,
            "position_biased_input": False,
            "pos_att_type": "p2c|c2p",
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
        _unigram,
        _BERT,
    ),
    "gpt2": _Kind(
        "GPT2LMHeadModel",
        {
            **{"n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 128},
            **{"bos_token_id": 0, "eos_token_id": 0},
        },
        _bytes,
        _END,
    ),
}
NAMES = tuple(_KINDS)


def save(
    folder: pathlib.Path, name: str, texts: Sequence[str], *, seed: int = 0
) -> None:
    """Writes a model and a tokenizer, as a Hugging Face folder.

    Args:
      folder: where to write.
      name: one of `NAMES`, the type of the model.
      texts: what the tokenizer's vocabulary is made of.
      seed: of the weights.
    """
    kind = _KINDS[name]
    backend = kind.tokenizer(kind.special, texts)
    named = {}
    if kind.special is _BERT:
        first, last = _BERT[2:4]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{first} $A {last}",
            special_tokens=[
                (each, backend.token_to_id(each)) for each in (first, last)
            ],
        )
        keys = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        named = dict(zip(keys, _BERT, strict=True))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, **named
    ).save_pretrained(folder)
    cls = getattr(transformers, kind.class_name)
    settings = {**kind.settings, "vocab_size": backend.get_vocab_size()}
    model = cls(cls.config_class(**settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            # Norms and biases stay as they begin: 1 and 0.
            if parameter.ndim == 2:
                parameter.normal_(std=_WIDTH, generator=generator)
    model.tie_weights()
    model.save_pretrained(folder)
