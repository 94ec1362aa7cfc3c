"""Serves the site of a run to a browser on this machine, and encodes sentences for it.

The site is a folder of files. ``POST /api/encode`` with ``{"text": "…"}`` streams the
records of ``sentences``, one line of JSON each; ``"masked": [1]`` masks tokens.
``POST /api/explain`` streams ever better explanations of one factor's α at one token,
``POST /api/steer`` what a change along a factor does to the sentence.
``POST /api/note`` stores what a person says of a factor, ``POST /api/rating`` what one
says of its contexts.
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
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, NamedTuple, Protocol, TypeGuard, TypeVar

import msgspec
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
from starlette.middleware import gzip

from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.runs import human_notes
from tfvis_jax.runs import ratings as ratings_lib
from tfvis_jax.viewer import bundle, live, payload

ADDRESS = "127.0.0.1"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
# A request may have at most this many bytes: the longest window of a BERT is a tenth.
_LARGEST_BODY = 64 * 1024
# As fast as the disk, a twentieth larger than the smallest.
_COMPRESSION = 5
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
    notes: human_notes.Store | None = None,
    ratings: ratings_lib.Store | None = None,
    outdated: str = "",
) -> None:
    """Serves a site on 127.0.0.1 until Ctrl-C.

    Args:
      folder: The site.
      port: Port to listen on; 0 picks a free one.
      open_browser: If True, open the page in the user's browser.
      on_ready: Called with the page's address once the server listens.
      worker: Encodes sentences; None serves the files alone.
      notes: What people say of factors, to be changed on the page; None shows what the
        site holds.
      ratings: What people say of contexts, likewise.
      outdated: Says what is newer than the site; "" where nothing is.

    Raises:
      InputError: The site is missing, damaged or of another format, or the port is
        unavailable.
    """
    with make_server(
        folder,
        port=port,
        worker=worker,
        notes=notes,
        ratings=ratings,
        outdated=outdated,
    ) as server:
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
    folder: pathlib.Path | str,
    *,
    port: int,
    worker: live.Worker | None = None,
    notes: human_notes.Store | None = None,
    ratings: ratings_lib.Store | None = None,
    outdated: str = "",
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
    app = _Guard(_Compressed(_application(folder, worker, notes, ratings, outdated)))
    return LocalServer(app, listening, worker)


def _application(
    folder: pathlib.Path,
    worker: live.Worker | None,
    notes: human_notes.Store | None,
    ratings: ratings_lib.Store | None,
    outdated: str,
) -> applications.Starlette:
    files = staticfiles.StaticFiles(directory=folder)

    async def page(request: requests.Request) -> responses.Response:
        return await files.get_response("index.html", request.scope)

    async def live_data(request: requests.Request) -> responses.Response:
        del request
        # The one data file that differs from the exported one.
        value = bundle.read(folder, "data/live") | {"live": True}
        if outdated:
            value["outdated"] = outdated
        text = payload.dumps("data/live", value)
        return responses.Response(text, media_type="text/javascript")

    async def encode(request: requests.Request) -> responses.Response:
        assert worker is not None
        return await _stream(request, worker, _question)

    async def explain(request: requests.Request) -> responses.Response:
        assert worker is not None
        return await _stream(request, worker, _cell_question)

    async def steer(request: requests.Request) -> responses.Response:
        assert worker is not None
        return await _stream(request, worker, _change_question)

    routes: list[routing.BaseRoute] = [routing.Route("/", page)]
    if notes is not None:
        routes += _said("note", _Notes(folder, notes))
    if ratings is not None:
        routes += _said("rating", _Ratings(folder, ratings))
    if worker is not None:
        routes.append(routing.Route("/data/live.js", live_data))
        routes.append(routing.Route("/api/encode", encode, methods=["POST"]))
        routes.append(routing.Route("/api/explain", explain, methods=["POST"]))
        routes.append(routing.Route("/api/steer", steer, methods=["POST"]))
    routes.append(routing.Mount("/", files))
    return applications.Starlette(
        routes=routes, exception_handlers={exceptions.HTTPException: _explain}
    )


_T = TypeVar("_T", bound=msgspec.Struct)


class _Question(NamedTuple):
    """What a request asks the worker for; see `live.Job`."""

    text: str
    masked: tuple[int, ...] = ()
    asked: live.Cell | live.Change | None = None


async def _explain(request: requests.Request, error: Exception) -> responses.Response:
    del request
    assert isinstance(error, exceptions.HTTPException)
    return _refusal(live.Problem(error.detail, error.status_code))


async def _stream(
    request: requests.Request,
    worker: live.Worker,
    read: Callable[[requests.Request], Awaitable[_Question]],
) -> responses.Response:
    """Answers with the records of what a request asks the worker for."""
    try:
        question = await read(request)
    except requests.ClientDisconnect:
        return responses.Response(status_code=400)
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[dict[str, Any] | live.Problem | None] = asyncio.Queue()

    def deliver(record: dict[str, Any] | live.Problem | None) -> None:
        # The loop is closed once the server has stopped: nobody listens.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(arrived.put_nowait, record)

    job = live.Job(question.text, question.masked, deliver, question.asked)
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


class _Said(Protocol):
    """What people say through the page, as its data file and as a request."""

    def value(self) -> dict[str, Any]:
        """Returns what the page shows; raises InputError."""
        ...

    def change(self, body: bytes) -> None:
        """Stores what a request says; raises InputError."""
        ...


class _FactorNote(msgspec.Struct, forbid_unknown_fields=True):
    factor: schema_lib.Count
    note: human_notes.Note


_UNCHANGED = "Nothing was changed."


class _Notes(NamedTuple):
    folder: pathlib.Path
    store: human_notes.Store

    def value(self) -> dict[str, Any]:
        return bundle.notes_value(self.store.read(), editable=True)

    def change(self, body: bytes) -> None:
        asked = schema_lib.decode(
            body, _FactorNote, where="The request", remedy=_UNCHANGED
        )
        names = bundle.read(self.folder, "data/manifest")["level_names"]
        self.store.change(asked.factor, asked.note, levels=tuple(names))


class _Ratings(NamedTuple):
    folder: pathlib.Path
    store: ratings_lib.Store

    def value(self) -> dict[str, Any]:
        return bundle.ratings_value(self.store.read(), editable=True)

    def change(self, body: bytes) -> None:
        rating = schema_lib.decode(
            body, ratings_lib.Rating, where="The request", remedy=_UNCHANGED
        )
        layers = bundle.read(self.folder, "data/manifest")["layers"]
        self.store.change(rating, layers=layers)


def _said(kind: str, said: _Said) -> list[routing.BaseRoute]:
    """Returns the routes of a data file that the page can change."""
    name = f"data/{kind}s"

    async def data(request: requests.Request) -> responses.Response:
        del request
        text = payload.dumps(name, said.value())
        return responses.Response(text, media_type="text/javascript")

    async def change(request: requests.Request) -> responses.Response:
        try:
            said.change(await _body(request))
            value = said.value()
        except requests.ClientDisconnect:
            return responses.Response(status_code=400)
        except InputError as error:
            return _refusal(live.Problem(str(error), 400))
        return responses.Response(payload.line(value), media_type="application/json")

    return [
        routing.Route(f"/{name}.js", data),
        routing.Route(f"/api/{kind}", change, methods=["POST"]),
    ]


async def _question(request: requests.Request) -> _Question:
    """Returns the sentence of a request and its masked tokens.

    Raises:
      HTTPException: Says what is wrong with the request.
    """
    try:
        value = json.loads(await _body(request))
    except (ValueError, RecursionError):
        value = None
    value = value if isinstance(value, dict) else {}
    text, masked = value.get("text"), value.get("masked", [])
    if not isinstance(text, str) or not _are_numbers(masked):
        raise exceptions.HTTPException(
            400, 'Expected a body such as {"text": "He left.", "masked": [1]}.'
        )
    return _Question(text, tuple(masked))


class _AskedCell(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    token: schema_lib.Count
    layer: schema_lib.Count
    factor: schema_lib.Count


async def _cell_question(request: requests.Request) -> _Question:
    """Returns the sentence of a request and the cell to explain.

    Raises:
      HTTPException: Says what is wrong with the request.
    """
    asked = await _asked(
        request,
        _AskedCell,
        remedy='Send {"text": "He left.", "token": 1, "layer": 2, "factor": 3}.',
    )
    cell = live.Cell(asked.token, asked.layer, asked.factor)
    return _Question(asked.text, (), cell)


class _AskedChange(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    layer: schema_lib.Count
    factor: schema_lib.Count
    # Far larger ones are not numbers any more once the model has run on.
    by: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)] | None = None
    token: schema_lib.Count | None = None
    masked: list[schema_lib.Count] = []


async def _change_question(request: requests.Request) -> _Question:
    """Returns the sentence of a request and the change to make.

    Raises:
      HTTPException: Says what is wrong with the request.
    """
    asked = await _asked(
        request,
        _AskedChange,
        remedy='Send {"text": "He left.", "layer": 2, "factor": 3, "by": 0.5}.',
    )
    change = live.Change(asked.layer, asked.factor, asked.by, asked.token)
    return _Question(asked.text, tuple(asked.masked), change)


async def _asked(request: requests.Request, kind: type[_T], *, remedy: str) -> _T:
    try:
        body = await _body(request)
        return schema_lib.decode(body, kind, where="The request", remedy=remedy)
    except InputError as error:
        raise exceptions.HTTPException(400, str(error)) from error


async def _body(request: requests.Request) -> bytes:
    """Returns the JSON of a request, not yet parsed.

    Raises:
      HTTPException: It is of another type, or too long.
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
                f"Expected at most {_LARGEST_BODY:,} bytes of text, got more; send it "
                "in parts.",
            )
    return bytes(body)


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


class _Compressed:
    """Compresses files for browsers that say they take it.

    Not what is streamed, whose lines must arrive one by one, nor parts of a file, which
    are counted in its own bytes.
    """

    def __init__(self, app: asgi.ASGIApp) -> None:
        self._app = app
        self._gzip = gzip.GZipMiddleware(app, compresslevel=_COMPRESSION)

    async def __call__(
        self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send
    ) -> None:
        whole = "Range" not in datastructures.Headers(scope=scope)
        app = self._gzip if scope["method"] == "GET" and whole else self._app
        await app(scope, receive, send)


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
