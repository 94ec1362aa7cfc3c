"""Test user-supplied labels: strictly read, saved unchanged, shown as text."""

import json

import numpy as np
import pytest

from tfvis_jax.description import label_forms, label_records, labels
from tfvis_jax.description.factor_label import FactorLabel
from tfvis_jax.errors import InputError
from tfvis_jax.runs import trained_dictionary


def _trained(n_factors=20):
    return trained_dictionary.TrainedDictionary(
        factors=np.eye(n_factors, dtype=np.float32),
        layer_scale=np.ones(1, np.float32),
        layers=(0,),
        model="m",
        l1_penalty=0.1,
    )


def _read(tmp_path, value):
    path = tmp_path / "labels.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return _flat(label_forms.read(path, n_factors=20))


def _flat(found):
    """The only label of each factor."""
    assert all(len(by_layer) == 1 for by_layer in found.labels.values())
    return {factor: one for factor, at in found.labels.items() for one in at.values()}


def test_every_form_is_read(tmp_path):
    found = _read(
        tmp_path,
        {
            "0": "anger\n and  evil",
            "3": {"label": "<script>alert(1)</script>", "score": 1, "source": "me"},
            "layer4_factor12": "left",
            "layers.6_latent7": {"label": "right", "score": None},
            "feature9": "nine\x1b[31m",
        },
    )
    assert found == {
        0: FactorLabel("anger and evil"),
        3: FactorLabel("<script>alert(1)</script>", 1.0, "me"),
        12: FactorLabel("left", layer=4),
        7: FactorLabel("right", layer=6),
        9: FactorLabel("nine\N{REPLACEMENT CHARACTER}[31m"),
    }
    assert str(found[3]) == "<script>alert(1)</script> (score 1, me)"
    assert str(found[0]) == "anger and evil"


def test_a_folder_of_one_file_for_each_factor_is_read(tmp_path):
    (tmp_path / "layers.6_latent7.txt").write_text('"about rivers"')
    (tmp_path / "layers.6_latent11.txt").write_text('"about banks"')
    found = _flat(label_forms.read(tmp_path, n_factors=20))
    assert {factor: label.text for factor, label in found.items()} == {
        7: "about rivers",
        11: "about banks",
    }


def test_what_is_kept_comes_back(tmp_path):
    path, trained = tmp_path / "labels.json", _trained()
    assert labels.load(path, trained) == {}
    kept = {
        3: FactorLabel("three ☃", 0.25, "a tool"),
        1: FactorLabel("one"),
    }
    labels.save(path, kept, trained)
    assert labels.load(path, trained) == kept
    with pytest.raises(InputError, match="another dictionary"):
        labels.load(path, _trained(21))
    path.write_text('{"3": "three"}')
    with pytest.raises(InputError, match="tfvis labels"):
        labels.load(path, trained)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["x"], 'object that names factor and label as entry 1.*got "x"'),
        ({"20": "x"}, r"factors in 0 … 19.*got \"20\""),
        ({"-1": "x"}, r"got \"-1\""),
        ({"٣": "x"}, "got"),
        ({"river": "x"}, r"got \"river\""),
        ({"3": "a", "factor3": "b"}, "two labels for factor 3"),
        ('{"3": "a", "3": "b"}', "occurs twice"),
        ({"3": ["x"]}, "Factor 3.*got list"),
        ({"3": {"label": "x", "colour": "red"}}, r"label, score and source.*colour"),
        ({"3": {"score": 1}}, "text as label, got null"),
        ({"3": " \n"}, "at least one character"),
        ({"3": "x" * 2001}, "at most 2,000 characters, got 2,001"),
        ({"3": {"label": "x", "source": "y" * 201}}, "source of at most 200"),
        ({"3": {"label": "x", "score": "high"}}, r"finite number.*\"high\""),
        ({"3": {"label": "x", "score": True}}, "finite number"),
        ('{"3": {"label": "x", "score": NaN}}', "finite number"),
        ({"3": {"label": "x", "score": 10**400}}, "finite number"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"3": {"label": "x", "score": 1' + "0" * 5000 + "}}", "finite number"),
    ],
)
def test_what_is_malformed_is_named(tmp_path, value, message):
    with pytest.raises(InputError, match=message):
        _read(tmp_path, value)


def test_a_repeated_key_among_many_is_found_at_once(tmp_path):
    many = ", ".join(f'"{number}": 1' for number in [*range(300_000), 299_999])
    with pytest.raises(InputError, match='"299999" occurs twice'):
        _read(tmp_path, f"{{{many}}}")


def test_missing_or_too_large_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="does not exist"):
        label_forms.read(tmp_path / "none.json", n_factors=20)
    with pytest.raises(InputError, match="found none"):
        label_forms.read(tmp_path, n_factors=20)
    monkeypatch.setattr(label_records, "MAX_BYTES", 2**20)
    with pytest.raises(InputError, match=r"at most 1 MiB.*has 2 MiB"):
        _read(tmp_path, json.dumps({"3": "x" * 2**21}))
    (tmp_path / "labels.json").write_bytes(b'{"3": "\xff"}')
    with pytest.raises(InputError, match="no text in UTF-8"):
        label_forms.read(tmp_path / "labels.json", n_factors=20)


def test_a_label_at_a_layer_comes_first_there(tmp_path):
    five, six = FactorLabel("five", 0.5, layer=5), FactorLabel("six", layer=6)
    path, trained = tmp_path / "labels.json", _trained()
    merged = labels.merge({}, {3: {5: five, 6: six}}, peak_layer=lambda factor: 6)
    assert merged[3].text == "six" and merged[3].by_layer == {5: five, 6: six}
    assert str(merged[3]) == "six (layer 6) · five (layer 5, score 0.5)"
    assert merged[3].at(5).text == "five" and merged[3].at(4).text == "five"
    labels.save(path, merged, trained)
    assert labels.load(path, trained) == merged
    # Of another layer, none of them is lost; a label for all layers comes first.
    new = {3: {5: FactorLabel("cinq", layer=5), None: FactorLabel("number")}}
    merged = labels.merge(merged, new, peak_layer=lambda factor: 6)
    assert merged[3].text == "number"
    assert [each.text for each in merged[3].at_layers] == ["cinq", "six"]
    labels.save(path, merged, trained)
    assert labels.load(path, trained) == merged
