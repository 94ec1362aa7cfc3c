"""What a factor does: one factor is removed or added, and the model runs on.

At some tokens of one layer the hidden state x is changed along a factor φ,

    removing   x' = x − s α φ       α being the factor's activation at this token
    adding     x' = x + s a φ       a being the same amount everywhere

and mapped back to the model's own hidden states, for a strength s. The layers above and
the masked language model head run on. At masked tokens the prediction p' is compared
with p, that of the unchanged hidden states:

    KL           Σ_w p(w) log p(w) / p'(w), in nats
    change       log p'(w) − log p(w) of the word w that is hidden there
    odds         change of log Σ_{w in A} p(w) / Σ_{w in B} p(w) for two sets of words

Any change of a hidden state changes predictions. So changes of the same size along
other directions are measured at the same tokens: another factor drawn at random, a
random direction, and the factor that is active at the token itself with the nearest
size. Sizes are those of hidden states divided by the run's scale: φ is the factor as a
direction of these, and moves a token by α ‖φ‖.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.data import loader
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import masking, replacement
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import heads
from tfvis_jax.runs import encoding, trained_dictionary

FACTOR, RANDOM_FACTOR = "factor", "random factor"
RANDOM_DIRECTION, OTHER_ACTIVE = "random direction", "other active factor"
DIRECTIONS = (FACTOR, RANDOM_FACTOR, RANDOM_DIRECTION, OTHER_ACTIVE)
CONTROLS = DIRECTIONS[1:]


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """Windows of tokens, each with one factor to steer.

    Attributes:
      token_ids: [n, length] int32, as the model reads them, with words hidden.
      token_mask: [n, length] bool, False for padding.
      row_mask: [n, length] bool, False for padding and special tokens.
      steered: [n, length] bool, tokens whose hidden state may be changed.
      factors: [n] int64, the factor of each case.
      positions: [n, m] int32, tokens whose prediction is compared.
      labels: [n, m] int32, their true ids.
      counted: [n, m] bool, which of them are there.
      documents: [n], the document of each case.
    """

    token_ids: np.ndarray
    token_mask: np.ndarray
    row_mask: np.ndarray
    steered: np.ndarray
    factors: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    counted: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.factors)


class WordSets(NamedTuple):
    """Two sets of words whose odds are compared, each [vocab_size] bool."""

    first: np.ndarray
    second: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Effects:
    """What steering changed; arrays are [n_strengths, n, m] by name of the direction.

    Attributes:
      strengths: the strengths s.
      kl: Kullback-Leibler divergence of the prediction from the original, in nats.
      log_share: change of the hidden word's log-probability.
      odds: change of the log-odds of two sets of words; zeros without any.
      flipped: whether another word than before is the most probable one.
      is_changed: [n, m] bool, positions that were changed themselves.
      n_changed: [n] int64, tokens that were changed.
      size: [n, n_directions] float32, root-mean-square size of the change at strength
        1, in the order of `DIRECTIONS`; 0 where nothing was changed.
      word_shift: [vocab_size] float64, Σ p' − p of every word over the positions that
        count, where the factor itself was changed at the strength nearest to 1.
    """

    strengths: tuple[float, ...]
    kl: dict[str, np.ndarray]
    log_share: dict[str, np.ndarray]
    odds: dict[str, np.ndarray]
    flipped: dict[str, np.ndarray]
    is_changed: np.ndarray
    n_changed: np.ndarray
    size: np.ndarray
    word_shift: np.ndarray


def steer(
    subject: replacement.Subject,
    trained: trained_dictionary.TrainedDictionary,
    cases: Cases,
    *,
    layer: int,
    solver: config_lib.SolverConfig,
    add: float | None = None,
    strengths: Sequence[float] = (0.5, 1.0, 2.0),
    word_sets: WordSets | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Effects:
    """Steers one factor in each case and compares predictions.

    Args:
      subject: the model, with its masked language model head.
      trained: the dictionary.
      cases: where to steer, and where to look.
      layer: at which layer.
      solver: how codes are inferred.
      add: amount a that is added; None removes the factor instead.
      strengths: multiples s of the change.
      word_sets: whose odds are compared; None for none.
      seed: of the random factors and directions.
      progress: called with (cases done, cases in all).

    Raises:
      InputError: the model has no head, or there are no cases.
    """
    model = subject.pretrained.language_model
    if model is None or model.objective != heads.MASKED_LM:
        raise InputError(
            f"Expected a model with a masked language model head, got "
            f"{subject.pretrained.name}, which has none."
        )
    if not len(cases):
        raise InputError("Expected cases to steer, got none.")
    index = subject.layers.index(layer)
    rng = np.random.default_rng(seed)
    d_model = trained.factors.shape[1]
    living = np.flatnonzero(np.linalg.norm(trained.factors, axis=1) > 0)
    others = _other_factors(rng, cases.factors, living)
    directions = rng.normal(size=(len(cases), d_model))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sets = word_sets or WordSets(*np.zeros((2, _vocab_size(subject)), bool))
    found: list[dict[str, Any]] = []
    word_shift = np.zeros(_vocab_size(subject))
    size = subject.windows_per_batch
    for start in range(0, len(cases), size):
        here = np.arange(start, min(start + size, len(cases)))
        # The last batch is filled up, so that all have one shape.
        chosen = np.pad(here, (0, size - len(here)), mode="edge")
        batch = _take(cases, chosen)
        batch.counted[len(here) :] = False
        part = _steer_batch(
            subject,
            trained,
            batch,
            index=index,
            solver=solver,
            add=add,
            strengths=tuple(strengths),
            sets=sets,
            others=others[chosen],
            directions=directions[chosen].astype(np.float32),
        )
        word_shift += part.pop("word_shift")
        found.append({name: value[: len(here)] for name, value in part.items()})
        progress(int(here[-1]) + 1, len(cases))
    joined = {name: np.concatenate([p[name] for p in found]) for name in found[0]}

    def by_direction(name: str) -> dict[str, np.ndarray]:
        # [n, n_directions, n_strengths, m]
        values = np.moveaxis(joined[name], 0, 2)
        return dict(zip(DIRECTIONS, values, strict=True))

    return Effects(
        strengths=tuple(strengths),
        kl=by_direction("kl"),
        log_share=by_direction("log_share"),
        odds=by_direction("odds"),
        flipped=by_direction("flipped"),
        is_changed=joined["is_changed"],
        n_changed=joined["n_changed"],
        size=joined["size"],
        word_shift=word_shift,
    )


def _take(cases: Cases, chosen: np.ndarray) -> Cases:
    return Cases(
        **{f.name: getattr(cases, f.name)[chosen] for f in dataclasses.fields(cases)}
    )


def _vocab_size(subject: replacement.Subject) -> int:
    return subject.pretrained.encoder.embeddings.word[...].shape[0]


def _other_factors(
    rng: np.random.Generator, factors: np.ndarray, living: np.ndarray
) -> np.ndarray:
    """Draws for each factor another one, all of them equally likely."""
    if len(living) < 2:
        raise InputError("Expected a dictionary of two factors or more.")
    place = np.searchsorted(living, factors)
    drawn = (place + rng.integers(1, len(living), size=len(factors))) % len(living)
    return living[drawn]


def _steer_batch(
    subject: replacement.Subject,
    trained: trained_dictionary.TrainedDictionary,
    cases: Cases,
    *,
    index: int,
    solver: config_lib.SolverConfig,
    add: float | None,
    strengths: tuple[float, ...],
    sets: WordSets,
    others: np.ndarray,
    directions: np.ndarray,
) -> dict[str, Any]:
    batch = loader.Batch(
        window_ids=np.arange(len(cases)),
        token_ids=cases.token_ids,
        token_mask=cases.token_mask,
        row_mask=cases.row_mask,
        rows_in_part=np.array([cases.row_mask.sum()]),
    )
    tokens = masking.MaskedTokens(
        cases.token_ids, cases.positions, cases.labels, cases.counted
    )
    text = replacement.read(subject, batch, tokens)
    x = replacement.scaled_rows(subject, text, index)
    layer = subject.layers[index]
    codes = infer(trained, text.states[index], layer=layer, solver=solver)
    changes = _changes(
        codes,
        trained.directions,
        cases.steered & cases.row_mask,
        cases.factors,
        others,
        directions,
        add=add,
    )
    before = _log_shares(subject.pretrained.language_model, text.final, cases.positions)
    compared = []
    # Of `FACTOR`, the first direction.
    nearest = int(np.argmin(np.abs(np.array(strengths) - 1)))
    word_shift = np.zeros(())
    for change in changes:
        for strength in strengths:
            final = replacement.run_on(
                subject, text, index, x, x + jnp.float32(strength) * change
            )
            after = _log_shares(
                subject.pretrained.language_model, final, cases.positions
            )
            compared.append(_compare(before, after, cases.labels, *sets))
            if len(compared) == nearest + 1:
                word_shift = np.float64(_word_shift(before, after, cases.counted))
    found: dict[str, Any] = {
        name: np.stack([np.asarray(each[name]) for each in compared], axis=1).reshape(
            len(cases), len(changes), len(strengths), -1
        )
        for name in compared[0]
    }
    squared = np.asarray(jnp.sum(changes**2, axis=-1)).reshape(
        len(changes), *cases.token_ids.shape
    )
    is_changed = squared[0] > 0
    n_changed = is_changed.sum(axis=1)
    found["word_shift"] = word_shift
    found["is_changed"] = np.take_along_axis(is_changed, cases.positions, axis=1)
    found["n_changed"] = n_changed
    found["size"] = np.sqrt(squared.sum(axis=2) / np.maximum(n_changed, 1)).T
    return found


def infer(
    trained: trained_dictionary.TrainedDictionary,
    states: jax.Array,
    *,
    layer: int,
    solver: config_lib.SolverConfig,
) -> jax.Array:
    """Returns the codes of hidden states as the model gives them.

    Args:
      trained: the dictionary, with its scales and whitening.
      states: [batch, length, d_model] of one layer.
      layer: the layer.
      solver: how codes are inferred.

    Returns:
      [batch · length, n_factors]; those of padding mean nothing.
    """
    rows = whitening_lib.standardise(states[None], *trained.of_layers([layer]).scaling)
    every = np.ones(states.shape[:2], bool)
    return encoding.encode_layer(rows[0], every, trained.coder(solver)).codes


@functools.partial(jax.jit, static_argnames=("add",))
def _changes(
    codes: jax.Array,
    dictionary: jax.Array,
    steered: jax.Array,
    factors: jax.Array,
    others: jax.Array,
    directions: jax.Array,
    *,
    add: float | None,
) -> jax.Array:
    """Returns x' − x at strength 1 by `DIRECTIONS`, [4, batch · length, d_model].

    Args:
      codes: [batch · length, n_factors].
      dictionary: [n_factors, d_model], as directions of hidden states, of any norm.
      steered: [batch, length] bool.
      factors, others: [batch], the factor of each case, and a random one.
      directions: [batch, d_model], random ones of norm 1.
      add: amount that is added; None to remove what is active.
    """
    n, length = steered.shape
    d_model = dictionary.shape[1]
    norms = jnp.linalg.norm(dictionary, axis=1)
    units = dictionary / jnp.where(norms > 0, norms, 1)[:, None]
    # [batch, length, n_factors], how far each factor moves a token.
    sizes = codes.reshape(n, length, -1) * norms[None, None]
    own = jnp.take_along_axis(sizes, factors[:, None, None], axis=2)
    if add is None:
        amount = own
    else:
        amount = jnp.broadcast_to(-add * norms[factors][:, None, None], own.shape)
    amount = jnp.where(steered[:, :, None], amount, 0)
    is_own = jnp.arange(sizes.shape[2])[None, None] == factors[:, None, None]
    distance = jnp.where(
        (sizes > 0) & ~is_own, jnp.abs(sizes - jnp.abs(amount)), jnp.inf
    )
    nearest = jnp.argmin(distance, axis=2)
    # A token without another active factor stays as it is.
    has_other = jnp.isfinite(jnp.min(distance, axis=2))[:, :, None]
    along = (
        jnp.broadcast_to(units[factors][:, None], (n, length, d_model)),
        jnp.broadcast_to(units[others][:, None], (n, length, d_model)),
        jnp.broadcast_to(directions[:, None], (n, length, d_model)),
        jnp.where(has_other, units[nearest], 0),
    )
    return jnp.stack([(-amount * each).reshape(n * length, -1) for each in along])


@jax.jit
def _log_shares(model: Any, final: jax.Array, positions: jax.Array) -> jax.Array:
    """log p at some positions, [batch, m, vocab_size]."""
    chosen = jnp.take_along_axis(final, positions[:, :, None], axis=1)
    return jax.nn.log_softmax(model.logits(chosen), axis=-1)


@jax.jit
def _compare(
    before: jax.Array,
    after: jax.Array,
    labels: jax.Array,
    first: jax.Array,
    second: jax.Array,
) -> dict[str, jax.Array]:
    change = after - before

    def log_odds(log_shares: jax.Array) -> jax.Array:
        parts = [
            jax.nn.logsumexp(
                jnp.where(words[None, None], log_shares, -jnp.inf), axis=-1
            )
            for words in (first, second)
        ]
        return parts[0] - parts[1]

    any_words = jnp.any(first) & jnp.any(second)
    return {
        "kl": -jnp.sum(jnp.exp(before) * change, axis=-1),
        "log_share": jnp.take_along_axis(change, labels[:, :, None], axis=-1)[:, :, 0],
        "odds": jnp.where(any_words, log_odds(after) - log_odds(before), 0),
        "flipped": jnp.argmax(after, axis=-1) != jnp.argmax(before, axis=-1),
    }


@jax.jit
def _word_shift(before: jax.Array, after: jax.Array, counted: jax.Array) -> jax.Array:
    """Σ p' − p over the positions that count, [vocab_size]."""
    shift = jnp.exp(after) - jnp.exp(before)
    return jnp.sum(jnp.where(counted[:, :, None], shift, 0), axis=(0, 1))
