"""Settings: validated on construction, the same after a round trip."""

import dataclasses
import json

import pytest

from tfvis_jax import config
from tfvis_jax.errors import InputError

CORPUS = config.CorpusConfig(paths=("a.txt",))


def test_round_trip_through_json_text():
    settings = config.RunConfig(
        model="m", corpus=config.CorpusConfig(paths=("a", "b*")), layers=(0, 3)
    )
    assert config.from_json(json.loads(json.dumps(config.to_json(settings)))) == (
        settings
    )


def test_settings_are_hashable():
    # They are static arguments of compiled functions.
    assert len({config.SolverConfig(), config.SolverConfig(l1_penalty=0.1)}) == 2


@pytest.mark.parametrize(
    ("piece", "values", "message"),
    [
        (config.SolverConfig, {"l1_penalty": 0.0}, "l1_penalty"),
        (config.SolverConfig, {"l1_penalty": float("nan")}, "l1_penalty"),
        (config.SolverConfig, {"solver": "lars"}, "solver"),
        (config.SolverConfig, {"max_steps": 0}, "max_steps"),
        (config.DictionaryConfig, {"n_factors": 0}, "n_factors"),
        (config.DictionaryConfig, {"initialisation": "zeros"}, "initialisation"),
        (config.CorpusConfig, {"paths": ()}, "at least one"),
        (config.CorpusConfig, {"paths": ("a",), "window_length": 2}, "window_length"),
        (config.CorpusConfig, {"paths": ("a",), "held_out_fraction": 1.0}, "held_out"),
    ],
)
def test_bad_settings_are_refused_by_name(piece, values, message):
    with pytest.raises(InputError, match=message):
        piece(**values)


@pytest.mark.parametrize("layers", [(), (2, 1), (1, 1), (-1, 0)])
def test_layers_must_increase_from_zero(layers):
    with pytest.raises(InputError, match="layers"):
        config.RunConfig(model="m", corpus=CORPUS, layers=layers)


def test_differences_name_nested_settings():
    old = config.RunConfig(model="m", corpus=CORPUS)
    new = dataclasses.replace(
        old, seed=1, solver=dataclasses.replace(old.solver, l1_penalty=0.5)
    )
    lines = config.differences(old, new)
    assert [line.split(":")[0] for line in lines] == ["seed", "solver.l1_penalty"]
    assert config.differences(old, old) == []


def test_settings_of_another_version_are_refused():
    values = config.to_json(config.RunConfig(model="m", corpus=CORPUS))
    with pytest.raises(InputError, match="surprise"):
        config.from_json(values | {"surprise": 1})


def test_the_paper_preset_has_the_published_constants():
    settings = config.RunConfig.paper(model="m", paths=("a",), n_layers=12)
    assert settings.layers == (0, 2, 4, 6, 8, 10)
    assert settings.solver.l1_penalty == 0.3
    assert settings.solver.max_steps == 500
    assert settings.dictionary.n_factors == 2000
    assert not settings.corpus.special_tokens
