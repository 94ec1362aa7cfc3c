"""The table of models: measured on a stored model, written between its marks."""

import pathlib

import pytest

from benchmarks.models import marked
from tfvis_jax import models

pytest.importorskip("torch", reason="torch is not installed")
parity = pytest.importorskip("benchmarks.models.parity")

_GOLDEN = pathlib.Path(__file__).parents[2] / "golden"


def test_a_model_is_compared_and_put_into_the_page(tmp_path):
    found = parity.measure(_GOLDEN / "architectures" / "gpt2")
    assert found[:4] == ("gpt2", "random", 3, 20) and found.head == "causal_lm"
    assert 0 < found.states < 2e-5 and found.logits < 2e-5
    without = found._replace(head=None, logits=None)
    page = tmp_path / "models.md"
    page.write_text("a\n<!-- parity: begin -->\nold\n<!-- parity: end -->\nb\n")
    marked.write(page, "parity", parity.table([found, without]))
    lines = page.read_text().splitlines()
    assert "old" not in lines and lines[0] == "a" and lines[-1] == "b"
    assert sum("`gpt2`" in line for line in lines) == 2


def test_a_difference_is_seen(monkeypatch):
    real = models.load

    def other(folder, **settings):
        model = real(folder, **settings)
        norm = model.encoder.layers[1].output_norm
        norm.bias[...] = norm.bias[...].at[0].add(0.01)
        return model

    monkeypatch.setattr(models, "load", other)
    assert parity.measure(_GOLDEN / "random_bert").states > 1e-3
