"""Hidden states and logits against torch's: stored ones, and live where torch is."""

import importlib.util
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import sites

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
# Float32 sums of 384 to 1,536 terms in another order, six layers deep; hidden states
# reach 10 in single dimensions. The largest difference measured is 7e-6.
_HIDDEN_TOLERANCE = 2e-5
# Logits reach 21, a float32 step there is 2e-6, and the head sums 128 products. The
# largest difference measured is 4.3e-5; to torch in float64 it is 3.1e-5, while
# torch's own float32 is 4.2e-5 away from that.
_LOGIT_TOLERANCE = 8e-5


def _hidden_states(model, token_ids, attention_mask):
    layers = tuple(range(model.config.n_layers + 1))
    run = jax.jit(lambda encoder, ids, mask: encoder(ids, mask, layers=layers))
    return np.array(run(model.encoder, jnp.array(token_ids), jnp.array(attention_mask)))


@pytest.mark.parametrize("name", ["random_bert", "minilm", "tiny_bert"])
def test_hidden_states_match_stored_torch(name, request):
    model = request.getfixturevalue(name)
    golden = np.load(_GOLDEN / f"encoder_{name}.npz")
    mask = golden["attention_mask"]
    ours = _hidden_states(model, golden["token_ids"], mask)[..., golden["dimensions"]]
    difference = np.abs(ours - golden["hidden_states"])[:, mask]
    assert difference.shape[0] == model.config.n_layers + 1
    assert difference.max(axis=(1, 2)).max() <= _HIDDEN_TOLERANCE


def test_outputs_match_stored_torch(random_bert):
    model = random_bert
    golden = np.load(_GOLDEN / "encoder_random_bert.npz")
    mask = golden["attention_mask"]
    layers = tuple(range(1, model.config.n_layers + 1))
    run = jax.jit(lambda encoder, ids, mask: encoder(ids, mask, layers=layers))
    for site in (sites.ATTENTION_OUT, sites.MLP_OUT):
        encoder = model.encoder.at(site)
        ours = run(encoder, jnp.array(golden["token_ids"]), jnp.array(mask))
        difference = np.abs(np.array(ours)[..., golden["dimensions"]] - golden[site])
        assert len(ours) == model.config.n_layers
        assert difference[:, mask].max() <= _HIDDEN_TOLERANCE


@pytest.mark.parametrize("name", ["random_bert", "tiny_bert"])
def test_logits_match_stored_torch(name, request):
    model = request.getfixturevalue(name)
    golden = np.load(_GOLDEN / f"encoder_{name}.npz")
    mask = golden["attention_mask"]
    hidden = _hidden_states(model, golden["token_ids"], mask)[-1]
    logits = np.array(model.language_model.logits(jnp.array(hidden)))
    ours = logits[..., golden["words"]]
    np.testing.assert_allclose(
        ours[mask], golden["logits"][mask], rtol=0, atol=_LOGIT_TOLERANCE
    )


def test_stored_states_are_what_the_committed_script_computes(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    spec = importlib.util.spec_from_file_location(
        "make_encoder_golden", _GOLDEN / "make_encoder_golden.py"
    )
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)
    spec.loader.exec_module(script)
    script.main(str(_GOLDEN / "random_bert"), str(tmp_path / "again.npz"))
    again = np.load(tmp_path / "again.npz")
    stored = np.load(_GOLDEN / "encoder_random_bert.npz")
    assert set(again) == set(stored)
    for key in again:
        # Another number of threads sums in another order.
        np.testing.assert_allclose(again[key], stored[key], atol=_LOGIT_TOLERANCE)


@pytest.mark.parametrize("special_tokens", [False, True])
@pytest.mark.parametrize("name", ["minilm", "tiny_bert"])
def test_hidden_states_match_live_torch(name, special_tokens, request):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers")
    model = request.getfixturevalue(name)
    cls = transformers.BertModel if name == "minilm" else transformers.BertForMaskedLM
    oracle = cls.from_pretrained(model.folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model.folder)
    batch = tokenizer(
        [
            "He left the bank at dawn, and the river was still rising.",
            "Sparse codes.",
            "The committee on economic affairs [MASK] its report in 1987.",
        ],
        padding=True,
        add_special_tokens=special_tokens,
        return_tensors="pt",
        return_token_type_ids=False,
    )
    with torch.inference_mode():
        result = oracle(**batch, output_hidden_states=True)
    mask = batch["attention_mask"].numpy().astype(bool)
    assert not mask.all()
    ours = _hidden_states(model, batch["input_ids"].numpy().astype(np.int32), mask)
    for layer, theirs in enumerate(result.hidden_states):
        difference = np.abs(ours[layer] - theirs.numpy())[mask].max()
        assert difference <= _HIDDEN_TOLERANCE, f"layer {layer}: {difference}"
    if name == "tiny_bert":
        logits = np.array(model.language_model.logits(jnp.array(ours[-1])))
        difference = np.abs(logits - result.logits.numpy())[mask].max()
        assert difference <= _LOGIT_TOLERANCE, f"logits: {difference}"
