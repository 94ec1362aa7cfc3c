"""The scripts run from end to end on a toy corpus."""

import json

import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import reproduce_paper


@pytest.fixture
def parsed_flags():
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["test", "--workdir=w", "--model=m", "--text=t"])


def test_the_papers_settings_from_text_to_page(
    parsed_flags, toy_bert_folder, toy_corpus, tmp_path, capsys
):
    with flagsaver.flagsaver(
        workdir=str(tmp_path / "run"),
        model=str(toy_bert_folder),
        text=[str(toy_corpus)],
        max_tokens=200,
        top_n=20,
    ):
        reproduce_paper.main(["reproduce_paper"])
    printed = capsys.readouterr().out
    assert "2,000 factors for layers [0]" in printed
    assert (tmp_path / "run" / "site" / "index.html").is_file()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["solver"]["max_steps"] == 500
