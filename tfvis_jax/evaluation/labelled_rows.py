"""What codes are inferred for, of labelled text: one row per token."""

import numpy as np

from tfvis_jax.codes import rows as rows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.probing import alignment, labelled
from tfvis_jax.runs import setup, trained_dictionary


def scaled_rows(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    labelled: labelled.LabelledText,
    tokens: alignment.Tokens,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Computes rows of labelled texts, as `encode_texts` does.

    A text is one window, or several where it is longer.

    Args:
      opened: model and settings of the run.
      trained: its dictionary, whose layers are used.
      labelled: the texts.
      tokens: all their tokens.
      rows: [n] int64 numbers of the tokens that are wanted; all if None.

    Returns:
      [n_layers, n, d_model] float32, hidden states whitened and scaled as the run does;
      special tokens are left out.
    """
    if not len(tokens.ids):
        raise InputError(f"Expected text in {labelled.source}, got no token.")
    return rows_lib.scaled_rows(
        opened, trained, labelled.texts, rows, notify=lambda what: None
    )
