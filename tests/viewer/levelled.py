"""What levels follow from, made up: shares and probabilities of each factor."""

import numpy as np

from tfvis_jax.viewer import site

NAMES = ("low", "mid", "high", "topic", "unreadable")
EVIL = "<b>share</b>"


def evidence(n_factors=40, **changes):
    """Returns the evidence of a run, any of its fields changed."""
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(5, 0.5), n_factors)
    values = {
        "measures": [
            site.Measure(name=name, label=label, values=rng.random(n_factors))
            for name, label in (("alone", "alone"), ("near", EVIL), ("far", "far"))
        ],
        "probabilities": [dict(zip(NAMES, row, strict=True)) for row in p],
        "least": 0.6,
    }
    return site.LevelEvidence(**(values | changes))
