"""`tfvis view`: the page of a run in the browser, and sentences of one's own."""

import os
import sys
from collections.abc import Sequence

from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, compiled
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
    compiled.keep_programs()
    worker = pipeline.live_worker(directory.path, on_failure=_no_sentences, patience=1)
    server.serve(
        directory.site,
        port=_PORT.value,
        open_browser=_OPEN.value,
        on_ready=lambda address: print(f"{address}   (Ctrl-C stops)", flush=True),
        worker=worker,
    )
    if worker.busy:
        # XLA compiles, which cannot be interrupted and takes up to a quarter of a
        # minute; the interpreter would crash if it ended before.
        os._exit(0)


def _no_sentences(reason: str) -> None:
    print(
        f"tfvis: The page shows the factors, but encodes no sentences. {reason}",
        file=sys.stderr,
        flush=True,
    )


COMMAND = command.Command(
    name="view",
    usage="RUN [--flags]",
    description=(
        "Serves the page of a run to this machine only, and encodes the sentences that "
        "you type there. The page also opens with a double-click on "
        "RUN/site/index.html, without sentences of your own."
    ),
    flags=FLAGS,
    run=main,
)
