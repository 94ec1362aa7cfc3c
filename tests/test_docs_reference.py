"""The API reference lists every public name."""

import importlib
import pathlib
import pkgutil
import re

import tfvis_jax

# The command and what scripts share.
_INTERNAL = {"cli", "reporting"}
_PAGES = pathlib.Path(__file__).parents[1] / "docs" / "api"
# The mathematics has constants and measures that one page entry shows together.
_SHOWN_BY_MODULE = {
    "DensityHistogram": "metrics",
    "Duplicates": "metrics",
    "Figures": "metrics",
    "ReconstructionTotals": "metrics",
    "RowSums": "metrics",
    "density_histogram": "metrics",
    "duplicates": "metrics",
    "figures": "metrics",
    "max_cosine": "metrics",
    "row_sums": "metrics",
}


def _entries() -> set[str]:
    """Returns what the pages show, by its full name."""
    return {
        name
        for page in _PAGES.glob("*.md")
        for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    }


def test_every_public_name_of_a_package_has_an_entry():
    entries = _entries()
    for info in pkgutil.iter_modules(tfvis_jax.__path__):
        if info.name in _INTERNAL or f"tfvis_jax.{info.name}" in entries:
            continue  # Of a module that is shown whole, everything is.
        package = importlib.import_module(f"tfvis_jax.{info.name}")
        for name in getattr(package, "__all__", ()):
            if name.isupper():
                continue
            shown = _SHOWN_BY_MODULE.get(name, name)
            assert f"tfvis_jax.{info.name}.{shown}" in entries


def test_every_top_level_name_is_in_the_index():
    index = (_PAGES / "index.md").read_text("utf-8")
    for name in tfvis_jax.__all__:
        assert name == "__version__" or f"[`{name}`](" in index


def test_every_package_has_a_page():
    entries = _entries()
    for info in pkgutil.iter_modules(tfvis_jax.__path__):
        if info.ispkg and info.name not in _INTERNAL:
            assert any(e.startswith(f"tfvis_jax.{info.name}.") for e in entries)
