"""Text on a terminal."""

import rich.console

# A line length that is still easy to read.
_WIDEST = 100


def console() -> rich.console.Console:
    """Returns the output stream, at most 100 columns wide."""
    found = rich.console.Console(highlight=False)
    return rich.console.Console(highlight=False, width=min(found.width, _WIDEST))


def width() -> int | None:
    """Returns the columns of the output stream; None if it is no terminal."""
    found = console()
    return found.width if found.is_terminal else None


def printable(text: str) -> str:
    """Returns a text that cannot control a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )
