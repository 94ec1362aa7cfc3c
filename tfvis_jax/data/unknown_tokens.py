"""Counts the tokens of a text that the vocabulary of a model does not know.

A model sees nothing of such a word but that there is one. Metrics look good on text
that is mostly unknown, because all of these tokens are alike. A vocabulary of bytes
knows everything.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.errors import InputError

# Shares of unknown tokens from which on a person is told, warned, and stopped.
SHOWN, WARNED, REFUSED = 0.001, 0.05, 0.5
_NUM_NAMED = 3


def are_unknown(ids: np.ndarray, unk_id: int | None) -> np.ndarray:
    """Returns which token ids are that of the unknown token, if there is one."""
    return np.zeros(np.shape(ids), bool) if unk_id is None else ids == unk_id


def share(ids: np.ndarray, tokenizer: tokenizer_lib.Tokenizer) -> float:
    """Returns the share of unknown tokens among token ids; 0 if there are none."""
    return float(np.mean(are_unknown(ids, tokenizer.unk_id))) if len(ids) else 0.0


def left_out(max_unknown: float) -> str:
    """Returns what is noted of a document that is left out."""
    return (
        f"Documents left out, because more than {max_unknown:.4g} of their tokens are "
        "unknown to the model's vocabulary"
    )


def summary(
    num_tokens: np.ndarray, num_unknown: np.ndarray, *, names: Sequence[str]
) -> dict[str, Any]:
    """Returns how many tokens are unknown, and in which documents most are.

    Args:
      num_tokens: [num_documents] tokens of each document.
      num_unknown: [num_documents] how many of them are unknown.
      names: [num_documents] of the documents.

    Returns:
      "count"; "share" of all tokens; "documents": the names and shares of those with
      the largest share.
    """
    count, total = int(num_unknown.sum()), int(num_tokens.sum())
    shares = num_unknown / np.maximum(num_tokens, 1)
    worst = np.argsort(-shares, kind="stable")[:_NUM_NAMED]
    return {
        "count": count,
        "share": count / total if total else 0.0,
        "documents": [
            {"name": names[i], "share": float(shares[i])} for i in worst if shares[i]
        ],
    }


def warning(found: Mapping[str, Any]) -> str:
    """Returns that a text is unfit for the vocabulary, as a sentence; "" if it is fit.

    Args:
      found: what `summary` returned.
    """
    if found["share"] <= WARNED:
        return ""
    documents = ", ".join(f"{d['name']} ({d['share']:.0%})" for d in found["documents"])
    return (
        f"Of the tokens, {found['share']:.1%} are unknown to the model's vocabulary, "
        f"most of them in {documents}. Probably the vocabulary does not cover "
        "the script of these documents"
    )


def check(found: Mapping[str, Any], *, allow: bool) -> Iterator[str]:
    """Yields a warning if the text is unfit for the vocabulary.

    Args:
      found: what `summary` returned.
      allow: If True, text of which most tokens are unknown is not refused.

    Raises:
      InputError: most tokens are unknown.
    """
    sentence = warning(found)
    if not sentence:
        return
    if found["share"] > REFUSED and not allow:
        raise InputError(
            f"{sentence}. Choose a model of their language, leave them out with "
            "--max_unknown=0.2, or pass --allow_unknown_tokens."
        )
    yield f"{sentence}; --max_unknown=0.2 leaves them out."
