"""A small random BERT as a Hugging Face folder, written without torch."""

import json
import os
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from tfvis_jax import models

TINY = {
    "architectures": ["BertForMaskedLM"],
    "model_type": "bert",
    "hidden_act": "gelu",
    "vocab_size": 53,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


def _tiny_shapes() -> dict[str, tuple[int, ...]]:
    d, h = TINY["hidden_size"], TINY["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (TINY["vocab_size"], d),
        "embeddings.position_embeddings.weight": (TINY["max_position_embeddings"], d),
        "embeddings.token_type_embeddings.weight": (TINY["type_vocab_size"], d),
        "embeddings.LayerNorm.weight": (d,),
        "embeddings.LayerNorm.bias": (d,),
    }
    dense = {f"attention.self.{part}": (d, d) for part in ("query", "key", "value")}
    dense |= {
        "attention.output.dense": (d, d),
        "intermediate.dense": (h, d),
        "output.dense": (d, h),
    }
    for number in range(TINY["num_hidden_layers"]):
        stem = f"encoder.layer.{number}."
        for name, shape in dense.items():
            shapes[f"{stem}{name}.weight"] = shape
            shapes[f"{stem}{name}.bias"] = shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{stem}{name}.weight"] = (d,)
            shapes[f"{stem}{name}.bias"] = (d,)
    shapes = {f"bert.{name}": shape for name, shape in shapes.items()}
    return shapes | {
        "cls.predictions.transform.dense.weight": (d, d),
        "cls.predictions.transform.dense.bias": (d,),
        "cls.predictions.transform.LayerNorm.weight": (d,),
        "cls.predictions.transform.LayerNorm.bias": (d,),
        "cls.predictions.bias": (TINY["vocab_size"],),
    }


@pytest.fixture
def tiny_tensors() -> dict[str, np.ndarray]:
    """Random tensors under the names and shapes BertForMaskedLM saves."""
    rng = np.random.default_rng(0)
    return {
        name: 0.3 * rng.standard_normal(shape, np.float32)
        for name, shape in _tiny_shapes().items()
    }


@pytest.fixture
def write_folder(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Writes a model folder; keyword arguments change its config.json."""

    def write(
        tensors: dict[str, np.ndarray] | None = None, **config: object
    ) -> pathlib.Path:
        folder = tmp_path / "tiny"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(TINY | config))
        (folder / "vocab.txt").write_text("[PAD]\n")
        if tensors is not None:
            safetensors_numpy.save_file(tensors, folder / "model.safetensors")
        return folder

    return write


@pytest.fixture(scope="session")
def tiny_bert(tiny_bert_folder: pathlib.Path) -> models.Pretrained:
    """The 2-layer BERT with its masked language model head."""
    return models.load(tiny_bert_folder, head="masked_lm")


@pytest.fixture(scope="session")
def minilm(minilm_folder: pathlib.Path) -> models.Pretrained:
    """all-MiniLM-L6-v2."""
    return models.load(minilm_folder)


@pytest.fixture(scope="session")
def random_bert() -> models.Pretrained:
    """A 2-layer BERT of random weights that is stored with the tests."""
    folder = pathlib.Path(__file__).parents[1] / "golden" / "random_bert"
    return models.load(folder, head="masked_lm")


@pytest.fixture(scope="session")
def mpnet_folder(request: pytest.FixtureRequest) -> pathlib.Path:
    """all-mpnet-base-v2 as a Hugging Face folder: $ALL_MPNET_BASE_V2, or real data."""
    named = os.environ.get("ALL_MPNET_BASE_V2")
    if named is None:
        shared = request.getfixturevalue("shared_data")
        folder = shared / "all-mpnet-base-v2"
    else:
        folder = pathlib.Path(named)
    if not folder.is_dir():
        pytest.skip(f"all-mpnet-base-v2 not found at {folder}")
    return folder
