"""What `tfvis encode` prints of a long sentence."""

import json
import re

import pytest

from tfvis_jax import cli
from tfvis_jax.cli import encode

_LONG = " ".join(["the bank of a river and the light"] * 7)


def _print(run, capsys, *flags, text=_LONG):
    assert cli.main(["encode", str(run), text, *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [int(line.split()[1]) for line in lines if line.startswith("layer ")]
    return lines, shown


def test_a_short_sentence_is_shown_at_all_layers(toy_run, capsys):
    lines, shown = _print(toy_run, capsys, text="the bank")
    assert shown == [0, 1, 2]
    assert not any(line.startswith("Shown:") for line in lines)


def test_of_a_long_one_layers_that_fit_and_how_to_see_all(toy_run, capsys, monkeypatch):
    lines, shown = _print(toy_run, capsys)
    assert shown == [2]
    assert len(lines) <= 56 + 2 + 4
    [said] = [line for line in lines if line.startswith("Shown:")]
    assert said.startswith("Shown: 1 of 3 layers")
    [flag] = re.findall(r"--layers=[\d,]+", said)
    for width in (70, 100):
        monkeypatch.setattr("tfvis_jax.cli.terminal.width", lambda width=width: width)
        narrow, _ = _print(toy_run, capsys)
        # One line for each token, no wider than the terminal if a term can be left out.
        tokens = [line for line in narrow if re.match(r"  \S+ +\d+ +[\d.]+%", line)]
        assert len(tokens) == 56
        assert all(len(line) <= width or line.count("·Φ") == 1 for line in tokens)
    assert any(line.count("·Φ") > 1 for line in tokens)
    whole, shown = _print(toy_run, capsys, flag)
    assert shown == [0, 1, 2] and len(whole) > 3 * 56
    assert not any(line.startswith("Shown:") for line in whole)


def test_where_nothing_is_left_out_nothing_is_said(toy_run, capsys, monkeypatch):
    """The lines are too many only because tokens are wrapped, as was asked for."""
    monkeypatch.setattr("tfvis_jax.cli.terminal.width", lambda: 50)
    text = " ".join(["the bank of a river and the light"] * 2)
    lines, shown = _print(toy_run, capsys, "--top=9", text=text)
    assert shown == [0, 1, 2] and len(lines) > 60
    assert not any(line.startswith("Shown:") for line in lines)


def test_a_number_of_factors_that_is_asked_for_is_kept(toy_run, capsys, monkeypatch):
    monkeypatch.setattr("tfvis_jax.cli.terminal.width", lambda: 70)
    lines, shown = _print(toy_run, capsys, "--top=4")
    assert shown == [2]
    most = max(len(token["factors"]) for token in _tokens(toy_run, capsys))
    # The head of the columns has one as well.
    terms = "".join(lines).count("·Φ") - 1
    assert most >= 2
    assert terms == sum(
        min(4, len(token["factors"])) for token in _tokens(toy_run, capsys)
    )


def _tokens(run, capsys):
    lines, _ = _print(run, capsys, "--json", "--layers=2")
    return json.loads(lines[0])["layers"][0]["tokens"]


@pytest.mark.parametrize(
    ("n", "layers"),
    [(0, [12]), (1, [12]), (2, [0, 12]), (3, [0, 6, 12]), (20, list(range(13)))],
)
def test_layers_are_spread(n, layers):
    assert encode._spread(tuple(range(13)), n=n) == layers
