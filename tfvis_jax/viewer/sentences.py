"""A sentence as the page gets it: one record for its tokens, then one a layer.

The live server streams these records, a line of JSON each, and an exported site holds
recorded sentences as lists of them.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError
from tfvis_jax.viewer import payload

# Factors listed for a token; the record says how many more fire and their share.
MOST_FACTORS = 64
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_texts(path: pathlib.Path | str) -> list[str]:
    """Reads the sentences to record: a text file with one a line.

    Args:
      path: of the file, in UTF-8, or in UTF-16 with a mark of the byte order.

    Raises:
      InputError: it cannot be read, is no text, or has no sentence.
    """
    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}). Name a text file with "
            "one sentence a line."
        ) from error
    try:
        text = content.decode("utf-16" if content[:2] in _UTF_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"Expected sentences in UTF-8, got other bytes in {path}: {error}. Save it "
            "as UTF-8."
        ) from error
    if "\0" in text:
        raise InputError(
            f"Expected sentences in {path}, got NUL characters. Save it as UTF-8."
        )
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise InputError(
            f"Expected a sentence a line in {path}, got none. Write some, or leave "
            "--sentences out."
        )
    return found


def header(
    text: str,
    *,
    pieces: Sequence[str],
    spans: Sequence[tuple[int, int]],
    words: Sequence[int],
    layers: Sequence[int],
    unknown: Sequence[int] = (),
    masked: Sequence[int] = (),
) -> dict[str, Any]:
    """Returns the first record of a sentence.

    Args:
      text: The sentence.
      pieces: [n_tokens] word pieces.
      spans: [n_tokens] (start, end) character offsets of the pieces in the text.
      words: [n_tokens] index of the word that each piece belongs to.
      layers: The layers that follow, in this order.
      unknown: Indices of the tokens that the model's vocabulary does not know.
      masked: Indices of the tokens that the model does not see.
    """
    return {
        "layers": [int(layer) for layer in layers],
        "masked": list(masked),
        "pieces": list(pieces),
        "spans": [[start, end] for start, end in spans],
        "text": text,
        # Scripts count UTF-16 units, not characters, so the page cannot cut the text.
        "tokens": [_token_text(text[start:end]) for start, end in spans],
        "unknown": list(unknown),
        "words": list(words),
    }


def _token_text(text: str) -> str:
    """Returns the text of a token; "" if it is a space that is part of a word."""
    return words_lib.shown(text) if text.isspace() else text


def explanation(
    *,
    weights: Sequence[float],
    activation: float,
    r2: float,
    samples: int,
    relative_error: float,
) -> dict[str, Any]:
    """Returns the record of what LIME has found of a factor's α at a token so far.

    Args:
      weights: [n_tokens] weight of each token of the sentence.
      activation: α of the whole sentence.
      r2: weighted R² of the linear fit.
      samples: Number of masks.
      relative_error: Largest standard error, relative to the largest weight.
    """
    return {
        "activation": payload.number(activation),
        "r2": payload.number(r2, digits=3),
        "relative_error": payload.number(relative_error, digits=2),
        "samples": samples,
        "weights": payload.numbers(weights, digits=3),
    }


def steered(
    *,
    objective: str | None,
    before: Sequence[Sequence[tuple[str, float]]] = (),
    after: Sequence[Sequence[tuple[str, float]]] = (),
    effect: Sequence[float],
    controls: Sequence[Sequence[float]],
    relative_size: Sequence[float],
) -> dict[str, Any]:
    """Returns the record of what a change of hidden states has done so far.

    Args:
      objective: of the language model head, as in `models.heads`; None without one.
      before: [n_tokens] the most probable word pieces, with their probability.
      after: [n_tokens] the same with the change.
      effect: [n_tokens] KL of the predictions, in nats; without a head, [1] 1 − the
        cosine of the sentence's embedding with that of the sentence as it was.
      controls: The same of other factors, a row each.
      relative_size: [n_tokens] ‖change‖ / ‖hidden state‖.
    """

    def shown(words: Sequence[tuple[str, float]]) -> list[tuple[str, Any]]:
        return [(word, payload.number(share, digits=3)) for word, share in words]

    return {
        "after": [shown(words) for words in after],
        "before": [shown(words) for words in before],
        "controls": [payload.numbers(row) for row in controls],
        "effect": payload.numbers(effect),
        "objective": objective,
        "relative_size": payload.numbers(relative_size, digits=3),
    }


def layer_record(
    layer: int,
    *,
    x: np.ndarray,
    codes: np.ndarray,
    gap: np.ndarray,
    factors: np.ndarray,
) -> dict[str, Any]:
    """Returns the record of one layer.

    A factor's share of a hidden state is α φ·x / ‖x‖², that of the residual ε·x / ‖x‖².
    Since x = Σ α φ + ε, the shares of all factors and of the residual add up to 1.

    Args:
      layer: Number of the layer.
      x: [n_tokens, d_model] hidden states.
      codes: [n_tokens, n_factors] α of each factor.
      gap: [n_tokens] relative duality gap of each code; NaN where an encoder found it.
      factors: [n_factors, d_model].

    Returns:
      ``tokens`` lists for each token the strongest factors as [factor, α, share],
      largest α first; ``l0``, the number of active factors; ``residual``, ‖ε‖ / ‖x‖;
      ``residual_share``; and ``gap``.
    """
    return {
        "layer": int(layer),
        "tokens": [
            _token(row, alpha, factors) | {"gap": payload.number(g, digits=2)}
            for row, alpha, g in zip(x, codes, gap, strict=True)
        ],
    }


def _token(x: np.ndarray, codes: np.ndarray, factors: np.ndarray) -> dict[str, Any]:
    active = np.flatnonzero(codes > 0)
    active = active[np.argsort(-codes[active], kind="stable")]
    alpha, directions = codes[active], factors[active]
    residual = x - alpha @ directions
    energy = max(float(x @ x), float(np.finfo(np.float32).tiny))
    shares = alpha * (directions @ x) / energy
    return {
        "factors": [
            [int(factor), payload.number(a), payload.number(share, digits=3)]
            for factor, a, share in zip(
                active[:MOST_FACTORS].tolist(), alpha, shares, strict=False
            )
        ],
        "l0": len(active),
        "residual": payload.number(float(np.sqrt(residual @ residual / energy))),
        "residual_share": payload.number(float(residual @ x) / energy, digits=3),
    }
