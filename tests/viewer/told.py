"""What a run tells of itself and of a second run, hostile strings among it."""

import numpy as np

from tfvis_jax.viewer import beside, run_record
from viewer.wordy import EVIL

N_FACTORS = 40
N_SECOND = 30


def record() -> run_record.RunRecord:
    """Returns 1,000 batches with two curves, one of which begins late."""
    batches = range(1, 1001)
    return run_record.RunRecord(
        facts={
            "Settings": [("model", "bert-tiny"), ("seed", 0), ("patience", None)],
            "Text": [("corpus", EVIL), ("tokens", 1_234_567), (EVIL, "x" * 200)],
            "Versions": [("__proto__", "1"), ("jax", "0.10.2")],
            "Files": [("dictionary.safetensors", 61_440)],
        },
        notes=[f"A note on {EVIL}"],
        batches=batches,
        curves=[
            run_record.Curve(
                label="L0", about="Active factors", values=[30 + 7 / b for b in batches]
            ),
            run_record.Curve(
                label="Held-out FVU",
                about=EVIL,
                values=[None if b % 4 or b < 100 else 0.2 + 1 / b for b in batches],
            ),
        ],
    )


def second() -> beside.Beside:
    """Returns a smaller second run, matched at random."""
    rng = np.random.default_rng(4)
    partner: list[int | None] = [None] * N_FACTORS
    for first, other in zip(
        rng.permutation(N_FACTORS).tolist(), range(N_SECOND), strict=False
    ):
        partner[first] = other
    cosine = rng.uniform(0.2, 1, N_FACTORS)
    return beside.Beside(
        title=f"other {EVIL}",
        corpus="six sentences",
        l1_penalty=0.2,
        words=[(f"word{n}", ",", EVIL) for n in range(N_SECOND)],
        labels=[EVIL if n == 3 else "" for n in range(N_SECOND)],
        nearest=rng.integers(N_SECOND, size=N_FACTORS).tolist(),
        cosine=cosine.tolist(),
        partner=partner,
        partner_cosine=[
            None if other is None else float(c * 0.9)
            for other, c in zip(partner, cosine, strict=True)
        ],
        by_chance=0.17,
    )
