"""The server of an exported site: its files, nothing but its files, its messages."""

import gzip
import http.client
import shutil

import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import server
from viewer import serving


@pytest.fixture(scope="module")
def served(tmp_path_factory, folder):
    served = tmp_path_factory.mktemp("run") / "site"
    shutil.copytree(folder, served)
    (served.parent / "secret.txt").write_text("not for you")
    (served / "link.txt").symlink_to(served.parent / "secret.txt")
    return served


@pytest.fixture(scope="module")
def port(served):
    with serving.up(server.make_server(served, port=0)) as running:
        yield running.server_port


def _get(port, path, *, host=None, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Host": host or f"127.0.0.1:{port}", **headers}
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize(
    "path", ["index.html", "assets/app.js", "data/index.js", "assets/icon.svg"]
)
def test_files_come_as_written_and_are_not_stored(folder, port, path):
    response, body = _get(port, f"/{path}?x=1")
    assert response.status == 200
    assert body == (folder / path).read_bytes()
    assert response.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


def test_files_are_compressed_for_those_who_take_it(folder, port):
    whole = (folder / "data/index.js").read_bytes()
    packed, body = _get(port, "/data/index.js", **{"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(body) < len(whole) / 2
    assert gzip.decompress(body) == whole
    plain, body = _get(port, "/data/index.js", **{"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert body == whole
    assert packed.headers["ETag"] == plain.headers["ETag"]
    # Too small to gain by it.
    small, body = _get(port, "/assets/icon.svg", **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers
    assert body == (folder / "assets/icon.svg").read_bytes()


def test_parts_and_known_files_are_answered_as_without_compression(folder, port):
    whole = (folder / "data/index.js").read_bytes()
    wanted = {"Accept-Encoding": "gzip"}
    part, body = _get(port, "/data/index.js", Range="bytes=700-1899", **wanted)
    assert part.status == 206
    assert part.headers["Content-Range"] == f"bytes 700-1899/{len(whole)}"
    assert body == whole[700:1900]
    assert "Content-Encoding" not in part.headers
    known = {"If-None-Match": part.headers["ETag"], **wanted}
    again, body = _get(port, "/data/index.js", **known)
    assert (again.status, body) == (304, b"")
    head, body = _get(port, "/data/index.js", method="HEAD", **wanted)
    assert (head.status, body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(whole)


def test_the_page_forbids_the_same_as_the_server(folder):
    page = (folder / "index.html").read_text()
    assert f'content="{server.CONTENT_SECURITY_POLICY}"' in page


def test_the_root_is_the_page(folder, port):
    assert _get(port, "/")[1] == (folder / "index.html").read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/data/", "/assets", "/../secret.txt", "/%2e%2e/secret.txt", "/link.txt", "/none"],
)
def test_nothing_else_is_served(port, path):
    response, body = _get(port, path)
    assert response.status in (301, 404)
    assert b"not for you" not in body
    assert b"index.js" not in body


def test_pages_of_other_names_are_refused(port):
    assert _get(port, "/", host="evil.example:80")[0].status == 403
    assert _get(port, "/", host=f"localhost:{port}")[0].status == 200


def test_a_missing_site_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(errors.InputError, match=f"tfvis export {tmp_path}"):
        server.make_server(tmp_path / "site", port=0)


def test_a_site_of_another_format_is_named(tmp_path, folder):
    shutil.copytree(folder, tmp_path / "site")
    path = tmp_path / "site" / "data" / "manifest.js"
    path.write_text(path.read_text().replace("tfvis-site/1", "tfvis-site/7"))
    with pytest.raises(errors.InputError, match="tfvis-site/7"):
        server.make_server(tmp_path / "site", port=0)
    path.write_text(path.read_text()[:40])
    with pytest.raises(errors.InputError, match="damaged"):
        server.make_server(tmp_path / "site", port=0)


def test_a_taken_port_is_named(folder, port):
    with pytest.raises(
        errors.InputError, match=f"Port {port} on 127.0.0.1 is unavailable .*--port"
    ):
        server.make_server(folder, port=port)
    with pytest.raises(errors.InputError, match="65535"):
        server.make_server(folder, port=70000)


def test_serve_says_where_and_ends_quietly_on_ctrl_c(folder, capsys, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(server.LocalServer, "serve_forever", interrupted)
    said = []
    server.serve(folder, port=0, open_browser=False, on_ready=said.append)
    assert said[0].startswith("http://127.0.0.1:")
    assert capsys.readouterr() == ("", "")


def test_a_site_without_an_encoder_takes_no_sentences(folder, port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/api/encode", body="{}")
    assert connection.getresponse().status in (404, 405)
    connection.close()
    assert _get(port, "/data/live.js")[1] == (folder / "data/live.js").read_bytes()


def test_hosts_that_are_no_names_are_refused(port):
    assert _get(port, "/", host="[::bad")[0].status == 403
