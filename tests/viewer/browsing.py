"""What tests do on the page, again and again."""

import contextlib
import json
import pathlib
import re
import time

from tfvis_jax.viewer import bundle

STATIC = pathlib.Path(bundle.__file__).parent / "static"
# What nothing takes that does not hang: slow and busy machines are waited for.
_HANG_S = 60


class Browser:
    """A browser of Playwright whose pages wait longer than they do by themselves."""

    def __init__(self, real):
        """Takes the browser that makes the pages."""
        self._real = real

    def new_context(self, **options):
        """Returns a context, all of whose pages wait as long."""
        context = self._real.new_context(**options)
        context.set_default_timeout(1000 * _HANG_S)
        return context

    def new_page(self, **options):
        """Returns a page in a context of its own."""
        page = self._real.new_page(**options)
        page.set_default_timeout(1000 * _HANG_S)
        return page


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


def wait_until(page, condition):
    """Waits until a condition holds that is asked for again and again.

    Args:
      page: that which changes.
      condition: a function without arguments, or an expression in JavaScript. The
        policy of served pages lets Playwright's own `wait_for_function` evaluate none.
    """
    ends = time.monotonic() + _HANG_S
    while time.monotonic() < ends:
        if condition() if callable(condition) else page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"still not so after {_HANG_S} s: {condition}")


def await_width(page, width):
    """Waits until the page has this width and has drawn its charts anew in it."""
    wait_until(page, f"innerWidth == {width}")
    # Charts watch their size, and hear of it in the frame in which it is laid out.
    page.evaluate("new Promise((d) => requestAnimationFrame(() => setTimeout(d)))")
    page.evaluate("new Promise((d) => requestAnimationFrame(() => setTimeout(d)))")


def wait_for(page, read, expected):
    """Waits until what a function without arguments returns is what is expected."""
    # The comparison below says what is there instead.
    with contextlib.suppress(AssertionError):
        wait_until(page, lambda: read() == expected)
    assert read() == expected


@contextlib.contextmanager
def watched(browser, origin="", *, excused=()):
    """Opens a page that must ask one origin alone, and log nothing that is not excused.

    Args:
      browser: of Playwright.
      origin: how every address that is asked for begins.
      excused: how lines of the console may begin.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert requests
    assert [url for url in requests if not url.startswith(origin)] == []
    assert [text for text in complaints if not text.startswith(excused)] == []
