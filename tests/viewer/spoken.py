"""Sentences as an encoder would see them: made-up hidden states, real records."""

import hashlib

import numpy as np

from tfvis_jax.viewer import sentences

LAYERS = (0, 2, 4, 6)
N_FACTORS = 40


def tokens(text):
    """Returns words and full stops, each a token."""
    return text.replace(".", " .").split()


def codes(word, layer):
    """Returns [n_factors] α of a word at a layer; factor 0 fires on "left" alone."""
    digest = hashlib.sha256(f"{word}{layer}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    alpha = np.where(rng.random(N_FACTORS) < 0.3, rng.uniform(0.1, 0.6, N_FACTORS), 0)
    alpha[0] = 0.7 + layer / 10 if word == "left" else 0
    return alpha


def factors():
    """Returns [n_factors, d_model] unit rows."""
    rows = np.random.default_rng(5).normal(size=(N_FACTORS, 64))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def records(text, *, masked=()):
    """Returns the records of a sentence."""
    words = ["[MASK]" if i in masked else w for i, w in enumerate(tokens(text))]
    spans, end = [], 0
    for word in tokens(text):
        start = text.index(word, end)
        end = start + len(word)
        spans.append((start, end))
    made = [
        sentences.header(
            text,
            pieces=words,
            spans=spans,
            words=range(len(words)),
            layers=LAYERS,
            masked=list(masked),
        )
    ]
    for layer in LAYERS:
        alpha = np.stack([codes(word, layer) for word in words])
        noise = np.random.default_rng(layer).normal(size=(len(words), 64)) / 20
        made.append(
            sentences.layer_record(
                layer,
                x=alpha @ factors() + noise,
                codes=alpha,
                gap=np.full(len(words), 1e-6),
                factors=factors(),
            )
        )
    return made
