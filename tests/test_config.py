"""Settings: validated on construction, the same after a round trip."""

import dataclasses
import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import config, config_fields, config_json
from tfvis_jax.errors import InputError

CORPUS = config.CorpusConfig(paths=("a.txt",))


def test_round_trip_through_json_text():
    settings = config.RunConfig(
        model="m", corpus=config.CorpusConfig(paths=("a", "b*")), layers=(0, 3)
    )
    assert config_json.from_json(
        json.loads(json.dumps(config_json.to_json(settings)))
    ) == (settings)


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
        (config.SolverConfig, {"tolerance": 1.0}, "tolerance.* >= 0, < 1"),
        (config.SparsityConfig, {"target_l0": 0.0}, "target_l0"),
        (config.SparsityConfig, {"l1_warmup": float("inf")}, "l1_warmup"),
        (config.DictionaryConfig, {"revive_after": 0}, "revive_after"),
        (config.DictionaryConfig, {"n_factors": 0}, "n_factors"),
        (config.DictionaryConfig, {"n_factors": True}, "n_factors.* whole number"),
        (config.DictionaryConfig, {"initialisation": "zeros"}, "initialisation"),
        (config.CorpusConfig, {"paths": ()}, "at least one"),
        (config.CorpusConfig, {"paths": ("a",), "window_length": 2}, "window_length"),
        (config.CorpusConfig, {"paths": ("a",), "held_out_fraction": 1.0}, "held_out"),
    ],
)
def test_bad_settings_are_refused_by_name(piece, values, message):
    with pytest.raises(InputError, match=message):
        piece(**values)


def test_layer_0_is_of_hidden_states_alone():
    with pytest.raises(InputError, match=r"from 1 at `site` mlp_out.*leave it out"):
        config.RunConfig(model="m", corpus=CORPUS, layers=(0, 2), site="mlp_out")
    with pytest.raises(InputError, match="`site` to be one of hidden"):
        config.RunConfig(model="m", corpus=CORPUS, site="attention")
    settings = config.RunConfig(model="m", corpus=CORPUS)
    assert settings.layers_of(3) == (0, 1, 2, 3)
    settings = dataclasses.replace(settings, site="attention_out")
    assert settings.layers_of(3) == (1, 2, 3)
    with pytest.raises(InputError, match="between 1 and 3 of m, got 4"):
        dataclasses.replace(settings, layers=(1, 4)).layers_of(3)


def test_settings_without_a_site_are_of_hidden_states():
    values = config_json.to_json(config.RunConfig(model="m", corpus=CORPUS))
    assert values.pop("site") == "hidden"
    assert config_json.from_json(values).site == "hidden"


@pytest.mark.parametrize("layers", [(), (2, 1), (1, 1), (-1, 0)])
def test_layers_must_increase_from_zero(layers):
    with pytest.raises(InputError, match="layers"):
        config.RunConfig(model="m", corpus=CORPUS, layers=layers)


def test_differences_name_nested_settings():
    old = config.RunConfig(model="m", corpus=CORPUS)
    new = dataclasses.replace(
        old, seed=1, solver=dataclasses.replace(old.solver, l1_penalty=0.5)
    )
    lines = config_json.differences(old, new)
    assert [line.split(":")[0] for line in lines] == ["seed", "solver.l1_penalty"]
    assert config_json.differences(old, old) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target_l0": 2000.0}, "at most 1024, the number of factors"),
        ({"equal_l0": True}, "equal_l0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values, message):
    sparsity = config.SparsityConfig(**values)
    with pytest.raises(InputError, match=message):
        config.RunConfig(model="m", corpus=CORPUS, sparsity=sparsity, layer_scale=False)


@pytest.mark.parametrize("place", ["s3://bucket/run", "gs://bucket"])
def test_checkpoints_lie_where_orbax_can_write(place):
    with pytest.raises(InputError, match="gs://BUCKET/FOLDER"):
        config.RunConfig(model="m", corpus=CORPUS, checkpoints=place)


def test_every_setting_says_what_it_is():
    pieces = (
        *(config.CorpusConfig, config.SolverConfig, config.SparsityConfig),
        *(config.DictionaryConfig, config.RunConfig),
    )
    for piece in pieces:
        known = config_fields.settings_of(piece)
        names = {field.name for field in dataclasses.fields(piece)}
        assert names - set(known) <= {"corpus", "solver", "sparsity", "dictionary"}
        for name, each in known.items():
            assert each.help.endswith("."), name


# `config.json` as it was written before it had a schema.
FIRST = pathlib.Path(__file__).parent / "golden" / "config_1.json"


def test_settings_without_a_schema_are_read():
    values = json.loads(FIRST.read_text())
    expected = config.RunConfig(
        model="/models/bert",
        corpus=config.CorpusConfig(
            paths=("/text/a.txt", "/text/b*.xz"), max_tokens=200_000, window_length=32
        ),
        solver=config.SolverConfig(l1_penalty=0.08, tolerance=1e-4),
        sparsity=config.SparsityConfig(target_l0=24.0, equal_l0=True, l1_warmup=4.0),
        dictionary=config.DictionaryConfig(
            n_factors=512, update="adam", step_size=0.01
        ),
        layers=(0, 3, 6),
        patience=3,
        checkpoints="gs://bucket/run",
        seed=7,
    )
    assert config_json.from_json(values) == expected
    # What is written now is read as the same.
    written = json.loads(json.dumps(config_json.to_json(expected)))
    assert config_json.from_json(written) == expected
    del values["solver"]["target_l0"]
    with pytest.raises(InputError, match="target_l0"):
        config_json.from_json(values)


@pytest.mark.parametrize("values", [[], "text", {}, {"solver": "fista"}])
def test_what_are_no_settings_is_refused(values):
    with pytest.raises(InputError, match="settings of a run"):
        config_json.from_json(values)


def test_settings_of_a_newer_version_are_refused():
    values = config_json.to_json(config.RunConfig(model="m", corpus=CORPUS))
    with pytest.raises(InputError, match=r"^Expected settings of schema .*config/3"):
        config_json.from_json(values | {"schema": "tfvis-config/3"})


def test_unknown_settings_are_refused():
    values = config_json.to_json(config.RunConfig(model="m", corpus=CORPUS))
    with pytest.raises(InputError, match="surprise"):
        config_json.from_json(values | {"surprise": 1})


def test_the_paper_preset_has_the_published_constants():
    settings = config.RunConfig.paper(model="m", paths=("a",), n_layers=12)
    assert settings.layers == (0, 2, 4, 6, 8, 10)
    within = config.RunConfig.paper(
        model="m", paths=("a",), n_layers=12, site="mlp_out"
    )
    assert within.layers == (1, 3, 5, 7, 9, 11) and within.site == "mlp_out"
    assert settings.solver.l1_penalty == 0.3
    assert settings.solver.max_steps == 500
    assert settings.dictionary.n_factors == 2000
    assert not settings.corpus.special_tokens


def test_a_string_of_paths_is_refused():
    with pytest.raises(InputError, match=r"tuple of paths.*write \('./text',\)"):
        config.CorpusConfig(paths="./text")


def test_lists_and_scalars_of_arrays_are_settings_as_any_other():
    corpus = config.CorpusConfig(paths=["a.txt", "b.txt"])
    assert corpus == config.CorpusConfig(paths=("a.txt", "b.txt"))
    for half in (np.float32(0.5), jnp.float32(0.5), np.array(0.5)):
        solver = config.SolverConfig(l1_penalty=half, max_steps=np.int64(7))
        assert solver == config.SolverConfig(l1_penalty=0.5, max_steps=7)
        assert type(solver.l1_penalty) is float and type(solver.max_steps) is int
        hash(solver)
    run = config.RunConfig(model="bert", corpus=corpus, seed=np.int64(3))
    assert type(run.seed) is int
