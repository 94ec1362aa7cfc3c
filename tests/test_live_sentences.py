"""What the page says of a sentence is what `tfvis encode` says."""

import json
import shutil
import threading
import types

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli, config, errors, pipeline, saliency
from tfvis_jax.data import tokenizer
from tfvis_jax.notebook import sentence
from tfvis_jax.pipeline import live as live_lib
from tfvis_jax.viewer import bundle, live, sentences

TEXT = "The bank of a river, benches; 👩‍🔬 left"


@pytest.fixture(scope="module")
def run(toy_run):
    return tfvis_jax.load_run(toy_run)


@pytest.fixture(scope="module")
def records(toy_run):
    """The records of the sentence, as the server's worker delivers them."""
    worker = pipeline.live_worker(toy_run)
    records, done = [], threading.Event()
    worker.start()
    worker.submit(
        live.Job(TEXT, (), lambda r: done.set() if r is None else records.append(r))
    )
    assert done.wait(300)
    worker.stop()
    assert not worker.busy
    return records


def test_the_records_equal_the_encode_command(toy_run, records, capsys):
    assert cli.main(["encode", str(toy_run), TEXT, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    head, *layers = records
    assert head["layers"] == [layer["layer"] for layer in said["layers"]]
    assert head["text"] == said["text"]
    for got, expected in zip(layers, said["layers"], strict=True):
        assert got["layer"] == expected["layer"]
        for place, (token, other) in enumerate(
            zip(got["tokens"], expected["tokens"], strict=True)
        ):
            assert head["pieces"][place] == other["token"]
            assert head["spans"][place] == [other["start"], other["end"]]
            assert head["tokens"][place] == TEXT[other["start"] : other["end"]]
            alpha = np.zeros(24)
            alpha[other["factors"]] = other["activations"]
            mine = np.zeros(24)
            for factor, value, _ in token["factors"]:
                mine[factor] = value
            # Four digits are kept, and the window is padded to another length.
            np.testing.assert_allclose(mine, alpha, atol=1e-3)
            assert token["residual"] == pytest.approx(
                other["relative_residual"], abs=1e-3
            )
            # Both codes are within the solver's tolerance of the optimum.
            assert token["gap"] <= 1e-5
            values = [value for _, value, _ in token["factors"]]
            assert values == sorted(values, reverse=True)


def test_the_words_join_the_pieces(minilm_folder):
    opened = types.SimpleNamespace(
        tokenizer=tokenizer.load(minilm_folder),
        config=config.RunConfig(
            model="m", corpus=config.CorpusConfig(paths=("t",), special_tokens=True)
        ),
        pretrained=types.SimpleNamespace(
            name="m", config=types.SimpleNamespace(max_positions=512)
        ),
    )
    tokenized = sentence.tokenize_sentence(opened, "He unravels it.", lengths=(32, 64))
    assert tokenized.tokens == ["he", "un", "##rave", "##ls", "it", "."]
    assert tokenized.words == [0, 1, 1, 1, 2, 3]
    assert tokenized.token_ids.shape == tokenized.token_mask.shape == (1, 32)
    assert tokenized.token_mask.sum() == 8
    assert tokenized.shown == slice(1, 7)
    # Beyond the last length, multiples of 16 as before.
    longer = sentence.tokenize_sentence(opened, "it " * 70, lengths=(32, 64))
    assert longer.token_ids.shape == (1, 80)


def test_the_shares_of_the_factors_and_the_residual_add_up_to_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 8))
    factors = rng.normal(size=(100, 8))
    codes = np.maximum(rng.normal(size=(3, 100)), 0)
    codes[1] = 0
    record = sentences.layer_record(
        4, x=x, codes=codes, gap=np.array([1e-6, np.nan, 0.25]), factors=factors
    )
    assert record["layer"] == 4
    assert [token["gap"] for token in record["tokens"]] == [1e-6, None, 0.25]
    for row, alpha, token in zip(x, codes, record["tokens"], strict=True):
        residual = row - alpha @ factors
        assert token["l0"] == np.count_nonzero(alpha)
        assert len(token["factors"]) == min(token["l0"], sentences.MOST_FACTORS)
        # Three significant digits are kept.
        for factor, value, share in token["factors"]:
            assert value == pytest.approx(alpha[factor], rel=5e-4)
            expected = alpha[factor] * (factors[factor] @ row) / (row @ row)
            assert share == pytest.approx(expected, rel=5e-3)
        assert token["residual_share"] == pytest.approx(
            residual @ row / (row @ row), rel=5e-3
        )
        assert token["residual"] == pytest.approx(
            np.linalg.norm(residual) / np.linalg.norm(row), rel=5e-4
        )
        total = (alpha * (factors @ row)).sum() / (row @ row)
        assert total + residual @ row / (row @ row) == pytest.approx(1)


def test_a_hidden_state_of_zero_has_no_shares():
    record = sentences.layer_record(
        0,
        x=np.zeros((1, 4)),
        codes=np.zeros((1, 3)),
        gap=np.zeros(1),
        factors=np.eye(3, 4),
    )
    assert record["tokens"] == [
        {"factors": [], "gap": 0, "l0": 0, "residual": 0, "residual_share": 0}
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "at least one word"), (" \n", "at least one word"), ("the " * 65, "got 65")],
)
def test_what_cannot_be_encoded_is_said(run, text, message):
    with pytest.raises(errors.InputError, match=message):
        next(live_lib.RunEncoder(run).encode(text))


def test_a_masked_token_changes_the_codes(run):
    encoder = live_lib.RunEncoder(run)
    head, *layers = encoder.encode("the bank of the river", masked=[1])
    assert head["pieces"] == ["the", "[MASK]", "of", "the", "river"]
    assert head["tokens"][1] == "bank"
    _, *others = encoder.encode("the bank of the river")
    # At layer 0 only the masked token differs; above, attention carries it on.
    assert [
        mine == other
        for mine, other in zip(layers[0]["tokens"], others[0]["tokens"], strict=True)
    ] == [True, False, True, True, True]
    assert layers[2]["tokens"][4] != others[2]["tokens"][4]
    with pytest.raises(errors.InputError, match=r"in 0 … 4, got \[5\]"):
        next(encoder.encode("the bank of the river", masked=[5]))


def test_a_sentence_as_long_as_the_model_allows(run):
    # 64 positions, two of them for special tokens.
    head, *layers = live_lib.RunEncoder(run).encode("the " * 62)
    assert len(head["tokens"]) == 62
    assert {len(layer["tokens"]) for layer in layers} == {62}


def test_the_export_records_sentences_as_the_server_says_them(
    toy_run, tmp_path, records, capsys
):
    path = tmp_path / "toy"
    shutil.copytree(toy_run, path)
    lines = tmp_path / "sentences.txt"
    lines.write_text(f"\ufeff{TEXT}\n\n  the river \n{TEXT}\n", encoding="utf-8")
    export = ["export", str(path), "--contexts=1"]
    assert cli.main([*export, f"--sentences={lines}"]) == 0
    recorded = bundle.read(path / "site", "data/live")["recorded"]
    assert [sentence["text"] for sentence in recorded] == [TEXT, "the river"]
    assert bundle.read(path / "site", recorded[0]["name"]) == records
    # Two exports are equal to the byte.
    name = path / "site" / "data" / "sentences" / "00000.js"
    before = name.read_bytes()
    assert cli.main([*export, f"--sentences={lines}"]) == 0
    assert name.read_bytes() == before

    capsys.readouterr()
    lines.write_text("the " * 65)
    assert cli.main([*export, f"--sentences={lines}"]) == 1
    assert "cannot be recorded. Expected a text of at most" in capsys.readouterr().err
    lines.write_bytes(b"caf\xe9")
    assert cli.main([*export, f"--sentences={lines}"]) == 1
    assert "Expected sentences in UTF-8" in capsys.readouterr().err
    assert name.read_bytes() == before


def test_a_lost_model_is_named(tmp_path, toy_run):
    said = []
    worker = pipeline.live_worker(tmp_path / "none", on_failure=said.append)
    worker.start()
    assert worker.ready.wait(60)
    worker.stop()
    assert str(tmp_path / "none") in said[0]


def test_a_cell_is_explained_as_the_explain_call_does(run):
    text = "the bank of a river"
    encoder = live_lib.RunEncoder(run)
    encoded = run.encode(text)
    [(factor, alpha)] = encoded.strongest(2, 1, n=1)
    found = list(encoder.explain(text, cell=live.Cell(1, 2, factor)))
    target = saliency.target_of_text(run.opened, text, position=1, factor=factor)
    expected = run.explain_target(target, layer=2, methods=("lime",)).maps["lime"]
    last = found[-1]
    assert last["samples"] == expected.facts["n_samples"]
    # Three digits are kept.
    np.testing.assert_allclose(
        last["weights"], expected.weights[target.places], rtol=6e-3
    )
    assert last["r2"] == pytest.approx(expected.facts["r2"], rel=6e-3)
    # Codes of sentences have another tolerance, of 1e-5 in the objective.
    assert last["activation"] == pytest.approx(alpha, rel=1e-2)
    samples = [record["samples"] for record in found]
    assert samples == sorted(set(samples))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (live.Cell(9, 2, 3), "0 … 4, got 9"),
        (live.Cell(1, 7, 3), "got 7"),
        (live.Cell(1, 2, 24), "0 … 23, got 24"),
    ],
)
def test_what_cannot_be_explained_is_said(run, cell, message):
    with pytest.raises(errors.InputError, match=message):
        next(live_lib.RunEncoder(run).explain("the bank of a river", cell=cell))


def test_a_factor_that_does_not_fire_is_not_explained(run):
    text = "the bank of a river"
    silent = int(np.flatnonzero(run.encode(text).codes[2, 1] == 0)[0])
    encoder = live_lib.RunEncoder(run)
    with pytest.raises(errors.InputError, match="does not fire"):
        next(encoder.explain(text, cell=live.Cell(1, 2, silent)))


def test_unknown_tokens_are_in_the_first_record(run):
    head = next(live_lib.RunEncoder(run).encode("the 東京 river"))
    assert [head["tokens"][i] for i in head["unknown"]] == ["東", "京"]


@pytest.mark.parametrize("change", [(None, None), (0.7, 1)], ids=["out", "add"])
def test_a_factor_is_steered_as_the_steer_call_does(speaking_run, change):
    by, token = change
    run, text = tfvis_jax.load_run(speaking_run), "the bank of a river"
    [(factor, _)] = run.encode(text).strongest(1, 1, n=1)
    encoder = live_lib.RunEncoder(run)
    asked = live.Change(1, factor, by, token)
    first, *_, last = encoder.steer(text, masked=[3], change=asked)
    expected = run.steer(
        text,
        factor=factor,
        layer=1,
        by=by,
        ablate=by is None,
        tokens=None if token is None else [token],
        masked=[3],
    )
    assert first["controls"] == [] and first["objective"] == "masked_lm"
    # Four digits are kept, and the window is padded to another length.
    tolerance = {"rtol": 2e-3, "atol": 1e-5}
    np.testing.assert_allclose(last["effect"], expected.predictions.kl, **tolerance)
    np.testing.assert_allclose(
        last["controls"], expected.predictions.control_kl, **tolerance
    )
    assert [words[0][0] for words in last["after"]] == [
        words[0][0] for words in expected.predictions.after
    ]


def test_a_change_of_a_sentence_without_a_head_is_a_distance(run):
    [(factor, _)] = run.encode("the bank").strongest(1, 1, n=1)
    change = live.Change(1, factor, 1.0)
    *_, last = live_lib.RunEncoder(run).steer("the bank", change=change)
    expected = run.steer("the bank", factor=factor, layer=1, by=1.0)
    assert last["objective"] is None and last["before"] == []
    effect, others = expected.effects()
    np.testing.assert_allclose(last["effect"], [effect], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.ravel(last["controls"]), others, 1e-3, 1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (live.Change(1, 24, 1.0), "to 23, got 24"),
        (live.Change(7, 3, 1.0), "Expected layers out of"),
        (live.Change(1, 3, 1.0, 9), "got 9"),
        (live.Change(1, 3, 0.0), "fires at none"),
    ],
)
def test_what_cannot_be_steered_is_said(run, change, message):
    with pytest.raises(errors.InputError, match=message):
        next(live_lib.RunEncoder(run).steer("the bank", change=change))
