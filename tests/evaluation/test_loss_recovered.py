"""Loss recovered against torch with a hook, and its two fixed points."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import config, errors, models, sites
from tfvis_jax.data import build_windows, loader, tokenizer
from tfvis_jax.evaluation import loss_recovered, masking, refitted, replacement

SCALES = np.array([2.0, 3.0, 5.0], np.float32)


def _subject(folder, **changes):
    words = tokenizer.load(folder)
    # The toy has no head; the other does.
    pretrained = models.load(folder, head=models.head_of(folder))
    return replacement.Subject(
        **{
            "pretrained": pretrained,
            "tokenizer": words,
            "layers": (0, 1, 2),
            "layer_scale": SCALES,
            "windows_per_batch": 8,
        }
        | changes
    )


@pytest.fixture(scope="module", params=["toy_bert_folder", "tiny_bert_folder"])
def subject(request):
    return _subject(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def text(subject, toy_corpus, tmp_path_factory):
    settings = config.CorpusConfig(
        paths=(str(toy_corpus),), window_length=12, held_out_fraction=0.3
    )
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    return build_windows.build(folder, settings, tokenizer=subject.tokenizer)


def _measure(subject, text, reconstruct):
    return loss_recovered.measure(
        subject, text, text.held_out[:21], reconstruct, mean_windows=text.train[:30]
    )


def _distort(x):
    """A reconstruction that torch can make as well."""
    return 0.7 * x + 0.05


def test_rows_as_they_are_recover_one_and_the_mean_recovers_nothing(subject, text):
    means = loss_recovered.mean_states(subject, text, text.train[:30])

    def reconstruct(index, x):
        return {
            "itself": x,
            "mean": jnp.broadcast_to(means[index], x.shape),
            "distorted": _distort(x),
        }

    found = _measure(subject, text, reconstruct)
    assert set(found) == {"itself", "mean", "distorted"}
    assert found["itself"].per_layer == [1, 1, 1]
    assert found["mean"].per_layer == [0, 0, 0]
    assert found["itself"].all == 1 and found["mean"].all == 0
    distorted = found["distorted"]
    assert all(share < 1 for share in distorted.per_layer)
    losses = [sum(getattr(distorted, name)) for name in _LOSSES]
    assert distorted.all == (losses[2] - losses[1]) / (losses[2] - losses[0])


_LOSSES = ("original", "reconstructed", "mean_ablated")


@pytest.mark.parametrize("site", sites.SITES)
def test_losses_are_those_of_torch_with_a_hook(subject, text, site):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers")
    head = subject.pretrained.language_model is not None
    cls = transformers.BertForMaskedLM if head else transformers.BertModel
    options = {} if head else {"add_pooling_layer": False}
    oracle = cls.from_pretrained(subject.pretrained.folder, **options).double().eval()
    bert = oracle.bert if head else oracle
    within = {
        sites.HIDDEN: [bert.embeddings, *bert.encoder.layer],
        sites.ATTENTION_OUT: [e.attention.output.dense for e in bert.encoder.layer],
        sites.MLP_OUT: [e.output.dense for e in bert.encoder.layer],
    }
    places = within[site]
    scales = SCALES[-len(places) :]
    subject = dataclasses.replace(
        subject,
        pretrained=subject.pretrained.at(site),
        layers=sites.every_layer(site, n_layers=2),
        layer_scale=scales,
    )

    def read(chosen):
        """What the model reads: ids, mask, rows, hidden tokens."""
        batch = next(
            loader.batches(text, chosen, batch_size=len(chosen), shuffle=False)
        )
        ids, hidden = batch.token_ids, None
        if head:
            hidden = masking.mask_tokens(batch, tokenizer=subject.tokenizer, seed=0)
            ids = hidden.token_ids
        inputs = {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(batch.token_mask.astype(int)),
        }
        return inputs, torch.tensor(batch.row_mask), hidden

    def run(inputs, place=None, replace=None):
        def hook(module, arguments, output):
            states = output[0] if isinstance(output, tuple) else output
            states = replace(states)
            return (states, *output[1:]) if isinstance(output, tuple) else states

        handle = place.register_forward_hook(hook) if place is not None else None
        with torch.inference_mode():
            result = oracle(**inputs, output_hidden_states=True)
        if handle is not None:
            handle.remove()
        return result

    inputs, rows, hidden = read(text.held_out[:21])
    held_in, held_in_rows, _ = read(text.train[:30])
    means = []

    def keep_mean(states):
        means.append(states[held_in_rows].mean(0))
        return states

    for place in places:
        run(held_in, place, keep_mean)
    original = run(inputs)

    def loss(result):
        if not head:
            last = result.last_hidden_state - original.last_hidden_state
            return float((last**2).sum(-1)[rows].mean())
        chosen = np.arange(len(hidden.positions))[:, None], hidden.positions
        log_shares = torch.log_softmax(result.logits[chosen], -1).numpy()
        picked = np.take_along_axis(log_shares, hidden.labels[:, :, None], axis=2)
        return -picked[hidden.counted].mean()

    found = _measure(subject, text, lambda index, x: _distort(x))
    expected_n = hidden.counted.sum() if head else rows.sum()
    assert found.n_tokens == expected_n
    assert found.loss == (
        loss_recovered.MASKED_LM if head else loss_recovered.LAST_HIDDEN_STATE
    )
    keep = ~rows[:, :, None]
    for index, scale in enumerate(scales.tolist()):
        mean = means[index]
        distorted = run(
            inputs,
            places[index],
            lambda h, s=scale: torch.where(keep, h, s * _distort(h / s)),
        )
        ablated = run(inputs, places[index], lambda h, m=mean: torch.where(keep, h, m))
        expected = loss(original), loss(distorted), loss(ablated)
        got = [getattr(found, name)[index] for name in _LOSSES]
        # Float32 through two layers and a head against float64.
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6)
        recovered = (expected[2] - expected[1]) / (expected[2] - expected[0])
        np.testing.assert_allclose(found.per_layer[index], recovered, atol=1e-4)


def test_batches_change_nothing_and_seeds_change_what_is_hidden(subject, text):
    def reconstruct(index, x):
        return _distort(x)

    whole = _measure(subject, text, reconstruct)
    changed = dataclasses.replace(subject, windows_per_batch=5)
    np.testing.assert_allclose(
        _measure(changed, text, reconstruct).per_layer, whole.per_layer, rtol=1e-4
    )
    seeded = dataclasses.replace(subject, seed=1)
    moved = _measure(seeded, text, reconstruct).reconstructed != whole.reconstructed
    assert moved == (subject.pretrained.language_model is not None)


@pytest.mark.parametrize("n_devices", [2, 4])
def test_devices_that_share_the_windows_change_nothing(subject, text, n_devices):
    whole = _measure(subject, text, lambda index, x: _distort(x))
    several = subject.on(jax.local_devices()[:n_devices])
    shared = _measure(several, text, lambda index, x: _distort(x))
    assert shared.n_tokens == whole.n_tokens
    for name in _LOSSES:
        np.testing.assert_allclose(
            getattr(shared, name), getattr(whole, name), rtol=1e-5
        )


def test_codes_of_a_run_can_be_measured(opened, windows, trained):
    subject = replacement.Subject(
        pretrained=opened.pretrained,
        tokenizer=opened.tokenizer,
        layers=trained.layers,
        layer_scale=trained.layer_scale,
        windows_per_batch=opened.config.windows_per_batch,
    )
    seen = []
    found = loss_recovered.measure(
        subject,
        windows,
        loss_recovered.spread(windows.held_out, n=10),
        refitted.reconstructor(opened, trained, devices=jax.local_devices()[:1], k=2),
        mean_windows=windows.train,
        progress=lambda *done: seen.append(done),
    )
    assert set(found) == {refitted.LASSO, refitted.DEBIASED, refitted.K_LARGEST}
    assert seen == [(8, 10), (10, 10)]
    shared = loss_recovered.measure(
        subject.on(jax.local_devices()[:2]),
        windows,
        loss_recovered.spread(windows.held_out, n=10),
        refitted.reconstructor(opened, trained, devices=jax.local_devices()[:2], k=2),
        mean_windows=windows.train,
    )
    for name in found:
        np.testing.assert_allclose(
            shared[name].per_layer, found[name].per_layer, rtol=1e-4
        )
    # Fewer rows than the codes' program takes, which are filled up, and more.
    for size, n_devices in ((3, 1), (3, 2), (12, 2)):
        devices = jax.local_devices()[:n_devices]
        other = loss_recovered.measure(
            dataclasses.replace(subject, windows_per_batch=size).on(devices),
            windows,
            loss_recovered.spread(windows.held_out, n=10),
            refitted.reconstructor(opened, trained, devices=devices, k=2),
            mean_windows=windows.train,
        )
        for name in found:
            assert other[name].n_tokens == found[name].n_tokens
            np.testing.assert_allclose(
                other[name].per_layer, found[name].per_layer, rtol=1e-4
            )
    # At the last layer it is 1 − FVU, but for whose mean it is: near in any case.
    shares = {name: recovered.per_layer[2] for name, recovered in found.items()}
    assert shares[refitted.K_LARGEST] < shares[refitted.DEBIASED] <= 1
    assert shares[refitted.LASSO] < shares[refitted.DEBIASED]


def test_samples_are_spread_evenly():
    numbers = np.arange(100, 200)
    np.testing.assert_array_equal(
        loss_recovered.spread(numbers, n=4), [100, 133, 166, 199]
    )
    np.testing.assert_array_equal(loss_recovered.spread(numbers, n=999), numbers)
    assert not loss_recovered.spread(numbers[:0], n=3).size


def test_nothing_to_measure_on_is_the_users_mistake(subject, text):
    with pytest.raises(errors.InputError, match="windows to measure on"):
        loss_recovered.measure(
            subject, text, text.held_out[:0], lambda i, x: x, mean_windows=text.train
        )


def test_losses_of_a_decoder_are_those_of_torch(toy_bert_folder, toy_corpus, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers")
    words = tokenizer.load(toy_bert_folder)
    torch.manual_seed(0)
    oracle = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=words.vocab_size,
            n_positions=16,
            n_embd=16,
            n_layer=2,
            n_head=2,
            initializer_range=0.3,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    oracle.save_pretrained(tmp_path / "gpt2")
    (tmp_path / "gpt2" / "vocab.txt").write_text("[PAD]\n")
    settings = config.CorpusConfig(
        paths=(str(toy_corpus),), window_length=12, held_out_fraction=0.3
    )
    text = build_windows.build(tmp_path / "tokens", settings, tokenizer=words)
    subject = _subject(
        toy_bert_folder, pretrained=models.load(tmp_path / "gpt2", head="causal_lm")
    )
    found = _measure(subject, text, lambda index, x: _distort(x))
    assert found.loss == loss_recovered.CAUSAL_LM
    several = subject.on(jax.local_devices()[:2])
    shared = _measure(several, text, lambda index, x: _distort(x))
    for name in _LOSSES:
        np.testing.assert_allclose(
            getattr(shared, name), getattr(found, name), rtol=1e-5
        )
    batch = next(loader.batches(text, text.held_out[:21], batch_size=21, shuffle=False))
    rows = torch.tensor(batch.row_mask)
    inputs = {
        "input_ids": torch.tensor(batch.token_ids).long(),
        "attention_mask": torch.tensor(batch.token_mask).long(),
    }

    def loss():
        with torch.inference_mode():
            logits = oracle(**inputs).logits
        shares = torch.log_softmax(logits[:, :-1], -1)
        of_next = shares.gather(2, inputs["input_ids"][:, 1:, None])[..., 0]
        return -float(of_next[rows[:, 1:]].mean())

    def distorted(module, arguments, output):
        states = output[0] if isinstance(output, tuple) else output
        other = 0.7 * states + 0.05 * SCALES[1].item()
        changed = torch.where(rows[:, :, None], other, states)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    assert found.n_tokens == rows[:, 1:].sum()
    np.testing.assert_allclose(found.original, loss(), rtol=1e-5)
    handle = oracle.transformer.h[0].register_forward_hook(distorted)
    np.testing.assert_allclose(found.reconstructed[1], loss(), rtol=1e-5)
    handle.remove()
    # The last hidden state, after the final norm, has no block of its own.
    handle = oracle.transformer.ln_f.register_forward_hook(
        lambda *a: torch.where(
            rows[:, :, None], 0.7 * a[2] + 0.05 * SCALES[2].item(), a[2]
        )
    )
    np.testing.assert_allclose(found.reconstructed[2], loss(), rtol=1e-5)
    handle.remove()
