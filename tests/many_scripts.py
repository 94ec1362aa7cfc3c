"""Letters and marks of many scripts, and tokenizers that know them."""

import json
import unicodedata

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from tfvis_jax.data import tokenizer as tokenizer_lib

# Of each script: letters, composed letters, vowel signs that stay or are removed.
LETTERS = {
    "latin": "abcéǘñ",
    "greek": "αβά",
    "cyrillic": "гжй",
    "arabic": "بنكآ",
    "devanagari": "कबनािऩ",
    "bengali": "কো",
    "tamil": "கௌ",
    "thai": "กนาแำ",
    "myanmar": "ကခဥ",
    "hangul": "한국어가",
    "han": "銀行",
    "kana": "かはがばハパン",
    "emoji": "👩👦❤😀",
    "other": "12.!# \n",
}
# Soft hyphen, joiners, no-break marks, variation selector, accents of several classes,
# nukta, virama, Thai vowel, voicing mark, keycap, skin tone.
MARKS = (
    "\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0f"
    "\u0301\u0308\u0323\u0327\u034f\u093c\u094d\u0e31\u3099\u20e3\U0001f3fd"
)
UNSPACED = ("thai", "myanmar", "han", "kana")


def save_tokenizer(folder, *, keeps_all=False, **rules):
    """Writes a tokenizer with every letter as a piece, and a few longer pieces.

    Args:
      folder: where to write; it must not exist.
      keeps_all: If True, marks are pieces too.
      **rules: of `normalizers.BertNormalizer`.
    """
    letters = "".join(LETTERS.values()) + (MARKS if keeps_all else "")
    every = [
        *letters,
        *(unicodedata.normalize("NFD", letters)),
        *(unicodedata.normalize("NFD", letters.upper())),
    ]
    longer = ["ab", "কে", "กน", "行か", "かは", unicodedata.normalize("NFD", "국")]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*names, *every, *longer, *(f"##{piece}" for piece in every + longer)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(**rules)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(names)
    folder.mkdir()
    backend.save(str(folder / "tokenizer.json"))
    settings = {
        "do_lower_case": rules.get("lowercase", True),
        "strip_accents": rules.get("strip_accents"),
        "tokenize_chinese_chars": rules.get("handle_chinese_chars", True),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer_lib.load(folder)
