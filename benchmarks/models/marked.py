"""Tables that scripts put between the marks of a page."""

import pathlib

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "models.md"


def write(page: pathlib.Path, name: str, text: str) -> None:
    """Replaces what stands between two marks, which the page has.

    Args:
      page: the page.
      name: of the marks, ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.
      text: what stands there from now on.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8")
    before, _, rest = old.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
