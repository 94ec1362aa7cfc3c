"""TopK against a public implementation, trained alike on the same rows.

The package wants a torchvision that wants a torch of its own; nothing of that is used
here. Install it alone, beside the torch that is there:

    pip install --no-deps overcomplete einops
"""

import importlib.util
import sys
from unittest import mock

import numpy as np
import pytest

from tfvis_jax.comparison import method, sae, train_sae

torch = pytest.importorskip("torch", reason="torch is not installed")

N_FACTORS, K, BATCH, PASSES, RATE = 96, 6, 128, 12, 3e-3


@pytest.fixture
def public_sae(monkeypatch):
    if not importlib.util.find_spec("overcomplete"):
        pytest.skip("overcomplete is not installed (see the head of this file)")
    # For its image models and plots, which this does not use.
    for name in ("timm", "torchvision", "cv2", "skimage", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, mock.MagicMock())
    for name in ("matplotlib.pyplot", "matplotlib.colors"):
        monkeypatch.setitem(sys.modules, name, mock.MagicMock())
    return pytest.importorskip("overcomplete.sae")


def _rows(seed=0, n_rows=8192, d_model=32, n_true=128):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n_true, d_model))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    # Few factors fire often, most rarely; that is what makes a dictionary hard to find.
    rate = 8 / np.arange(1, n_true + 1) ** 0.7
    rate *= 6 / rate.sum()
    codes = rng.exponential(size=(n_rows, n_true)) * (
        rng.random((n_rows, n_true)) < rate
    )
    x = codes @ truth + 0.05 * rng.normal(size=(n_rows, d_model))
    x -= x[:-1024].mean(axis=0)
    # The scale that our training works in.
    x /= np.sqrt((x[:-1024] ** 2).sum(axis=1).mean())
    return np.float32(x[:-1024]), np.float32(x[-1024:])


def _public_fvu(public_sae, x, held_out, *, seed):
    torch.manual_seed(seed)
    model = public_sae.TopKSAE(x.shape[1], N_FACTORS, top_k=K).untied(bias=True)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(x)),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
    )
    steps = PASSES * len(loader)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(
            1, (step + 1) / (0.05 * steps), (steps - step) / (0.2 * steps)
        ),
    )
    public_sae.train_sae(
        model,
        loader,
        lambda x, x_hat, *_: ((x - x_hat) ** 2).sum(dim=1).mean(),
        optimizer,
        scheduler=schedule,
        nb_epochs=PASSES,
        clip_grad=None,
        monitoring=0,
    )
    model.eval()
    with torch.no_grad():
        _, codes, x_hat = model(torch.from_numpy(held_out))
    assert int((codes > 0).sum(dim=1).max()) == K
    residual = np.float64(held_out) - np.float64(x_hat.numpy())
    centred = np.float64(held_out) - np.float64(held_out).mean(axis=0)
    return (residual**2).sum() / (centred**2).sum()


def test_topk_explains_as_much_as_the_public_one(public_sae):
    x, held_out = _rows()
    config = {"n_factors": N_FACTORS, "target_l0": K, "batch_size": BATCH}
    ours, theirs = [], []
    # Where training ends depends on where it starts: the mean of three each.
    for seed in range(3):
        trained = train_sae.train(
            x,
            config=sae.SAEConfig(
                kind="topk",
                num_passes=PASSES,
                learning_rate=RATE,
                auxiliary_weight=0.0,
                seed=seed,
                **config,
            ),
        )
        ours.append(method.measure(trained, held_out).fvu)
        theirs.append(_public_fvu(public_sae, x, held_out, seed=seed))
    np.testing.assert_allclose(np.mean(ours), np.mean(theirs), rtol=0.05)
