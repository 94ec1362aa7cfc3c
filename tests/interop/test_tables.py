"""A run as tables and as Neuronpedia's features, against the run and their schema."""

import csv
import gzip
import json

import numpy as np
import pytest

from tfvis_jax import cli, load_run, pipeline
from tfvis_jax.errors import InputError
from tfvis_jax.interop import neuronpedia, row_tables

# Of hijohnnylin/neuronpedia, apps/webapp/prisma/schema.prisma: the columns of its
# tables and their types. A line that has others is refused or loses them.
COLUMNS = {
    "release": "name:text visibility:text description:text descriptionShort:text "
    "creatorName:text creatorNameShort:text creatorId:text createdAt:text urls:text[]",
    "model": "id:text displayName:text displayNameShort:text dimension:int layers:int "
    "neuronsPerLayer:int owner:text instruct:bool inferenceEnabled:bool "
    "visibility:text creatorId:text createdAt:text",
    "sourceset": "modelId:text name:text description:text type:text creatorName:text "
    "urls:text[] releaseName:text visibility:text creatorId:text createdAt:text",
    "source": "id:text modelId:text setName:text dataset:text num_prompts:int "
    "num_tokens_in_prompt:int inferenceEnabled:bool notes:text visibility:text "
    "creatorId:text createdAt:text",
    "features": "modelId:text layer:text index:text sourceSetName:text creatorId:text "
    "createdAt:text maxActApprox:float frac_nonzero:float hookName:text "
    "freq_hist_data_bar_values:float[] freq_hist_data_bar_heights:float[] "
    "topkCosSimIndices:int[] topkCosSimValues:float[] pos_str:text[] "
    "pos_values:float[] neg_str:text[] neg_values:float[] hasVector:bool "
    "vector:float[]",
    "activations": "id:text modelId:text layer:text index:text tokens:text[] "
    "values:float[] maxValue:float maxValueTokenIndex:int minValue:float "
    "creatorId:text createdAt:text",
    "explanations": "id:text modelId:text layer:text index:text description:text "
    "authorId:text createdAt:text",
}
TYPES = {"text": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def _check(kind, record):
    columns = dict(column.split(":") for column in COLUMNS[kind].split())
    assert set(record) == set(columns)
    for name, expected in columns.items():
        values = record[name] if expected.endswith("[]") else [record[name]]
        assert isinstance(values, list)
        allowed = TYPES[expected.removesuffix("[]")]
        assert all(type(value) in allowed for value in values), name


def _lines(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


@pytest.fixture(scope="module")
def exported(toy_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("theirs") / "np"
    arguments = ["export", str(toy_run), "--format=neuronpedia", "--contexts=4"]
    assert cli.main([*arguments, f"--out={out}"]) == 0
    return out


def _source(run, layer, site="hidden"):
    return neuronpedia.Source(
        model="/".join(run.trained.model.split("/")[-2:]),
        run=run.directory.path.name,
        layer=layer,
        site=site,
        **dict.fromkeys(["n_layers", "n_factors", "d_model", "n_windows"], 1),
        **{"window_length": 1, "corpus": "", "created_by": ""},
    )


def test_every_line_has_the_columns_of_its_table(run, exported):
    [model] = [path for path in exported.iterdir() if path.is_dir()]
    assert len(list(model.iterdir())) == len(run.trained.layers)
    for source in model.iterdir():
        for kind in COLUMNS:
            lines = (
                _lines(source / f"{kind}.jsonl")
                if (source / f"{kind}.jsonl").exists()
                else _lines(source / kind / "batch-0.jsonl.gz")
            )
            assert lines
            for record in lines:
                _check(kind, record)
                assert record.get("modelId", model.name) == model.name
                assert record.get("layer", source.name) == source.name
        ids = [line["id"] for line in _lines(source / "activations/batch-0.jsonl.gz")]
        assert len(set(ids)) == len(ids)


def test_features_are_those_of_the_layer(run, exported):
    for index, layer in enumerate(run.trained.layers):
        source = _source(run, layer)
        folder = exported / source.model_id / source.id
        # Blocks are counted from 0, hidden states from the embeddings.
        assert source.id.startswith(f"{max(layer - 1, 0)}-")
        assert source.set_name.endswith("-embeddings") == (layer == 0)
        features = _lines(folder / "features/batch-0.jsonl.gz")
        assert [line["index"] for line in features] == [str(f) for f in range(24)]
        hooks = {line["hookName"] for line in features}
        assert hooks == {
            f"blocks.{layer - 1}.hook_resid_post"
            if layer
            else "blocks.0.hook_resid_pre"
        }
        for factor, line in enumerate(features):
            firing = run.examples.firing[index, factor]
            assert line["frac_nonzero"] == pytest.approx(
                firing / run.examples.n_tokens, rel=1e-3
            )
            assert sum(line["freq_hist_data_bar_heights"]) == firing
            cosine = run.trained.factors @ run.trained.factors[factor]
            near = line["topkCosSimIndices"]
            np.testing.assert_allclose(
                line["topkCosSimValues"], cosine[near], rtol=1e-3, atol=1e-4
            )
        activations = _lines(folder / "activations/batch-0.jsonl.gz")
        strongest = {}
        for line in activations:
            assert len(line["tokens"]) == len(line["values"])
            assert line["values"][line["maxValueTokenIndex"]] == line["maxValue"]
            best = strongest.get(line["index"], 0)
            strongest[line["index"]] = max(best, line["maxValue"])
        firing = np.flatnonzero(run.examples.firing[index])
        assert {int(number) for number in strongest} == set(firing.tolist())
        for number, value in strongest.items():
            largest = run.examples.max_activation[index, int(number)]
            # Contexts have half precision.
            assert value == pytest.approx(largest, rel=2e-3)


def test_equal_runs_give_equal_files(toy_run, exported, tmp_path):
    again = pipeline.export_tables(
        toy_run, tmp_path / "again", format="neuronpedia", contexts=4
    )
    files = sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert files
    for file in files:
        assert (again / file).read_bytes() == (exported / file).read_bytes()


def _read(folder, name, format):
    if format == "csv":
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    return parquet.read_table(folder / f"{name}.parquet").to_pylist()


@pytest.mark.parametrize("format", row_tables.FORMATS)
def test_tables_have_a_row_for_each_context_and_factor(run, toy_run, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    arguments = ["export", str(toy_run), f"--format={format}", "--contexts=3"]
    assert cli.main([*arguments, f"--out={tmp_path / 'out'}"]) == 0
    factors = _read(tmp_path / "out", "factors", format)
    assert len(factors) == 24 * 3
    for row in factors:
        at = (run.trained.layers.index(int(row["layer"])), int(row["factor"]))
        for name, array in {
            "density": run.examples.density,
            "importance": run.importance(),
            "max_activation": run.examples.max_activation,
        }.items():
            assert float(row[name]) == pytest.approx(array[at], rel=1e-5)
        assert row["level"] == run.factor(at[1]).level.name
    examples = _read(tmp_path / "out", "examples", format)
    [best] = [
        row
        for row in examples
        if (int(row["factor"]), int(row["layer"]), row["band"]) == (3, 1, "top")
        and int(row["rank"]) == 1
    ]
    expected = run.factor(3).examples(layer=1, n=1)[0]
    # Stored contexts have half precision.
    assert float(best["activation"]) == pytest.approx(expected.activation, rel=1e-3)
    assert best["document"] == run.windows.document_name(int(best["window"]))
    text = best["left"].removeprefix("'") + best["word"] + best["right"]
    whole = "".join(run.windows.spaced_texts(int(best["window"])))
    assert "".join(text.split()) in "".join(whole.split())
    tops = [row for row in examples if row["band"] == "top"]
    assert {int(row["rank"]) for row in tops} <= {1, 2, 3}
    assert {row["band"] for row in examples} <= {"top", "90-99", "50-90", "random"}


def test_formulas_and_halves_of_characters(tmp_path):
    rows = [("=1+2", 1, 0.5), ("\ud83d", -2, float("nan")), ('"a", b\n', 3, None)]
    table = row_tables.Table("t", {"text": str, "n": int, "x": float}, rows)
    assert row_tables.write(tmp_path, table, format="csv") == 3
    found = _read(tmp_path, "t", "csv")
    assert [row["text"] for row in found] == ["'=1+2", "?", '"a", b\n']
    assert [row["n"] for row in found] == ["1", "-2", "3"]
    assert [row["x"] for row in found] == ["0.5", "nan", ""]


def test_what_cannot_be_written_is_said(toy_run, tmp_path, capsys):
    export = ["export", str(toy_run), "--format=csv"]
    assert cli.main(export) == 2
    assert "Expected --out" in capsys.readouterr().err
    assert cli.main([*export, f"--out={tmp_path / 'x'}", "--single_file"]) == 2
    assert "--single_file with --format=page" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    assert cli.main([*export, f"--out={tmp_path / 'other'}"]) == 1
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "other" / "mine.txt").read_text() == "mine"
    for content in ("[]", "{}", '{"schema": null}'):
        (tmp_path / "other" / "tfvis.json").write_text(content)
        assert cli.main([*export, f"--out={tmp_path / 'other'}"]) == 1
        assert "holds something else" in capsys.readouterr().err
    with pytest.raises(InputError, match="csv, parquet, neuronpedia, delphi"):
        pipeline.export_tables(toy_run, tmp_path / "x", format="xml")
    assert not (tmp_path / "x").exists()


def test_names_are_as_neuronpedia_allows_them(run):
    source = _source(run, 1)
    assert set(source.model_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert neuronpedia._identifier("BERT/Base (é)") == "bert-base"
    assert neuronpedia._identifier("東京") == "model"
    mlp = _source(run, 2, site="mlp_out")
    assert mlp.hook == "blocks.1.hook_mlp_out"
    assert mlp.set_name == f"{source.set_name}-mlp"
