"""Labels as Neuronpedia, delphi, spreadsheets and this package write them."""

import csv
import gzip
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfvis_jax.description import label_forms, labels
from tfvis_jax.description.factor_label import FactorLabel
from tfvis_jax.errors import InputError
from tfvis_jax.runs import trained_dictionary

N_FACTORS = 120
LAYERS = range(7)


def _read(path, **how):
    return label_forms.read(path, n_factors=N_FACTORS, layers=LAYERS, **how)


def _write(tmp_path, content, name="labels"):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# An explanation as `api/explanation/export` of Neuronpedia has it.
def _neuronpedia(index, description, layer=6, **more):
    return {
        "modelId": "minilm",
        "layer": f"{layer}-factors",
        "index": str(index),
        "description": description,
        "typeName": "oai_token-act-pair",
        "explanationModelName": "gpt-4o-mini",
    } | more


def _lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


SCHOOLS = FactorLabel("schools")
BY_NEURONPEDIA = FactorLabel("schools", source="gpt-4o-mini", layer=6)


@pytest.mark.parametrize(
    ("content", "form", "label"),
    [
        ({"101": "schools"}, "tfvis", SCHOOLS),
        ({"00101": "schools"}, "tfvis", SCHOOLS),
        ({"Φ101": "schools"}, "tfvis", SCHOOLS),
        (b'\xef\xbb\xbf{"101": "schools"}', "tfvis", SCHOOLS),
        ('{"101": "schools"}'.encode("utf-16"), "tfvis", SCHOOLS),
        (gzip.compress(b'{"101": "schools"}', mtime=0), "tfvis", SCHOOLS),
        ({"101": {"label": "schools", "score": 1}}, "tfvis", FactorLabel("schools", 1)),
        (
            {"101": {"label": "schools", "score": "0.9"}},
            "tfvis",
            FactorLabel("schools", 0.9),
        ),
        (
            {"101": "\U0001f3eb schools\nand more"},
            "tfvis",
            FactorLabel("\U0001f3eb schools and more"),
        ),
        ({"101": "\u202eabc"}, "tfvis", FactorLabel("\ufffdabc")),
        ({"layer6_factor101": "schools"}, "tfvis", FactorLabel("schools", layer=6)),
        (
            {"model.layers.6.mlp_latent101": {"explanation": "schools", "score": 0.9}},
            "delphi",
            FactorLabel("schools", 0.9, layer=6),
        ),
        (
            [{"latent": "h.6_feature101", "explanation": "schools"}],
            "delphi",
            FactorLabel("schools", layer=6),
        ),
        ([_neuronpedia(101, "schools")], "Neuronpedia", BY_NEURONPEDIA),
        (
            _lines(_neuronpedia(101, "schools"), _neuronpedia(3, "")),
            "Neuronpedia",
            BY_NEURONPEDIA,
        ),
        (
            gzip.compress(
                _lines(_neuronpedia(101, "schools"), _neuronpedia(3, None)).encode(),
                mtime=0,
            ),
            "Neuronpedia",
            BY_NEURONPEDIA,
        ),
        (
            {
                "modelId": "minilm",
                "layer": "6-factors",
                "index": "101",
                "activations": [],
                "explanations": [
                    {
                        "description": "schools",
                        "explanationModelName": "gpt-4o-mini",
                        "scores": [{"value": 0.9, "explanationScoreTypeName": "fuzz"}],
                    }
                ],
            },
            "Neuronpedia",
            FactorLabel("schools", 0.9, "gpt-4o-mini", 6),
        ),
        (
            {"101": {"description": "schools", "scores": [0.9]}},
            "Neuronpedia",
            FactorLabel("schools", 0.9),
        ),
        ("factor,label\n101,schools\n", "CSV", SCHOOLS),
        ("101,schools", "CSV", SCHOOLS),
        ("\ufeffIndex;Description\r\n101;schools\r\n", "CSV", SCHOOLS),
        ("factor\tlabel\n101\tschools\n", "TSV", SCHOOLS),
        (
            "layer,feature,explanation,score,source\n6,101,schools,0.9,me\n6,7,,,\n",
            "CSV",
            FactorLabel("schools", 0.9, "me", 6),
        ),
        (
            [{"factor": 101, "label": "schools", "layer": 6}],
            "a list of records",
            FactorLabel("schools", layer=6),
        ),
    ],
)
def test_the_form_is_told_from_the_content(tmp_path, content, form, label):
    found = _read(_write(tmp_path, content))
    assert found.form == form
    assert found.labels == {101: {label.layer: label}}


def test_one_label_a_layer(tmp_path):
    content = {"layer6_factor101": "schools", "layer5_factor101": "pupils"}
    found = _read(_write(tmp_path, content))
    assert found.labels == {
        101: {6: FactorLabel("schools", layer=6), 5: FactorLabel("pupils", layer=5)}
    }
    with pytest.raises(InputError, match=r"layers out of \[0, 1, .*got 7"):
        _read(_write(tmp_path, {"layer7_factor101": "x"}))


def test_of_several_explanations_the_one_of_the_best_score_stays(tmp_path):
    content = [
        _neuronpedia(101, "first"),
        _neuronpedia(101, "best", scores=[{"value": 0.9}]),
        _neuronpedia(101, "worse", scores=[{"value": 0.4}]),
        _neuronpedia(7, "only"),
        _neuronpedia(7, "as good"),
        _neuronpedia(8, " "),
    ]
    found = _read(_write(tmp_path, content))
    assert found.labels[101][6].text == "best" and found.labels[7][6].text == "only"
    assert (found.n_more, found.n_empty) == (3, 1)


def test_results_of_delphi_with_their_scores(tmp_path):
    names = ("layers.5_latent7", "layers.6_latent101")
    (tmp_path / "explanations").mkdir()
    for scorer in ("detection", "fuzz"):
        (tmp_path / "scores" / scorer).mkdir(parents=True)
    for name, text in zip(names, ("rivers", "schools"), strict=True):
        _write(tmp_path / "explanations", text.join('""'), f"{name}.txt")
        examples = [{"correct": each} for each in (True, True, False, None)]
        _write(tmp_path / "scores" / "fuzz", examples, f"{name}.txt")
        failed = [{"correct": None}] if name == names[0] else [{"correct": True}]
        _write(tmp_path / "scores" / "detection", failed, f"{name}.txt")
    expected = {
        7: {5: FactorLabel("rivers", layer=5)},
        101: {6: FactorLabel("schools", 1.0, layer=6)},
    }
    found = _read(tmp_path)
    assert (found.form, found.labels) == ("delphi", expected)
    for path in (tmp_path / "scores" / "detection").iterdir():
        path.unlink()
    by_fuzzing = _read(tmp_path).labels
    assert by_fuzzing[7][5].score == by_fuzzing[101][6].score == pytest.approx(2 / 3)
    # The folder of the texts alone.
    found = _read(tmp_path / "explanations")
    assert found.labels[101][6] == FactorLabel("schools", layer=6)


def test_a_folder_of_batches(tmp_path):
    for number, index in enumerate((7, 101)):
        lines = _lines(_neuronpedia(index, "text"), _neuronpedia(0, ""))
        _write(
            tmp_path, gzip.compress(lines.encode(), mtime=0), f"batch-{number}.jsonl.gz"
        )
    found = _read(tmp_path)
    assert found.form == "Neuronpedia" and set(found.labels) == {7, 101}
    _write(tmp_path, "factor,label\n3,x\n", "more.csv")
    with pytest.raises(InputError, match=r"one form in .*CSV and Neuronpedia"):
        _read(tmp_path)


def test_labels_of_a_run_are_taken_by_the_same_dictionary_only(tmp_path):
    trained = trained_dictionary.TrainedDictionary(
        factors=np.eye(N_FACTORS, dtype=np.float32),
        layer_scale=np.ones(7, np.float32),
        layers=tuple(LAYERS),
        model="m",
        l1_penalty=0.1,
    )
    path = tmp_path / "labels.json"
    kept = {3: FactorLabel("three", 0.5, "me", 2, (FactorLabel("drei", layer=4),))}
    labels.save(path, kept, trained)
    found = _read(path, dictionary_hash=trained.content_hash)
    assert found.form == "tfvis"
    assert found.labels == {3: kept[3].by_layer}
    with pytest.raises(InputError, match="another dictionary"):
        _read(path, dictionary_hash="other")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        (" \n", "empty file"),
        ("a text", "as JSON, or as CSV or TSV whose first line names"),
        ("factor,colour\n3,red", "first line names .*factor,colour"),
        ("factor,label\n3", "2 columns in line 2 of .*, got 1"),
        ("factor,label\n\n120,x", "0 … 119 in line 3 of"),
        ("factor,label\nriver,x", r"in line 2 of .*got \"river\""),
        ("factor,label\n3,x\n3,y", "two labels for factor 3"),
        ("factor,label,score\n3,x,high", "Factor 3 in line 2 of .*finite number"),
        ('factor,label\n3,"x', "no table of labels: line 2: unexpected end"),
        ("factor,label,layer\n3,x,top", "number of a layer in line 2 of"),
        ("factor,label,layer\n3,x,9", "got 9"),
        ({"-1": "x"}, r"got \"-1\""),
        ({"101": None}, "Factor 101.*expected a text .*got null"),
        ([_neuronpedia(120, "x")], "0 … 119 in entry 1 of"),
        ([_neuronpedia(3, ["x"])], r"Factor 3 in entry 1 .*got \[\"x\"\]"),
        ([_neuronpedia(1.5, "x")], r"got \"1.5\""),
        ([{"index": 1.5, "description": "x"}], "got 1.5"),
        ([{"description": "x"}], "Expected a factor .* in entry 1 .*only description"),
        ([{"index": "3"}], "Expected a label .* in entry 1 .*only index"),
        ([{}], "got only nothing"),
        ([3], "as entry 1 of .*got 3.0"),
        ({"explanations": [3]}, "as entry 1 of .*got 3.0"),
        ({"3": {"description": "x"}, "4": 5}, "Factor 4"),
        ({"schema": "tfvis-labels/1", "labels": []}, "`labels` as an object"),
        ({"schema": "tfvis-prompts/1", "factors": [{"factor": 3}]}, "Expected a label"),
        ({"3": {"label": "x", "at_layers": 5}}, '`at_layers` of "3" as a list'),
        ('{"index": "3", "description": "x"}\n{"index": ', "Line 2 of .* is not JSON"),
        (gzip.compress(b'{"3": "x"}', mtime=0)[:-9], "damaged: it ends in the middle"),
        (gzip.compress(b'{"3": "x"}', mtime=0)[:3], "damaged"),
        (b"\x1f\x8b\x00\x00", "damaged"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
    ],
)
def test_what_is_malformed_is_named_with_its_place(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        _read(_write(tmp_path, content))


def test_what_unpacks_to_too_much_is_refused(tmp_path):
    bomb = gzip.compress(b" " * (65 * 2**20), mtime=0)
    with pytest.raises(InputError, match="at most 64 MiB"):
        _read(_write(tmp_path, bomb))


TEXTS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf")),
    min_size=1,
    # What a source may have at most.
    max_size=200,
).map(lambda text: " ".join(text.split()))
RECORDS = st.dictionaries(
    st.tuples(st.integers(0, N_FACTORS - 1), st.none() | st.integers(0, 6)),
    st.builds(
        FactorLabel,
        TEXTS.filter(bool),
        st.none() | st.floats(-1e6, 1e6).map(lambda score: float(f"{score:.6g}")),
        TEXTS,
    ),
    min_size=1,
)


def _as_table(records, delimiter):
    written = io.StringIO()
    rows = csv.writer(written, delimiter=delimiter)
    rows.writerow(["factor", "label", "layer", "score", "source"])
    for (factor, layer), label in records.items():
        rows.writerow([factor, label.text, layer, label.score, label.source])
    return written.getvalue()


def _as_ours(records):
    return {
        (f"{factor}" if layer is None else f"layer{layer}_factor{factor}"): (
            labels.as_json(label)
        )
        for (factor, layer), label in records.items()
    }


def _as_delphi(records):
    return {
        (f"latent{factor}" if layer is None else f"layers.{layer}_latent{factor}"): {
            "explanation": label.text,
            "score": label.score,
            "source": label.source,
        }
        for (factor, layer), label in records.items()
    }


def _as_neuronpedia(records):
    return [
        {
            "index": str(factor),
            "layer": None if layer is None else f"{layer}-res",
            "description": label.text,
            "scores": [] if label.score is None else [{"value": label.score}],
            "explanationModelName": label.source,
        }
        for (factor, layer), label in records.items()
    ]


@given(records=RECORDS)
def test_what_is_written_in_any_form_comes_back(records, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("forms")
    expected = {}
    for (factor, layer), label in records.items():
        at = FactorLabel(label.text, label.score, label.source, layer)
        expected.setdefault(factor, {})[layer] = at
    neuronpedia = _as_neuronpedia(records)
    for form, content in (
        ("tfvis", _as_ours(records)),
        ("delphi", _as_delphi(records)),
        ("Neuronpedia", neuronpedia),
        ("Neuronpedia", _lines(*neuronpedia)),
        ("CSV", _as_table(records, ",")),
        ("TSV", _as_table(records, "\t")),
    ):
        found = _read(_write(tmp_path, content))
        assert (found.form, found.labels) == (form, expected)
