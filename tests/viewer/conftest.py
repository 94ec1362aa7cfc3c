"""A small run with English contexts, as the viewer gets it."""

import shutil

import numpy as np
import pytest

from tfvis_jax.runs import ratings
from tfvis_jax.viewer import bundle, site
from viewer import browsing, levelled, spoken, told, wordy

EVIL = "<script>document.title = 'broken'</script><img src=x onerror=alert(1)>"
WORDS = ("river", "left", "bank", "quickly", "Paris", "seven")
SENTENCES = (
    "The boat drifted along the ",
    "She said that he had ",
    "Beside the old mill stood a ",
    "Nobody in the village moved as ",
    "The delegates returned from ",
    "On the shelf there were ",
)

RECORDED = ("He left the bank.", f"Recorded {EVIL}")


def make_site(**changes) -> site.SiteData:
    """Returns 40 factors × 4 layers (0, 2, 4, 6); 5 is dead, 3 is dead in layer 0."""
    layers, n_factors = (0, 2, 4, 6), 40
    rng = np.random.default_rng(0)
    importance = rng.uniform(1, 9, (len(layers), n_factors))
    importance[:, 5] = 0
    importance[0, 3] = 0
    importance[:, 13] = (1.25, 2.5, 7.5, 5.0)
    dead = importance == 0

    def contexts(factor):
        return [
            []
            if dead[place, factor]
            else [
                site.Context(
                    before=SENTENCES[(factor + rank) % 6],
                    word=WORDS[(factor + rank // 9) % 6],
                    after=f", and all was calm; passage {rank} of {EVIL}.",
                    activation=float(2 * importance[place, factor] / (1 + rank / 30)),
                    document=f"Article {rank}",
                )
                for rank in range(25)
            ]
            for place in range(len(layers))
        ]

    values = {
        "title": "A run for tests",
        "model": "bert-tiny",
        "corpus": "six sentences",
        "layers": layers,
        "n_factors": n_factors,
        "l1_penalty": 0.3,
        "report": {"fvu": 0.1834, "l0": 21.4, "tokens": 1_234_567},
        "importance": importance,
        "density": np.where(dead, 0, rng.uniform(1e-4, 1e-2, importance.shape)),
        "max_activation": 2 * importance,
        "levels": ["low", "mid", "high", "unclear"] * 10,
        "level_reasons": [f"reason {factor}" for factor in range(n_factors)],
        "featured": [13, 2],
        "contexts": contexts,
        "sentences": [spoken.records(text) for text in RECORDED],
    }
    return site.SiteData(**(values | changes))


@pytest.fixture(scope="session", name="make_site")
def make_site_fixture():
    """The function that makes the run, any of its fields changed."""
    return make_site


@pytest.fixture(scope="session")
def evil() -> str:
    """What every context of the run holds: markup that must stay text."""
    return EVIL


_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


# Not "session": while Playwright runs, no other test can start an event loop.
@pytest.fixture(scope="package")
def browser():
    """A `browsing.Browser`: its pages wait a minute for what is to come."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed"
    )
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browsing.Browser(browser)
        browser.close()


@pytest.fixture(scope="package")
def folder(tmp_path_factory, make_site):
    """The site of the run; tests that change files make their own."""
    folder = tmp_path_factory.mktemp("run") / "site"
    bundle.write(folder, make_site())
    return folder


@pytest.fixture(scope="package")
def worded(tmp_path_factory, make_site):
    """The site of the run with words, a record and a second run, which not all have."""
    folder = tmp_path_factory.mktemp("worded") / "site"
    data = make_site(
        corpus_words=wordy.Corpus(),
        word_firings=wordy.firings,
        words=lambda factor: [[("left", 3), ("rare", 1)]] * 4,
        run=told.record(),
        beside=told.second(),
        level_evidence=levelled.evidence(),
        ratings=[ratings.Rating(factor=13, layer=4, judged=[], hypothesis="a river")],
    )
    bundle.write(folder, data)
    return folder


@pytest.fixture
def page(browser):
    """A page; the test fails if it requests more than files or logs to the console."""
    with browsing.watched(browser, "file:") as page:
        yield page
        assert page.title() != "broken"


@pytest.fixture
def tab(browser):
    """A page of a server; the test fails if it logs to the console."""
    with browsing.watched(browser) as tab:
        yield tab
