"""`levels.json`: what was measured is read back, and nothing else is."""

import dataclasses
import json

import numpy as np
import pytest

from tfvis_jax.errors import InputError
from tfvis_jax.examples import stored
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import level_file, measuring
from tfvis_jax.levels import spread as spread_lib


def _examples(*, seed=0, n_factors=3):
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 9, (4, 2, n_factors, 20)).astype(np.int32)
    return stored.Examples(
        **{
            **dict.fromkeys(stored.Examples.__dataclass_fields__),
            "window": places[0],
            "position": places[1],
            "random_window": places[2],
            "random_position": places[3],
            "firing": np.ones((2, n_factors), np.int64),
            "dictionary_hash": "abc",
        }
    )


def _measured(*, n_factors=3):
    rng = np.random.default_rng(1)
    evidence = [
        evidence_lib.Evidence(
            firing=int(rng.integers(1, 99)),
            spread=spread_lib.Spread(
                12, *rng.random(5).round(6).tolist(), "wörd", *rng.random(4).tolist()
            ),
            context=evidence_lib.Context(
                dict(
                    zip(
                        measuring.ALTERATIONS,
                        rng.random(len(measuring.ALTERATIONS)).tolist(),
                        strict=True,
                    )
                ),
                -0.01,
            ),
        )
        for _ in range(n_factors)
    ]
    evidence[1] = None  # a dead factor
    return level_file.Measured(evidence, 5)


def test_what_was_measured_is_read_back(tmp_path):
    path, examples, measured = tmp_path / "levels.json", _examples(), _measured()
    level_file.save(path, measured, examples)
    found = level_file.load(path, examples)
    assert found.per_factor == 5 and found.evidence[1] is None
    for a, b in zip(found.evidence, measured.evidence, strict=True):
        if b is None:
            continue
        assert (a.firing, a.spread.word, a.spread.documents) == (
            b.firing,
            b.spread.word,
            12,
        )
        numbers = evidence_lib.numbers(b)
        # Shares have four decimals.
        assert evidence_lib.numbers(a) == pytest.approx(numbers, abs=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["levels.json"]


def test_factors_that_were_not_measured_are_guesses(tmp_path):
    path, examples, whole = tmp_path / "levels.json", _examples(), _measured()
    guess = dataclasses.replace(whole.evidence[2], context=None)
    level_file.save(
        path, level_file.Measured([*whole.evidence[:2], guess], 5), examples
    )
    entry = json.loads(path.read_text())["factors"][2]
    assert entry["kinship"] is None and entry["shares"] is None
    found = level_file.load(path, examples)
    assert (found.n_alive, found.n_measured) == (2, 1)
    assert found.evidence[0].context is not None and found.evidence[2].context is None
    assert evidence_lib.numbers(found.evidence[2]) == pytest.approx(
        evidence_lib.numbers(guess), abs=1e-4
    )


@pytest.mark.parametrize("name", ["kinship", "shares"])
def test_half_a_context_is_refused(name, tmp_path):
    path, examples = tmp_path / "levels.json", _examples()
    level_file.save(path, _measured(), examples)
    document = json.loads(path.read_text())
    document["factors"][2][name] = None
    path.write_text(json.dumps(document))
    message = rf"damaged.*factor 2, or null for both, got null for `{name}` alone"
    with pytest.raises(InputError, match=message) as error:
        level_file.load(path, examples)
    assert not isinstance(error.value, level_file.NotMeasured)
    assert "tfvis levels" in str(error.value)


def test_what_belongs_to_something_else_is_not_measured(tmp_path):
    path, examples = tmp_path / "levels.json", _examples()
    with pytest.raises(level_file.NotMeasured, match="tfvis levels"):
        level_file.load(path, examples)
    level_file.save(path, _measured(), examples)
    other = _examples()
    object.__setattr__(other, "dictionary_hash", "def")
    with pytest.raises(level_file.NotMeasured, match="another dictionary"):
        level_file.load(path, other)
    with pytest.raises(level_file.NotMeasured, match="other examples"):
        level_file.load(path, _examples(seed=1))


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_version_is_measured_again(version, tmp_path):
    path = tmp_path / "levels.json"
    path.write_text(f'{{"schema": "tfvis-levels/{version}", "shares": [[0.1, 0.2]]}}')
    with pytest.raises(level_file.NotMeasured, match=r"older version.*tfvis levels"):
        level_file.load(path, _examples())


def test_what_is_damaged_is_refused(tmp_path):
    path, examples = tmp_path / "levels.json", _examples()
    level_file.save(path, _measured(), examples)
    whole = path.read_text()
    with pytest.raises(InputError, match="damaged: Expected `factors` of 4 factors"):
        level_file.load(path, _examples(n_factors=4))
    for text, message in (
        ('{"schema": "other"}', "schema"),
        ("[]", "damaged: Expected `object`, got `array`"),
        ("{", "not JSON"),
        (whole.replace('"alterations"', '"changes"'), "damaged"),
        (whole.replace('"keep_3"', '"keep_4"'), "damaged"),
        (whole.replace('"tip_few": 0.', '"tip_few": 7.', 1), "damaged.*tip_few"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message) as error:
            level_file.load(path, examples)
        assert not isinstance(error.value, level_file.NotMeasured)
