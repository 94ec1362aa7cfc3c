"""Reads MediaWiki dumps: the title and markup of every article of an export file."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Protocol

from tfvis_jax.errors import InputError

# The names that every wiki understands, whatever its language.
_CANONICAL = {
    6: ("file", "image"),
    14: ("category",),
}
# fmt: off
_OTHER_CANONICAL = frozenset({
    "book", "draft", "gadget", "help", "media", "mediawiki", "module", "portal",
    "project", "special", "talk", "template", "timedtext", "topic", "user",
    "wikibooks", "wikipedia", "wikisource", "wiktionary",
})
# fmt: on
_FILE, _CATEGORY = 6, 14
# A redirect in any language: "#REDIRECT [[A]]", "#WEITERLEITUNG [[A]]", "#転送 [[A]]".
_REDIRECT = re.compile(r"\s*#[\w-]{2,40}\s?:?\s*\[\[[^\[\]\n]+\]\]")


class _Readable(Protocol):
    """All that the XML parser asks of a stream."""

    def read(self, size: int = ..., /) -> bytes: ...


def pages(stream: _Readable, *, name: str) -> Iterator[tuple[str, str]]:
    """Yields (title, markup) of every article of a dump, keeping one in memory.

    An article is a page of namespace 0 that is not a redirect. If pages do not say
    their namespace, as in exports before 2012, the title's prefix decides. Of a page
    with its history, the newest revision is read. Links to files and categories are
    renamed to ``[[File:`` and ``[[Category:``, whatever ``<siteinfo>`` calls them.

    Args:
      stream: the uncompressed XML.
      name: the file's name, for error messages.

    Raises:
      InputError: the XML is damaged, has an encoding that cannot be read, or is not a
        MediaWiki export.
    """
    site, page = _Site(), _Page()
    root = None
    try:
        for event, element in ElementTree.iterparse(stream, events=("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if root is None:
                root = element
                if tag not in {"mediawiki", "page"}:
                    raise InputError(
                        f"{name}: Expected a MediaWiki export (root element "
                        f"<mediawiki>), got <{tag}>; convert other XML to text or JSON "
                        "lines first."
                    )
            if event == "start":
                continue
            if tag == "siteinfo":
                site.read(element)
            elif tag == "revision":
                page.add(element)
                # A page's history may be larger than memory.
                element.clear()
            elif tag == "page":
                title = (element.findtext("{*}title") or "").strip() or "untitled"
                if (
                    element.find("{*}redirect") is None
                    and not site.is_redirect(page.markup)
                    and site.is_article(title, number=element.findtext("{*}ns"))
                ):
                    yield title, site.with_canonical_links(page.markup)
                page = _Page()
                # The root would otherwise keep every page that was read.
                root.clear()
    except InputError:
        raise
    except ElementTree.ParseError as error:
        raise InputError(
            f"{name}: The XML is damaged ({error}); download it again."
        ) from error
    # An encoding that Python does not know, or that the parser does not support.
    except (LookupError, ValueError) as error:
        raise InputError(
            f"{name}: The encoding of the XML cannot be read ({error}); convert the "
            "file to UTF-8."
        ) from error


class _Page:
    """The newest revision of a page, of those that were read so far."""

    def __init__(self) -> None:
        self.markup = ""
        self._time = ""

    def add(self, revision: ElementTree.Element) -> None:
        """Keeps a revision unless an earlier one in the file is newer."""
        time = (revision.findtext("{*}timestamp") or "").strip()
        text = revision.find("{*}text")
        # Times in ISO 8601 are in the order of their letters.
        if time >= self._time and text is not None and "deleted" not in text.attrib:
            self.markup, self._time = text.text or "", time


class _Site:
    """What a dump's ``<siteinfo>`` says: namespaces, their aliases, redirect words."""

    def __init__(self) -> None:
        self._names = {number: set(names) for number, names in _CANONICAL.items()}
        self._other = set(_OTHER_CANONICAL)
        self._redirects: set[str] = set()
        self._compile()

    def read(self, siteinfo: ElementTree.Element) -> None:
        """Adds the names of namespaces, of their aliases, and of redirects."""
        for element in siteinfo.iter():
            tag = element.tag.rpartition("}")[2]
            key = element.get("key") or element.get("id")
            text = _normal(element.text or "")
            if tag in {"namespace", "ns", "namespacealias", "alias"} and key and text:
                self._add(key, text)
                if canonical := element.get("canonical"):
                    self._add(key, _normal(canonical))
            if tag == "magicword" and element.get("name") == "redirect":
                self._redirects |= {
                    alias.text.strip().lower()
                    for alias in element.iter()
                    if alias.text and alias.text.strip()
                }
        self._compile()

    def is_article(self, title: str, *, number: str | None) -> bool:
        """Returns whether a page belongs to the main namespace."""
        if number is not None and number.strip():
            return number.strip() == "0"
        prefix, colon, _ = title.lstrip(": ").partition(":")
        name = _normal(prefix)
        return not colon or not (
            name in self._other
            or name.endswith(" talk")
            or any(name in names for names in self._names.values())
        )

    def is_redirect(self, markup: str) -> bool:
        """Returns whether a page only refers to another one."""
        if _REDIRECT.match(markup):
            return True
        start = markup[:200].lstrip().lower()
        return any(start.startswith(word) for word in self._redirects)

    def with_canonical_links(self, markup: str) -> str:
        """Names the namespaces of files and categories in English."""
        markup = self._links[_FILE].sub("[[File:", markup)
        return self._links[_CATEGORY].sub("[[Category:", markup)

    def _add(self, key: str, name: str) -> None:
        if key.strip() in {"6", "14"}:
            self._names[int(key)].add(name)
        elif key.strip() != "0":
            self._other.add(name)

    def _compile(self) -> None:
        self._links = {
            number: re.compile(
                r"\[\[[ _]*(?:"
                # Spaces of a name may be written as underscores.
                + "|".join(re.escape(n).replace(r"\ ", "[ _]+") for n in sorted(names))
                + r")[ _]*:",
                re.IGNORECASE,
            )
            for number, names in self._names.items()
        }


def _normal(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())
