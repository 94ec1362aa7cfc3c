"""What tests do on the page, again and again."""

import json
import pathlib
import re

from tfvis_jax.viewer import bundle

STATIC = pathlib.Path(bundle.__file__).parent / "static"


def pages():
    """Returns the scripts and styles that each page adds, by its name."""
    text = (STATIC / "index.html").read_text()
    return json.loads(re.search(r'id="pages">(.*?)</script>', text, re.DOTALL)[1])


def open_page(page, folder, address="#/"):
    """Opens a view of the site in a folder, and waits until it is there."""
    page.goto(f"{(folder / 'index.html').as_uri()}{address}")
    page.wait_for_selector("html[data-ready]")


def numbers(page):
    """Returns the factors that the list shows."""
    return [int(a.inner_text()) for a in page.query_selector_all(".rows .number a")]


def await_heading(page, text):
    """Waits for a factor's page."""
    page.wait_for_selector(f"article h1:has-text('{text}')")
