"""Servers of sites for the time of a block, with an encoder of a test's own."""

import contextlib
import threading

from tfvis_jax.viewer import live, server


@contextlib.contextmanager
def up(made):
    """Yields a server while it answers in a thread, which ends however the block does.

    Args:
      made: what `server.make_server` returned.
    """
    with made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


@contextlib.contextmanager
def running(folder, encoder, **settings):
    """Yields the port of a server; ``encoder.release`` lets go what it holds back.

    Args:
      folder: the site.
      encoder: a `live.Encoder` with a method ``release``.
      **settings: of `live.Worker`.
    """
    worker = live.Worker(lambda: encoder, **settings)
    with up(server.make_server(folder, port=0, worker=worker)) as found:
        try:
            yield found.server_port
        finally:
            encoder.release()
