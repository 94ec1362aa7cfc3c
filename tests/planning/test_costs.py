"""The formulas for memory and work against XLA's report of the compiled programs."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest
from flax import nnx

from tfvis_jax import config, models, sharding
from tfvis_jax.models import bert, blocks
from tfvis_jax.planning import compiled, costs
from tfvis_jax.sparse_coding import spectral

# d_model and factors so large that products outweigh element-wise operations.
BERT = bert.BertConfig(vocab_size=500, d_model=128, n_layers=2, n_heads=4, d_hidden=512)
PLACES = {
    "one": (1, 1, "spectral"),
    "rows": (8, 1, "spectral"),
    "both": (2, 4, "spectral"),
    "fista": (1, 1, "fista"),
    "working_set": (1, 1, "working_set"),
}


def _settings(*, data=1, solver="spectral", **dictionary):
    """A run with equally many rows and windows on each device of the data axis."""
    return config.RunConfig(
        model="m",
        corpus=config.CorpusConfig(paths=("x",)),
        solver=config.SolverConfig(solver=solver),
        dictionary=config.DictionaryConfig(**{"n_factors": 512} | dictionary),
        windows_per_batch=16 * data,
        rows_per_step=512 * data,
    )


def _mesh(data, factor):
    devices = jax.devices()[: data * factor]
    axes = (sharding.DATA, sharding.FACTOR)
    return jax.make_mesh((data, factor), axes, devices=devices)


@pytest.fixture(scope="module")
def steps():
    """XLA's report of the step, by name of the layout."""
    return {
        name: compiled.program_cost(
            compiled.lower_step(
                _settings(data=data, solver=solver), BERT, mesh=_mesh(data, factor)
            )
        )
        for name, (data, factor, solver) in PLACES.items()
    }


@pytest.fixture(scope="module")
def encoders():
    """XLA's report of the encoder, by number of devices that share the windows."""
    return {
        data: compiled.program_cost(
            compiled.lower_encoder(_settings(data=data), BERT, mesh=_mesh(data, 1))
        )
        for data in (1, 8)
    }


def _formulae(name):
    data, factor, solver = PLACES[name]
    settings, mesh = (
        _settings(data=data, solver=solver),
        costs.Mesh(data, factor, "cpu"),
    )
    memory = costs.memory(settings, BERT, mesh=mesh)
    # XLA counts the body of a loop once: one solver step and one check of the gap.
    return memory, costs.work(settings, BERT, mesh=mesh, solver_steps=1)


@pytest.mark.parametrize("name", PLACES)
def test_the_memory_of_a_step_is_what_xla_takes(steps, name):
    memory, _ = _formulae(name)
    expected = memory.dictionary + memory.update_state + memory.rows + memory.codes
    if name == "both":
        # One array of codes fewer where factors are split, on a CPU; plans keep it.
        expected -= memory.codes / spectral.Spectral().arrays_of_codes
    # 10 %, for arrays of one number per row or factor, and for blocks of working sets.
    np.testing.assert_allclose(steps[name].peak, expected, rtol=0.1)


@pytest.mark.parametrize("name", ["one", "rows", "both", "fista"])
def test_the_flops_of_a_step_are_what_xla_counts(steps, name):
    _, work = _formulae(name)
    # The formulas leave out element-wise operations, next to products of d_model 128,
    # and 31 products of one row for the Lipschitz bound.
    counted = steps[name].flops
    np.testing.assert_allclose(
        counted, work.solver_flops + work.update_flops, rtol=0.07
    )


def test_what_devices_exchange_is_what_xla_has_them_exchange(steps):
    for name, of_rows, of_gradient in (("one", 0, 0), ("rows", 0, 1), ("both", 4, 1)):
        _, work = _formulae(name)
        large = [
            each
            for each in steps[name].collectives
            if each.num_bytes > 2**14 and not each.conditional
        ]
        assert len(large) == of_rows + of_gradient
        exchanged = work.exchanged_rows + work.exchanged_gradient
        # A collective also carries the numbers of each row that are summed with it.
        np.testing.assert_allclose(
            sum(c.num_bytes for c in large), exchanged, rtol=0.02
        )


def test_collectives_stand_where_they_do(steps):
    assert steps["one"].collectives == ()
    large = [c for c in steps["both"].collectives if c.num_bytes > 2**14]
    assert {c.kind for c in large if not c.conditional} == {"all-reduce"}
    # A solver step and a check; the first check, the residual and the gradient.
    loops = sorted(c.loops for c in large if not c.conditional)
    assert loops == [0, 0, 0, 1, 2]
    assert [c.kind for c in large if c.conditional] == ["all-reduce"]


def test_the_encoder_takes_no_more_than_planned_and_computes_as_much(encoders):
    for data, figures in encoders.items():
        settings, mesh = _settings(data=data), costs.Mesh(data, 1, "cpu")
        memory = costs.memory(settings, BERT, mesh=mesh)
        # How much of it XLA fuses away depends on the number of windows.
        assert figures.temporary <= 1.01 * memory.encoder_buffers
        assert memory.encoder_buffers <= 2.2 * figures.temporary
        assert memory.hidden_states == pytest.approx(figures.results, rel=0.01)
        expected = 16 * 64 * costs.encoder_flops(settings, BERT)
        # Softmax, gelu and norms, of d_model 128.
        np.testing.assert_allclose(figures.flops, expected, rtol=0.1)


def test_weak_scaling_is_flat(steps, encoders):
    """Each of eight devices with eight times the rows has the cost of one device."""
    for one, eight in ((steps["one"], steps["rows"]), (encoders[1], encoders[8])):
        np.testing.assert_allclose(eight.flops, one.flops, rtol=0.05)
        np.testing.assert_allclose(eight.traffic, one.traffic, rtol=0.05)
    assert steps["rows"].peak == pytest.approx(steps["one"].peak, rel=0.05)


def test_the_number_of_weights():
    leaves = jax.tree.leaves(
        nnx.eval_shape(lambda: bert.Bert(BERT, blocks.Maker(rngs=nnx.Rngs(0))))
    )
    assert costs.num_parameters(BERT) == sum(leaf.size for leaf in leaves)
    memory = costs.memory(_settings(), BERT, mesh=costs.Mesh(1, 1, "cpu"))
    halved = dataclasses.replace(_settings(), dtype="bfloat16")
    half = costs.memory(halved, BERT, mesh=costs.Mesh(1, 1, "cpu"))
    assert memory.weights - half.weights == 2 * costs.num_parameters(BERT)


def test_what_an_update_remembers():
    def remembered(factor, **dictionary):
        mesh = costs.Mesh(1, factor, "cpu")
        return costs.memory(_settings(**dictionary), BERT, mesh=mesh)

    whole, split = (remembered(factor, update="adam") for factor in (1, 4))
    assert whole.dictionary == 512 * 128 * 4
    assert split.dictionary == whole.dictionary // 4
    # Two moments; steps since factors fired; a few scalars that are not split.
    assert whole.update_state == pytest.approx(2 * whole.dictionary, rel=0.01)
    assert split.update_state == pytest.approx(whole.update_state / 4, rel=0.01)
    online = remembered(1, update="online")
    assert online.update_state > 4 * 512**2


@pytest.mark.parametrize(
    "name", ["albert", "deberta-v2", "modernbert", "nomic_bert", "gpt_neox"]
)
def test_other_architectures_are_counted_by_their_own_parts(name):
    folder = pathlib.Path(__file__).parents[1] / "golden" / "architectures" / name
    model = models.load(folder)
    stored = sum(leaf.size for leaf in jax.tree.leaves(model.encoder))
    assert costs.num_parameters(model.config) == stored
    settings = _settings()
    settings = dataclasses.replace(
        settings, corpus=dataclasses.replace(settings.corpus, window_length=8)
    )
    lowered = compiled.lower_encoder(settings, model.config, mesh=_mesh(1, 1))
    per_token = costs.encoder_flops(settings, model.config)
    counted = compiled.program_cost(lowered).flops / (16 * 8)
    # Of so small a model softmax and norms are a large share.
    assert 0.4 * counted < per_token < counted
