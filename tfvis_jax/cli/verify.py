"""`tfvis verify`: whether a page is still what was exported."""

import pathlib
from collections.abc import Sequence

from tfvis_jax.cli import command
from tfvis_jax.viewer import checksums

FLAGS = command.new_flags()
# Files of one kind that are named.
_SHOWN = 20


def main(arguments: Sequence[str]) -> int:
    """Compares the files of a site with their checksums."""
    if len(arguments) != 1:
        raise command.UsageError(
            f"Expected the folder of a page and nothing else, got {list(arguments)}."
        )
    folder = pathlib.Path(arguments[0])
    if not (folder / checksums.NAME).exists() and (folder / "site").is_dir():
        folder /= "site"
    found = checksums.verify(folder)
    for what, names in (
        ("missing", found.missing),
        ("changed", found.changed),
        ("extra", found.extra),
    ):
        for name in names[:_SHOWN]:
            print(f"{what:<8} {name}")
        if len(names) > _SHOWN:
            print(f"{what:<8} and {len(names) - _SHOWN:,} more")
    if found:
        return 1
    print(f"{len(checksums.read(folder)):,} files are as they were exported: {folder}")
    return 0


COMMAND = command.Command(
    name="verify",
    usage="SITE",
    description=(
        "Compares the files of an exported page with the checksums that were written "
        "with it, and names those that are missing, changed or extra. SITE is the "
        "folder of the page, or its run. The exit code is 1 if anything differs."
    ),
    flags=FLAGS,
    run=main,
)
