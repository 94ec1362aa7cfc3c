"""Checks the built docs site: what `zensical build --strict` lets pass.

Every link and file of every page exists in the site, with its anchor; no page loads
anything from another host; every page is in the navigation.

    python .ci/check_site.py site
"""

import html.parser
import pathlib
import sys
import urllib.parse

# Attributes that make a browser load something, or lead somewhere.
_LOADS = {"img": "src", "script": "src", "link": "href", "iframe": "src"}
_LEADS = {"a": "href"}
# Not linked by anything: what a server shows for a page that does not exist.
_UNLINKED = {"404.html"}


class Page(html.parser.HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, path: pathlib.Path):
        """Reads a page."""
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = {"", "__top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects the addresses and anchors of an element."""
        found = dict(attrs)
        self.anchors |= {found[key] or "" for key in ("id", "name") if key in found}
        if address := found.get(_LEADS.get(tag, "")):
            self.links.add(address)
        if address := found.get(_LOADS.get(tag, "")):
            self.loads.add(address)


def problems(site: pathlib.Path) -> list[str]:
    """Returns what is wrong with a site, a line each."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        if path.name in _UNLINKED:
            continue
        for address in sorted(page.links | page.loads):
            parts = urllib.parse.urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loads and parts.scheme != "data":
                    found.append(f"{path}: loads {address} from another host")
                continue
            target = _path(path, address)
            if parts.path.startswith("/") or not target.is_file():
                found.append(f"{path}: {address} does not exist in the site")
                continue
            anchor = urllib.parse.unquote(parts.fragment)
            if target in pages and anchor not in pages[target].anchors:
                found.append(f"{path}: {address} has no such anchor")
    start = site / "index.html"  # Every page has the whole navigation.
    linked = {_path(start, address) for address in pages[start].links} | {start}
    found += [
        f"{path}: not in the navigation"
        for path in pages
        if path not in linked and path.name not in _UNLINKED
    ]
    return found


def _path(page: pathlib.Path, address: str) -> pathlib.Path:
    """Returns the file that a relative address on a page means."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(address).path)
    return (page.parent / path).resolve() if path else page


def main() -> None:
    """Prints the problems of the site in the first argument; fails if there are any."""
    found = problems(pathlib.Path(sys.argv[1]).resolve())
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
