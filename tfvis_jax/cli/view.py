"""`tfvis view`: the page of a run in the browser, and sentences of one's own."""

import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, cores, devices, run_argument
from tfvis_jax.errors import command_line
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.viewer import live, server

FLAGS = command.new_flags(compiles=True)
_PORT = flags.DEFINE_integer(
    "port", 8000, "Port to listen on; 0 takes a free one.", flag_values=FLAGS
)
_OPEN = flags.DEFINE_bool(
    "browser", True, "Open the page in the browser.", flag_values=FLAGS
)


def main(arguments: Sequence[str]) -> None:
    """Serves the site of a run until Ctrl-C."""
    path = run_argument.one(arguments)
    directory = directory_lib.RunDirectory(path)
    directory.read_config()
    # Also where there is nothing to make: sentences are encoded as `encode` does.
    cores.use_all()
    if run_argument.is_on_hub(arguments[0]):
        _view_read_only(directory)
        return
    if not pipeline.has_page(directory):
        devices.announce()
        with pipeline.bars() as progress:
            pipeline.make_page(directory, num_workers=None, progress=progress)
    outdated = _outdated(path)
    if outdated:
        pipeline.note(outdated)
    worker = _serve(
        directory,
        directory.site,
        notes=pipeline.note_store(directory.path),
        ratings=pipeline.rating_store(directory.path),
        outdated=outdated,
    )
    _end(worker)


def _view_read_only(directory: directory_lib.RunDirectory) -> None:
    """Serves a page that is kept as long as it is looked at; nobody can write on it."""
    with tempfile.TemporaryDirectory(prefix="tfvis-") as place:
        site = pathlib.Path(place) / "site"
        devices.announce()
        with pipeline.bars() as progress:
            pipeline.export_site(
                directory, out=site, num_workers=None, progress=progress
            )
        worker = _serve(directory, site)
    _end(worker)


def _serve(
    directory: directory_lib.RunDirectory, site: pathlib.Path, **said: Any
) -> live.Worker:
    """Serves a page until Ctrl-C; returns the worker that encoded its sentences."""
    worker = pipeline.live_worker(directory.path, on_failure=_no_sentences, patience=1)
    server.serve(
        site,
        port=_PORT.value,
        open_browser=_OPEN.value,
        on_ready=lambda address: print(f"{address}   (Ctrl-C stops)", flush=True),
        worker=worker,
        **said,
    )
    return worker


def _end(worker: live.Worker) -> None:
    if worker.busy:
        # XLA compiles, which cannot be interrupted and takes up to a quarter of a
        # minute; the interpreter would crash if it ended before.
        os._exit(0)


def _outdated(path: pathlib.Path) -> str:
    """Returns a sentence on what has changed since the page was made; "" if nothing."""
    try:
        changed = pipeline.changed_since_page(path)
    except (OSError, ValueError):
        return ""  # A damaged page: the server says so.
    if not changed:
        return ""
    return (
        f"{' and '.join(changed)} changed after this page was made. "
        f"`{command_line('export', path)}` makes it anew."
    )


def _no_sentences(reason: str) -> None:
    print(
        f"tfvis: The page shows the factors, but encodes no sentences. {reason}",
        file=sys.stderr,
        flush=True,
    )


COMMAND = command.Command(
    name="view",
    usage="RUN [--port=N] [--nobrowser] [--flags]",
    description=(
        "Serves the page of a run to this machine only, and encodes the sentences that "
        "you type there. A trained run that has no page gets one first. The page also "
        "opens with a double-click on "
        "RUN/site/index.html, without sentences of your own. A run of the hub, "
        "hf://user/name, gets a page for as long as it is looked at, if it was "
        "published with its examples."
    ),
    flags=FLAGS,
    run=main,
)
