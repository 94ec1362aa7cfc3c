"""Two runs beside each other: the numbers of the page against NumPy, its state."""

import re

import numpy as np
import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import bundle
from viewer import browsing, told
from viewer.wordy import EVIL


def _alive():
    """Factor 5 of the site is dead."""
    return [factor for factor in range(told.N_FACTORS) if factor != 5]


def _shown(page):
    return [
        int(text[1:])
        for text in page.locator(".runs-page .plain tbody th").all_inner_texts()
    ]


def _await_shown(page, expected):
    """Rows are drawn once the page has heard of its new address, and read a file."""
    browsing.wait_for(page, lambda: _shown(page), expected)


def test_the_summary_is_of_living_factors(page, worded):
    browsing.open_page(page, worded)
    page.click("footer >> text=The other run beside it")
    lead = page.inner_text(".runs-page .lead")
    second = told.second()
    cosine = np.array(second.cosine)[_alive()]
    partner = np.array([c or 0 for c in second.partner_cosine])[_alive()]
    said = [float(x) for x in re.findall(r"([\d.]+)\s%", lead)]
    expected = [(cosine >= 0.8), (cosine >= 0.9), (partner >= 0.8)]
    # Two digits are shown.
    assert said == pytest.approx([100 * e.mean() for e in expected], rel=0.05)
    assert f"the median is {np.median(cosine):.3f}" in lead
    assert "would have 0.17" in lead and EVIL in lead
    name = page.get_attribute(".cosines", "aria-label")
    counts = [int(n) for n in re.findall(r"\d\.\d\d: (\d+)", name)]
    # Three digits are in the file.
    rounded = np.array(bundle.read(worded, "data/beside")["cosine"])[_alive()]
    expected = np.bincount(np.floor(rounded * 20).astype(int), minlength=20)
    np.testing.assert_array_equal(counts, expected)


def test_rows_are_chosen_and_ordered_by_the_address(page, worded):
    second = told.second()
    cosine = np.array(second.cosine)
    browsing.open_page(page, worded, "#/runs")
    by_cosine = sorted(_alive(), key=lambda f: -cosine[f])
    _await_shown(page, by_cosine)
    page.select_option("#runs-show", "other")
    page.wait_for_url("**show=other")
    unlike = [f for f in by_cosine if cosine[f] < 0.8]
    _await_shown(page, unlike)
    page.wait_for_selector(f".runs-page .found:text-is('{len(unlike)} of 39')")
    page.select_option("#runs-sort", "cosine")
    page.wait_for_url("**sort=cosine")
    _await_shown(page, unlike[::-1])
    page.reload()
    page.wait_for_selector(".runs-page .plain tbody tr")
    _await_shown(page, unlike[::-1])
    assert page.input_value("#runs-show") == "other"
    page.go_back()
    page.wait_for_url("**show=other")
    _await_shown(page, unlike)
    page.select_option("#runs-sort", "number")
    page.wait_for_url("**sort=number")
    _await_shown(page, sorted(unlike))
    page.go_back()
    page.go_back()
    page.wait_for_url("**#/runs")
    _await_shown(page, by_cosine)


def test_a_row_has_the_words_of_both_as_text(page, worded):
    browsing.open_page(page, worded, "#/runs?sort=number")
    second = told.second()
    rows = page.locator(".runs-page .plain tbody tr")
    for place in (0, 7):
        factor = _alive()[place]
        cells = rows.nth(place).locator("th, td").all_inner_texts()
        match = second.nearest[factor]
        assert cells[0] == f"Φ{factor}" and cells[3] == f"Φ{match}"
        assert f"word{match}\u00a0· ‘,’\u00a0· {EVIL}" in cells[4]
        assert float(cells[2]) == pytest.approx(second.cosine[factor], abs=5e-4)
        assert cells[5] == ("yes" if second.partner[factor] == match else "no")
    rows.nth(0).locator("a").click()
    browsing.await_heading(page, "Factor 0")


def test_long_tables_grow_on_demand(page, make_site, tmp_path, monkeypatch):
    monkeypatch.setattr(told, "N_FACTORS", 120)
    dead = np.full((4, 120), 1.0)
    bundle.write(
        tmp_path / "site",
        make_site(
            n_factors=120,
            importance=dead,
            density=dead,
            max_activation=dead,
            levels=["mid"] * 120,
            level_reasons=[""] * 120,
            contexts=lambda factor: [[]] * 4,
            beside=told.second(),
        ),
    )
    browsing.open_page(page, tmp_path / "site", "#/runs")
    rows = page.locator(".runs-page .plain tbody tr")
    browsing.wait_for(page, rows.count, 50)
    page.get_by_role("button", name="Show more").click()
    page.wait_for_url("**n=100")
    browsing.wait_for(page, rows.count, 100)
    page.get_by_role("button", name="Show more").click()
    page.get_by_role("button", name="Show more").wait_for(state="hidden")
    browsing.wait_for(page, rows.count, 120)
    page.reload()
    page.wait_for_selector(".runs-page .plain tbody tr >> nth=119")


def test_a_site_of_one_run_names_the_command(page, folder):
    browsing.open_page(page, folder, "#/runs")
    assert "tfvis export RUN --beside=OTHER" in page.inner_text("main article .notice")
    assert page.locator("#to-runs").is_hidden()


def test_a_comparison_of_another_size_is_refused(make_site):
    with pytest.raises(errors.InputError, match="40 factors, got 120"):
        second = told.second()
        make_site(beside=_with(second, nearest=[0] * 120))


def _with(second, **changes):
    return type(second)(**(vars(second) | changes))
