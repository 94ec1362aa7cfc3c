"""Imports point one way, and heavy libraries stay where they belong."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Each may import what stands to its right, and itself.
ORDER = (
    "__main__ cli",
    "pipeline studies",
    "notebook",
    "labelling publishing",
    "viewer figures interop comparison evaluation",
    "probing",
    "description",
    "levels",
    "saliency",
    "examples",
    "planning",
    "training",
    "codes",
    "runs",
    "data",
    "models",
    "estimators",
    "learning",
    "sharding distributed",
    "kept_programs",
    "sparse_coding",
    "reporting",
    "files markup xla_flags",
    "config_json",
    "config",
    "config_pieces",
    "config_fields",
    "schema npy",
    "sites",
    "errors",
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names.split()}
ONLY_IN = {
    "flax": ("models/", "comparison/"),
    "orbax": ("training/checkpoint.py",),
    "transformers": ("data/", "models/"),
    "absl": ("cli/",),
    "torch": ("interop/saelens_plugin.py",),
    "sae_lens": ("interop/saelens_plugin.py",),
    "matplotlib": ("reporting/plot_style.py",),
}
FILES = sorted((ROOT / "tfvis_jax").rglob("*.py"))
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _part(module):
    """The second word of `tfvis_jax.training.loop`, if it is one of ours."""
    words = module.split(".")
    return words[1] if len(words) > 1 and words[1] in RANK else None


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT / "tfvis_jax"))
)
def test_imports_point_one_way(path):
    inside = path.relative_to(ROOT / "tfvis_jax")
    source = inside.parts[0].removesuffix(".py")
    for module in _imports(path):
        library = module.split(".")[0]
        if library in ONLY_IN:
            assert str(inside).startswith(ONLY_IN[library]), f"{inside}: {module}"
        if library == "tfvis_jax" and source in RANK and _part(module):
            assert RANK[source] <= RANK[_part(module)], f"{inside} imports {module}"


def test_settings_need_no_jax():
    for name in (
        "config",
        "config_json",
        "config_pieces",
        "config_fields",
        "files",
        "npy",
        "schema",
        "runs/directory",
        "errors",
    ):
        modules = {m.split(".")[0] for m in _imports(ROOT / f"tfvis_jax/{name}.py")}
        assert not modules & {"jax", "flax", "optax", "orbax"}, name


def test_experiments_and_the_package_need_no_benchmarks():
    for path in (*FILES, *EXPERIMENTS):
        for module in _imports(path):
            assert module.split(".")[0] != "benchmarks", f"{path} imports {module}"


def test_experiments_need_no_command_line():
    for path in EXPERIMENTS:
        found = [m for m in _imports(path) if m.startswith("tfvis_jax.cli")]
        assert not found, f"{path} imports {found}"


def test_every_part_of_the_package_has_a_place_in_the_order():
    parts = {path.relative_to(ROOT / "tfvis_jax").parts[0] for path in FILES}
    assert {part.removesuffix(".py") for part in parts} - {"__init__"} <= set(RANK)
