"""A page by several processes: the files of one, and errors in a sentence."""

import os
import pathlib
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
import toy_runs

import tfvis_jax
from tfvis_jax import pipeline
from tfvis_jax.data import processes
from tfvis_jax.errors import InputError
from tfvis_jax.pipeline import export, page_workers, recording
from tfvis_jax.viewer import checksums


@pytest.fixture(scope="module")
def run(toy_bert_folder, toy_corpus, tmp_path_factory):
    """A run of 40 factors, so that its page has three files of factors."""
    path = tmp_path_factory.mktemp("page_workers") / "run"
    settings = toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        windows_per_batch=64,
        rows_per_step=1024,
        dictionary=tfvis_jax.DictionaryConfig(n_factors=40),
    )
    pipeline.train(path, settings)
    pipeline.collect_examples(path, top_n=30)
    return path


def _files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("on_estimate", [None, lambda found: None])
def test_any_number_of_workers_writes_the_same_files(run, tmp_path, on_estimate):
    # The estimate reads some factors first, which decides how words are numbered.
    sentences = ["the cat sat", "on the mat"]
    written = [
        pipeline.export_site(
            run,
            contexts=5,
            sentences=sentences,
            out=tmp_path / str(num_workers),
            num_workers=num_workers,
            on_estimate=on_estimate,
        )
        for num_workers in (1, 2)
    ]
    one, two = map(_files, written)
    assert len([name for name in one if name.parent.name == "factors"]) == 3
    assert one == two
    assert not checksums.verify(written[1])


def test_a_damaged_run_ends_with_the_same_sentence(run, tmp_path):
    copy = tmp_path / "run"
    subprocess.run(["cp", "-r", run, copy], check=True)
    path = copy / "examples" / "window.npy"
    windows = np.load(path)
    # Of the last factor: workers are under way when it is met.
    windows[0, np.flatnonzero(windows[0, :, 0] >= 0)[-1], 0] = 2**30
    np.save(path, windows)
    said = []
    for num_workers in (1, 2):
        with pytest.raises(InputError, match=r"window\.npy is damaged") as caught:
            pipeline.export_site(copy, contexts=2, num_workers=num_workers)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert not (copy / "site").exists() and not list(copy.glob(".site*"))


def test_an_error_in_a_worker_is_raised_here(run, tmp_path, monkeypatch):
    # The folder is gone once the workers open it.
    opened = tfvis_jax.load_run(run)
    factors = export._page_factors(opened, contexts=2)
    monkeypatch.setattr(type(factors.source.windows), "__reduce__", _gone)
    with pytest.raises(InputError, match="/nowhere/tokens"):
        _drain(factors, opened, tmp_path)


def _gone(windows):
    return type(windows), (pathlib.Path("/nowhere/tokens"),)


def _drain(factors, opened, folder):
    data = export._site_data(opened, factors, [], None)
    for _ in page_workers.Workers(factors, 2)(folder, data):
        pass


def test_a_worker_that_is_killed_is_told_of(run, tmp_path, monkeypatch):
    opened = tfvis_jax.load_run(run)
    factors = export._page_factors(opened, contexts=2)
    monkeypatch.setattr(type(factors.source.windows), "__reduce__", _deadly)
    with pytest.raises(InputError, match=r"was killed.*--num_workers=1"):
        _drain(factors, opened, tmp_path)


def _deadly(windows):
    return os._exit, (9,)


def test_a_sentence_that_cannot_be_recorded_leaves_the_old_page(run, tmp_path):
    site = pipeline.export_site(run, contexts=2, out=tmp_path / "site")
    before = _files(site)
    with pytest.raises(InputError, match=r"'the the.*cannot be recorded"):
        pipeline.export_site(
            run, contexts=3, out=site, sentences=["the " * 5000], num_workers=2
        )
    assert _files(site) == before


def test_workers_import_no_jax():
    code = (
        "import sys, tfvis_jax.pipeline.page_workers as _; "
        "print({'jax', 'flax', 'orbax', 'transformers'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], stdout=-1, check=True)
    assert found.stdout.decode().strip() == "set()"


def test_what_goes_to_a_worker_is_small(run):
    opened = tfvis_jax.load_run(run)
    sent = pickle.dumps((opened.examples, opened.windows))
    assert len(sent) < 2000
    examples, windows = pickle.loads(sent)
    np.testing.assert_array_equal(examples.activation, opened.examples.activation)
    assert windows.words(3).texts == opened.windows.words(3).texts


def test_a_small_page_has_no_workers(run):
    factors = export._page_factors(tfvis_jax.load_run(run), contexts=2)
    assert page_workers.suitable(factors.source, cores=4) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_stops_a_page_stops_its_sentences(run, monkeypatch, error):
    encoded = []

    def endless(encoder, text):
        while True:
            encoded.append(text)
            time.sleep(0.001)
            yield {"text": text}

    monkeypatch.setattr(recording.live.RunEncoder, "encode", endless)
    opened = tfvis_jax.load_run(run)
    with pytest.raises(error), recording.recording(opened, ["the cat"]):
        while not encoded:
            time.sleep(0.01)
        raise error
    then = len(encoded)
    time.sleep(0.05)
    assert len(encoded) == then


def test_workers_are_killed_with_what_they_do_in_vain():
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), processes.pool(1, in_vain=True) as pool:
        pool.submit(os.getpid).result()
        pool.submit(time.sleep, 600)
        raise KeyboardInterrupt
    assert time.monotonic() - start < 300
