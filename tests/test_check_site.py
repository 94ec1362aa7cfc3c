"""The check of the docs site finds what is broken, and nothing else."""

import importlib.util
import pathlib

import pytest

_PATH = pathlib.Path(__file__).parents[1] / ".ci" / "check_site.py"
_SPEC = importlib.util.spec_from_file_location("check_site", _PATH)
check_site = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(check_site)

_NAVIGATION = '<a href="index.html"></a><a href="api/b.html"></a>'


@pytest.fixture
def problems(tmp_path):
    """Returns a function from the text of a site's first page to its problems."""

    def build(text):
        (tmp_path / "api").mkdir()
        (tmp_path / "style.css").touch()
        (tmp_path / "index.html").write_text(_NAVIGATION + text)
        (tmp_path / "api" / "b.html").write_text(
            '<h2 id="φ">b</h2><link rel="stylesheet" href="../style.css">'
        )
        return [
            problem.removeprefix(f"{tmp_path.resolve()}/")
            for problem in check_site.problems(tmp_path.resolve())
        ]

    return build


def test_a_whole_site_has_no_problems(problems):
    text = (
        '<a href="api/b.html#φ"></a><a href="#here"></a><p id="here"></p>'
        '<a href="https://arxiv.org/abs/2103.15949"></a>'
        '<img src="data:image/png;base64,AAAA">'
    )
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<a href="c.html"></a>', "c.html does not exist in the site"),
        ('<img src="c.png">', "c.png does not exist in the site"),
        ('<a href="/api/b.html"></a>', "/api/b.html does not exist in the site"),
        ('<a href="api/b.html#c"></a>', "api/b.html#c has no such anchor"),
        ('<a href="#c"></a>', "#c has no such anchor"),
        (
            '<script src="https://unpkg.com/x.js"></script>',
            "loads https://unpkg.com/x.js from another host",
        ),
        ('<link href="//fonts.com/x">', "loads //fonts.com/x from another host"),
    ],
)
def test_what_is_broken_is_named(problems, text, problem):
    assert problems(text) == [f"index.html: {problem}"]


def test_a_page_outside_the_navigation_is_named(problems, tmp_path):
    (tmp_path / "orphan.html").touch()
    assert problems("") == ["orphan.html: not in the navigation"]
