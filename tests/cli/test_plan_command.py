"""`tfvis plan`: a table or JSON, from flags or from a run."""

import json

import pytest
import toy_runs

from tfvis_jax import config
from tfvis_jax.cli import dispatch, plan
from tfvis_jax.planning import compiled
from tfvis_jax.runs import directory as directory_lib


def _plan(capsys, *arguments):
    code = dispatch.main(["plan", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_from_flags(capsys, toy_bert_folder):
    flags = (f"--model={toy_bert_folder}", "--n_factors=64", "--num_devices=8")
    code, out, err = _plan(capsys, *flags, "--mesh=data=-1,factor=4")
    assert code == 0, err
    assert "data=2, factor=4" in out and "fits the" in out
    assert "time: unknown; --measured=RUN" in out
    code, out, _ = _plan(capsys, *flags, "--json", "--device_memory=0.0001")
    document = json.loads(out)
    assert code == 1 and document["mesh"]["data"] == 8
    assert not document["fits"]
    assert document["bytes"]["dictionary"] == 64 * 16 * 4
    assert document["bytes"]["peak"] > document["device_memory"] == 2**30 // 10**4


@pytest.fixture
def measured(toy_bert_folder, tmp_path):
    """A run of 1,000 rows in 20 seconds, after the first batch; ``report`` if any."""

    def make(report=None):
        directory = directory_lib.RunDirectory(tmp_path / "run")
        directory.open_or_create(
            config.RunConfig(
                model=str(toy_bert_folder), corpus=config.CorpusConfig(paths=("t",))
            )
        )
        lines = [
            {"batch": n, "seconds": 10.0 * n, "rows": 500, "solver_steps": 3.0}
            for n in range(1, 4)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        directory.metrics.write_text(text)
        if report is not None:
            directory.report.write_text(json.dumps(report))
        return directory

    return make


_REPORT = {
    "model": "m",
    "corpus": ["t"],
    "n_tokens": 10,
    "n_held_out_rows": 1,
    "n_factors": 1024,
    "layers": [0],
    "fvu": {"all": 0.3, "per_layer": [0.3]},
    "l0": {"all": 9.0, "per_layer": [9.0]},
    "alive": 1.0,
    "gap": {"mean": 0.0, "max": 0.0},
    "seconds": {},
}


def _report(*, platform="cpu", kind="cpu", data=8, factor=1):
    return _REPORT | {
        "devices": {"platform": platform, "kind": kind, "number": data * factor},
        "mesh": {"data": data, "factor": factor},
    }


@pytest.mark.parametrize("report", [None, _REPORT, _report()])
def test_a_run_tells_its_rows_and_its_rate(capsys, measured, report):
    directory = measured(report)
    code, out, err = _plan(capsys, directory.path, "--total_rows=180000", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["solver_steps"] == 3
    assert document["measured"]["run"] == str(directory.path)
    assert document["seconds"] == pytest.approx(3600)
    _, out, _ = _plan(capsys, directory.path, "--total_rows=180000")
    assert "50 rows a second" in out and "takes 1.00 hours" in out
    assert "scaled" not in out
    # What the time of a row does not depend on.
    _, out, _ = _plan(capsys, directory.path, "--total_rows=180000", "--seed=3")
    assert "takes 1.00 hours" in out and "scaled" not in out


def test_a_time_for_other_sizes_is_scaled_by_their_work_and_says_so(capsys, measured):
    directory = measured(_report())
    flags = (directory.path, "--total_rows=180000", "--n_factors=4096")
    code, out, _ = _plan(capsys, *flags, "--json")
    document = json.loads(out)
    # Products with the dictionary, and the same encoder: per row and device, in FLOPs.
    depth, d_model, d_hidden, length = 2, 16, 32, 64
    encoder = depth * (8 * d_model**2 + 4 * length * d_model + 4 * d_model * d_hidden)

    def flops(n_factors):
        products = 2 * n_factors * d_model
        passes = document["step"]["solver_flops"] / (
            2 * 2 * document["rows"] / 8 * 4096 * d_model
        )
        rows_of_token = 3 * document["step"]["row_fraction"]
        return products * (2 * passes + 2) + encoder / rows_of_token

    document["step"]["row_fraction"] = config.RunConfig.row_fraction
    ratio = flops(4096) / flops(1024)
    assert code == 0 and 3 < ratio < 4
    assert document["time"]["times_the_work"] == pytest.approx(ratio)
    assert document["seconds"] == pytest.approx(3600 * ratio)
    _, out, _ = _plan(capsys, *flags)
    assert "`n_factors` differs" in out and "a rough estimate" in out
    # Half the devices do twice the work.
    four = ("--num_devices=4", "--total_rows=180000")
    _, out, _ = _plan(capsys, directory.path, *four)
    assert "the mesh differs" in out and "takes 2.00 hours" in out


@pytest.mark.parametrize(
    ("flags", "report", "reason"),
    [
        (["--n_factors=65536"], None, "too far to scale"),
        (["--tolerance=0.1"], None, "another `tolerance`"),
        (["--target_l0=3"], None, "another `target_l0`"),
        (["--dtype=bfloat16"], None, "another `dtype`"),
        (["--n_factors=128"], None, "another solver"),
        (["--num_devices=4"], None, "does not say its devices"),
        ([], _report(platform="gpu", kind="H100"), "measured on gpu, not on cpu"),
        ([], _report(kind="another cpu"), "of the kind another cpu"),
        (["--device_memory=0.0001"], None, "this one does not fit"),
    ],
)
def test_no_time_where_nothing_like_it_was_measured(
    capsys, measured, flags, report, reason
):
    directory = measured(report)
    flags = (directory.path, "--total_rows=180000", *flags)
    _, out, _ = _plan(capsys, *flags)
    assert "time: unknown" in out and reason in out
    assert "hours" not in out and "minutes" not in out
    code, out, _ = _plan(capsys, *flags, "--json")
    document = json.loads(out)
    assert "seconds" not in document and document["time"]["seconds_per_row"] is None
    assert code == (0 if document["fits"] else 1)


def test_what_fits_nowhere_takes_no_time_and_is_code_1(capsys, measured):
    directory = measured()
    flags = (directory.path, "--n_factors=2000000000", "--total_rows=180000")
    code, out, _ = _plan(capsys, *flags)
    assert code == 1 and "does not fit" in out and "no number of rows would" in out
    assert "hours" not in out and "minutes" not in out


def test_what_stored_hidden_states_take(capsys, toy_bert_folder, toy_corpus, tmp_path):
    settings = toy_runs.settings(toy_bert_folder, toy_corpus)
    _, windows = toy_runs.open_run(tmp_path / "run", settings)
    code, out, err = _plan(capsys, tmp_path / "run", "--json")
    assert code == 0, err
    document = json.loads(out)
    # Three hidden states of 16 floats.
    assert document["stored_token"] == 3 * 16 * 4
    assert document["stored"] == len(windows) * 12 * 3 * 16 * 4
    _, out, _ = _plan(capsys, tmp_path / "run")
    assert "0.2 kB a token, 0.00 GB for this text" in out


def test_layers_and_measurements_that_are_not_there(capsys, toy_bert_folder, tmp_path):
    code, _, err = _plan(capsys, f"--model={toy_bert_folder}", "--layers=0,99")
    assert code == 1 and "layers between 0 and" in err and "got 99" in err
    code, _, err = _plan(capsys, f"--model={toy_bert_folder}", f"--measured={tmp_path}")
    assert code == 1 and "two batches in its metrics.jsonl" in err


def test_wrong_usage(capsys, toy_bert_folder):
    code, _, err = _plan(capsys)
    assert code == 2 and "--model" in err
    code, _, err = _plan(capsys, "a", "b")
    assert code == 2 and "at most one run" in err
    code, _, err = _plan(capsys, "/nowhere/run")
    assert code == 1 and "not a run directory" in err
    model = f"--model={toy_bert_folder}"
    code, _, err = _plan(capsys, model, "--num_devices=8", "--mesh=data=3")
    assert code == 1 and "24 in all, got 64" in err
    code, _, err = _plan(capsys, model, "--topology=v5e")
    assert code == 1 and "such as v5e:16x16" in err


def test_what_xla_says_is_shown(capsys, toy_bert_folder, monkeypatch):
    figures = compiled.ProgramCost(
        arguments=2**20,
        results=0,
        temporary=3 * 2**20,
        code=0,
        flops=5e9,
        traffic=2.0**30,
        collectives=(
            compiled.Collective("all-reduce", 2**20, 2, False),
            compiled.Collective("all-reduce", 2**21, 0, True),
            compiled.Collective("all-gather", 16, 0, False),
        ),
    )
    asked = []

    def compile_programs(*arguments, **names):
        asked.append(names)
        return {"step": figures, "encoder": "Ran out of memory"}

    monkeypatch.setattr(plan.topology, "compile_programs", compile_programs)
    model = f"--model={toy_bert_folder}"
    flags = (model, "--n_factors=64", "--topology=v5e:2x4", "--windows_per_batch=16")
    code, out, err = _plan(capsys, *flags, "--mesh=data=2,factor=4")
    # What XLA refuses does not fit.
    assert code == 1, err
    assert asked == [{"topology": "v5e:2x4", "data": 2, "factor": 4}]
    assert "tpu devices" in out and "16.00 GiB" in out
    assert "step: 4 MiB a chip" in out and "5.0 GFLOP" in out
    assert "all-reduce of 1.0 MiB, each solver step" in out
    assert "all-reduce of 2.0 MiB, once, when factors are revived" in out
    assert "1 exchanges of less than 64 KiB" in out
    assert "encoder: XLA refuses it: Ran out of memory" in out
    code, out, _ = _plan(capsys, *flags, "--mesh=data=2,factor=4", "--json")
    programs = json.loads(out)["compiled"]["programs"]
    assert programs["step"]["collectives"][0]["loops"] == 2
