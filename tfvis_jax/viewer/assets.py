"""Writes the start page, its scripts and its styles: shrunk, and joined.

The package has many short files with comments, one a concern; a browser gets few. Files
that the same pages need are one, since a server compresses each by itself, and together
they are a fifth smaller. The start page lists what it loads at once, and what each page
adds when it is opened (`id="pages"`).
"""

import collections
import importlib.resources
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import abc
from typing import Any

import rcssmin
import rjsmin

# Comments and indentation are for those who read the package: a quarter of the bytes.
_SHRINK: Mapping[str, Callable[[str], Any]] = {
    ".css": rcssmin.cssmin,
    ".js": rjsmin.jsmin,
}
# Tags of which several may follow each other, and the tag in their place.
_TAGS = [
    (
        re.compile(r'(?:<link rel="stylesheet" href="assets/[^"]+">\n)+'),
        '<link rel="stylesheet" href="assets/{}">\n',
    ),
    (
        re.compile(r'(?:<script defer src="assets/[^"]+"></script>\n)+'),
        '<script defer src="assets/{}"></script>\n',
    ),
]
_NAME = re.compile(r'(?<=assets/)[^"]+')
_PAGES = re.compile(r'(?<=id="pages">).*?(?=</script>)', re.DOTALL)


def source() -> abc.Traversable:
    """Returns the folder of the files as they are written."""
    return importlib.resources.files("tfvis_jax.viewer") / "static"


def write(folder: pathlib.Path) -> None:
    """Writes `index.html` and `assets/` into a folder.

    Args:
      folder: of the site.
    """
    files = {file.name: _shrunk(file) for file in (source() / "assets").iterdir()}
    start = (source() / "index.html").read_text(encoding="utf-8")
    names = joined(start)
    for name, members in names.items():
        files[name] = b"\n".join([files.pop(member) for member in members])
    (folder / "assets").mkdir()
    for name, content in files.items():
        (folder / "assets" / name).write_bytes(content)
    (folder / "index.html").write_text(_naming(start, names), encoding="utf-8")


def joined(start: str) -> dict[str, list[str]]:
    """Returns the files that are one, in order, by the name of this one.

    Args:
      start: the start page, which lists them.

    Returns:
      Scripts have the name of their last, which uses the others, and styles of their
      first, which the others refine.
    """
    groups = [
        _NAME.findall(found[0])
        for pattern, _ in _TAGS
        for found in pattern.finditer(start)
    ]
    groups += _of_same_pages(_pages(start))
    return {
        members[0 if members[0].endswith(".css") else -1]: members for members in groups
    }


def _of_same_pages(pages: Mapping[str, Sequence[str]]) -> Iterable[list[str]]:
    """Returns the files that the same pages add."""
    users: dict[str, list[str]] = collections.defaultdict(list)
    for page, listed in pages.items():
        for name in listed:
            users[name].append(page)
    groups: dict[tuple[str, ...], list[str]] = collections.defaultdict(list)
    for name, found in users.items():
        groups[*found, pathlib.PurePath(name).suffix].append(name)
    return groups.values()


def _pages(start: str) -> dict[str, list[str]]:
    found = _PAGES.search(start)
    if found is None:
        raise ValueError("Expected a start page that lists its pages, got none.")
    return json.loads(found[0])


def _naming(start: str, names: Mapping[str, Sequence[str]]) -> str:
    """Returns the start page with joined files in the place of those they are of."""
    into = {member: name for name, members in names.items() for member in members}
    pages = _pages(start)
    users = collections.Counter(
        name for listed in pages.values() for name in {into[file] for file in listed}
    )
    lines = []
    for page, listed in pages.items():
        # What more pages share comes first: the others may use it.
        found = sorted({into[file]: None for file in listed}, key=lambda n: -users[n])
        lines.append(f"{json.dumps(page)}: {json.dumps(found)}")
    text = _PAGES.sub(lambda _: "{\n" + ",\n".join(lines) + "\n}", start)
    for pattern, tag in _TAGS:
        text = pattern.sub(
            lambda found, tag=tag: tag.format(into[_NAME.findall(found[0])[0]]), text
        )
    return text


def _shrunk(file: abc.Traversable) -> bytes:
    content = file.read_bytes()
    shrink = _SHRINK.get(pathlib.PurePath(file.name).suffix)
    return shrink(content.decode()).encode() if shrink else content
