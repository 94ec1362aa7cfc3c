"""A small site as one HTML file, which opens with a double-click and goes by mail.

Scripts, styles and data stand in the file. Its policy allows these scripts and styles
alone, by their hashes, and loads nothing.
"""

import base64
import hashlib
import html
import itertools
import json
import pathlib
import re

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.viewer import payload

# A browser reads a larger file slowly, and mail refuses it.
LARGEST = 48 * 1024**2
_POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content=")[^"]*(">)')
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
_SCRIPT = re.compile(r'<script (defer )?src="([^"]+)"></script>\n?')
# The files of each page, loaded when it is opened.
_PAGES = re.compile(
    r'(<script type="application/json" id="pages">)(.*?)(</script>\n)', re.S
)
_IMAGE = re.compile(r'((?:href|src)=")([^"]+\.svg)(")')


def write(folder: pathlib.Path, path: pathlib.Path, *, largest: int = LARGEST) -> None:
    """Writes a site as one file.

    Args:
      folder: Of the site.
      path: Of the file.
      largest: Bytes that the file may have.

    Raises:
      InputError: The site is larger.
    """
    names = sorted(
        file.relative_to(folder).with_suffix("").as_posix()
        for file in (folder / "data").rglob("*.js")
    )
    size = sum((folder / f"{name}.js").stat().st_size for name in names)
    if size > largest:
        raise InputError(
            f"Expected at most {largest / 1e6:.0f} MB for a page in one file, got "
            f"{size / 1e6:.0f} MB of data. Show fewer contexts (`--contexts=5`), or "
            f"pass on the folder {folder}."
        )
    text = _inlined(folder)
    head, body = text.split("</body>")
    data = "".join(
        f'<script type="application/json" data-name="{html.escape(name)}">'
        f"{_json(folder, name)}</script>\n"
        for name in names
    )
    with files.write_atomically(path) as file:
        file.write(f"{head.replace(_DATA, data)}</body>{body}".encode())


# Where the data goes: before the scripts, which read it.
_DATA = "<!-- data -->\n"


def _inlined(folder: pathlib.Path) -> str:
    """Returns the start page with its scripts, styles and images inside."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    hashes: dict[str, list[str]] = {"script-src": [], "style-src": []}
    deferred: list[str] = []
    later: list[str] = []

    def inline(kind: str, tag: str, name: str) -> str:
        content = (folder / name).read_text(encoding="utf-8")
        if re.search(r"</(script|style)|<!--", content, re.IGNORECASE):
            raise ValueError(f"Expected {name} without a tag that ends it, got one.")
        digest = hashlib.sha256(content.encode()).digest()
        hashes[kind].append(f"'sha256-{base64.b64encode(digest).decode()}'")
        return f"<{tag}>{content}</{tag}>\n"

    def script(match: re.Match[str]) -> str:
        written = inline("script-src", "script", match[2])
        if match[1]:  # It runs once the page is there.
            deferred.append(written)
            return ""
        return written

    def image(match: re.Match[str]) -> str:
        content = base64.b64encode((folder / match[2]).read_bytes()).decode()
        return f"{match[1]}data:image/svg+xml;base64,{content}{match[3]}"

    def pages(match: re.Match[str]) -> str:
        listed: dict[str, list[str]] = json.loads(match[2])
        styles: list[str] = []
        for file in dict.fromkeys(itertools.chain(*listed.values())):
            name = f"assets/{file}"
            if file.endswith(".css"):
                styles.append(inline("style-src", "style", name))
            else:
                later.append(inline("script-src", "script", name))
        inside = json.dumps({page: [] for page in listed})
        return f"{''.join(styles)}{match[1]}{inside}{match[3]}"

    text = _PAGES.sub(pages, text)
    text = _STYLE.sub(lambda match: inline("style-src", "style", match[1]), text)
    text = _SCRIPT.sub(script, text)
    text = _IMAGE.sub(image, text)
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        + "; ".join(f"{kind} {' '.join(found)}" for kind, found in hashes.items())
    )
    text = _POLICY.sub(lambda match: f"{match[1]}{policy}{match[2]}", text)
    scripts = "".join([*deferred, *later])
    return text.replace("</body>", f"{_DATA}{scripts}</body>")


def _json(folder: pathlib.Path, name: str) -> str:
    """Returns the value of a data file as JSON that can stand in a script element."""
    text = (folder / f"{name}.js").read_text(encoding="utf-8")
    _, value = payload.loads(text)
    return payload.line(value).rstrip("\n")
