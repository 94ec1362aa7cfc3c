"""`tfvis cache`: where compiled programs are kept, how many there are, and none."""

import os
from collections.abc import Sequence

from absl import flags

from tfvis_jax.cli import command, program_cache

FLAGS = command.new_flags()
_CLEAR = flags.DEFINE_bool(
    "clear",
    False,
    "Remove the programs of all versions; commands compile them again.",
    flag_values=FLAGS,
)


def main(arguments: Sequence[str]) -> None:
    """Prints the place and size of the programs, or removes them."""
    if arguments:
        raise command.UsageError(f"Expected no argument, got {list(arguments)}.")
    if _CLEAR.value:
        removed = program_cache.clear()
        print(f"removed  {_said(removed)}")
        return
    here = program_cache.of_this_version()
    print(f"folder   {program_cache.folder()}")
    print(f"in all   {_said(program_cache.contents(program_cache.folder()))}")
    largest = f"at most {program_cache.LARGEST / 1e6:.0f} MB"
    print(f"in use   {_said(program_cache.contents(here))}, {largest} ({here.name})")
    other = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if other is not None:
        print(f"But JAX_COMPILATION_CACHE_DIR is set: commands use {other or 'none'}.")


def _said(found: program_cache.Contents) -> str:
    return f"{found.programs:,} programs, {found.size / 1e6:.1f} MB"


COMMAND = command.Command(
    name="cache",
    usage="[--clear]",
    description=(
        "Shows where commands keep the programs that XLA compiles, and how large they "
        "are. A command that finds its programs there starts within seconds. The least "
        "recently used ones make room for new ones."
    ),
    flags=FLAGS,
    run=main,
)
