"""`tfvis export`: the page of a run, as files."""

import pathlib
from collections.abc import Sequence

from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices
from tfvis_jax.errors import InputError, command_line

FLAGS = command.new_flags()
_CONTEXTS = flags.DEFINE_integer(
    "contexts", 20, "Contexts per layer and factor.", lower_bound=1, flag_values=FLAGS
)

_SENTENCES = flags.DEFINE_string(
    "sentences",
    None,
    "Text file with sentences, one a line; the page shows their factors without a "
    "server.",
    flag_values=FLAGS,
)


def main(arguments: Sequence[str]) -> None:
    """Writes the site of a run."""
    path = command.run_argument(arguments)
    devices.check()
    with pipeline.bars() as progress:
        folder = pipeline.export_site(
            path,
            contexts=_CONTEXTS.value,
            sentences=_sentences(_SENTENCES.value),
            progress=progress,
        )
    print(f"page     {folder / 'index.html'}")
    print(f"next     {command_line('view', path)}")


def _sentences(path: str | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"Expected sentences in UTF-8, got other bytes in {path}: {error}."
        ) from error
    return [line.strip() for line in lines if line.strip()]


COMMAND = command.Command(
    name="export",
    usage="RUN [--flags]",
    description=(
        "Writes RUN/site, a page that opens with a double-click and from any web "
        "server, without a network."
    ),
    flags=FLAGS,
    run=main,
)
