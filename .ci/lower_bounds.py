"""Prints the oldest dependencies that pyproject.toml allows, as pip's constraints.

python .ci/lower_bounds.py > oldest.txt
python -m pip install --constraint oldest.txt --editable '.[test]'
"""

import pathlib
import re
import tomllib

# A name, its extras, and where it has one the version it starts at.
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,.-]*\])?(?:[^;]*>=\s*([\w.]+))?")


def lower_bounds(project: dict) -> list[str]:
    """Returns a line ``name==version`` for each requirement with a lower bound.

    Args:
      project: The table ``project`` of a pyproject.toml.

    Raises:
      ValueError: Two requirements of one package start at different versions.
    """
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    oldest: dict[str, str] = {}
    for requirement in (each for group in groups for each in group):
        found = _REQUIREMENT.match(requirement)
        if found is None or found[2] is None:  # An extra of the project itself.
            continue
        name, version = found.groups()
        if oldest.setdefault(name, version) != version:
            raise ValueError(
                f"Expected one lower bound of {name}, got {oldest[name]} and {version}"
            )
    return [f"{name}=={version}" for name, version in sorted(oldest.items())]


if __name__ == "__main__":
    path = pathlib.Path(__file__).parents[1] / "pyproject.toml"
    print(*lower_bounds(tomllib.loads(path.read_text())["project"]), sep="\n")
