"""Test saliency maps against their definitions, one window at a time."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import directory, setup, trained_dictionary
from tfvis_jax.saliency import (
    context_growth,
    context_need,
    explanation,
    gradients,
    lime,
    occlusion,
    quality,
    variants,
)
from tfvis_jax.saliency import target as target_lib

_LAYER = 2
_TEXTS = (
    "the bank of a river and light bulb over",
    "money left the house with a blue feather",
    "never mind a park bench and green matter over red avenue",
    "a hand of light left the bank over the river with money never red",
)
_FACTORS = (3, 8, 11, 7)
# α from float32 hidden states at a gap of 1e-5, against float64 codes.
_ALPHA = {"atol": 1e-3}


@dataclasses.dataclass
class _World:
    trained: trained_dictionary.TrainedDictionary
    opened: setup.Setup
    probe: variants.Probe
    targets: list
    unk: int

    def alpha(self, token_ids, target, *, seen=None):
        """α from the whole encoder and a lasso solved in float64."""
        mask = np.ones((1, len(token_ids)), bool) if seen is None else seen[None]
        states = _encode(self.opened.pretrained.encoder, token_ids[None], mask)
        trained = self.trained
        scale = trained.layer_scale[trained.layers.index(_LAYER)]
        x = np.float64(states[0, 0, target.position]) / scale
        return _lasso(x, np.float64(trained.factors), trained.l1_penalty)[target.factor]


@jax.jit
def _encode(encoder, token_ids, mask):
    return encoder(token_ids, mask, layers=(_LAYER,))


def _lasso(x, factors, l1_penalty):
    """Minimises ½‖x − αD‖² + λ Σ α over α ≥ 0, by coordinate descent."""
    gram, correlation = factors @ factors.T, factors @ x - l1_penalty
    codes = np.zeros(len(factors))
    for _ in range(5000):
        before = codes.copy()
        for f in range(len(codes)):
            rest = correlation[f] - gram[f] @ codes + gram[f, f] * codes[f]
            codes[f] = max(0, rest / gram[f, f])
        if np.max(np.abs(codes - before)) < 1e-7:
            break
    return codes


@pytest.fixture(scope="module")
def world(toy_bert_folder, tmp_path_factory):
    """A random BERT, random factors, and four tokens at which some of them fire."""
    config = config_lib.RunConfig(
        model=str(toy_bert_folder),
        corpus=config_lib.CorpusConfig(paths=("none",)),
        solver=config_lib.SolverConfig(l1_penalty=0.1),
    )
    run = directory.RunDirectory(tmp_path_factory.mktemp("run"))
    opened = setup.open_model(run, config)
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(24, 16)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    trained = trained_dictionary.TrainedDictionary(
        factors=factors,
        layer_scale=np.full(3, 4.0, np.float32),
        layers=(0, 1, 2),
        model=config.model,
        l1_penalty=0.1,
    )
    targets = [
        target_lib.in_text(opened, trained, text, layer=_LAYER, factor=factor).target
        for text, factor in zip(_TEXTS, _FACTORS, strict=True)
    ]
    probe = variants.open_probe(opened, trained, layer=_LAYER)
    return _World(trained, opened, probe, targets, opened.tokenizer.unk_id)


def test_activations_are_those_of_each_window_alone(world):
    rng = np.random.default_rng(0)
    requests = [
        variants.replacing(
            target, rng.random((5, len(target.places))) < 0.8, by=world.unk
        )
        for target in world.targets
    ]
    for request, found in zip(requests, world.probe.activations(requests), strict=True):
        expected = [world.alpha(ids, request.target) for ids in request.token_ids]
        np.testing.assert_allclose(found, expected, **_ALPHA)


def test_occlusion_and_context_need_follow_their_definitions(world):
    maps = occlusion.explain(world.probe, world.targets, replacement=world.unk)
    needs = context_need.needs(world.probe, world.targets)
    for target, weights, need in zip(world.targets, maps, needs, strict=True):
        whole = world.alpha(target.token_ids, target)
        for weight, place in zip(weights, target.places, strict=True):
            altered = target.token_ids.copy()
            altered[place] = world.unk
            expected = whole - world.alpha(altered, target)
            np.testing.assert_allclose(weight, expected, **_ALPHA)
        distance = np.abs(np.arange(len(target.token_ids)) - target.position)
        shares = [
            world.alpha(
                target.token_ids, target, seen=(distance <= r) | ~target.is_text
            )
            / whole
            for r in range(need + 1)
        ]
        # Up to the tolerance of the activations.
        assert shares[need] >= 0.9 - 0.01 and max(shares[:need], default=0) <= 0.91
    assert len(set(needs)) > 1


def test_context_curves_end_with_the_whole(world):
    curves = context_need.curves(world.probe, world.targets, radii=[0, 12])
    assert all(curve[1] == pytest.approx(1, abs=1e-5) for curve in curves)
    assert any(curve[0] < 0.9 for curve in curves)


def test_integrated_gradients_add_up_to_the_change(world):
    maps = gradients.integrated_gradients(
        world.probe, world.targets, replacement=world.unk
    )
    for target, found in zip(world.targets, maps, strict=True):
        none = target.replaced(np.zeros((1, len(target.places)), bool), by=world.unk)
        whole, baseline = (
            world.alpha(ids, target) for ids in (target.token_ids, none[0])
        )
        np.testing.assert_allclose(found.baseline, baseline, **_ALPHA)
        # 32 points on a path with kinks.
        assert found.weights.sum() == pytest.approx(whole - baseline, abs=0.05 * whole)
        assert found.error < 0.05


def test_the_derivative_of_one_token_adds_up_to_what_it_changes(world):
    target = world.targets[0]
    [effects] = occlusion.explain(world.probe, [target], replacement=world.unk)
    effects[target.places == target.position] = 0
    neighbour = target.places[np.argmax(np.abs(effects))]
    altered = target.token_ids.copy()
    altered[neighbour] = world.unk
    points = (np.arange(64) + 0.5) / 64
    path = gradients._Path(target, altered, points, True)
    [found] = gradients._along(world.probe, [path])
    change = world.alpha(target.token_ids, target) - world.alpha(altered, target)
    assert abs(change) > 0.02
    assert np.all(np.delete(found, neighbour, axis=1) == 0)
    np.testing.assert_allclose(found.mean(axis=0).sum(), change, atol=2e-3)


def test_gradient_times_input_is_the_derivative_in_the_embeddings_size(world):
    maps = gradients.gradient_times_input(world.probe, world.targets)
    for target, weights in zip(world.targets, maps, strict=True):
        step = 0.01
        points = np.array([1 - step, 1 + step], np.float32)
        rows = gradients._rows(
            gradients._Path(target, np.ones_like(target.token_ids), points, False),
            world.probe.padded_length(len(target.token_ids)),
        )
        x = gradients._hidden_states(
            world.opened.pretrained.encoder,
            *rows,
            world.probe.scaling,
            layer=_LAYER,
        )
        trained = world.trained
        low, high = (
            _lasso(np.float64(row), np.float64(trained.factors), trained.l1_penalty)[
                target.factor
            ]
            for row in x
        )
        # Special tokens have embeddings too, but no weight: they are added here.
        ones = np.ones_like(target.token_ids)
        path = gradients._Path(target, ones, np.ones(1), False)
        [whole] = gradients._along(world.probe, [path])
        np.testing.assert_allclose(
            whole[0, target.places], weights, rtol=1e-5, atol=1e-7
        )
        # Central differences: float32 states divided by the step.
        np.testing.assert_allclose(
            whole.sum(), (high - low) / (2 * step), rtol=0.03, atol=2e-3
        )


def test_quality_follows_its_definition(world):
    target = world.targets[0]
    n = len(target.places)
    weights = np.random.default_rng(1).normal(size=n)
    [found] = quality.measure(world.probe, [target], [weights], replacement=world.unk)
    order = target.places[np.argsort(-weights)]
    whole = world.alpha(target.token_ids, target)
    inserted, deleted = [], []
    for k in range(n + 1):
        few, rest = target.token_ids.copy(), target.token_ids.copy()
        few[order[k:]] = rest[order[:k]] = world.unk
        inserted.append(world.alpha(few, target) / whole)
        deleted.append(world.alpha(rest, target) / whole)

    def area(curve):
        return sum((a + b) / 2 / n for a, b in itertools.pairwise(curve))

    np.testing.assert_allclose(found.insertion_area, area(inserted), atol=0.01)
    np.testing.assert_allclose(found.deletion_area, area(deleted), atol=0.01)
    assert list(found.kept) == [k for k in (1, 3, 5, 10) if k <= n]
    for k, share in found.kept.items():
        np.testing.assert_allclose(share, inserted[k], atol=0.01)


def test_lime_explains_an_activation_whatever_the_other_targets(world):
    together = lime.explain(world.probe, world.targets, replacement=world.unk)
    [alone] = lime.explain(world.probe, world.targets[2:3], replacement=world.unk)
    np.testing.assert_allclose(alone.fit.weights, together[2].fit.weights, atol=1e-4)
    assert alone.fit.n_samples == together[2].fit.n_samples
    for found in together:
        done = found.fit.relative_error <= 0.05
        assert done or found.fit.n_samples == 2001
        assert -1 <= found.stability <= 1
    [again] = lime.explain(
        world.probe,
        world.targets[:1],
        replacement=world.unk,
        relative_error=None,
        max_samples=300,
    )
    assert again.fit.n_samples == 300


def test_an_explanation_has_every_map_with_its_quality(world):
    found = explanation.explain(
        world.opened,
        world.trained,
        world.targets[:2],
        layer=_LAYER,
        replacement="mask",
        max_samples=300,
    )
    for target, each in zip(world.targets, found, strict=False):
        assert each.target is target and each.activation > 0
        assert tuple(each.maps) == explanation.METHODS
        for name, drawn in each.maps.items():
            assert drawn.method == name and drawn.weights.shape == (
                len(target.token_ids),
            )
            assert np.all(drawn.weights[~target.is_text] == 0)
            assert np.any(drawn.weights)
            text, weight = each.strongest(name, n=1)[0]
            assert abs(weight) == np.abs(drawn.weights).max()
            assert f"{text} {weight:+.3f}" in str(each)
        facts = each.maps["lime"].facts
        assert {"r2", "n_samples", "stability"} <= facts.keys()
        best = max(m.quality.insertion_area for m in each.maps.values())
        assert best > each.chance.insertion_area


def test_what_cannot_be_explained_is_refused(world):
    trained, target = world.trained, world.targets[0]
    quiet = [
        place
        for place in target.places
        if world.alpha(
            target.token_ids, dataclasses.replace(target, position=int(place))
        )
        == 0
    ]
    silent = dataclasses.replace(target, position=int(quiet[0]))
    [curve] = context_need.curves(world.probe, [silent], radii=[0, 12])
    assert np.isnan(curve).all()
    for changed, changes, message in (
        ({"factor": 24}, {}, "0 … 23"),
        ({"position": int(quiet[0])}, {}, "does not fire"),
        ({}, {"layer": 3}, "Expected a layer of"),
        ({}, {"methods": ["shap"]}, "Expected methods"),
        ({}, {"max_samples": 0}, "at least one sample"),
        ({}, {"replacement": "pad"}, "Expected a replacement"),
    ):
        with pytest.raises(InputError, match=message):
            explanation.explain(
                world.opened,
                trained,
                [dataclasses.replace(target, **changed)],
                **{"layer": _LAYER} | changes,
            )


def test_the_token_of_a_text_is_found_in_a_text_of_any_length(world):
    for text, many in ((_TEXTS[0], False), (" ".join(_TEXTS * 6), True)):
        found = target_lib.in_text(
            world.opened, world.trained, text, layer=_LAYER, factor=_FACTORS[0]
        )
        assert (found.n_windows > 1) == many
        target = found.target
        assert len(target.token_ids) <= 64
        assert not target.is_text[0] and not target.is_text[-1]
        assert world.alpha(target.token_ids, target) > 0
        # Joined, the tokens are the text.
        read = "".join(
            f" {text}" if spaced else text
            for text, spaced in zip(target.texts, target.is_spaced, strict=True)
        )
        assert read.strip() in text
    with pytest.raises(InputError, match="at least one word"):
        target_lib.in_text(world.opened, world.trained, " ", layer=2, factor=0)
    with pytest.raises(InputError, match="all 2 tokens of this text are"):
        target_lib.in_text(world.opened, world.trained, "Ω Ψ", layer=2, factor=0)


def test_only_text_is_replaced(world):
    target = world.targets[0]
    kept = np.zeros((1, len(target.places)), bool)
    kept[0, 3] = True
    [altered] = target.replaced(kept, by=world.unk)
    expected = np.where(target.is_text, world.unk, target.token_ids)
    expected[target.places[3]] = target.token_ids[target.places[3]]
    np.testing.assert_array_equal(altered, expected)


def test_contexts_grow_as_defined(world):
    """KEEP, in compact rows, and REPLACE against the whole encoder."""
    target, other = world.targets[3], world.targets[2]
    is_text = other.is_text
    donor = context_growth.Donor(
        other.token_ids[is_text], np.diff(other.word[is_text], prepend=-1) > 0
    )
    radii = (0, 1, 3)
    keep = context_growth.keeping(target, radii)
    parts = context_growth.compact(keep, lengths=(6, 10))
    assert len(parts) > 1
    found = np.concatenate(world.probe.activations(parts))
    expected = [
        world.alpha(target.token_ids, target, seen=seen) for seen in keep.attention
    ]
    np.testing.assert_allclose(found, expected, **_ALPHA)
    replaced = context_growth.replacing(target, donor, radii)
    [found] = world.probe.activations([replaced])
    expected = [world.alpha(ids, target) for ids in replaced.token_ids]
    np.testing.assert_allclose(found, expected, **_ALPHA)
