"""Text of any length and a small BERT to read it, both made of nothing.

Words are syllables, drawn by Zipf's law from more types than a text can exhaust, so
that its vocabulary grows as that of real text does. The model has random weights and a
WordPiece of the syllables.
"""

import json
import pathlib

import numpy as np
import safetensors.numpy
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

_SYLLABLES = [
    f"{first}{vowel}{last}"
    for first in "bcdfghjklmnprstvwxyz"
    for vowel in "aeiou"
    for last in ("", "n", "r", "s")
]
# Types of words, and Zipf's law as Mandelbrot has it.
_TYPES, _OFFSET, _POWER = 1_000_000, 2.7, 1.07
# Words of a sentence, and about as many tokens of a document.
_SENTENCE, _DOCUMENT = 14, 1000
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_N_HEADS, _N_LAYERS, _SPREAD = 4, 2, 0.4


def write_text(path: pathlib.Path, *, n_tokens: int, seed: int = 0) -> None:
    """Writes documents of about so many tokens together.

    Args:
      path: of the file.
      n_tokens: of all documents, for the model of `write_model`.
      seed: decides the words.
    """
    rng = np.random.default_rng(seed)
    shares = (np.arange(_TYPES) + _OFFSET) ** -_POWER
    below = np.cumsum(shares) / np.sum(shares)
    written, number = 0, 0
    with path.open("w", encoding="utf-8") as file:
        while written < n_tokens:
            size = min(_DOCUMENT, n_tokens - written)
            # A word has a syllable or more; the rest is left out.
            types = np.searchsorted(below, rng.random(size))
            types = np.minimum(types, _TYPES - 1)
            lengths = 1 + (types >= len(_SYLLABLES)) + (types >= len(_SYLLABLES) ** 2)
            words = types[np.cumsum(lengths) <= size]
            file.write(f"= {_word(number)} =\n\n{_sentences(words)}\n\n")
            written, number = written + size, number + 1


def write_model(folder: pathlib.Path, *, d_model: int, seed: int = 0) -> None:
    """Writes a BERT of two layers with its tokenizer, as a Hugging Face folder.

    Args:
      folder: is made.
      d_model: a multiple of 4.
      seed: decides the weights.
    """
    folder.mkdir(parents=True)
    inside = [f"##{syllable}" for syllable in _SYLLABLES]
    letters = [*"abcdefghijklmnopqrstuvwxyz", ".", "="]
    pieces = dict.fromkeys([*_SPECIAL, *letters, *_SYLLABLES, *inside])
    backend = tokenizers.Tokenizer(
        models.WordPiece(
            {piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"
        )
    )
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.save(str(folder / "tokenizer.json"))
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "hidden_size": d_model,
        "intermediate_size": 2 * d_model,
        "num_hidden_layers": _N_LAYERS,
        "num_attention_heads": _N_HEADS,
        "vocab_size": len(pieces),
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    rng = np.random.default_rng(seed)
    tensors = {
        name: (
            rng.normal(size=shape) * _SPREAD / (d_model / 16) ** 0.5
            + name.endswith("Norm.weight")
        ).astype(np.float32)
        for name, shape in _shapes(d_model, len(pieces)).items()
    }
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")


def _word(number: int) -> str:
    syllables = [_SYLLABLES[number % len(_SYLLABLES)]]
    while number := number // len(_SYLLABLES):
        syllables.append(_SYLLABLES[number % len(_SYLLABLES)])
    return "".join(syllables)


def _sentences(words: np.ndarray) -> str:
    spelled = [_word(int(word)) for word in words]
    starts = range(0, len(spelled), _SENTENCE)
    return " ".join(f"{' '.join(spelled[i : i + _SENTENCE])}." for i in starts)


def _shapes(d_model: int, n_pieces: int) -> dict[str, tuple[int, ...]]:
    """Returns the tensors of a BERT's checkpoint."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (n_pieces, d_model),
        "embeddings.position_embeddings.weight": (128, d_model),
        "embeddings.token_type_embeddings.weight": (2, d_model),
        "embeddings.LayerNorm.weight": (d_model,),
        "embeddings.LayerNorm.bias": (d_model,),
    }
    square, wide = (d_model, d_model), (2 * d_model, d_model)
    parts = {
        "attention.self.query": square,
        "attention.self.key": square,
        "attention.self.value": square,
        "attention.output.dense": square,
        "attention.output.LayerNorm": square[:1],
        "intermediate.dense": wide,
        "output.dense": wide[::-1],
        "output.LayerNorm": square[:1],
    }
    for layer in range(_N_LAYERS):
        for part, shape in parts.items():
            shapes[f"encoder.layer.{layer}.{part}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{part}.bias"] = shape[:1]
    return shapes
