"""Commands that are printed to be typed next work as they stand, whatever the path."""

import ast
import pathlib
import re
import shlex

import pytest

from tfvis_jax import cli
from tfvis_jax.cli import dispatch
from tfvis_jax.errors import command_line

ROOT = pathlib.Path(__file__).parents[2]
ODD = 'it\'s a "run"; $(echo no) & more'


def _next(out):
    """The command that an output proposes, as a shell splits it."""
    [line] = [line for line in out.splitlines() if line.startswith("next ")]
    program, *words = shlex.split(line.removeprefix("next "))
    assert program == "tfvis"
    return words


def test_each_step_names_the_next_which_runs_as_it_stands(
    toy_bert_folder, toy_corpus, tmp_path, capsys
):
    run = tmp_path / ODD
    flags = {
        "model": toy_bert_folder,
        "text": toy_corpus,
        "window_length": 12,
        "n_factors": 24,
        "rows_per_step": 64,
        "windows_per_batch": 8,
        "l1_penalty": 0.1,
    }
    words = ["hidden_states", str(run), *(f"--{k}={v}" for k, v in flags.items())]
    steps = []
    while words[0] != "view":
        steps.append(words[0])
        assert cli.main(words) == 0, words
        words = _next(capsys.readouterr().out)
        words += ["--until=train"] * (words[0] == "train")
        assert words[1] == str(run)
    assert steps == ["hidden_states", "train", "examples", "levels", "export"]
    labels = tmp_path / "labels.json"
    labels.write_text('{"3": "a word"}')
    assert cli.main(["labels", str(run), f"--import={labels}"]) == 0
    assert _next(capsys.readouterr().out) == ["export", str(run)]
    # Errors propose commands too.
    (run / "report.json").unlink()
    assert cli.main(["export", str(run)]) == 1
    proposed = re.search("`(tfvis train .*)`", capsys.readouterr().err)
    assert proposed and shlex.split(proposed[1]) == ["tfvis", "train", str(run)]


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "tfvis_jax").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_message_puts_a_path_into_a_command_unquoted(path):
    commands = "|".join(dispatch._COMMANDS)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            texts = [
                part.value if isinstance(part, ast.Constant) else "{}"
                for part in node.values
            ]
            found = re.search(rf"tfvis (?:{commands}) \S*\{{\}}", "".join(texts))
            assert not found, f"{path}:{node.lineno}: use errors.command_line"


def test_words_are_quoted_where_they_need_it():
    assert command_line("train", "runs/mine", "--n_factors=8") == (
        "tfvis train runs/mine --n_factors=8"
    )
    path = pathlib.Path("a b/it's")
    assert shlex.split(command_line("view", path)) == ["tfvis", "view", str(path)]
