"""The paper's preset from end to end on three architectures, in a minute's fraction."""

import pytest
import scripts

from benchmarks.models import marked
from tfvis_jax import load_run

pytest.importorskip("torch", reason="torch is not installed")
preset = pytest.importorskip("benchmarks.models.paper_preset")
small_models = pytest.importorskip("benchmarks.models.small_models")


_SIZES = {"max_tokens": 500, "rows": 200, "n_factors": 32}


@pytest.fixture(scope="module")
def text(toy_corpus):
    return str(toy_corpus)


@pytest.mark.parametrize("name", small_models.NAMES)
def test_a_small_model_goes_all_the_way(name, text, tmp_path):
    small_models.save(tmp_path / "model", name, preset._sample(text))
    preset.FLAGS.unparse_flags()
    preset.FLAGS(["", *(f"--{flag}={value}" for flag, value in _SIZES.items())])
    config = preset.settings(tmp_path / "model", text)
    assert config.layers == (0, 2) and config.solver.max_steps == 500
    found = preset.measure(tmp_path / "run", config, name="random")
    assert found.model_type == name and found.layers == (0, 2)
    assert 0 < found.fvu < 1 and found.l0 > 0 and found.gap < 0.1
    run = load_run(tmp_path / "run")
    # Every word of the sentence is there, whatever the tokenizer.
    encoded = run.encode(preset._SENTENCE)
    seen = {place for span in encoded.spans for place in range(*span)}
    letters = {i for i, letter in enumerate(preset._SENTENCE) if letter != " "}
    assert letters <= seen and encoded.codes.any(axis=(0, 2)).all()
    lines = preset.table([found]).splitlines()
    assert len(lines) == 3 and f"`{name}`" in lines[2]


def test_the_script_puts_its_table_into_the_page(text, tmp_path, monkeypatch, capsys):
    page = tmp_path / "models.md"
    page.write_text("a\n<!-- paper preset: begin -->\n<!-- paper preset: end -->\nb\n")
    monkeypatch.setattr(marked, "PAGE", page)
    small_models.save(tmp_path / "mine", "gpt2", preset._sample(text))
    scripts.run(
        preset,
        text=text,
        small=[],
        models=[tmp_path / "mine"],
        **_SIZES,
    )
    lines = page.read_text().splitlines()
    assert lines[0] == "a" and lines[-1] == "b"
    assert any(line.startswith("32 factors in place of 2,000") for line in lines)
    [row] = [line for line in lines if line.startswith("| `gpt2`")]
    assert row.split("|")[2].strip() == "mine"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "Expected --text=FILE"),
        ({"text": "t", "small": "bert"}, "--small of modernbert, deberta-v2, gpt2"),
    ],
)
def test_bad_flags_are_a_sentence(flags, message):
    with pytest.raises(SystemExit, match=message):
        scripts.run(preset, **flags)
