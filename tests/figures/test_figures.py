"""Figures for a paper: what they show, and how they are written."""

import importlib.util
import itertools
import pathlib
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from tfvis_jax import cli, figures, pipeline
from tfvis_jax.errors import InputError
from tfvis_jax.figures import curves, density, fitting
from tfvis_jax.reporting import plot_style

LAYERS = (0, 1, 2)
EVIL = "<b>&amp; $x_1$ \\frac{\n עברית"


def _importance():
    rng = np.random.default_rng(3)
    importance = rng.uniform(0.1, 5, (3, 40))
    importance[:, 7] = 0
    return importance


def _records(text="He left"):
    head = {"tokens": text.split(), "pieces": text.split(), "layers": list(LAYERS)}
    token = {"factors": [[3, 0.5, 0.25], [1, 0.2, -0.1]], "l0": 2}
    nothing = {"factors": [], "l0": 0}
    return [head] + [{"layer": layer, "tokens": [token, nothing]} for layer in LAYERS]


def _contexts(n):
    return [
        figures.KeyWord(
            before=f"{EVIL} {'before ' * 30}",
            word=EVIL,
            after="after " * 30,
            activation=2 - i / 10,
        )
        for i in range(n)
    ]


def _panel(n=3):
    return figures.context_panel(
        4,
        EVIL,
        _contexts(n),
        layer=1,
        importance=[1, 2, 3],
        layers=LAYERS,
        largest=2.0,
    )


def test_quartiles_are_those_of_numpy_over_live_factors():
    importance = _importance()
    levels = ["low", "topic"] * 20
    found = curves.quartiles(importance, levels)
    # A name that the library has no colour for is drawn too; unclear ones come last.
    assert list(found) == ["low", "topic"]
    for name, offset in (("low", 0), ("topic", 1)):
        bands, count = found[name]
        alive = [f for f in range(offset, 40, 2) if f != 7]
        relative = np.array([importance[:, f] / max(importance[:, f]) for f in alive])
        assert count == len(alive)
        expected = np.percentile(relative, (25, 50, 75), axis=0)
        np.testing.assert_allclose(bands, expected, rtol=1e-12)


def test_every_live_factor_is_in_a_bin():
    fractions = np.array([0, 1e-5, 3.3e-4, 1e-3, 0.02, 0.9999, 1.0])
    edges = density.edges_of(fractions)
    counts, _ = np.histogram(fractions, edges)
    assert counts.sum() == 6
    steps = np.diff(np.log10(edges))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    assert len(density.edges_of(np.zeros(3))) == 2


def test_bars_count_the_factors_of_each_level():
    importance, levels = _importance(), ["low", "mid", "high", "unclear"] * 10
    fractions = np.where(importance > 0, importance / 100, 0)
    figure = figures.densities_by_level(fractions, importance, levels)
    [ax] = figure.axes
    heights = [sum(bar.get_height() for bar in bars) for bars in ax.containers]
    assert heights == [10, 10, 10, 9]  # Factor 7 never fires.
    assert "1 of 40 never fire" in figure.legends[0].get_title().get_text()


def test_layers_that_were_not_measured_leave_a_gap():
    figure = figures.reconstruction_by_layer(
        [0.1, None, 0.3], [10, 20, 30], layers=LAYERS
    )
    values = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(values, [0.1, np.nan, 0.3])


@pytest.mark.parametrize(
    "draw",
    [
        _panel,
        lambda: figures.importance_curves(
            _importance(), ["low", "high"] * 20, layers=LAYERS
        ),
        lambda: figures.sentence_grid(_records(), name=lambda factor: EVIL),
    ],
)
def test_text_is_text_and_equal_figures_are_equal_files(draw, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        plot_style.save_paper(draw(), folder, "figure")
    for kind in plot_style.FORMATS:
        one, two = ((folder / f"figure.{kind}").read_bytes() for folder in folders)
        assert one == two, kind
    svg = ElementTree.fromstring((folders[0] / "figure.svg").read_bytes())
    words = [
        "".join(n.itertext()) for n in svg.iter("{http://www.w3.org/2000/svg}text")
    ]
    assert "layer" in " ".join(words)
    # The width of a column or a page, in points.
    assert float(svg.get("width").removesuffix("pt")) in (
        pytest.approx(72 * plot_style.COLUMN),
        pytest.approx(72 * plot_style.PAGE),
    )
    # TrueType fonts, embedded.
    assert b"/FontFile2" in (folders[0] / "figure.pdf").read_bytes()


def test_text_from_outside_is_not_read_as_mathematics(tmp_path):
    plot_style.save_paper(_panel(), tmp_path, "figure", formats=("svg",))
    text = ElementTree.fromstring((tmp_path / "figure.svg").read_bytes())
    words = [
        "".join(n.itertext()) for n in text.iter("{http://www.w3.org/2000/svg}text")
    ]
    assert sum(word == "<b>&amp; $x_1$ \\frac{ עברית" for word in words) == 3


def test_no_text_of_a_context_panel_overlaps_another():
    figure = _panel(12)
    figure.canvas.draw()
    _, ax = figure.axes
    rows: dict[float, list] = {}
    for text in ax.texts:
        rows.setdefault(text.get_position()[1], []).append(text.get_window_extent())
    assert len(rows) == 12
    for boxes in rows.values():
        boxes.sort(key=lambda box: box.x0)
        assert len(boxes) == 4
        assert boxes[0].x0 >= 0 and boxes[-1].x1 <= figure.bbox.width
        for left, right in itertools.pairwise(boxes):
            assert left.x1 <= right.x0


def test_text_is_cut_to_what_fits():
    @plot_style.for_paper
    def check():
        figure = plot_style.paper(width=2, height=1)
        ruler = fitting.Ruler(figure, 7)
        text = "every good boy does fine " * 5
        for end in (False, True):
            cut = ruler.fit(text, 1.0, end=end)
            assert 0.8 < ruler.width(cut) <= 1.0
            assert cut.startswith("…") == end and cut.endswith("…") != end
        assert ruler.fit("a\n b", 1.0) == "a b"
        assert ruler.fit(text, 0) == ""

    check()


def test_characters_without_a_glyph_are_named_in_a_sentence(tmp_path):
    # Linear A, which no font of `plot_style` has.
    figure = figures.sentence_grid(_records(), name=lambda factor: "\U00010600")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plot_style.save_paper(figure, tmp_path, "odd", formats=("png", "svg"))
    [warning] = caught
    assert "lack characters of odd" in str(warning.message)
    assert "\U00010600" in (tmp_path / "odd.svg").read_text(encoding="utf-8")


def test_without_matplotlib_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "matplotlib" else found(name, *rest),
    )
    with pytest.raises(InputError, match=r"pip install 'tfvis_jax\[plots\]'"):
        pipeline.draw_figures(tmp_path, tmp_path / "figures")


def test_a_run_is_drawn_from_the_command_line(toy_run, tmp_path, capsys):
    words = ["figures", str(toy_run), f"--out={tmp_path / 'paper'}", "--format=svg"]
    assert cli.main([*words, "--factor=1,2", "--sentence=the bank of a river"]) == 0
    printed = [pathlib.Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in printed] == [
        "importance-by-level.svg",
        "density.svg",
        "reconstruction.svg",
        "factor-1.svg",
        "factor-2.svg",
        "sentence-1-the-bank-of-a-river.svg",
    ]
    assert all(path.is_file() for path in printed)
    grid = printed[-1].read_text()
    assert re.search(r">bank<", grid) and re.search(r">layer 1<", grid)


@pytest.mark.parametrize(
    ("flag", "code", "said"),
    [
        ("--format=svg,gif", 2, "gif"),
        ("--factor=x", 2, "whole numbers"),
        ("--factor=99999", 1, "Expected"),
        ("--contexts=0", 2, ""),
    ],
)
def test_what_cannot_be_drawn_is_said(toy_run, tmp_path, capsys, flag, code, said):
    out = f"--out={tmp_path / 'paper'}"
    assert cli.main(["figures", str(toy_run), out, flag]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "paper").exists()
