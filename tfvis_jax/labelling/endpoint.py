"""A language model behind HTTP: `/chat/completions`, as OpenAI's and local servers do.

A busy or failing server (status 408, 409, 425, 429 and above 499, a timeout, a broken
connection) is asked again after 1, 2, 4, … seconds, or after what its Retry-After says.
Every other error ends in a sentence. Redirects are not followed: the key goes to the
named host alone. Names and meanings of fields are those of OpenAI's API reference,
*Create chat completion*.
"""

import dataclasses
import email.utils
import http.client
import json
import math
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from tfvis_jax.errors import InputError

_PATH = "/chat/completions"
_TRIES = 6
_FIRST_PAUSE = 1.0
# A server that asks for more is not waited for.
_LONGEST_WAIT = 300.0
_MAX_BYTES = 4 * 2**20
_BUSY = (408, 409, 425, 429)
_SHORTEST_SECRET = 8
_LOCAL = ("localhost", "127.0.0.1", "::1")
# Left out once a server says that it does not take them.
_OPTIONAL: dict[str, Any] = {"temperature": 0, "max_tokens": 4000}


class Completion(NamedTuple):
    """What a model answered.

    Attributes:
      text: its answer; "" if it gave none.
      refused: whether it declines to answer.
      tokens: of the question and of the answer, as far as the server counts them.
    """

    text: str
    refused: bool
    tokens: tuple[int, int] | None


class _Message(msgspec.Struct):
    content: Any = None
    refusal: Any = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: Any = None


class _Response(msgspec.Struct):
    choices: list[_Choice]
    usage: Any = None


class _Failed(Exception):
    """One try failed and another may not; says why, and how long to wait if known."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a model is asked, and how.

    Attributes:
      url: with or without `/chat/completions`, such as "http://localhost:8000/v1".
      model: its name there.
      key: sent as a bearer token; "" for none. Never shown, logged or stored.
      timeout: seconds that one try may take.
      wait: called with seconds before another try.
    """

    url: str
    model: str
    key: str = dataclasses.field(default="", repr=False)
    timeout: float = 120.0
    wait: Callable[[float], object] = dataclasses.field(default=time.sleep, repr=False)
    _left_out: set[str] = dataclasses.field(default_factory=set[str], repr=False)
    _lock: threading.Lock = dataclasses.field(
        default_factory=threading.Lock, repr=False
    )

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.url)
            known = parts.scheme in ("http", "https") and bool(parts.hostname)
            bare = not (
                parts.username or parts.password or parts.query or parts.port == 0
            )
        except ValueError:
            known = bare = False
        plain = self.url.isascii() and self.url.isprintable() and " " not in self.url
        if not (known and bare and plain):
            # The URL itself may hold a password, and is not repeated.
            raise InputError(
                "Expected the endpoint as http://HOST:PORT/v1 or https://HOST/v1, "
                "without user name, password or query."
            )
        if not self.model.strip() or len(self.model) > 200:
            raise InputError("Expected the name of a model, of 1 to 200 characters.")
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise InputError(
                "Expected a key of printable ASCII characters without spaces in the "
                "environment variable that --api_key_env names."
            )

    @property
    def address(self) -> str:
        """The URL that requests go to."""
        bare = self.url.split("#")[0].rstrip("/")
        return bare if bare.endswith(_PATH) else bare + _PATH

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return urllib.parse.urlsplit(self.url).hostname in _LOCAL

    def complete(
        self, messages: list[dict[str, str]], *, before: Callable[[], None]
    ) -> Completion:
        """Asks the model, again while the server is busy.

        Args:
          messages: with role and content.
          before: called before each request that is sent; may raise to stop.

        Raises:
          InputError: the server refuses the request, does not answer after six tries,
            or answers with something else.
        """
        why: _Failed | None = None
        for number in range(_TRIES):
            if why is not None:
                self.wait(self._pause(number, why))
            try:
                return self._once(messages, before)
            except _Failed as error:
                why = error
        raise InputError(
            f"{self.address} did not answer in {_TRIES} tries ({why}). Answers so far "
            "are kept; the same command goes on when it is up."
        )

    def _pause(self, number: int, error: _Failed) -> float:
        wait = _FIRST_PAUSE * 2 ** (number - 1) if error.wait is None else error.wait
        if wait > _LONGEST_WAIT:
            raise InputError(
                f"{self.address} asks to wait {wait / 60:,.0f} minutes ({error}). "
                "Answers so far are kept; the same command goes on then."
            )
        return wait

    def _once(
        self, messages: list[dict[str, str]], before: Callable[[], None]
    ) -> Completion:
        while True:
            with self._lock:
                left_out = frozenset(self._left_out)
            options = {n: v for n, v in _OPTIONAL.items() if n not in left_out}
            before()
            try:
                content = self._send(
                    {"model": self.model, "messages": messages} | options
                )
                return self._read(content)
            except urllib.error.HTTPError as error:
                said = self._said(error)
                refused = {n for n in options if n in said} if error.code == 400 else {}
                if not refused:
                    raise self._failure(error, said) from None
            with self._lock:
                self._left_out.update(refused)

    def _send(self, body: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "tfvis_jax"}
        request = urllib.request.Request(
            self.address, json.dumps(body).encode(), headers, method="POST"
        )
        if self.key:
            # Not sent on by a redirect, and not shown with the headers.
            request.add_unredirected_header("Authorization", f"Bearer {self.key}")
        ends = time.monotonic() + self.timeout
        try:
            with _opener(local=self.is_local).open(
                request, timeout=self.timeout
            ) as got:
                return _whole(got, ends)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError as error:
            reason = error.reason
            if isinstance(reason, ssl.SSLError | socket.gaierror):
                raise InputError(
                    f"{self.address} cannot be reached ({reason}); check the URL."
                ) from None
            raise _Failed(self._why(reason)) from None
        except UnicodeError:
            # A part of the host's name is empty or too long.
            raise InputError(
                f"{self.address} cannot be reached; check the host in the URL."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise _Failed(self._why(error)) from None

    def _why(self, error: object) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer in {self.timeout:g} s"
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return self._redacted(str(said))

    def _read(self, content: bytes) -> Completion:
        try:
            response = msgspec.json.decode(content, type=_Response)
            choice = response.choices[0]
        except (msgspec.MsgspecError, UnicodeError, RecursionError, IndexError):
            raise InputError(
                f"Expected a chat completion from {self.address}, got "
                f"{self._shown(content)}. Name an OpenAI-compatible server; its URL "
                "often ends in /v1."
            ) from None
        message = choice.message
        refused = bool(message.refusal) or choice.finish_reason == "content_filter"
        text = self._redacted(_text_of(message.content))
        return Completion(text, refused, _tokens(response.usage))

    def _said(self, error: urllib.error.HTTPError) -> str:
        """Returns what a server says of an error, in one short line."""
        try:
            content = _whole(error, time.monotonic() + self.timeout)
        except (OSError, http.client.HTTPException, _Failed, InputError):
            content = b""
        try:
            value = json.loads(content)
            found = value.get("error", value) if isinstance(value, dict) else value
            if isinstance(found, dict):
                found = found.get("message") or found
            content = str(found).encode(errors="replace")
        except (ValueError, RecursionError):
            pass
        reason = str(error.reason or "no details")
        return self._shown(content or reason.encode(errors="replace"))

    def _failure(self, error: urllib.error.HTTPError, said: str) -> Exception:
        status, remedy = error.code, "check --endpoint and --model"
        if status in _BUSY or status >= 500:
            return _Failed(f"status {status}: {said}", _retry_after(error))
        if status in (401, 403):
            remedy = "check the key in the environment variable of --api_key_env"
        elif 300 <= status < 400:
            remedy = "name the URL to which it redirects"
        return InputError(f"{self.address} answered {status}: {said}; {remedy}.")

    def _shown(self, content: bytes) -> str:
        line = " ".join(self._redacted(content[:2000].decode(errors="replace")).split())
        line = "".join(c if c.isprintable() else "�" for c in line)
        return (line if len(line) <= 200 else f"{line[:199]}…").rstrip(".") or "nothing"

    def _redacted(self, text: str) -> str:
        # A short one is a dummy such as "test", which is a word of answers, too.
        secret = len(self.key) >= _SHORTEST_SECRET
        return text.replace(self.key, "[key]") if secret else text


def _opener(*, local: bool) -> urllib.request.OpenerDirector:
    # A proxy cannot reach this machine.
    proxies = [urllib.request.ProxyHandler({})] if local else []
    return urllib.request.build_opener(_NoRedirect, *proxies)


def _whole(response: Any, ends: float) -> bytes:
    """Reads a response until a time, however slowly it drips."""
    content = b""
    while part := response.read1(65536):
        content += part
        if len(content) > _MAX_BYTES:
            raise InputError(
                f"Expected an answer of at most {_MAX_BYTES // 2**20} MiB, got more."
            )
        if time.monotonic() > ends:
            raise TimeoutError
    return content


def _text_of(content: Any) -> str:
    """Returns the text of a message, which may come in parts."""
    if isinstance(content, list):
        parts = [each.get("text") for each in content if isinstance(each, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _tokens(usage: Any) -> tuple[int, int] | None:
    if not isinstance(usage, dict):
        return None
    found = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    asked, answered = (each if type(each) is int else -1 for each in found)
    within = range(2**40)
    return (asked, answered) if asked in within and answered in within else None


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    """Returns the seconds that a server asks to wait: a number, or a date."""
    value = (error.headers.get("Retry-After") or "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value)
            seconds = date.timestamp() - time.time()
        except (ValueError, OverflowError, OSError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
