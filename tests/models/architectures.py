"""Small random models of every architecture, made by transformers.

    python tests/models/architectures.py tests/golden/architectures

writes one of each, with what torch computes, for tests without torch.
"""

import pathlib
import re
import sys
from typing import Any

import numpy as np

_SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
}
_BERT = {**_SIZES, "type_vocab_size": 2}
_ROBERTA = {**_SIZES, "type_vocab_size": 1, "pad_token_id": 1}
_DEBERTA = {
    **_SIZES,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 8,
    "max_relative_positions": -1,
    "position_biased_input": False,
    "pos_att_type": "p2c|c2p",
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "layer_norm_eps": 1e-7,
}
_MODERN = {
    **_SIZES,
    "num_hidden_layers": 4,
    "max_position_embeddings": 40,
    "local_attention": 6,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
}
_GPT2 = {
    "vocab_size": 61,
    "n_embd": 24,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 20,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_NEOX = {**_SIZES, "bos_token_id": 0, "eos_token_id": 0}
# By a name of its own: transformers' class, and its settings.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForMaskedLM", _BERT),
    "bert-tanh": ("BertForMaskedLM", {**_BERT, "hidden_act": "gelu_new"}),
    "bert-relu": ("BertForMaskedLM", {**_BERT, "hidden_act": "relu"}),
    "bert-silu": ("BertForMaskedLM", {**_BERT, "hidden_act": "silu"}),
    "roberta": ("RobertaForMaskedLM", _ROBERTA),
    "xlm-roberta": ("XLMRobertaForMaskedLM", _ROBERTA),
    "camembert": ("CamembertForMaskedLM", _ROBERTA),
    "distilbert": (
        "DistilBertForMaskedLM",
        {
            "vocab_size": 61,
            "dim": 24,
            "n_layers": 3,
            "n_heads": 4,
            "hidden_dim": 40,
            "max_position_embeddings": 20,
        },
    ),
    "mpnet": ("MPNetForMaskedLM", {**_SIZES, "max_position_embeddings": 152}),
    "electra": ("ElectraForMaskedLM", {**_BERT, "embedding_size": 8}),
    "electra-discriminator": ("ElectraForPreTraining", {**_BERT, "embedding_size": 24}),
    "albert": ("AlbertForMaskedLM", {**_BERT, "embedding_size": 8}),
    "albert-groups": (
        "AlbertForMaskedLM",
        {
            **_BERT,
            "embedding_size": 8,
            "num_hidden_layers": 5,
            "num_hidden_groups": 2,
            "hidden_act": "gelu",
        },
    ),
    "deberta-v2": ("DebertaV2ForMaskedLM", _DEBERTA),
    "deberta-v3": ("DebertaV2ForMaskedLM", {**_DEBERTA, "legacy": False}),
    "deberta-own": (
        "DebertaV2ForMaskedLM",
        {
            **_DEBERTA,
            "type_vocab_size": 2,
            "position_buckets": -1,
            "position_biased_input": True,
            "share_att_key": False,
            "norm_rel_ebd": "none",
            "pos_att_type": ["c2p"],
        },
    ),
    "modernbert": ("ModernBertForMaskedLM", _MODERN),
    "nomic_bert": ("NomicBertForMaskedLM", _BERT),
    "gpt2": ("GPT2LMHeadModel", _GPT2),
    "gpt2-wide": ("GPT2LMHeadModel", {**_GPT2, "n_inner": 36}),
    "gpt_neox": ("GPTNeoXForCausalLM", {**_NEOX, "rotary_pct": 0.34}),
    "gpt_neox-serial": (
        "GPTNeoXForCausalLM",
        {**_NEOX, "rotary_pct": 1.0, "use_parallel_residual": False},
    ),
}
# Modules of the encoder whose outputs are what attention and the feed-forward part add,
# before dropout: the parts themselves where they add nothing, else their last products.
_BERT_OUTPUTS = (
    r"encoder\.layer\.\d+\.attention\.output\.dense",
    r"encoder\.layer\.\d+\.output\.dense",
)
_OUTPUTS = {
    "distilbert": (r"transformer\.layer\.\d+\.attention", r".*\d+\.ffn"),
    "mpnet": (r"encoder\.layer\.\d+\.attention\.attn\.o", _BERT_OUTPUTS[1]),
    "albert": (r".*albert_layers\.0\.attention\.dense", r".*\.ffn_output"),
    "modernbert": (r"layers\.\d+\.attn", r"layers\.\d+\.mlp"),
    "nomic_bert": (r"layers\.\d+\.self_attn", r"layers\.\d+\.mlp"),
    "gpt2": (r"h\.\d+\.attn", r"h\.\d+\.mlp"),
    "gpt_neox": (r"layers\.\d+\.attention", r"layers\.\d+\.mlp"),
}
# Of these one is stored with the tests.
STORED = (
    *("roberta", "distilbert", "mpnet", "electra", "albert", "deberta-v2"),
    *("modernbert", "nomic_bert", "gpt2", "gpt_neox"),
)


def make(name: str, *, seed: int = 0) -> Any:
    """Returns transformers' model with random weights, far from a uniform attention."""
    import torch
    import transformers

    class_name, settings = MODELS[name]
    cls = getattr(transformers, class_name)
    torch.manual_seed(seed)
    model = cls(cls.config_class(**settings)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            is_scale = "norm" in key.lower() or ".ln_" in key
            # A scale of a norm is near 1, all else is 0.3 wide.
            offset = 1.0 if is_scale and key.endswith("weight") else 0.0
            parameter.copy_(offset + 0.3 * noise)
    model.tie_weights()
    return model


def save(name: str, folder: pathlib.Path) -> Any:
    """Writes a model's Hugging Face folder and returns the model."""
    model = make(name)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("[PAD]\n")
    return model


def windows(longest: int, lengths: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns token ids and mask [len(lengths), longest], padded at the end."""
    rng = np.random.default_rng(0)
    token_ids = rng.integers(5, 61, (len(lengths), longest))
    mask = np.arange(longest)[None] < np.array(lengths)[:, None]
    return np.where(mask, token_ids, 1).astype(np.int32), mask


def output_modules(model: Any) -> dict[str, list[Any]]:
    """Returns the modules of either output by its name, the first layer's first."""
    patterns = _OUTPUTS.get(model.config.model_type, _BERT_OUTPUTS)
    named = list(model.base_model.named_modules())
    return {
        name: [module for key, module in named if re.fullmatch(pattern, key)]
        for name, pattern in zip(("attention_out", "mlp_out"), patterns, strict=True)
    }


def results(model: Any, token_ids: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Returns what torch computes: states and outputs of all layers, and logits."""
    import torch

    outputs: dict[str, list[Any]] = {}
    handles = [
        # In the order of the calls: ALBERT's modules are those of several layers.
        module.register_forward_hook(
            lambda module, inputs, output, name=name: outputs.setdefault(
                name, []
            ).append(output[0] if isinstance(output, tuple) else output)
        )
        for name, modules in output_modules(model).items()
        for module in modules
    ]
    with torch.inference_mode():
        found = model(
            torch.tensor(token_ids).long(),
            attention_mask=torch.tensor(mask).long(),
            output_hidden_states=True,
        )
    for handle in handles:
        handle.remove()
    arrays = {
        "hidden_states": torch.stack(found.hidden_states).float().numpy(),
        **{name: torch.stack(each).float().numpy() for name, each in outputs.items()},
    }
    # A discriminator's logits are of its own head.
    if found.logits.shape[-1] == model.config.vocab_size:
        arrays["logits"] = found.logits.float().numpy()
    return arrays


def main(output: str) -> None:
    """Writes the stored models."""
    token_ids, mask = windows(13, (13, 6, 1))
    for name in STORED:
        folder = pathlib.Path(output) / name
        folder.mkdir(parents=True, exist_ok=True)
        model = save(name, folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        found = results(model, token_ids, mask)
        np.savez_compressed(
            folder / "torch.npz", token_ids=token_ids, attention_mask=mask, **found
        )


if __name__ == "__main__":
    main(sys.argv[1])
