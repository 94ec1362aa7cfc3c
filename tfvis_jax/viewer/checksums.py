"""Checksums of a site: whether it is still what was exported.

`SHA256SUMS` lists the SHA-256 of every other file. `sha256sum --check SHA256SUMS` reads
it too.
"""

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Iterator

from tfvis_jax import files
from tfvis_jax.errors import InputError

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


@dataclasses.dataclass(frozen=True)
class Differences:
    """How a site differs from what was exported, as names of files.

    Attributes:
      missing: Listed, but not there.
      changed: Of other content than listed.
      extra: There, but not listed.
    """

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.extra)


def write(folder: pathlib.Path) -> None:
    """Writes the checksums of a complete site; the last of its files.

    Args:
      folder: Of the site.
    """
    text = "".join(
        f"{_digest(folder / name)}  {name}\n" for name in sorted(_names(folder))
    )
    with files.write_atomically(folder / NAME) as file:
        file.write(text.encode("utf-8"))


def verify(folder: pathlib.Path | str) -> Differences:
    """Compares a site with its checksums.

    Args:
      folder: Of the site.

    Returns:
      What differs; it is false if nothing does.

    Raises:
      InputError: The folder has no checksums, or they are damaged.
    """
    folder = pathlib.Path(folder)
    listed = read(folder)
    there = set(_names(folder))
    return Differences(
        missing=tuple(sorted(listed.keys() - there)),
        changed=tuple(
            sorted(
                name
                for name in listed.keys() & there
                if _digest(folder / name) != listed[name]
            )
        ),
        extra=tuple(sorted(there - listed.keys())),
    )


def read(folder: pathlib.Path) -> dict[str, str]:
    """Returns the checksums of a site by file; raises as `verify` does."""
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"Expected a site with the file {NAME}, got {folder} without one. Sites "
            "have it since they can be verified; export it again with `tfvis export`."
        ) from None
    except UnicodeDecodeError:
        lines = [""]
    matches = [_LINE.fullmatch(line) for line in lines]
    if not lines or not all(matches):
        raise InputError(
            f"{path} is damaged: expected a checksum and a name in each line. Export "
            "the site again with `tfvis export`."
        )
    return {match[2]: match[1] for match in matches if match}


def _names(folder: pathlib.Path) -> Iterator[str]:
    """Yields the files below a folder but the checksums, as paths with slashes."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if (path.is_file() or path.is_symlink()) and name != NAME:
            yield name


def _digest(path: pathlib.Path) -> str | None:
    """Returns the SHA-256 of a file; None for a link, which nothing here wrote."""
    if path.is_symlink():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
