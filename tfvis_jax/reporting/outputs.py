"""What a measurement leaves: JSON, the same as Markdown, and a plot beside them."""

import importlib.util
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from tfvis_jax import files


def write(
    path: pathlib.Path,
    document: dict[str, Any],
    text: str,
    *,
    draw: Callable[[dict[str, Any], pathlib.Path], None] | None = None,
    announce: bool = True,
) -> None:
    """Writes the files and says where they are.

    Args:
      path: of the JSON; its folder is made.
      document: content of the JSON.
      text: content of the Markdown.
      draw: makes the plot, if there is one; called where matplotlib is installed.
      announce: say so; off while more is to come.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, document)
    written = [path, path.with_suffix(".md")]
    written[1].write_text(text + "\n", encoding="utf-8")
    if draw is None:
        pass
    elif importlib.util.find_spec("matplotlib") is None:
        if announce:
            say("No plot: matplotlib is missing (pip install 'tfvis_jax[bench]').")
    else:
        written.append(path.with_suffix(".png"))
        draw(document, written[2])
    if announce:
        say(f"written: {', '.join(map(str, written))}")


def say(text: str) -> None:
    """Tells what is going on, apart from the results."""
    print(text, file=sys.stderr, flush=True)
