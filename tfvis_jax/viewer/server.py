"""Serves the site of a run to a browser on this machine, and encodes sentences for it.

The site is a folder of files. ``POST /api/encode`` with ``{"text": "…"}`` streams the
records of ``sentences``, one line of JSON each; ``"masked": [1]`` masks tokens.
"""

import asyncio
import contextlib
import errno
import json
import pathlib
import socket
import types
import urllib.parse
import webbrowser
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeGuard

import uvicorn
from starlette import (
    applications,
    datastructures,
    exceptions,
    requests,
    responses,
    routing,
    staticfiles,
)
from starlette import types as asgi

from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.viewer import bundle, live, payload

ADDRESS = "127.0.0.1"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
# A request may have at most this many bytes: the longest window of a BERT is a tenth.
_LARGEST_BODY = 64 * 1024
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def serve(
    folder: pathlib.Path | str,
    *,
    port: int,
    open_browser: bool,
    on_ready: Callable[[str], None] | None = None,
    worker: live.Worker | None = None,
) -> None:
    """Serves a site on 127.0.0.1 until Ctrl-C.

    Args:
      folder: The site.
      port: Port to listen on; 0 picks a free one.
      open_browser: If True, open the page in the user's browser.
      on_ready: Called with the page's address once the server listens.
      worker: Encodes sentences; None serves the files alone.

    Raises:
      InputError: The site is missing, damaged or of another format, or the port is
        unavailable.
    """
    with make_server(folder, port=port, worker=worker) as server:
        url = f"http://{ADDRESS}:{server.server_port}/"
        if on_ready is not None:
            on_ready(url)
        if open_browser:
            webbrowser.open(url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


class LocalServer:
    """A server that listens on a port of this machine.

    Attributes:
      server_port: The port.
    """

    def __init__(
        self, app: asgi.ASGIApp, listening: socket.socket, worker: live.Worker | None
    ) -> None:
        """Takes over a socket; the worker is started with the context."""
        self.server_port: int = listening.getsockname()[1]
        self._socket = listening
        self._worker = worker
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                loop="asyncio",
                http="h11",
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )

    def serve_forever(self) -> None:
        """Answers requests until `shutdown` or Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def shutdown(self) -> None:
        """Makes `serve_forever` return; may be called from another thread."""
        self._server.should_exit = True

    def __enter__(self) -> "LocalServer":
        if self._worker is not None:
            self._worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._socket.close()


def make_server(
    folder: pathlib.Path | str, *, port: int, worker: live.Worker | None = None
) -> LocalServer:
    """Returns a server that listens for a site; raises as ``serve`` does."""
    folder = pathlib.Path(folder).resolve()
    _check_site(folder)
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ADDRESS, port))
        listening.listen(socket.SOMAXCONN)
    except OverflowError:
        listening.close()
        raise InputError(
            f"Expected a port from 0 to 65535, got {port}; choose one with `--port`."
        ) from None
    except OSError as error:
        listening.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise InputError(
            f"Port {port} on {ADDRESS} is unavailable ({error.strerror}); choose "
            "another with `--port`, or use `--port 0` for any free port."
        ) from error
    return LocalServer(_Guard(_application(folder, worker)), listening, worker)


def _application(
    folder: pathlib.Path, worker: live.Worker | None
) -> applications.Starlette:
    files = staticfiles.StaticFiles(directory=folder)

    async def page(request: requests.Request) -> responses.Response:
        return await files.get_response("index.html", request.scope)

    async def live_data(request: requests.Request) -> responses.Response:
        del request
        # The one data file that differs from the exported one.
        value = bundle.read(folder, "data/live") | {"live": True}
        text = payload.dumps("data/live", value)
        return responses.Response(text, media_type="text/javascript")

    async def encode(request: requests.Request) -> responses.Response:
        assert worker is not None
        return await _encode(request, worker)

    routes: list[routing.BaseRoute] = [routing.Route("/", page)]
    if worker is not None:
        routes.append(routing.Route("/data/live.js", live_data))
        routes.append(routing.Route("/api/encode", encode, methods=["POST"]))
    routes.append(routing.Mount("/", files))
    return applications.Starlette(
        routes=routes, exception_handlers={exceptions.HTTPException: _explain}
    )


async def _explain(request: requests.Request, error: Exception) -> responses.Response:
    del request
    assert isinstance(error, exceptions.HTTPException)
    return _refusal(live.Problem(error.detail, error.status_code))


async def _encode(request: requests.Request, worker: live.Worker) -> responses.Response:
    try:
        text, masked = await _question(request)
    except requests.ClientDisconnect:
        return responses.Response(status_code=400)
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[dict[str, Any] | live.Problem | None] = asyncio.Queue()

    def deliver(record: dict[str, Any] | live.Problem | None) -> None:
        # The loop is closed once the server has stopped: nobody listens.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(arrived.put_nowait, record)

    job = live.Job(text, masked, deliver)
    if not worker.submit(job):
        return _refusal(
            live.Problem(
                "The server is busy with other sentences; try again in a moment.", 429
            )
        )
    first = await _first(request, arrived, job)
    if first is None or isinstance(first, live.Problem):
        return _refusal(first or live.Problem("The sentence was cancelled.", 503))

    async def lines() -> AsyncIterator[str]:
        record: dict[str, Any] | live.Problem | None = first
        try:
            while record is not None:
                if isinstance(record, live.Problem):
                    record = {"error": record.message}
                yield payload.line(record)
                record = await arrived.get()
        finally:
            # The browser has gone, or has everything.
            job.cancelled.set()

    return responses.StreamingResponse(lines(), media_type="application/x-ndjson")


async def _first(
    request: requests.Request,
    arrived: "asyncio.Queue[dict[str, Any] | live.Problem | None]",
    job: live.Job,
) -> dict[str, Any] | live.Problem | None:
    """Waits for the first record, or until the browser has gone."""
    record = asyncio.ensure_future(arrived.get())
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((record, gone), return_when=asyncio.FIRST_COMPLETED)
        if record.done():
            return record.result()
        job.cancelled.set()
        return None
    finally:
        record.cancel()
        gone.cancel()


async def _question(request: requests.Request) -> tuple[str, tuple[int, ...]]:
    """Returns the sentence of a request and its masked tokens.

    Raises:
      HTTPException: Says what is wrong with the request.
    """
    # A page of another origin cannot send this type without the browser asking first,
    # and that question is not answered.
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise exceptions.HTTPException(
            415, f"Expected a body of type application/json, got {kind or 'none'}."
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise exceptions.HTTPException(
                413,
                f"Expected a sentence of at most {_LARGEST_BODY:,} bytes, got more; "
                "encode it in parts.",
            )
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    value = value if isinstance(value, dict) else {}
    text, masked = value.get("text"), value.get("masked", [])
    if not isinstance(text, str) or not _are_numbers(masked):
        raise exceptions.HTTPException(
            400, 'Expected a body such as {"text": "He left.", "masked": [1]}.'
        )
    return text, tuple(masked)


def _are_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(entry) is int for entry in value)


def _refusal(problem: live.Problem) -> responses.Response:
    headers = {"Retry-After": "1"} if problem.status == 429 else None
    return responses.Response(
        payload.line({"error": problem.message}),
        status_code=problem.status,
        media_type="application/json",
        headers=headers,
    )


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


class _Guard:
    """Answers this machine alone; browsers store nothing and load from nowhere else."""

    def __init__(self, app: asgi.ASGIApp) -> None:
        self._app = app

    async def __call__(
        self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send
    ) -> None:
        async def send_with_headers(message: asgi.Message) -> None:
            if message["type"] == "http.response.start":
                datastructures.MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app = self._app
        headers = datastructures.Headers(scope=scope)
        host = headers.get("Host", "")
        # DNS rebinding: a foreign host name that resolves here must not read the site.
        if _name(host) not in (ADDRESS, "localhost"):
            app = _refusal(live.Problem("Only this machine may read the site.", 403))
        # Browsers name the page that asks: only the site's own may.
        elif headers.get("Origin") not in (None, f"http://{host}"):
            app = _refusal(live.Problem("Only the site's own page may ask.", 403))
        await app(scope, receive, send_with_headers)


def _name(host: str) -> str | None:
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        return None
