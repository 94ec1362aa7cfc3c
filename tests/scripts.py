"""Runs a script of experiments/ or benchmarks/ in this process."""

from types import ModuleType

from experiments import script


def run(module: ModuleType, **values: object) -> None:
    """Runs a script as its command line would.

    Args:
      module: the script.
      **values: of its flags; lists are joined by commas, None leaves a flag out.

    Raises:
      SystemExit: what was given cannot be worked with.
    """
    name = module.__name__.rpartition(".")[2]
    script.run(
        module.main,
        module.FLAGS,
        [name, *(_argument(*i) for i in values.items() if i[1] is not None)],
    )


def _argument(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return f"--{name}={value}"
