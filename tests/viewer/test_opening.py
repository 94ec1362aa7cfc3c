"""Opening the page in a real browser: from disk, from the server, with damage."""

import pathlib
import re
import shutil

from tfvis_jax.viewer import bundle, server
from viewer import browsing, serving


def test_a_missing_or_damaged_file_is_named(browser, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "site")
    (tmp_path / "site/data/factors/00001.js").unlink()
    (tmp_path / "site/data/factors/00002.js").write_text("oops(")
    page = browser.new_page()
    for factor, shard in ((16, "00001"), (32, "00002")):
        page.goto("about:blank")
        browsing.open_page(page, tmp_path / "site", f"#/factor/{factor}")
        assert f"data/factors/{shard}.js" in page.inner_text("[role=alert]")
    page.close()


def test_one_layer_and_one_factor(page, tmp_path, make_site):
    data = make_site()
    small = make_site(
        layers=(4,),
        n_factors=1,
        report={"share": [0.5], "device": "cpu"},
        featured=[],
        **{
            name: getattr(data, name)[:1, :1]
            for name in ("importance", "density", "max_activation")
        },
        levels=["low"],
        level_reasons=[""],
        contexts=lambda factor: data.contexts(factor)[:1],
    )
    bundle.write(tmp_path / "site", small)
    browsing.open_page(page, tmp_path / "site")
    assert browsing.numbers(page) == [0]
    assert "layer 4" in page.inner_text(".about")
    page.click(".rows .number a")
    browsing.await_heading(page, "Factor 0")
    assert len(page.query_selector_all(".chart .point")) == 1
    assert page.query_selector(".column") is None


def test_the_served_site_needs_nothing_but_its_server(browser, folder):
    with serving.up(server.make_server(folder, port=0)) as running:
        page = browser.new_page()
        requests, complaints = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        url = f"http://127.0.0.1:{running.server_port}/"
        page.goto(f"{url}#/factor/13")
        page.wait_for_selector(".context")
        page.close()
    assert complaints == []
    assert all(request.startswith(url) for request in requests)


def test_the_scripts_never_make_markup_from_text():
    files = [*(pathlib.Path(bundle.__file__).parent / "static").rglob("*.js")]
    assert len(files) > 10
    unsafe = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
    )
    assert [file.name for file in files if unsafe.search(file.read_text())] == []
