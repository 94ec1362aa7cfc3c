"""Writes the hidden states and logits that torch computes, for tests without torch.

    python tests/golden/make_encoder_golden.py MODEL_FOLDER OUTPUT.npz

Needs torch and transformers. All layers are kept, of a few windows, with every 8th
dimension (and, where the checkpoint has a masked language model head, every 509th
word's logit), so that the file stays small.
"""

import pathlib
import sys

import numpy as np
import torch
import transformers

DIMENSION_STEP = 8
WORD_STEP = 509


def windows(vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask [4, 16]: full, padded, without special tokens, one token."""
    rng = np.random.default_rng(0)
    token_ids = rng.integers(1000, vocab_size, (4, 16))
    attention_mask = np.arange(16)[None, :] < np.array([16, 9, 16, 1])[:, None]
    token_ids[:2, 0] = 101
    token_ids[[0, 1], [15, 8]] = 102
    return np.where(attention_mask, token_ids, 0).astype(np.int32), attention_mask


def main(folder: str, output: str) -> None:
    config = transformers.AutoConfig.from_pretrained(folder)
    has_head = config.architectures == ["BertForMaskedLM"]
    cls = transformers.BertForMaskedLM if has_head else transformers.BertModel
    model = cls.from_pretrained(folder, attn_implementation="eager").eval()
    token_ids, attention_mask = windows(config.vocab_size)
    with torch.inference_mode():
        result = model(
            torch.tensor(token_ids).long(),
            attention_mask=torch.tensor(attention_mask).long(),
            output_hidden_states=True,
        )
    arrays = {
        "token_ids": token_ids,
        "attention_mask": attention_mask,
        "hidden_states": torch.stack(result.hidden_states)[..., ::DIMENSION_STEP],
    }
    if has_head:
        arrays["logits"] = result.logits[..., ::WORD_STEP]
    np.savez_compressed(pathlib.Path(output), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
