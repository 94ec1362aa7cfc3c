"""A site as a whole: checksums, sizes, all of it in one file."""

import hashlib
import re
import shutil
import subprocess

import pytest

from tfvis_jax import cli
from tfvis_jax.errors import InputError
from tfvis_jax.viewer import bundle, checksums, single_file, sizes
from viewer import browsing, wordy


@pytest.fixture
def site(folder, tmp_path):
    """A copy of the site, to change."""
    return shutil.copytree(folder, tmp_path / "site")


def _verify(capsys, folder):
    code = cli.main(["verify", str(folder)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_every_file_is_listed_with_its_checksum(site, capsys):
    listed = checksums.read(site)
    there = {
        path.relative_to(site).as_posix()
        for path in site.rglob("*")
        if path.is_file() and path.name != checksums.NAME
    }
    assert set(listed) == there
    for name, digest in listed.items():
        assert hashlib.sha256((site / name).read_bytes()).hexdigest() == digest
    assert not checksums.verify(site)
    code, out, _ = _verify(capsys, site)
    assert code == 0 and f"{len(there):,} files are as they were exported" in out


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
def test_coreutils_read_the_checksums(site):
    command = ["sha256sum", "--check", "--quiet", checksums.NAME]
    assert subprocess.run(command, cwd=site).returncode == 0
    (site / "data/live.js").write_text("changed")
    assert subprocess.run(command, cwd=site, capture_output=True).returncode == 1


def test_missing_changed_and_extra_files_are_named(site, capsys):
    (site / "data/factors/00001.js").unlink()
    path = site / "assets/app.js"
    path.write_text(path.read_text() + " ")
    (site / "notes.txt").write_text("mine")
    (site / "assets/word.js").unlink()
    (site / "assets/word.js").symlink_to(site / "assets/run.js")
    code, out, _ = _verify(capsys, site)
    assert code == 1
    assert [line.split() for line in out.splitlines()] == [
        ["missing", "data/factors/00001.js"],
        ["changed", "assets/app.js"],
        ["changed", "assets/word.js"],
        ["extra", "notes.txt"],
    ]


def test_a_run_stands_for_its_page(folder, capsys):
    assert _verify(capsys, folder.parent)[0] == 0


@pytest.mark.parametrize("text", ["", "no checksum\n", "\0\xff", f"{'a' * 64} x\n"])
def test_damaged_checksums_are_said(site, capsys, text):
    (site / checksums.NAME).write_bytes(text.encode("latin-1"))
    code, _, err = _verify(capsys, site)
    assert code == 1 and "is damaged" in err


def test_a_folder_without_checksums_is_said(tmp_path, capsys):
    code, _, err = _verify(capsys, tmp_path)
    assert code == 1 and "tfvis export" in err
    assert _verify(capsys, tmp_path / "nowhere")[0] == 1
    assert cli.main(["verify"]) == 2


def test_equal_data_has_equal_checksums(folder, make_site, tmp_path):
    bundle.write(tmp_path / "again", make_site())
    again = (tmp_path / "again" / checksums.NAME).read_bytes()
    assert again == (folder / checksums.NAME).read_bytes()


def test_a_run_is_exported_twice_to_equal_files(toy_run, tmp_path, capsys):
    sums = []
    for name in ("one", "two"):
        out = tmp_path / name
        assert cli.main(["export", str(toy_run), f"--out={out}", "--contexts=3"]) == 0
        printed = capsys.readouterr().out
        # What it will take, before what it took.
        assert printed.index("estimated") < printed.index("written")
        assert _verify(capsys, out)[0] == 0
        sums.append((out / checksums.NAME).read_bytes())
    assert sums[0] == sums[1]
    assert not (toy_run / "site").exists()


def test_sizes_add_up_to_the_folder(folder):
    found = sizes.measure(folder)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(row.files for row in found) == len(paths)
    assert sum(row.size for row in found) == sum(p.stat().st_size for p in paths)


def test_the_estimate_is_near_what_is_written(folder, make_site):
    estimated = sizes.estimate(
        make_site(), shard_size=bundle.SHARD_SIZE, window_shard=bundle.WINDOW_SHARD
    )
    written = {row.what: row for row in sizes.measure(folder)}
    [factors] = [row for row in estimated if row.what == "factors and contexts"]
    assert factors.files == written[factors.what].files == 3
    # Twelve of forty factors are looked at.
    assert factors.size == pytest.approx(written[factors.what].size, rel=0.15)


def test_the_estimate_knows_of_the_pages_of_words(worded, make_site):
    estimated = sizes.estimate(
        make_site(corpus_words=wordy.Corpus()),
        shard_size=bundle.SHARD_SIZE,
        window_shard=bundle.WINDOW_SHARD,
    )
    [words] = [row for row in estimated if row.what == "pages of words"]
    written = {row.what: row for row in sizes.measure(worded)}
    # A file for each byte of the hash, and one that holds all words.
    assert words.files == written[words.what].files == 257


def test_one_file_holds_the_page(page, folder, tmp_path):
    file = tmp_path / "page.html"
    single_file.write(folder, file)
    text = file.read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    page.goto(f"{file.as_uri()}#/factor/13?layer=4")
    page.wait_for_selector("html[data-ready]")
    browsing.await_heading(page, "Factor 13")
    assert len(page.query_selector_all(".context")) == 20
    page.goto(f"{file.as_uri()}#/sentence?text=He+left+the+bank.")
    page.wait_for_selector("h2:has-text('“left” at layer 6')")
    page.click("text=All factors")
    page.wait_for_selector(".rows .number a")
    assert browsing.numbers(page)[:3] == [0, 1, 2]


def test_what_is_too_large_for_one_file_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="--contexts"):
        single_file.write(folder, tmp_path / "page.html", largest=1000)
    assert not (tmp_path / "page.html").exists()
