"""Sentences on demand: the queue, refusals, cancellation, and who may ask."""

import concurrent.futures
import http.client
import json
import queue
import re
import socket
import threading

import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import bundle, live, payload, server
from viewer import serving


class _Encoder:
    """Counts to three; waits before each record while ``gate`` is closed."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.done = []
        self.reached = threading.Semaphore(0)

    def release(self):
        self.gate.set()

    def warm_up(self):
        yield

    def encode(self, text, *, masked):
        if not text.strip():
            raise errors.InputError("Expected a text with at least one word, got none.")
        if text == "crash":
            raise ZeroDivisionError("a fault")
        for number in range(3):
            self.reached.release()
            assert self.gate.wait(120)
            yield {"text": text, "number": number, "masked": list(masked)}
        self.done.append(text)


@pytest.fixture(scope="module")
def encoder():
    return _Encoder()


@pytest.fixture(scope="module")
def port(folder, encoder):
    with serving.running(folder, encoder) as port:
        yield port


def _post(port, body, *, kind="application/json", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = body if isinstance(body, str) else json.dumps(body)
    connection.request("POST", "/api/encode", body, {"Content-Type": kind, **headers})
    response = connection.getresponse()
    lines = [json.loads(line) for line in response.read().splitlines()]
    connection.close()
    return response, lines


def test_records_come_as_lines(port):
    response, lines = _post(port, {"text": "He left. 👩‍🔬 <b>", "masked": [1, 0]})
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("application/x-ndjson")
    assert "connect-src 'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"
    assert [line["number"] for line in lines] == [0, 1, 2]
    assert lines[0]["text"] == "He left. 👩‍🔬 <b>"
    assert lines[0]["masked"] == [1, 0]


def test_the_first_record_comes_before_the_last_is_made(folder):
    class Slow(_Encoder):
        def encode(self, text, *, masked):
            self.gate.clear()
            yield {"text": text}
            yield from super().encode(text, masked=masked)

    encoder = Slow()
    with serving.running(folder, encoder) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
        connection.request("POST", "/api/encode", '{"text": "a"}', headers)
        response = connection.getresponse()
        assert json.loads(response.readline()) == {"text": "a"}
        assert encoder.done == []
        encoder.gate.set()
        assert len(response.read().splitlines()) == 3
        connection.close()


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        ('{"text": " "}', "application/json", 400, "at least one word"),
        ('{"text": "crash"}', "application/json", 500, "ZeroDivisionError: a fault"),
        ('{"text": 7}', "application/json", 400, "Expected a body such as"),
        ('{"text": "a", "masked": [true]}', "application/json", 400, "such as"),
        ('{"text": "a", "masked": 0}', "application/json", 400, "such as"),
        ("[" * 5000, "application/json", 400, "Expected a body such as"),
        ("", "application/json", 400, "Expected a body such as"),
        ('{"text": "a"}', "text/plain", 415, "text/plain"),
        ('{"text": "%s"}' % ("a" * 70_000), "application/json", 413, "in parts"),
    ],
)
def test_what_is_no_sentence_is_answered_in_a_sentence(
    port, body, kind, status, message
):
    response, [line] = _post(port, body, kind=kind)
    assert response.status == status
    assert message in line["error"]


def test_other_pages_and_other_hosts_are_refused(port, encoder):
    before = len(encoder.done)
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{port + 1}"},
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
    ):
        assert _post(port, {"text": "a"}, **headers)[0].status == 403
    assert len(encoder.done) == before
    own = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert _post(port, {"text": "a"}, **own)[0].status == 200


def test_the_served_data_are_the_exported_ones_but_for_what_is_live(folder, port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for path in sorted((folder / "data").rglob("*.js")):
        name = path.relative_to(folder).as_posix()
        connection.request("GET", f"/{name}")
        body = connection.getresponse().read()
        if name == "data/live.js":
            served = payload.loads(body.decode())[1]
            assert served == bundle.read(folder, "data/live") | {"live": True}
        else:
            assert body == path.read_bytes()
    connection.close()


def test_fifty_at_once_are_each_answered_or_told_to_wait(folder):
    encoder = _Encoder()
    encoder.gate.clear()
    pool = concurrent.futures.ThreadPoolExecutor(50)
    with serving.running(folder, encoder) as port, pool:
        answers = [pool.submit(_post, port, {"text": f"s{i}"}) for i in range(50)]
        done, _ = concurrent.futures.wait(
            answers, timeout=120, return_when=concurrent.futures.FIRST_COMPLETED
        )
        assert done
        # One is encoded and the queue is full; only then the worker goes on.
        encoder.reached.acquire()
        encoder.gate.set()
        results = [answer.result(timeout=120) for answer in answers]
        statuses = [response.status for response, _ in results]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 1 + live.QUEUE_SIZE
        for number, (response, lines) in enumerate(results):
            if response.status == 200:
                assert [line["text"] for line in lines] == [f"s{number}"] * 3
            else:
                assert "busy" in lines[0]["error"]
                assert response.headers["Retry-After"] == "1"
        assert len(encoder.done) == statuses.count(200)
        assert _post(port, {"text": "still alive"})[0].status == 200


def test_a_closed_tab_ends_its_sentence_whether_it_waits_or_runs(folder, monkeypatch):
    encoder, jobs = _Encoder(), []
    submit = live.Worker.submit
    monkeypatch.setattr(
        live.Worker, "submit", lambda self, job: jobs.append(job) or submit(self, job)
    )
    with serving.running(folder, encoder) as port:
        streaming = _send(port, "first")
        assert streaming.recv(100).startswith(b"HTTP/1.1 200")
        encoder.gate.clear()
        streaming.close()
        stuck = [_send(port, "second"), _send(port, "third")]
        while len(jobs) < 3:
            encoder.reached.acquire(timeout=0.01)
        for connection in stuck:
            connection.close()
        for job in jobs:
            assert job.cancelled.wait(120)
        encoder.gate.set()
        assert _post(port, {"text": "fourth"})[0].status == 200
    assert set(encoder.done) <= {"first", "fourth"}
    assert "fourth" in encoder.done


def test_a_model_that_cannot_be_opened_is_named_and_the_page_still_served(folder):
    def open_encoder():
        raise errors.InputError("The model has moved.")

    said = []
    worker = live.Worker(open_encoder, on_failure=said.append)
    with serving.up(server.make_server(folder, port=0, worker=worker)) as running:
        response, [line] = _post(running.server_port, {"text": "a"})
        assert response.status == 503
        assert line["error"] == "Sentences cannot be encoded. The model has moved."
        assert said == ["The model has moved."]
    assert not worker.busy


def test_a_sentence_that_takes_too_long_is_stopped(folder):
    with serving.running(folder, _Encoder(), time_limit=0) as port:
        _, lines = _post(port, {"text": "a"})
        assert len(lines) == 2
        assert "longer than 0 seconds" in lines[1]["error"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (None, "Encoding took longer than 0 seconds and was stopped. Try a"),
        (live.Cell(0, 0, 0), "Explaining took .* or `tfvis explain`"),
        (live.Change(0, 0), "Steering took .* or `tfvis steer`"),
    ],
)
def test_what_took_too_long_is_named(asked, message):
    class Slow(_Encoder):
        def explain(self, text, *, cell):
            yield from self.encode(text, masked=())

        def steer(self, text, *, masked, change):
            yield from self.encode(text, masked=masked)

    told = queue.Queue()
    worker = live.Worker(Slow, time_limit=0)
    worker.start()
    worker.submit(live.Job("a", (), told.put, asked))
    problem = [told.get(timeout=120) for _ in range(3)][-2]
    worker.stop()
    assert problem.status == 504 and re.match(message, problem.message)


def _send(port, text):
    body = json.dumps({"text": text})
    connection = socket.create_connection(("127.0.0.1", port), timeout=120)
    connection.sendall(
        f"POST /api/encode HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def test_what_is_newer_than_the_page_is_said(folder):
    said = "levels.json changed after this page was made."
    for outdated in ("", said):
        worker = live.Worker(_Encoder)
        made = server.make_server(folder, port=0, worker=worker, outdated=outdated)
        with serving.up(made) as found:
            connection = http.client.HTTPConnection("127.0.0.1", found.server_port)
            connection.request("GET", "/data/live.js")
            _, value = payload.loads(connection.getresponse().read().decode())
            connection.close()
        assert value.get("outdated", "") == outdated
