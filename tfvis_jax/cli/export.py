"""`tfvis export`: the page of a run, as files."""

from collections.abc import Sequence

from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices
from tfvis_jax.errors import command_line
from tfvis_jax.viewer import sentences as sentences_lib

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
    name = _SENTENCES.value
    sentences = sentences_lib.read_texts(name) if name else []
    devices.check()
    with pipeline.bars() as progress:
        folder = pipeline.export_site(
            path,
            contexts=_CONTEXTS.value,
            sentences=sentences,
            progress=progress,
        )
    print(f"page     {folder / 'index.html'}")
    print(f"next     {command_line('view', path)}")


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
