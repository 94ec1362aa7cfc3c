"""What the library offers: a change of these lists is a change of its interface."""

import importlib
import inspect
import subprocess
import sys

import pytest

import tfvis_jax

PUBLIC = {
    "CorpusConfig",
    "DictionaryConfig",
    "DictionaryLearning",
    "Encoding",
    "Fista",
    "InputError",
    "Ista",
    "Run",
    "RunConfig",
    "SolverConfig",
    "SparseCoder",
    "SparsityConfig",
    "Spectral",
    "WorkingSet",
    "__version__",
    "collect_examples",
    "decode",
    "duality_gap",
    "encode",
    "encode_batches",
    "encode_rows",
    "evaluate",
    "export_site",
    "for_l0",
    "lasso_objective",
    "learn",
    "load_run",
    "measure_levels",
    "prepare",
    "pursue",
    "refit",
    "summarise",
    "train",
}
PACKAGES = (
    "codes",
    "description",
    "estimators",
    "examples",
    "learning",
    "levels",
    "notebook",
    "pipeline",
    "probing",
    "saliency",
    "sparse_coding",
)


def test_the_top_level_names():
    assert set(tfvis_jax.__all__) == PUBLIC == set(dir(tfvis_jax))


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_each_is_found_and_documented(name):
    value = getattr(tfvis_jax, name)
    assert value.__name__ == name
    assert len(inspect.getdoc(value)) > 20
    # The second time it is the same object.
    assert getattr(tfvis_jax, name) is value


def test_what_a_type_checker_sees_is_what_python_finds():
    seen = {}
    source = inspect.getsource(tfvis_jax)
    typed = source[source.index("if TYPE_CHECKING:") : source.index("__version__")]
    exec(inspect.cleandoc(typed.partition("\n")[2]), seen)
    for name in PUBLIC - {"__version__"}:
        assert seen[name] is getattr(tfvis_jax, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'encoed'"):
        _ = tfvis_jax.encoed


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_say_what_they_offer(package):
    module = importlib.import_module(f"tfvis_jax.{package}")
    assert module.__all__ == sorted(module.__all__, key=_as_ruff_sorts)
    for name in module.__all__:
        value = getattr(module, name)
        assert not inspect.ismodule(value), f"{package}.{name} is a module"
        assert isinstance(value, int | float) or inspect.getdoc(value), name


def _as_ruff_sorts(name):
    """Constants first, then classes, then functions."""
    return (not name.isupper(), not name[0].isupper(), name)


def test_importing_the_package_is_light():
    program = (
        "import sys, tfvis_jax, tfvis_jax.config\n"
        "heavy = {'jax', 'flax', 'orbax', 'transformers', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
