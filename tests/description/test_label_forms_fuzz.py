"""Damaged labels of other tools are read or refused by an InputError."""

import gzip
import json

import pytest

from tfvis_jax.description import label_forms

pytestmark = pytest.mark.fuzz

_LABELS = {"3": "rivers", "layer2_factor4": {"label": "money", "score": 0.5}}
_EXPORT = [
    {
        "modelId": "minilm",
        "layer": "2-factors",
        "index": str(number),
        "description": text,
        "typeName": "oai_token-act-pair",
        "explanationModelName": "gpt-4o-mini",
        "scores": [{"value": 0.5, "name": "eleuther_fuzz"}],
    }
    for number, text in enumerate(("rivers", "money", None))
]
_DELPHI = {"layers.2_latent3": {"explanation": "rivers", "score": 0.83}}
_TABLE = 'factor,label,layer,score\n3,rivers,2,0.5\n4,"money, banks",,\n'
_SCORED = [{"correct": True, "text": "a"}, {"correct": None}, {"correct": False}]


def _originals():
    return {
        "a.json": json.dumps(_LABELS).encode(),
        "b.json": json.dumps(_EXPORT).encode(),
        "c.jsonl": "".join(json.dumps(line) + "\n" for line in _EXPORT).encode(),
        "d.json": json.dumps(_DELPHI).encode(),
        "e.csv": _TABLE.encode(),
        "f.tsv": _TABLE.replace(",", "\t").encode("utf-16"),
        "g.json.gz": gzip.compress(json.dumps(_LABELS).encode()),
        "h.json": json.dumps({"index": "3", "explanations": _EXPORT}).encode(),
    }


def _check(found):
    for factor, by_layer in found.labels.items():
        assert 0 <= factor < 24
        for layer, label in by_layer.items():
            assert layer in (None, 0, 1, 2) and label.text and label.layer == layer
            json.dumps(str(label), ensure_ascii=False).encode()


def _read(path):
    _check(label_forms.read(path, n_factors=24, layers=(0, 1, 2)))


def test_labels_of_other_tools(fuzz):
    def read(folder, changed, rng):
        for name in sorted(changed):
            _read(folder / name)

    fuzz.run(_originals(), read, inputs=2000)


def test_folders_of_labels(fuzz):
    originals = {
        "delphi/explanations/layers.2_latent3.txt": b'"rivers"',
        "delphi/explanations/layers.2_latent4.txt": b'"money"',
        "delphi/scores/detection/layers.2_latent3.txt": json.dumps(_SCORED).encode(),
        "delphi/scores/fuzz/layers.2_latent4.txt": json.dumps(_SCORED).encode(),
        "export/batch-0.jsonl": json.dumps(_EXPORT[0]).encode() + b"\n",
        "export/batch-1.jsonl": json.dumps(_EXPORT[1]).encode() + b"\n",
    }

    def read(folder, changed, rng):
        _read(folder / min(changed).partition("/")[0])

    fuzz.run(originals, read, inputs=2000)


def test_compressed_labels_that_were_damaged_before(fuzz, tmp_path):
    originals = {n: c for n, c in _originals().items() if not n.endswith(".gz")}

    def read(folder, changed, rng):
        for name in sorted(changed):
            if (folder / name).is_file():
                path = tmp_path / "labels.gz"
                path.write_bytes(gzip.compress((folder / name).read_bytes(), 1))
                _read(path)

    fuzz.run(originals, read, inputs=1500)
