"""What tests do on the page, again and again."""


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
