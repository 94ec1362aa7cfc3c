"""Labels come from other tools: the page shows them as text."""

import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import bundle, site
from viewer import browsing


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, make_site, evil):
    folder = tmp_path_factory.mktemp("labelled") / "site"
    labels = {
        2: site.Label(text=evil, remarks=f"(score 0.5, {evil})"),
        13: site.Label(text="Anger, and evil"),
    }
    shares = {"detection": (0.85, 0.64, 0.948, 0.5), "intruder": (0.4, 0.1, 0.7, 0.2)}
    label_scores = {
        2: site.LabelScores(judge=evil, shares=shares),
        14: site.LabelScores(judge="words", shares={"fuzzing": (0.5, 0.3, 0.7, 0.5)}),
    }
    bundle.write(folder, make_site(labels=labels, label_scores=label_scores))
    return folder


def test_a_label_is_text_on_its_factors_page(page, labelled, evil):
    browsing.open_page(page, labelled, "#/factor/2")
    shown = page.inner_text(".headlabel")
    assert shown == f"{evil} (score 0.5, {evil})"
    assert page.query_selector(".headlabel :is(script, img)") is None
    page.evaluate("location.hash = '#/factor/13'")
    browsing.await_heading(page, "Factor 13")
    assert page.inner_text(".headlabel").strip() == "Anger, and evil"
    page.evaluate("location.hash = '#/factor/14'")
    browsing.await_heading(page, "Factor 14")
    assert page.query_selector(".headlabel") is None


def test_scores_of_a_label_stand_below_it(page, labelled, evil):
    browsing.open_page(page, labelled, "#/factor/2")
    page.wait_for_selector(".headlabel")
    assert page.locator(".factor-head .reason").first.inner_text() == (
        "The label says when it fires: detection 85 % (64–95; chance 50), intruder "
        f"40 % (10–70; chance 20), judged by {evil}."
    )
    assert page.query_selector(".factor-head :is(script, img)") is None
    page.evaluate("location.hash = '#/factor/14'")
    browsing.await_heading(page, "Factor 14")
    assert page.locator(".factor-head .reason").first.inner_text() == (
        "Its words say when it fires: fuzzing 50 % (30–70; chance 50)."
    )
    page.evaluate("location.hash = '#/factor/13'")
    browsing.await_heading(page, "Factor 13")
    assert "when it fires" not in page.inner_text(".factor-head")


def test_labels_stand_in_the_list_and_are_found(page, labelled, evil):
    browsing.open_page(page, labelled)
    assert page.text_content(".rows .label") == evil
    cards = [each.text_content() for each in page.query_selector_all(".cards .label")]
    assert cards == ["Anger, and evil", evil]
    page.fill("#search", "ang")
    assert browsing.numbers(page) == [13]
    # All terms must be found, in the label or among the words.
    page.fill("#search", "evil anger")
    assert browsing.numbers(page) == [13]
    page.fill("#search", "evil seventeen")
    assert browsing.numbers(page) == []


def test_labels_of_factors_that_are_not_there_are_refused(make_site):
    with pytest.raises(errors.InputError, match=r"0 … 39, got \[40\]"):
        make_site(labels={40: site.Label(text="x")})
