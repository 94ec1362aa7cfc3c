"""Serves an exported site to a browser on this machine."""

import contextlib
import errno
import functools
import http.server
import io
import os
import pathlib
import urllib.parse
import webbrowser
from collections.abc import Callable
from typing import BinaryIO

from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError, command_line
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
      port: Port to listen on; 0 picks a free one.
      open_browser: If True, open the page in the user's browser.
      on_ready: Called with the page's address once the server listens.

    Raises:
      InputError: The site is missing, damaged or of another format, or the port is
        unavailable.
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
    """Returns a server that listens for a site; raises as ``serve`` does."""
    folder = pathlib.Path(folder).resolve()
    _check_site(folder)
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        return http.server.ThreadingHTTPServer((ADDRESS, port), handler)
    except OverflowError:
        raise InputError(
            f"Expected a port from 0 to 65535, got {port}; choose one with `--port`."
        ) from None
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise InputError(
            f"Port {port} on {ADDRESS} is unavailable ({error.strerror}); choose "
            "another with `--port`, or use `--port 0` for any free port."
        ) from error


def _check_site(folder: pathlib.Path) -> None:
    run = folder.parent if folder.name == "site" else "RUN"
    try:
        manifest = bundle.read(folder, "data/manifest")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"Expected a site in {folder}, got none; create it with "
            f"`{command_line('export', run)}`."
        ) from None
    except (ValueError, OSError):
        raise InputError(
            f"Expected a complete site in {folder}, got a damaged manifest; export it "
            f"again with `{command_line('export', run)}`."
        ) from None
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != bundle.SCHEMA:
        raise InputError(
            f"Expected a site of format {bundle.SCHEMA} in {folder}, got "
            f"{schema_lib.short(schema)}; export it again with "
            f"`{command_line('export', run)}`."
        )


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of one site to this machine alone; browsers store nothing."""

    server_version = "tfvis"
    sys_version = ""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        # DNS rebinding: a foreign host name that resolves here must not read the site.
        host = urllib.parse.urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in (ADDRESS, "localhost"):
            self.send_error(403, "Only this machine may read the site")
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

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        self.send_error(404)

    def end_headers(self) -> None:
        policy = f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'"
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing; the browser's developer tools show the requests."""
