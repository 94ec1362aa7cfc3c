"""Every Python block of the README and of the docs runs, in the order of its page."""

import json
import pathlib
import re

import pytest

pytestmark = pytest.mark.long

_ROOT = pathlib.Path(__file__).parents[1]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# These pages speak of the demo's run; the toy run has two layers, 24 factors and 40
# examples of each.
_OF_THE_TOY_RUN = {
    "factor(101)": "factor(2)",
    "layer=6": "layer=1",
    "sentence.x[4]": "sentence.x[1]",
    "n=500": "n=20",
}


def _run_blocks(page: pathlib.Path, *, replace: dict[str, str] | None = None) -> dict:
    """Runs the blocks of a page in one namespace and returns it."""
    blocks = _BLOCK.findall(_text(page))
    assert blocks, f"no Python block in {page}"
    names = {"__name__": "__main__"}
    for number, block in enumerate(blocks, start=1):
        for old, new in (replace or {}).items():
            block = block.replace(old, new)
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    return names


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/examples.md"])
def test_pages_on_the_demo(folder, toy_run, page):
    (folder / "runs").mkdir()
    (folder / "runs" / "demo").symlink_to(toy_run)
    _run_blocks(_ROOT / page, replace=_OF_THE_TOY_RUN)


def test_probing(folder, toy_run):
    (folder / "runs").mkdir()
    (folder / "runs" / "demo").symlink_to(toy_run)
    sentences = {"verb": "the bank left the house", "adjective": "a left hand"}
    records = [
        {"text": text, "span": [at, at + 4], "label": label, "document": str(number)}
        for number in range(10)
        for label, text in sentences.items()
        for at in [text.index("left")]
    ]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, records)))
    names = _run_blocks(_ROOT / "docs" / "probing.md")
    # The two sentences differ, so the hidden states do.
    assert names["accuracy"]["hidden state", 5].value == 1


def test_ratings(folder):
    names = _run_blocks(_ROOT / "docs" / "viewer.md")
    assert names["share"].value == 0.9


def test_run_in_python(folder, toy_bert_folder, toy_corpus):
    (folder / "models").mkdir()
    (folder / "models" / "bert").symlink_to(toy_bert_folder)
    (folder / "corpus").symlink_to(toy_corpus.parent)
    names = _run_blocks(_ROOT / "docs" / "how-to" / "run-in-python.md")
    assert (names["site"] / "index.html").is_file()
    # The next page goes on with this run.
    names = _run_blocks(_ROOT / "docs" / "how-to" / "codes-of-any-text.md")
    assert names["encoded"].layers == (2,)


def test_models(folder, toy_bert_folder):
    (folder / "models").mkdir()
    (folder / "models" / "mine").symlink_to(toy_bert_folder)
    names = _run_blocks(_ROOT / "docs" / "models.md")
    assert names["model"].language_model is None and names["model"].ignored == ()


@pytest.mark.parametrize("page", ["solver-library", "scikit-learn"])
def test_library(folder, page):
    if page == "scikit-learn":
        pytest.importorskip("sklearn")
    _run_blocks(_ROOT / "docs" / "how-to" / f"{page}.md")


def test_every_page_with_python_is_run():
    pages = {path.stem for path in (_ROOT / "docs").rglob("*.md") if _has_python(path)}
    notebooks = {path.stem for path in (_ROOT / "docs").rglob("*.ipynb")}
    assert pages - notebooks == {
        "codes-of-any-text",
        "examples",
        "index",
        "models",
        "probing",
        "run-in-python",
        "scikit-learn",
        "solver-library",
        "viewer",
    }


def test_notebooks_are_stored_without_results():
    notebooks = list((_ROOT / "docs" / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        cells = json.loads(_text(path))["cells"]
        assert not any(cell.get("outputs") for cell in cells), path.name


def test_every_command_names_a_script_of_this_repository():
    pages = [
        _ROOT / "README.md",
        _ROOT / "CONTRIBUTING.md",
        *_ROOT.glob("docs/**/*.md"),
    ]
    commands = {
        name
        for page in pages
        for name in re.findall(
            r"-m ((?:benchmarks|experiments)\.[a-z_.]*[a-z])", _text(page)
        )
    }
    assert commands
    for name in commands:
        path = _ROOT / name.replace(".", "/")
        scripts = path.with_suffix(".py"), path / "__main__.py"
        assert any(script.is_file() for script in scripts), name


def _text(page: pathlib.Path) -> str:
    return page.read_text(encoding="utf-8")


def _has_python(page: pathlib.Path) -> bool:
    return bool(_BLOCK.search(_text(page)))
