"""Compares models with transformers' (PyTorch) and writes the table of docs/models.md.

    python -m benchmarks.models.parity --models=FOLDER,FOLDER

In float32, on windows of random tokens: the longest that the model takes, one of 7
tokens and one of a single token, padded. A difference is the largest of all numbers of
all layers, divided by the largest number of its layer where that is above 1.
"""

import json
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
from absl import flags

from benchmarks.models import marked
from experiments import script
from tfvis_jax import models
from tfvis_jax.reporting import outputs, tables

_ROOT = pathlib.Path(__file__).parents[2]
_STORED = _ROOT / "tests" / "golden"

FLAGS = flags.FlagValues()
_MODELS = flags.DEFINE_list(
    "models",
    [],
    "Folders of further models, beside the small random ones.",
    flag_values=FLAGS,
)
_WRITE = flags.DEFINE_bool("write", True, "Write docs/models.md.", flag_values=FLAGS)

# Of the published models of a type.
_TOKENIZERS = {
    "bert": "WordPiece",
    "roberta": "byte-level BPE",
    "distilbert": "WordPiece",
    "mpnet": "WordPiece",
    "electra": "WordPiece",
    "albert": "Unigram",
    "deberta-v2": "Unigram",
    "modernbert": "byte-level BPE",
    "nomic_bert": "WordPiece",
    "gpt2": "byte-level BPE",
    "gpt_neox": "byte-level BPE",
}
_CLASSES = {
    None: transformers.AutoModel,
    "masked_lm": transformers.AutoModelForMaskedLM,
    "causal_lm": transformers.AutoModelForCausalLM,
}


class Parity(NamedTuple):
    """How near a model is.

    Attributes:
      model_type: its architecture.
      name: of its folder, "random" for a small random one.
      n_layers: number of layers.
      longest: tokens of its longest window.
      states: largest difference of hidden states.
      logits: of logits; None without a head.
      head: "masked_lm", "causal_lm" or None.
    """

    model_type: str
    name: str
    n_layers: int
    longest: int
    states: float
    logits: float | None
    head: str | None


def measure(folder: pathlib.Path) -> Parity:
    """Compares the model of a folder with transformers'."""
    mapping = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    head = models.head_of(folder)
    model = models.load(folder, head=head)
    longest = model.config.max_positions
    lengths = np.array([longest, min(longest, 7), 1])
    mask = np.arange(longest)[None] < lengths[:, None]
    rng = np.random.default_rng(0)
    # No padding token within the text, which would shift RoBERTa's positions.
    token_ids = rng.integers(5, model.config.vocab_size, mask.shape)
    token_ids = np.where(mask, token_ids, mapping.get("pad_token_id") or 0)
    oracle = _CLASSES[head].from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        theirs = oracle(
            torch.tensor(token_ids),
            attention_mask=torch.tensor(mask).long(),
            output_hidden_states=True,
        )
    states, logits = _ours(model, token_ids.astype(np.int32), mask)
    differences = [
        _difference(ours, other.numpy(), mask)
        for ours, other in zip(states, theirs.hidden_states, strict=True)
    ]
    return Parity(
        model_type=mapping.get("model_type", "bert"),
        name="random" if _STORED in folder.parents else _name(folder),
        n_layers=model.config.n_layers,
        longest=longest,
        states=max(differences),
        logits=None
        if logits is None
        else _difference(logits, theirs.logits.numpy(), mask),
        head=head,
    )


def _name(folder: pathlib.Path) -> str:
    return folder.parent.name if folder.name == "model" else folder.name


def _ours(
    model: models.Pretrained, token_ids: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    layers = tuple(range(model.config.n_layers + 1))
    run = jax.jit(lambda encoder, ids, mask: encoder(ids, mask, layers=layers))
    states = run(model.encoder, jnp.array(token_ids), jnp.array(mask))
    if model.language_model is None:
        return np.asarray(states), None
    logits = jax.jit(lambda model, hidden: model.logits(hidden))
    return np.asarray(states), np.asarray(logits(model.language_model, states[-1]))


def _difference(ours: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> float:
    largest = np.abs(ours - theirs)[mask].max()
    return float(largest / max(1.0, np.abs(theirs[mask]).max()))


def table(found: list[Parity]) -> str:
    """Returns the rows as Markdown."""
    rows = [
        [
            f"`{each.model_type}`",
            each.name,
            str(each.n_layers),
            f"{each.longest:,}",
            f"{each.states:.1e}",
            "none" if each.head is None else f"`{each.head}`",
            "" if each.logits is None else f"{each.logits:.1e}",
            _TOKENIZERS[each.model_type],
        ]
        for each in found
    ]
    header = (
        *("Type", "Model", "Layers", "Longest window", "Hidden states"),
        *("Head", "Logits", "Tokenizer"),
    )
    return tables.markdown(header, rows, n_left=2)


def main() -> None:
    """Measures, prints, writes."""
    folders = [
        *sorted(path.parent for path in _STORED.glob("*/config.json")),
        *sorted(path.parent for path in _STORED.glob("architectures/*/config.json")),
        *map(pathlib.Path, _MODELS.value),
    ]
    found = []
    for folder in folders:
        outputs.say(f"{folder} …")
        found.append(measure(folder))
    order = list(_TOKENIZERS)
    found.sort(key=lambda each: (order.index(each.model_type), each.n_layers))
    text = table(found)
    print(text)
    if _WRITE.value:
        marked.write(marked.PAGE, "parity", text)


if __name__ == "__main__":
    script.run(main, FLAGS)
