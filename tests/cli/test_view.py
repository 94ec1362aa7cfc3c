"""`tfvis view` as people start and stop it."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tfvis_jax import cli, pipeline
from tfvis_jax.cli import view


@pytest.fixture(scope="module")
def run(toy_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "toy"
    shutil.copytree(toy_run, path)
    assert cli.main(["export", str(path), "--contexts=2"]) == 0
    return path


def test_it_serves_the_page_encodes_sentences_and_stops_on_ctrl_c(run, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "tfvis_jax", "view", run, "--port=0", "--nobrowser"],
        # JAX warns of a program that another process has half written.
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().split()[0]
    host = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=300)
    connection.request("GET", "/")
    assert b"<title>" in connection.getresponse().read()
    connection.request(
        "POST",
        "/api/encode",
        json.dumps({"text": "the bank of a river"}),
        {"Content-Type": "application/json"},
    )
    lines = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    assert [len(layer["tokens"]) for layer in lines[1:]] == [5, 5, 5]
    connection.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) == 0
    assert process.stderr.read() == ""


def test_a_page_that_is_older_than_the_labels_says_so(run, tmp_path, capsys):
    path = tmp_path / "aged"
    shutil.copytree(run, path)
    assert pipeline.changed_since_page(path) == []
    labels = tmp_path / "labels.csv"
    labels.write_text("factor,label\n3,rivers\n")
    assert cli.main(["labels", str(path), f"--import={labels}"]) == 0
    assert pipeline.changed_since_page(path) == ["labels.json"]
    said = view._outdated(path)
    assert said.startswith("labels.json changed after") and "tfvis export" in said
    assert cli.main(["export", str(path), "--contexts=2"]) == 0
    assert view._outdated(path) == ""
    (path / "labels.json").unlink()
    assert pipeline.changed_since_page(path) == ["labels.json"]
