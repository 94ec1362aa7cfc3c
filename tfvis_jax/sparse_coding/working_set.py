"""Spectral steps on a working set of factors, row by row.

A row uses a few dozen of thousands of factors. Those that correlate most with it are a
first guess; the problem is solved on these alone, with their Gram matrix, where a step
costs a hundredth of a dense one. A dense product then gives the certificate and the
factors that were missed, and the row goes round again until its gap is within the
tolerance. The scheme is that of Blitz (Johnson & Guestrin, 2015) and Celer (Massias,
Gramfort & Salmon, 2018).

Rows are independent, so each round takes only unfinished rows, sorted by how many
factors they need, in blocks of `_BLOCK_ROWS`; a block works with the smallest of the
sizes `_SIZES` that holds its rows, and where none does takes dense steps. All sizes are
static and all decisions are taken on the device.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import objective, selection, spectral

# Tuned on rows of a BERT with 30 to 90 factors in use.
_SIZES = (32, 48, 64, 96, 128, 160, 192, 256)
_BLOCK_ROWS = 64
_DENSE_STEPS = 16
_INNER_STEPS = 96
# A few factors have less curvature together than all; this many times 1/L is a first
# step that rarely overshoots, and may.
_INNER_FIRST_STEP = 4
_INNER_CHECK = 4
# The inner problem is solved to half of the tolerance, or less well while factors are
# missing: to this share of the row's gap, times the missing ones per factor in use.
_INNER_TOLERANCE = 0.5
_INNER_GAP = 0.06
_LARGEST_INNER_GAP = 0.2
# A working set grows by at most this share of the factors in use, 1/_GROWTH, or by this
# many if that is more, and has a few places to spare.
_GROWTH = 2
_LEAST_GROWTH = 40
_SPARE = 2
# Above this many factors their Gram matrix is not formed as a whole.
_MAX_GRAM = 4096
_PROHIBITIVE = 1e30


class _State(NamedTuple):
    codes: jax.Array  # [batch, n_factors]
    correlation: jax.Array  # [batch, n_factors]
    gap: jax.Array  # [batch]
    num_steps: jax.Array  # [batch] int32


def solve(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    tolerance: jax.Array | float,
    max_steps: int,
    lipschitz: jax.Array | float,
    codes0: jax.Array | None = None,
    non_negative: bool = True,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Infers codes until each row's duality gap is within the tolerance.

    Rows must not be split over devices here, nor factors: rows are sorted.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ; scalar, [batch], or [1 or batch, n_factors].
      tolerance: largest relative duality gap of a finished row.
      max_steps: budget of dense steps a row; a round on a working set counts as one.
      lipschitz: L, or a bound.
      codes0: [batch, n_factors] start; zeros if None.
      non_negative: whether the codes are.
      precision: of the dense steps of rows that need too many factors.

    Returns:
      Codes [batch, n_factors], gap [batch] and number of dense steps [batch].
    """
    x, dictionary = jnp.asarray(x), jnp.asarray(dictionary)
    batch, n_factors = x.shape[0], dictionary.shape[0]
    penalty = objective.penalty_matrix(l1_penalty)
    penalty = jnp.broadcast_to(penalty, (batch, penalty.shape[1]))
    rows = min(_BLOCK_ROWS, batch)
    gram = None
    if n_factors <= min(_MAX_GRAM, 8 * batch):
        gram = jnp.einsum("fd,gd->fg", dictionary, dictionary, precision="highest")

    def certify(x, codes, residual, penalty):
        correlation = objective.correlate(residual, dictionary)
        gap = objective.gap_from_residual(
            x,
            codes,
            residual=residual,
            correlation=correlation,
            l1_penalty=penalty,
            non_negative=non_negative,
        )
        return correlation, gap

    def active(state):
        return (state.gap > tolerance) & (state.num_steps < max_steps)

    def round_of_blocks(state):
        unfinished = active(state)
        used, missing = _count(
            state.codes, state.correlation, penalty=penalty, non_negative=non_negative
        )
        # Far from the optimum most factors that seem to be missing are not.
        growth = jnp.minimum(missing, jnp.maximum(used // _GROWTH, _LEAST_GROWTH))
        wanted = jnp.where(unfinished, used + growth + _SPARE, 0)
        order = jnp.argsort(-wanted).astype(jnp.int32)
        # Blocks are whole: rows that fill up the last are read but not written.
        order = jnp.pad(order, (0, -batch % rows), constant_values=batch)
        num_blocks = (jnp.sum(unfinished) + rows - 1) // rows

        def advance_block(index, state):
            chosen = jax.lax.dynamic_slice_in_dim(order, index * rows, rows)
            block = jax.tree.map(lambda a: a.at[chosen].get(mode="clip"), state)
            block_x = x.at[chosen].get(mode="clip")
            block_penalty = penalty.at[chosen].get(mode="clip")
            codes, spent = _improve(
                block,
                block_x,
                dictionary,
                gram=gram,
                penalty=block_penalty,
                wanted=wanted.at[chosen].get(mode="fill", fill_value=0),
                lipschitz=lipschitz,
                tolerance=tolerance,
                non_negative=non_negative,
                precision=precision,
            )
            going = active(block)
            codes = jnp.where(going[:, None], codes, block.codes)
            residual = block_x - objective.decode(codes, dictionary, like=block_x)
            correlation, gap = certify(block_x, codes, residual, block_penalty)
            num_steps = block.num_steps + jnp.where(going, spent, 0)
            changed = _State(codes, correlation, gap, num_steps)
            return jax.tree.map(
                lambda whole, part: whole.at[chosen].set(part, mode="drop"),
                state,
                changed,
            )

        return jax.lax.fori_loop(0, num_blocks, advance_block, state)

    residual = x
    if codes0 is None:
        codes0 = objective.zero_codes(x, dictionary)
    else:
        residual = x - objective.decode(codes0, dictionary, like=x)
    correlation, gap = certify(x, codes0, residual, penalty)
    state = _State(codes0, correlation, gap, jnp.zeros_like(gap, jnp.int32))
    state = jax.lax.while_loop(
        lambda state: jnp.any(active(state)), round_of_blocks, state
    )
    return state.codes, state.gap, state.num_steps


def _count(codes, correlation, *, penalty, non_negative):
    """Returns how many factors a row uses, and how many more it seems to need."""
    against = correlation if non_negative else jnp.abs(correlation)
    used = jnp.sum(codes != 0, axis=1)
    return used, jnp.sum((codes == 0) & (against > penalty), axis=1)


def _improve(
    block,
    x,
    dictionary,
    *,
    gram,
    penalty,
    wanted,
    lipschitz,
    tolerance,
    non_negative,
    precision,
):
    """Returns better codes of a block of rows and the dense steps that were spent."""
    n_factors = dictionary.shape[0]
    sizes = [size for size in _SIZES if size <= n_factors // 2]
    energy = 0.5 * jnp.sum(x**2, axis=1)
    used, missing = _count(
        block.codes, block.correlation, penalty=penalty, non_negative=non_negative
    )
    share = (missing / jnp.maximum(1, used)).astype(block.gap.dtype)
    loose = jnp.minimum(_INNER_GAP * share, _LARGEST_INNER_GAP) * block.gap
    target = jnp.maximum(_INNER_TOLERANCE * tolerance, loose) * energy

    def on_working_set(size):
        def improve():
            columns = selection.largest(
                _score(block, penalty=penalty, non_negative=non_negative), size=size
            )
            inside = jnp.minimum(columns, n_factors - 1)
            codes = _solve_small(
                jnp.where(columns < n_factors, _take(block.codes, inside), 0),
                _take(block.correlation, inside),
                _small_gram(dictionary, inside, gram=gram),
                penalty=_take(penalty, inside) if penalty.shape[1] > 1 else penalty,
                usable=columns < n_factors,
                target=target,
                energy=energy,
                lipschitz=lipschitz,
                non_negative=non_negative,
            )
            rows = jnp.arange(codes.shape[0])[:, None]
            return block.codes.at[rows, columns].set(codes, mode="drop"), jnp.int32(1)

        return improve

    def on_all_factors():
        codes = spectral.spectral(
            x,
            dictionary,
            l1_penalty=penalty,
            num_steps=_DENSE_STEPS,
            lipschitz=lipschitz,
            codes0=block.codes,
            non_negative=non_negative,
            precision=precision,
        )
        return codes, jnp.int32(_DENSE_STEPS)

    which = jnp.sum(jnp.max(wanted) > jnp.asarray(sizes, jnp.int32))
    return jax.lax.switch(which, [*map(on_working_set, sizes), on_all_factors])


def _score(block, *, penalty, non_negative):
    """Returns how much a factor belongs in the working set, [rows, n_factors].

    Factors in use come first, then those that violate the optimality conditions, then
    those nearest to it.
    """
    against = block.correlation if non_negative else jnp.abs(block.correlation)
    excess = against - penalty
    magnitude = jnp.abs(block.codes)
    return jnp.where(block.codes != 0, magnitude + jnp.abs(excess), excess)


def _small_gram(dictionary, columns, *, gram):
    """Returns the Gram matrices of each row's own factors, [rows, size, size]."""
    if gram is not None:
        return gram[columns[:, :, None], columns[:, None, :]]
    factors = dictionary[columns]
    return jnp.einsum("bsd,btd->bst", factors, factors, precision="highest")


def _solve_small(
    codes,
    correlation,
    gram,
    *,
    penalty,
    usable,
    target,
    energy,
    lipschitz,
    non_negative,
):
    """Returns codes of the problem on a few factors, to an absolute gap ``target``."""
    # An unusable place repeats some factor; a prohibitive penalty keeps it at zero.
    penalty = jnp.where(usable, penalty, _PROHIBITIVE)
    settings = {"penalty": penalty, "non_negative": non_negative}

    def gap(state):
        scale = objective.feasible_scale(
            state.correlation, l1_penalty=penalty, non_negative=non_negative
        )
        linear = penalty * jnp.abs(state.codes)
        slack = linear - scale[:, None] * state.codes * state.correlation
        # ‖r‖² ≤ ‖x‖² stands in for the residual, which is not at hand.
        return (1 - scale) ** 2 * energy + jnp.sum(slack, axis=1)

    def advance(carry):
        state, spent = carry
        state = jax.lax.fori_loop(
            0,
            _INNER_CHECK,
            lambda _, state: spectral.gram_step(state, gram, **settings),
            state,
        )
        return state, spent + _INNER_CHECK

    def unfinished(carry):
        state, spent = carry
        return (spent < _INNER_STEPS) & jnp.any(gap(state) > target)

    state = spectral.gram_init(
        codes, correlation, step_size=_INNER_FIRST_STEP / lipschitz
    )
    state, _ = jax.lax.while_loop(unfinished, advance, (state, 0))
    # A shortened move leaves small codes where zeros belong; a plain step sets them.
    plain = state._replace(step_size=jnp.zeros_like(state.step_size) + 1 / lipschitz)
    return spectral.gram_step(plain, gram, **settings).codes


def _take(values, columns):
    return jnp.take_along_axis(values, columns, axis=1)
