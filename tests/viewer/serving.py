"""A server of a site with an encoder of a test's own."""

import contextlib
import threading

from tfvis_jax.viewer import live, server


@contextlib.contextmanager
def running(folder, encoder, **settings):
    """Yields the port of a server; ``encoder.release`` lets go what it holds back.

    Args:
      folder: the site.
      encoder: a `live.Encoder` with a method ``release``.
      **settings: of `live.Worker`.
    """
    worker = live.Worker(lambda: encoder, **settings)
    with server.make_server(folder, port=0, worker=worker) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield found.server_port
        finally:
            encoder.release()
            found.shutdown()
            thread.join()
