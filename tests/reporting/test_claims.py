"""Claims as JSON and as a table."""

import dataclasses
import json
import math

import pytest

from tfvis_jax.reporting import claims

CLAIM = claims.Claim(
    claim="One factor tells the senses of a word.",
    measure="average precision",
    ours=0.9391,
    interval=(0.92, 0.96),
    controls={"random direction": 0.7513},
    verdict="holds",
    reason="Its interval is above every control.",
)


def test_claim_survives_json():
    assert claims.Claim.from_json(json.loads(json.dumps(CLAIM.to_json()))) == CLAIM


def test_what_was_not_measured_is_null_in_json_and_a_dash_in_the_table():
    claim = dataclasses.replace(CLAIM, interval=None, controls={"a": math.nan})
    written = json.loads(json.dumps(claim.to_json(), allow_nan=False))
    assert written["controls"] == {"a": None}
    assert "a –" in claims.table([claims.Claim.from_json(written)])


def test_table_shows_figure_interval_controls_and_reason():
    shown = claims.table([CLAIM])
    for part in ("0.939 [0.92, 0.96]", "random direction 0.751", "**holds**"):
        assert part in shown
    assert shown.endswith("- " + CLAIM.claim + " " + CLAIM.reason)


def test_figure_without_interval():
    assert claims.figure(2.5, None) == "2.5"


def test_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match="Expected one of"):
        claims.Claim("a", "b", 1.0, None, {}, "perhaps", "c")
