"""Builds the docs site, with every warning an error, and checks the result.

zensical's strict mode passes what griffe says of docstrings, such as an argument that
the function does not have; here it fails the build.

    python .ci/build_site.py
"""

import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parents[1]


def main() -> None:
    """Builds into site/; fails with what is wrong."""
    zensical = pathlib.Path(sys.executable).with_name("zensical")
    built = subprocess.run(
        [zensical, "build", "--clean", "--strict"],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(built.stdout, end="")
    if built.returncode:
        sys.exit(built.returncode)
    if any(line.startswith("griffe:") for line in built.stdout.splitlines()):
        sys.exit("The docstrings named above do not fit their functions.")
    checked = subprocess.run(
        [sys.executable, _ROOT / ".ci" / "check_site.py", _ROOT / "site"]
    )
    sys.exit(checked.returncode)


if __name__ == "__main__":
    main()
