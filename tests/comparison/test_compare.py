"""A comparison goes on from the rows of an earlier one, or says what is wrong there."""

import json

import numpy as np
import pytest

from tfvis_jax.comparison import compare, methods, report
from tfvis_jax.comparison import data as data_lib
from tfvis_jax.errors import InputError

_CONFIG = methods.ComparisonConfig(
    methods=("sparse_coding", "sae_topk", "pca"), n_factors=8, target_l0=(2, 4)
)
_HEADER = {
    "hardware": "one CPU",
    "devices": {"platform": "cpu", "kind": "cpu", "count": 1},
    "versions": {"jax": "0"},
    "date": "2026-01-01",
}


def _row(method, target_l0):
    return {
        "method": method,
        "seed": 0,
        "target_l0": target_l0,
        "l0": target_l0 + 0.25,
        "fvu": 0.5 / target_l0,
        "fvu_debiased": None if method == "pca" else 0.4 / target_l0,
        "alive": 0.75,
        "seconds": 12.5,
        "rows_seen": 90,
        "learning_rate": 0.001 if method == "sae_topk" else None,
        "agreement": None,
        "loss_recovered": 0.9,
        "loss_recovered_per_layer": [0.95, None],
    }


@pytest.fixture
def going_on(monkeypatch):
    """Goes on with what is in a file; all that was asked for is there already."""
    monkeypatch.setattr(methods, "candidates", lambda *given, **how: iter(()))
    monkeypatch.setattr(report.tables, "where", lambda document: "one CPU")
    rows = np.zeros((9, 4), np.float32)
    data = data_lib.Data(rows, rows[:3], "rows", loss_windows=7)

    def resume(path):
        return compare.compare(data, _CONFIG, out=path, header=_HEADER)

    return resume


@pytest.fixture
def earlier(going_on, tmp_path):
    """The content of an earlier comparison."""
    document = going_on(tmp_path / "none.json")
    rows = [_row(name, l0) for name in _CONFIG.methods for l0 in _CONFIG.target_l0]
    return json.loads(json.dumps(document | {"rows": rows}))


def test_the_rows_of_an_earlier_comparison_are_kept(going_on, earlier, tmp_path):
    path = tmp_path / "compare.json"
    path.write_text(json.dumps(earlier))
    assert going_on(path)["rows"] == earlier["rows"]
    config = earlier["config"]
    learnt_otherwise = config | {"learning": config["learning"] | {"surplus": 40}}
    for changes in ({"n_rows": 10}, {"config": learnt_otherwise}):
        path.write_text(json.dumps(earlier | changes))
        with pytest.raises(InputError, match=r"other rows or settings.* Name another"):
            going_on(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"l0": "2"}, r"`float`, got `str` at `rows\[2\].l0`"),
        ({"alive": 1.5}, r"<= 1.0 at `rows\[2\].alive`, got 1.5"),
        ({"learning_rate": None}, "`learning_rate` of sae_topk, got null"),
        ({"fvu_debiased": None}, "`fvu_debiased` of sae_topk, got null"),
        ({"target_l0": 4}, "one row for each method, L0 and seed"),
        ({"loss_recovered_per_layer": [1.0]}, r"losses of \[1, 2\] layers"),
    ],
)
def test_damaged_rows_are_refused(going_on, earlier, tmp_path, changes, message):
    earlier["rows"][2] |= changes
    path = tmp_path / "compare.json"
    path.write_text(json.dumps(earlier))
    with pytest.raises(InputError, match=message) as caught:
        going_on(path)
    assert str(path) in str(caught.value) and "Name another --out" in str(caught.value)


@pytest.mark.fuzz
def test_damaged_comparisons(fuzz, going_on, earlier, tmp_path):
    def read(folder, changed, rng):
        document = going_on(folder / "compare.json")
        assert isinstance(report.table(document), str)
        if rng.random() < 0.02 and document["rows"]:
            report.draw(document, tmp_path / "plot.png")

    fuzz.run({"compare.json": json.dumps(earlier).encode()}, read, inputs=700)
