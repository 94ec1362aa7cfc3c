"""Explain which tokens make a factor fire at a token, and how faithful the maps are.

`explain` handles many targets at once. In a notebook, `run.factor(294).explain()` and
`run.explain("text", …)` explain one.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvis_jax import markup
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.saliency import (
    context_need,
    gradients,
    lime,
    occlusion,
    questions,
    variants,
)
from tfvis_jax.saliency import quality as quality_lib
from tfvis_jax.saliency import target as target_lib

METHODS = ("lime", "occlusion", "gradient_times_input", "integrated_gradients")
REPLACEMENTS = ("unk", "mask")
# What stands for something left out, where a tokenizer has no token for that.
_ELLIPSES = (" ...", "...", " .", ".")
# LIME stops once its largest standard error is this fraction of its largest weight.
_RELATIVE_ERROR = 0.05
# Number of random token orders over which the chance level is averaged.
_RANDOM_ORDERS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Map:
    """One saliency map of one target.

    Attributes:
      method: one of `METHODS`.
      weights: [length], 0 at special tokens; positive where a token makes the factor
        fire. All methods but LIME give weights in units of α.
      quality: faithfulness, measured by inserting and deleting tokens in the map's
        order.
      facts: diagnostics of the method: ``r2``, ``n_samples``, ``stability`` and
        ``relative_error`` for LIME, ``baseline`` and ``error`` for integrated
        gradients.
    """

    method: str
    weights: np.ndarray
    quality: quality_lib.Quality
    facts: Mapping[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """What makes a factor fire at a token.

    Attributes:
      target: the token in its window.
      layer: layer of the hidden state.
      activation: α at the token.
      maps: the saliency maps, by method.
      chance: quality of a random token order, for comparison.
      context_need: number of tokens on either side that keep 90 % of α; 0 is the token
        alone.
    """

    target: target_lib.Target
    layer: int
    activation: float
    maps: Mapping[str, Map]
    chance: quality_lib.Quality
    context_need: int

    def as_json(self) -> dict[str, Any]:
        """Returns the explanation as JSON values; undefined metrics are null."""
        target = self.target
        return {
            "factor": target.factor,
            "layer": self.layer,
            "activation": self.activation,
            "token_ids": target.token_ids.tolist(),
            "tokens": list(target.texts),
            "position": target.position,
            "context_need": self.context_need,
            "maps": {
                name: {
                    "weights": found.weights.tolist(),
                    **{key: _or_null(value) for key, value in found.facts.items()},
                    **_quality_json(found.quality),
                }
                for name, found in self.maps.items()
            },
            "chance": _quality_json(self.chance),
        }

    def strongest(self, method: str, *, n: int = 6) -> list[tuple[str, float]]:
        """Returns the n tokens with the largest absolute weights, and these weights."""
        weights = self.maps[method].weights
        order = np.argsort(-np.abs(weights), kind="stable")[:n].tolist()
        return [
            (self.target.texts[place], float(weights[place]))
            for place in order
            if weights[place]
        ]

    def __str__(self) -> str:
        """Returns the strongest weights of each map as text."""
        target = self.target
        lines = [
            f"factor {target.factor} at layer {self.layer}: α = "
            f"{self.activation:.3f} on {target.texts[target.position]!r}; "
            f"{self.context_need} tokens on either side keep 90 %"
        ]
        for name in self.maps:
            weights = ", ".join(
                f"{text} {weight:+.3f}" for text, weight in self.strongest(name)
            )
            lines.append(f"  {name.replace('_', ' '):<20} {weights}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        target = self.target
        lines = [
            markup.token_map(
                f"{name.replace('_', ' ')}: factor {target.factor} at layer "
                f"{self.layer}, α = {self.activation:.3f}",
                texts=target.shown,
                is_spaced=target.is_spaced.tolist(),
                weights=found.weights,
                position=target.position,
            )
            for name, found in self.maps.items()
        ]
        return "".join(lines)


def explain(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    targets: Sequence[target_lib.Target],
    *,
    layer: int,
    methods: Sequence[str] = METHODS,
    replacement: str = "unk",
    max_samples: int = 2001,
    adaptive: bool = True,
    num_features: int = 30,
    seed: int = 0,
) -> list[Explanation]:
    """Explains targets in joint batches, which is cheaper than one by one.

    Args:
      opened: model, tokeniser and settings of the run.
      trained: dictionary of the run.
      targets: tokens to explain, see `target`.
      layer: layer of the dictionary.
      methods: names of the methods, from `METHODS`.
      replacement: token that replaces others, "unk" or "mask" (see `replacement_id`).
      max_samples: maximum number of LIME masks per target.
      adaptive: If True, stop drawing masks once every standard error is at most 5 % of
        the largest weight.
      num_features: maximum number of tokens to which LIME gives a weight.
      seed: random seed of the masks and the random token orders.

    Returns:
      An explanation for each target.

    Raises:
      InputError: if there is no such layer, factor, method or replacement token, if
        ``max_samples`` is below 1, or if a factor does not fire at its target.
    """
    _check(trained, targets, methods=methods, replacement=replacement)
    if max_samples < 1:
        raise InputError(f"Expected at least one sample for LIME, got {max_samples}.")
    probe = variants.open_probe(opened, trained, layer=layer)
    by = replacement_id(opened.tokenizer, replacement)
    settings = lime.Sampling(
        max_samples=max_samples,
        relative_error=_RELATIVE_ERROR if adaptive else None,
        num_features=num_features,
        seed=seed,
    )
    found = questions.answer_all(
        probe, _first_questions(targets, methods, by=by, sampling=settings)
    )
    activation, needs = found["whole"], found["need"]
    for target, alpha in zip(targets, activation, strict=True):
        if alpha <= 0:
            raise InputError(
                f"Factor {target.factor} does not fire at token {target.position} "
                f"({target.texts[target.position]!r}) of its window at layer {layer}."
            )
    by_gradient = [method for method in methods if method in gradients.METHODS]
    found |= gradients.weights(probe, targets, by_gradient, replacement=by)
    weights = {method: _weights(found[method]) for method in methods}
    facts = {method: _facts(method, found, len(targets)) for method in methods}
    # All methods are measured with the same replacement, whatever they used.
    qualities = questions.answer_all(
        probe,
        {
            method: quality_lib.question(targets, each, replacement=by)
            for method, each in weights.items()
        }
        | {"chance": _chance(targets, by=by, seed=seed)},
    )
    chance = qualities["chance"]
    return [
        Explanation(
            target=target,
            layer=layer,
            activation=activation[i],
            maps={
                method: Map(
                    method=method,
                    weights=_spread(target, weights[method][i]),
                    quality=qualities[method][i],
                    facts=facts[method][i],
                )
                for method in methods
            },
            chance=chance[i],
            context_need=needs[i],
        )
        for i, target in enumerate(targets)
    ]


def _quality_json(quality: quality_lib.Quality) -> dict[str, Any]:
    return {
        "insertion_area": quality.insertion_area,
        "deletion_area": quality.deletion_area,
        "kept": {str(k): share for k, share in quality.kept.items()},
    }


def _or_null(value: float) -> float | None:
    # JSON has no NaN.
    return None if math.isnan(value) else value


def replacement_id(tokenizer: tokenizer_lib.Tokenizer, replacement: str) -> int:
    """Returns the id of a token that says nothing, to replace others by.

    Args:
      tokenizer: the model's.
      replacement: "mask" for the mask token. "unk" for the unknown token, or what comes
        closest to it where bytes make everything known: the mask token, or an ellipsis.

    Raises:
      InputError: there is no mask token.
    """
    if replacement == "mask":
        return tokenizer.required_mask_id()
    for token in (tokenizer.unk_id, tokenizer.mask_id):
        if token is not None:
            return token
    pieces = [tokenizer.encode(text).ids.tolist() for text in _ELLIPSES]
    # Of the last one, what comes behind the space that some put before every text.
    last = pieces[-1][-1] if pieces[-1] else tokenizer.pad_id
    return next((ids[0] for ids in pieces if len(ids) == 1), last)


def _check(
    trained: trained_dictionary.TrainedDictionary,
    targets: Sequence[target_lib.Target],
    *,
    methods: Sequence[str],
    replacement: str,
) -> None:
    n_factors = len(trained.factors)
    for target in targets:
        if not 0 <= target.factor < n_factors:
            raise InputError(
                f"Expected a factor in 0 … {n_factors - 1}, got {target.factor}."
            )
    if not set(methods) <= set(METHODS):
        raise InputError(f"Expected methods of {METHODS}, got {tuple(methods)}.")
    if replacement not in REPLACEMENTS:
        raise InputError(
            f"Expected a replacement of {REPLACEMENTS}, got {replacement!r}."
        )


def _first_questions(
    targets: Sequence[target_lib.Target],
    methods: Sequence[str],
    *,
    by: int,
    sampling: lime.Sampling,
) -> dict[str, questions.Question[Any]]:
    """Returns what can be asked before anything is known, to be answered together."""
    asked: dict[str, questions.Question[Any]] = {
        "whole": _whole(targets, by=by),
        "need": context_need.question(targets),
    }
    if "lime" in methods:
        asked["lime"] = lime.question(targets, replacement=by, sampling=sampling)
    if "occlusion" in methods:
        asked["occlusion"] = occlusion.question(targets, replacement=by)
    if "integrated_gradients" in methods:
        asked["ends"] = gradients.ends_question(targets, replacement=by)
    return asked


def _whole(
    targets: Sequence[target_lib.Target], *, by: int
) -> questions.Question[list[float]]:
    """Asks for α of each target.

    Computed again and not taken from the stored examples, because shares of α must be
    relative to an α of the same tolerance.
    """
    found = yield [
        variants.replacing(target, np.ones((1, len(target.places)), bool), by=by)
        for target in targets
    ]
    return [float(alpha[0]) for alpha in found]


def _weights(found: Sequence[Any]) -> list[np.ndarray]:
    """Returns the weights [n] of each target from what a method has found."""
    return [each.fit.weights if isinstance(each, lime.Lime) else each for each in found]


def _facts(
    method: str, found: Mapping[str, Any], n_targets: int
) -> list[dict[str, float]]:
    """Returns the diagnostics of a method for each target."""
    if method == "lime":
        return [
            {
                "r2": each.fit.r2,
                "n_samples": each.fit.n_samples,
                "stability": each.stability,
                "relative_error": each.fit.relative_error,
            }
            for each in found[method]
        ]
    if method == "integrated_gradients":
        paths = [
            gradients.integrated(weights, *ends)
            for weights, ends in zip(found[method], found["ends"], strict=True)
        ]
        return [{"baseline": each.baseline, "error": each.error} for each in paths]
    return [{} for _ in range(n_targets)]


def _chance(
    targets: Sequence[target_lib.Target], *, by: int, seed: int
) -> questions.Question[list[quality_lib.Quality]]:
    """Asks for the mean quality of random token orders, for each target."""
    # All orders of all targets go through the model in joint batches.
    repeated = [target for target in targets for _ in range(_RANDOM_ORDERS)]
    orders = [
        np.random.default_rng([seed, number]).random(len(target.places))
        for target in targets
        for number in range(_RANDOM_ORDERS)
    ]
    found = yield from quality_lib.question(repeated, orders, replacement=by)
    return [
        quality_lib.mean(found[start : start + _RANDOM_ORDERS])
        for start in range(0, len(found), _RANDOM_ORDERS)
    ]


def _spread(target: target_lib.Target, weights: np.ndarray) -> np.ndarray:
    """Returns the weights of all tokens of the window, 0 at special tokens."""
    whole = np.zeros(len(target.token_ids))
    whole[target.places] = weights
    return whole
