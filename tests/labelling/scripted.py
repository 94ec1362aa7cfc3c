"""A language model for tests: a local HTTP server that answers by a script."""

import collections
import contextlib
import hashlib
import http.server
import json
import re
import threading
import time

LIE = "quantum chromodynamics"


class Server:
    """Answers each request by the next function of a script; the last one repeats.

    A function takes the request's body and returns the answer's text, or a status,
    headers and a body. ``seen`` holds (headers, body) of all requests.
    """

    def __init__(self, *script):
        self.script, self.seen = list(script), []
        self.url = ""

    def answer(self, handler):
        size = int(handler.headers["Content-Length"])
        body = json.loads(handler.rfile.read(size))
        self.seen.append((dict(handler.headers), body))
        step = self.script[min(len(self.seen), len(self.script)) - 1]
        found = step(body)
        if isinstance(found, str):
            found = 200, {}, completion(found)
        status, headers, content = found
        content = (
            content if isinstance(content, bytes) else json.dumps(content).encode()
        )
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextlib.contextmanager
def serving(*script):
    """Yields a `Server` that is up."""
    server = Server(*script)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                server.answer(self)

        def log_message(self, *arguments):
            del arguments

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}/v1"
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


def completion(text, **fields):
    """Returns a chat completion with this text."""
    choice = {"message": {"role": "assistant", "content": text} | fields}
    return {
        "choices": [choice | {"finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    }


def good(body):
    """A model that reads: its label is the word most often marked."""
    return _of(body, lambda marked: collections.Counter(marked).most_common(1)[0][0])


def lying(body):
    """A model whose labels have nothing to do with the factor."""
    return _of(body, lambda marked: LIE)


def fails(status, said="busy", **headers):
    """Returns a step that fails with a status."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda body: (status, headers, {"error": {"message": said}})


def says(text, **fields):
    """Returns a step that says a text."""
    return lambda body: (200, {}, completion(text, **fields))


def slow(seconds):
    """Returns a step that answers late."""

    def step(body):
        time.sleep(seconds)
        return 200, {}, completion("late")

    return step


def _of(body, name):
    [message] = body["messages"]
    text = message["content"]
    head, _, rest = text.partition("\n\n")
    lines = re.findall(r"^(\d+)\. (.*)$", rest, re.MULTILINE)
    if "Say what it stands for" in head:
        marked = re.findall("<<(.*?)>>", rest.partition("It is silent:")[0].lower())
        return f'Sure! ```json\n{{"label": {json.dumps(name(marked))}}}\n```'
    label = json.loads(re.search(r': (".*")$', head, re.MULTILINE)[1])
    if "<<" in rest:
        right = [int(n) for n, line in lines if f"<<{label}>>" in line.lower()]
        return json.dumps({"right": right})
    fits = [label in line.lower().split() for _, line in lines]
    if "Group 1:" not in rest:
        return json.dumps({"fit": [i for i, fit in enumerate(fits, 1) if fit]})
    # Where the label tells nothing, any.
    guess = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    chosen = []
    for start in range(0, len(fits), 5):
        silent = [i for i in range(5) if not fits[start + i]] or list(range(5))
        chosen.append(silent[(guess >> start) % len(silent)] + 1)
    return f"<think>{{maybe 1}}</think>{json.dumps({'intruders': chosen})}"
