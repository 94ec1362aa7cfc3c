"""Scripts start with flags of their own; mistakes are one line."""

import pathlib

import pytest
from absl import flags

from experiments import script
from tfvis_jax.errors import InputError

FLAGS = flags.FlagValues()
_ROWS = flags.DEFINE_integer("rows", 3, "Rows.", lower_bound=1, flag_values=FLAGS)
_FAULT = flags.DEFINE_string("fault", None, "A mistake.", flag_values=FLAGS)


def main() -> None:
    if _FAULT.value == "input":
        raise InputError("Expected something else.")
    if _FAULT.value == "file":
        pathlib.Path("/nowhere/at/all").read_text()
    print(_ROWS.value)


def test_a_second_run_starts_from_the_defaults(capsys):
    script.run(main, FLAGS, ["folder/name.py", "--rows=5"])
    script.run(main, FLAGS, ["folder/name.py"])
    assert capsys.readouterr().out == "5\n3\n"


def test_help_shows_what_the_module_says_and_the_flags(capsys):
    script.run(main, FLAGS, ["name", "--rows=5", "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("Scripts start with flags of their own")
    assert "--rows: Rows." in shown and "--fault" in shown
    # The work is not done.
    assert not shown.rstrip().endswith("5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows=0"], "name: flag --rows=0"),
        (["--columns=2"], "name: Unknown command line flag 'columns'"),
        (["more"], "name: Expected flags alone, got more."),
        (["--fault=input"], "name: Expected something else."),
        (["--fault=file"], "name: /nowhere/at/all: No such file or directory."),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    with pytest.raises(SystemExit) as stopped:
        script.run(main, FLAGS, ["folder/name.py", *arguments])
    assert str(stopped.value).startswith(message)
    assert "\n" not in str(stopped.value)


def test_lists_of_numbers():
    assert script.numbers("l0", ["16", "32"], int) == (16, 32)
    with pytest.raises(InputError, match="--l0 as numbers, got '16,few'"):
        script.numbers("l0", ["16", "few"])
