"""Serves an exported site to this machine's browser."""

import contextlib
import errno
import functools
import http.server
import pathlib
import urllib.parse
import webbrowser
from collections.abc import Callable

from tfvis_jax import errors
from tfvis_jax.viewer import bundle

ADDRESS = "127.0.0.1"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)


def serve(
    folder: pathlib.Path | str,
    *,
    port: int,
    open_browser: bool,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves a site on 127.0.0.1 until Ctrl-C.

    Args:
      folder: The site.
      port: Where to listen; 0 takes a free one.
      open_browser: Whether to open the page in the user's browser.
      on_ready: Called with the address of the page once it can be opened.

    Raises:
      InputError: The site is missing or of another format, or the port is taken.
    """
    with make_server(folder, port=port) as server:
        url = f"http://{ADDRESS}:{server.server_port}/"
        if on_ready is not None:
            on_ready(url)
        if open_browser:
            webbrowser.open(url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def make_server(
    folder: pathlib.Path | str, *, port: int
) -> http.server.ThreadingHTTPServer:
    """Returns a server of a site, listening; raises as ``serve`` does."""
    folder = pathlib.Path(folder).resolve()
    _check_site(folder)
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        return http.server.ThreadingHTTPServer((ADDRESS, port), handler)
    except OverflowError:
        raise errors.InputError(f"`port` must lie in 0 … 65535, got {port}.") from None
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise errors.InputError(
            f"port {port} of {ADDRESS} cannot be had ({error.strerror}); choose "
            "another with `--port`, or `--port 0` for any that is free."
        ) from error


def _check_site(folder: pathlib.Path) -> None:
    run = folder.parent if folder.name == "site" else "RUN"
    try:
        manifest = bundle.read(folder, "data/manifest")
    except (FileNotFoundError, NotADirectoryError):
        raise errors.InputError(
            f"expected a site in {folder}, but there is none; "
            f"make it with `tfvis export {run}`."
        ) from None
    except ValueError:
        raise errors.InputError(
            f"the site in {folder} is damaged; make it anew with `tfvis export {run}`."
        ) from None
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != bundle.SCHEMA:
        raise errors.InputError(
            f"expected a site of format {bundle.SCHEMA}, but {folder} is of "
            f"{schema}; make it anew with `tfvis export {run}`."
        )


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the site alone, to this machine alone, never stored by the browser."""

    server_version = "tfvis"
    sys_version = ""

    def send_head(self):
        # A page of another name that resolves to this address must not read the site.
        host = urllib.parse.urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in (ADDRESS, "localhost"):
            self.send_error(403, "This server answers its own machine only")
            return None
        root = pathlib.Path(self.directory)
        if (
            not pathlib.Path(self.translate_path(self.path))
            .resolve()
            .is_relative_to(root)
        ):
            self.send_error(404)
            return None
        return super().send_head()

    def list_directory(self, path):
        self.send_error(404)

    def end_headers(self):
        policy = f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'"
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format, *arguments):
        """Keeps the terminal quiet; the browser's own tools show the requests."""
