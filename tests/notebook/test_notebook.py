"""Test the HTML in notebooks: everything is readable, and all text is escaped."""

import html.parser
import re
import types

import many_scripts
import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import markup
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import factor as factor_lib
from tfvis_jax.notebook import html as html_lib
from tfvis_jax.notebook import panels
from tfvis_jax.notebook import sentence as sentence_lib

EVIL = "</td><script>alert(1)</script><img src=x onerror=alert(1)> & \u202e\"'"
_TAGS = {
    *("div", "p", "b", "br", "bdi", "span", "code", "table", "tr", "td", "th"),
    *("svg", "title", "circle", "text", "line", "polyline"),
}
_VOID = {"br"}


class _Reader(html.parser.HTMLParser):
    """Collects the text; refuses unexpected tags and attributes."""

    def __init__(self):
        super().__init__()
        self.text, self.open = [], []

    def handle_starttag(self, tag, attrs):
        assert tag in _TAGS, tag
        assert not any(name.startswith("on") or name == "href" for name, _ in attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _text(shown) -> str:
    """Returns the text of HTML, which must be well-formed and harmless."""
    reader = _Reader()
    reader.feed(shown)
    reader.close()
    assert reader.open == []
    return "".join(reader.text)


@pytest.fixture(scope="module")
def run(toy_run):
    return tfvis_jax.load_run(toy_run)


@pytest.fixture(scope="module")
def factor(run):
    """The factor that fires most."""
    return run.factor(int(run.examples.firing.sum(axis=0).argmax()))


def test_hostile_text_stays_text():
    shown = markup.examples([(1.0, EVIL, EVIL, EVIL, EVIL)], factor=1, layer=2)
    assert _text(shown).count(EVIL) == 4
    shown = html_lib.factor(
        *(1,),
        level="high",
        reason=EVIL,
        importance={0: 1.0},
        examples="",
        is_dead=False,
        label=EVIL,
    )
    assert _text(shown).count(EVIL) == 2
    shown = markup.description(
        1, head=EVIL, importance={0: 1.0}, lists=[(EVIL, [(EVIL, EVIL)])]
    )
    assert _text(shown).count(EVIL) == 4
    shown = html_lib.sentence([EVIL], strongest={0: [[(3, 0.5)]]}, n_tokens=1)
    assert EVIL in _text(shown)
    shown = markup.token_map(
        EVIL, texts=[EVIL], is_spaced=[False], weights=np.ones(1), position=0
    )
    assert _text(shown).count(EVIL) == 2
    shown = html_lib.run(EVIL, model=EVIL, n_factors=2, layers=(0,), l1_penalty=1)
    assert _text(shown).count(EVIL) == 2


def test_a_run_shows_what_it_holds(run):
    text = _text(run._repr_html_())
    assert "<b>toy" in text and "24 factors for layers 0, 1, 2" in text


def test_importance_is_a_mapping_and_a_curve(run, factor):
    importance = factor.importance()
    curve = run.importance()[:, factor.number]
    assert dict(importance) == dict(zip((0, 1, 2), curve.tolist(), strict=True))
    assert importance.peak == int(curve.argmax()) and len(importance) == 3
    shown = importance._repr_html_()
    assert f"{curve.max():.3f}" in _text(shown)
    # The curve is linear in the scores.
    [points] = re.findall('points="([^"]*)"', shown)
    x, y = np.array([point.split(",") for point in points.split()], float).T
    slope = np.polyfit(curve, y, 1)
    np.testing.assert_allclose(np.polyval(slope, curve), y, atol=0.1)
    assert slope[0] < 0 and (np.diff(x) > 0).all()
    assert factor_lib.Importance({0: 0.0}, factor=3)._repr_html_()


def test_examples_are_a_list_that_shows_itself(factor):
    found = factor.examples(layer=2, n=3)
    assert isinstance(found, list) and len(found) == 3
    assert str(found).splitlines()[0] == str(found[0])
    text = _text(found._repr_html_())
    assert found[0].document in text and f"{found[0].activation:.3f}" in text
    # The default is the layer where it peaks.
    assert factor.examples(n=1).layer == factor.importance().peak


def test_a_factor_and_its_description_show_themselves(run, factor):
    text = _text(factor._repr_html_())
    assert f"Φ{factor.number}" in text and factor.level.reason in text
    # A factor that fires nearly everywhere has no over-represented words.
    alive = run.examples.firing.any(axis=0).nonzero()[0].tolist()
    found = [run.factor(number).describe() for number in alive]
    description = next(each for each in found if each.terms.at)
    word = description.terms.at[0].text
    for text in (_text(description._repr_html_()), str(description)):
        assert "nearest factors (cosine)" in text and word in text
    assert max(map(len, str(description).splitlines())) <= 88
    assert description.factor in alive


def test_a_factor_that_does_not_fire_says_so(run):
    text = _text(run.factor(0)._repr_html_())
    assert "Φ0 is dead" in text
    assert "<table" not in run.factor(0)._repr_html_()
    nowhere = run.factor(1).examples(layer=2)
    assert nowhere == []
    text = _text(nowhere._repr_html_())
    assert "does not fire at any token of the corpus at layer 2" in text


def test_a_sentence_shows_its_factors(run):
    encoded = run.encode("The <b>bank</b> of the river")
    text = _text(encoded._repr_html_())
    [(number, alpha), *_] = encoded.strongest(2, 4, n=1)
    assert encoded.text[slice(*encoded.spans[4])] in text
    assert f"Φ{number} {run.name(number)} {alpha:.3f}" in text
    assert len(repr(encoded)) < 100 and encoded.text in repr(encoded)
    assert "layer 0" in text and "more tokens" not in text
    assert not encoded.unknown and not encoded.notice
    assert "unknown" not in text
    strange = run.encode("the 東京 ☃ river")
    assert [strange.tokens[i] for i in strange.unknown] == ["[UNK]"] * 3
    assert "Of 5 tokens, 3 are unknown" in _text(strange._repr_html_())
    assert "3 of them unknown" in repr(strange)
    assert strange.notice.endswith("東, 京, ☃.")
    shortened = html_lib.sentence(["a"], strongest={0: [[]]}, n_tokens=5)
    assert "and 4 more tokens" in _text(shortened)


def test_words_of_a_sentence_are_those_of_windows(tmp_path):
    opened = types.SimpleNamespace(
        tokenizer=many_scripts.save_tokenizer(tmp_path / "tokenizer"),
        config=types.SimpleNamespace(corpus=types.SimpleNamespace(special_tokens=True)),
        pretrained=types.SimpleNamespace(
            config=types.SimpleNamespace(max_positions=64)
        ),
    )
    # Continuations are words of their own where a script sets no spaces.
    found = sentence_lib.tokenize_sentence(opened, "\u0e19\u0e01 ba")
    assert found.tokens == ["\u0e19", "##\u0e01", "b", "##a"]
    assert found.words == [0, 1, 2, 2]


def test_a_sentence_is_shown_in_words_and_as_a_sum(run):
    text = "the bank of a river"
    encoded, panel = run.encode(text), run.show(text, token=1)
    shown = " ".join(_text(panel._repr_html_()).split())
    for token in text.split():
        assert token in shown
    layer = encoded.layers[-1]
    (best, alpha), *_ = encoded.strongest(layer, 1, n=1)
    assert f"“bank” at layer {layer}" in shown
    assert f"x = {alpha:.3g} Φ{best} “" in shown
    # Shares of the terms, of the rest and of the residual are those of the codes.
    x, codes = encoded.x[-1, 1], encoded.codes[-1, 1]
    share = alpha * (run.trained.factors[best] @ x) / (x @ x)
    assert f"” {100 * share:.2g} %" in shown
    assert (encoded.l0[-1, 1] > 6) == (f"{encoded.l0[-1, 1] - 6} more" in shown)
    assert codes[best] == max(codes)
    # The first of the longest tokens is written out if none is named.
    assert "“river” at layer" in " ".join(_text(run.show(text).html).split())
    with pytest.raises(InputError, match="from 0 to 4"):
        run.show(text, token=5)


def test_a_factor_is_shown_with_contexts_of_every_band(run, factor):
    panel = factor.show(n=2)
    shown = " ".join(_text(panel._repr_html_()).split())
    for heading in ("Strongest", "90–99 % of α", "50–90 % of α", "Random"):
        assert heading in shown
    best = factor.examples(n=1)[0]
    assert f"Contexts at layer {factor.importance().peak}" in shown
    assert best.word in shown and factor.level.name in shown
    assert repr(panel).startswith(f"Φ{factor.number} ")


def test_panels_escape_what_comes_from_outside():
    token = {"factors": [[3, 0.5, 0.2]], "l0": 9, "residual_share": None}
    records = [
        {"tokens": [EVIL, ""], "pieces": ["x", EVIL]},
        {"layer": 0, "tokens": [token, token | {"factors": [], "l0": 0}]},
    ]
    panel = panels.sentence(records, name=lambda _: EVIL, token=0, notice=EVIL)
    # The name of the cell and of the term, two tokens and the title, and the notice.
    assert _text(panel.html).count(EVIL) == 6
    panel = panels.factor(
        3,
        name=EVIL,
        level="low",
        reason=EVIL,
        importance={0: 1.0},
        layer=0,
        bands={"Strongest": [(1.0, EVIL, EVIL, EVIL, EVIL)], "Random": []},
        largest=0.0,
    )
    assert _text(panel.html).count(EVIL) == 6
    assert "None is stored." in panel.html


def test_panels_load_and_run_nothing(run, factor):
    for panel in (run.show("the bank of a river"), factor.show()):
        # A drawing names its namespace, which is not loaded.
        html = panel.html.replace('xmlns="http://www.w3.org/2000/svg"', "")
        for loads in (
            "<script",
            "<link",
            "<img",
            "src=",
            "href=",
            "url(",
            "http",
            "on",
        ):
            if loads == "on":
                assert not re.search(r"\son[a-z]+=", html)
            else:
                assert loads not in html


def test_a_long_sentence_is_cut():
    token = {"factors": [[3, 0.5, 0.2]], "l0": 1, "residual_share": 0.1}
    words = [f"word{i}" for i in range(100)]
    records = [
        {"tokens": words, "pieces": words},
        {"layer": 0, "tokens": [token] * 100},
    ]
    shown = _text(panels.sentence(records, name=str, token=99).html)
    assert "word63" in shown and "word64" not in shown and "36 more tokens" in shown
