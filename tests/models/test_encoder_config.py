"""Reading Hugging Face configurations, and refusing what is not supported."""

import dataclasses

import pytest
import timing

from tfvis_jax import models
from tfvis_jax.errors import InputError
from tfvis_jax.models import bert, registry

_CONFIG = bert.BertConfig(
    vocab_size=101, d_model=32, n_layers=3, n_heads=4, d_hidden=64, max_positions=20
)
_HUGGING_FACE = {
    "architectures": ["BertForMaskedLM"],
    "model_type": "bert",
    "hidden_act": "gelu",
    "vocab_size": 101,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
}


def _read(mapping):
    return registry.read(mapping)[1]


def test_config_reads_hugging_face_names():
    assert _read(_HUGGING_FACE) == _CONFIG
    other = _HUGGING_FACE | {"layer_norm_eps": 1e-5, "is_decoder": False}
    assert _read(other) == dataclasses.replace(_CONFIG, layer_norm_epsilon=1e-5)
    # The smallest published BERTs name neither a type nor an architecture.
    bare = dict(_HUGGING_FACE)
    del bare["architectures"], bare["model_type"]
    assert _read(bare) == _CONFIG


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5"}, "model_type is 't5'.*one of the types bert"),
        ({"architectures": ["RobertaModel"]}, r"RobertaModel.*supported: Bert\.\.\."),
        ({"hidden_act": "mish"}, "`activation` to be one of gelu,.*got 'mish'"),
        ({"hidden_act": ["gelu"]}, "`activation` to be one of gelu,.*got a list"),
        ({"position_embedding_type": "relative_key"}, "supported: 'absolute'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"num_attention_heads": 5}, "multiple of `n_heads`"),
        ({"hidden_size": 0}, "`d_model` to be an integer >= 1 .*got 0"),
        ({"vocab_size": "many"}, "`vocab_size` to be an integer"),
        ({"layer_norm_eps": 0.0}, "`layer_norm_epsilon` > 0.*got 0"),
        ({"layer_norm_eps": "1e-12"}, "`layer_norm_epsilon` > 0.*got '1e-12'"),
        ({"layer_norm_eps": None}, "`layer_norm_epsilon` > 0.*got None"),
        ({"layer_norm_eps": float("nan")}, "`layer_norm_epsilon` > 0.*got nan"),
        ({"layer_norm_eps": 1e300}, "`layer_norm_epsilon` > 0.*got 1e"),
        ({"layer_norm_eps": True}, "`layer_norm_epsilon` > 0.*got True"),
        ({"layer_norm_eps": [1e-12]}, "`layer_norm_epsilon` > 0.*got a list"),
        ({"architectures": [5]}, "`architectures`.*list of names, got a list"),
        ({"architectures": "BertModel"}, "list of names, got 'BertModel'"),
        ({"architectures": 5}, "list of names, got 5"),
        ({"model_type": ["bert"]}, "model_type is a list"),
        ({"hidden_size": 32.0}, "`d_model` to be an integer.*got 32.0"),
        ({"hidden_size": None}, "`d_model` to be an integer.*got None"),
        ({"vocab_size": 10**40}, "`vocab_size` to be an integer.*got 10000"),
        ({"type_vocab_size": {}}, "`n_token_types` to be an integer.*an object"),
    ],
)
def test_config_refuses_what_is_not_supported(change, message):
    with pytest.raises(InputError, match=message):
        _read(_HUGGING_FACE | change)


def test_config_names_every_missing_size():
    with pytest.raises(InputError, match="lacks vocab_size, num_hidden_layers"):
        _read(
            {
                key: value
                for key, value in _HUGGING_FACE.items()
                if key not in ("vocab_size", "num_hidden_layers")
            }
        )


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a":' * 10**5, "{", "[]", "5", "\xff"])
def test_a_file_that_is_no_configuration_is_refused(write_folder, tiny_tensors, text):
    folder = write_folder(tiny_tensors)
    (folder / "config.json").write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match=r"config\.json"):
        models.read_config(folder)


def test_layers_are_counted_before_a_model_is_built(write_folder, tiny_tensors):
    folder = write_folder(tiny_tensors, num_hidden_layers=10_000)
    for head in (None, "masked_lm"):
        with (
            timing.at_most(10),
            pytest.raises(InputError, match=r"3 layers instead of 10,000"),
        ):
            models.load(folder, head=head)
