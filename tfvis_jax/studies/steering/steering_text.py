"""Cases for steering out of running text: factors, and windows in which they fire."""

import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import masking, replacement
from tfvis_jax.runs import trained_dictionary
from tfvis_jax.studies.steering import steering

# A factor needs so many windows to be drawn: one says little about it.
LEAST_WINDOWS = 2


def draw(
    subject: replacement.Subject,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    layer: int,
    solver: config_lib.SolverConfig,
    n_factors: int,
    n_windows: int,
    seed: int = 0,
) -> steering.Cases:
    """Draws factors of one layer, and windows with hidden words in which each fires.

    Factors are drawn among those that fire in two windows or more, all of them equally
    likely. Windows in which the factor fires at a hidden token come first, then those
    in which it fires anywhere.

    Args:
      subject: the model, with its masked language model head.
      trained: the dictionary.
      windows: the tokens.
      chosen: [n] numbers of the windows to draw from, held out.
      layer: the layer.
      solver: how codes are inferred.
      n_factors: number of factors, at most.
      n_windows: windows of each factor, at most.
      seed: of the draws.

    Raises:
      InputError: no factor fires in two windows.
    """
    read = [
        _read(subject, trained, batch, layer=layer, solver=solver)
        for batch in loader.batches(
            windows, chosen, batch_size=subject.windows_per_batch, shuffle=False
        )
    ]
    # [n_windows, n_factors]: 2 at a hidden token, 1 at another, 0 nowhere.
    fires = np.concatenate([fires for _, _, fires in read])[: len(chosen)]
    spread = (fires > 0).sum(axis=0)
    alive = np.flatnonzero(spread >= LEAST_WINDOWS)
    if not len(alive):
        raise InputError(
            f"Expected factors that fire in {LEAST_WINDOWS} of {len(chosen)} windows "
            f"at layer {layer}, got none. Give more windows."
        )
    rng = np.random.default_rng((seed, layer))
    factors = np.sort(rng.permutation(alive)[:n_factors])
    places = []
    for factor in factors:
        order = rng.permutation(np.flatnonzero(fires[:, factor]))
        order = order[np.argsort(-fires[order, factor], kind="stable")]
        places.append(np.sort(order[:n_windows]))
    place = np.concatenate(places)
    row_mask = np.concatenate([batch.row_mask for batch, _, _ in read])
    tokens = masking.MaskedTokens(
        *(np.concatenate(parts) for parts in zip(*(t for _, t, _ in read), strict=True))
    )
    token_mask = np.concatenate([batch.token_mask for batch, _, _ in read])
    return steering.Cases(
        token_ids=tokens.token_ids[place],
        token_mask=token_mask[place],
        row_mask=row_mask[place],
        steered=row_mask[place],
        factors=np.repeat(factors, [len(each) for each in places]),
        positions=tokens.positions[place],
        labels=tokens.labels[place],
        counted=tokens.counted[place],
        documents=windows.documents[chosen[place]],
    )


def _read(
    subject: replacement.Subject,
    trained: trained_dictionary.TrainedDictionary,
    batch: loader.Batch,
    *,
    layer: int,
    solver: config_lib.SolverConfig,
) -> tuple[loader.Batch, masking.MaskedTokens, np.ndarray]:
    """Returns a batch with words hidden, and where in each window factors fire."""
    tokens = masking.mask_tokens(batch, tokenizer=subject.tokenizer, seed=subject.seed)
    text = replacement.read(subject, batch, tokens)
    states = text.states[subject.layers.index(layer)]
    codes = steering.infer(trained, states, layer=layer, solver=solver)
    fires = np.asarray(codes > 0).reshape(*batch.row_mask.shape, -1)
    fires = fires & batch.row_mask[:, :, None]
    at_hidden = np.take_along_axis(fires, tokens.positions[:, :, None], axis=1)
    at_hidden = at_hidden & tokens.counted[:, :, None]
    return batch, tokens, np.sum([fires.any(axis=1), at_hidden.any(axis=1)], axis=0)
