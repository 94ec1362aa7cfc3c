"""Writes the states, outputs and logits that torch computes, for tests without torch.

    python tests/golden/make_encoder_golden.py MODEL_FOLDER OUTPUT.npz

Needs torch and transformers. All layers are kept, of a few windows, with 48 of the
dimensions (and, where the checkpoint has a masked language model head, 60 words'
logits), so that the file stays small; so is what attention and MLP add, which the older
files of published models lack. `random_bert/` is a BertForMaskedLM of 2 layers with
random weights, so that one such test needs no model from elsewhere:

    python tests/golden/make_encoder_golden.py --random tests/golden/random_bert
"""

import pathlib
import sys

import numpy as np
import torch
import transformers


def every_nth(size: int, *, wanted: int) -> np.ndarray:
    """At most about `wanted` of the numbers below `size`, evenly spread."""
    return np.arange(0, size, max(1, size // wanted))


def windows(vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask [4, 16]: full, padded, without special tokens, one token."""
    rng = np.random.default_rng(0)
    token_ids = rng.integers(min(1000, vocab_size // 2), vocab_size, (4, 16))
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
    outputs: dict[str, list[torch.Tensor]] = {"attention_out": [], "mlp_out": []}
    for layer in model.base_model.encoder.layer:
        for name, part in zip(
            outputs, (layer.attention.output, layer.output), strict=True
        ):
            part.dense.register_forward_hook(
                lambda module, inputs, output, name=name: outputs[name].append(output)
            )
    with torch.inference_mode():
        result = model(
            torch.tensor(token_ids).long(),
            attention_mask=torch.tensor(attention_mask).long(),
            output_hidden_states=True,
        )
    dimensions = every_nth(config.hidden_size, wanted=48)
    arrays = {
        "token_ids": token_ids,
        "attention_mask": attention_mask,
        "dimensions": dimensions,
        "hidden_states": torch.stack(result.hidden_states)[..., dimensions],
        **{n: torch.stack(each)[..., dimensions] for n, each in outputs.items()},
    }
    if has_head:
        arrays["words"] = every_nth(config.vocab_size, wanted=60)
        arrays["logits"] = result.logits[..., arrays["words"]]
    np.savez_compressed(pathlib.Path(output), **arrays)


def write_random_model(folder: str) -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=128,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=20,
        initializer_range=0.3,
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    (pathlib.Path(folder) / "vocab.txt").write_text("[PAD]\n")


if __name__ == "__main__":
    if sys.argv[1] == "--random":
        write_random_model(sys.argv[2])
    else:
        main(*sys.argv[1:])
