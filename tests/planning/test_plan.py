"""A plan says, before a run starts and with numbers, whether the run fits."""

import dataclasses

import jax
import pytest

from tfvis_jax import config, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.models import bert
from tfvis_jax.planning import costs, plan, topology

BERT = bert.BertConfig(
    vocab_size=30522, d_model=768, n_layers=12, n_heads=12, d_hidden=3072
)
GIB = 2**30


def _settings(n_factors=2000, **fixed):
    return config.RunConfig(
        model="m",
        corpus=config.CorpusConfig(paths=("x",)),
        dictionary=config.DictionaryConfig(n_factors=n_factors),
        **fixed,
    )


def test_the_most_rows_fit_and_no_more_do():
    settings, mesh = _settings(2**20), costs.Mesh(1, 8, "tpu")
    planned = plan.make(settings, BERT, mesh=mesh, device_memory=16 * GIB)
    assert planned.fits and planned.solver == "spectral"
    for more, fits in ((0, True), (8, False)):
        rows = planned.most_rows + more
        tried = dataclasses.replace(settings, rows_per_step=rows)
        again = plan.make(tried, BERT, mesh=mesh, device_memory=16 * GIB)
        assert again.rows == rows and again.fits == fits


def test_a_run_that_cannot_fit_is_refused_with_numbers(monkeypatch):
    mesh = sharding.make_mesh(1, 8)
    monkeypatch.setattr(plan, "device_memory", lambda device: 3 * GIB)
    plan.check(_settings(), BERT, mesh=mesh)
    with pytest.raises(InputError, match=r"3\.00 GiB.*codes 5\.\d+.*=\d+ would fit"):
        plan.check(_settings(2**20), BERT, mesh=mesh)
    with pytest.raises(InputError, match=r"No number of rows.*factor=16"):
        plan.check(_settings(2**23), BERT, mesh=mesh)
    with pytest.raises(InputError, match="multiple of the 8 devices"):
        plan.check(_settings(2001), BERT, mesh=mesh)
    with pytest.raises(InputError, match=r"multiple of 8.*64 in all, got 100; use 128"):
        odd = _settings(windows_per_batch=100)
        plan.check(odd, BERT, mesh=sharding.make_mesh(8, 1))
    online = config.DictionaryConfig(n_factors=2000, update="online")
    for whole, name in (
        (dataclasses.replace(_settings(), dictionary=online), "update=online"),
        (_settings(solver=config.SolverConfig(solver="working_set")), "working_set"),
    ):
        plan.check(whole, BERT, mesh=sharding.make_mesh(8, 1))
        with pytest.raises(InputError, match=f"factor=1 with.*{name}.*factor=8"):
            plan.check(whole, BERT, mesh=mesh)


def test_the_memory_of_a_cpu_is_shared_by_its_devices():
    share = plan.device_memory(jax.devices()[0])
    assert 0 < 8 * share < 2**50


def test_a_rate_leaves_out_the_first_batch_which_compiles():
    log = [
        {"batch": 1, "seconds": 50.0, "rows": 10, "solver_steps": 9.0},
        {"batch": 2, "seconds": 52.0, "rows": 30, "solver_steps": 2.0},
        {"batch": 3, "seconds": 54.0, "rows": 10, "solver_steps": 4.0},
    ]
    rate = plan.measured_rate(log)
    assert rate == plan.Rate(rows=40, seconds=4.0, solver_steps=2.5)
    assert rate.seconds_for(1000) == 100
    assert plan.measured_rate(log[:1]) is None
    assert plan.measured_rate([]) is None


def test_names_of_topologies():
    assert topology.num_chips("v5e:16x16") == 256
    assert topology.num_chips("v5p:4x4x4") == 64
    assert topology.chip_memory("v5e:16x16") == 16 * GIB
    assert topology.chip_memory("v9:2x2") is None
    for name in ("v5e", "16x16", "v5e:x4", "v5e:4x"):
        with pytest.raises(InputError, match="such as v5e:16x16"):
            topology.num_chips(name)


def _compile(name):
    small = bert.BertConfig(
        vocab_size=50, d_model=128, n_layers=1, n_heads=2, d_hidden=128
    )
    return topology.compile_programs(
        _settings(windows_per_batch=32),
        small,
        topology=name,
        data=4,
        factor=1,
        programs=("encoder",),
    )


def test_without_libtpu_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"libtpu.*pip install"):
        _compile("v5e:2x2")


def test_a_program_for_tpus_that_are_not_here():
    pytest.importorskip("libtpu", reason="libtpu is not installed")
    figures = _compile("v5e:2x2")["encoder"]
    # Eight windows of 64 tokens on each chip, two layers.
    assert figures.results == pytest.approx(2 * 8 * 64 * 128 * 4, rel=0.01)
    assert figures.collectives == ()
    with pytest.raises(InputError, match=r"does not know.*v5e:3x5.*v5p:2x2x1"):
        _compile("v5e:3x5")
