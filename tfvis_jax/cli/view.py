"""`tfvis view`: the page of a run in the browser."""

from collections.abc import Sequence

from absl import flags

from tfvis_jax.cli import command
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.viewer import server

FLAGS = command.new_flags()
_PORT = flags.DEFINE_integer(
    "port", 8000, "Port to listen on; 0 takes a free one.", flag_values=FLAGS
)
_OPEN = flags.DEFINE_bool(
    "browser", True, "Open the page in the browser.", flag_values=FLAGS
)


def main(arguments: Sequence[str]) -> None:
    """Serves the site of a run until Ctrl-C."""
    directory = directory_lib.RunDirectory(command.run_argument(arguments))
    directory.read_config()
    server.serve(
        directory.site,
        port=_PORT.value,
        open_browser=_OPEN.value,
        on_ready=lambda address: print(f"{address}   (Ctrl-C stops)", flush=True),
    )


COMMAND = command.Command(
    name="view",
    usage="RUN [--flags]",
    description=(
        "Serves the page of a run to this machine only. It also opens with a "
        "double-click on RUN/site/index.html."
    ),
    flags=FLAGS,
    run=main,
)
