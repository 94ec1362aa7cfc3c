"""The encoder, the lasso and a training step once more, in float64 NumPy."""

from typing import Any, NamedTuple

import numpy as np
import scipy.special


class Optimum(NamedTuple):
    """A solution of the lasso.

    Attributes:
      codes: [batch, n_factors].
      objective: [batch], ½‖x − αD‖² + λ Σ α.
      gap: [batch], its own relative duality gap.
    """

    codes: np.ndarray
    objective: np.ndarray
    gap: np.ndarray


def objective(
    x: np.ndarray, dictionary: np.ndarray, codes: np.ndarray, *, penalty: float
) -> np.ndarray:
    """Returns ½‖x − αD‖² + λ Σ α of every row."""
    residual = x - codes @ dictionary
    return 0.5 * np.sum(residual**2, axis=1) + penalty * np.sum(codes, axis=1)


def duality_gap(
    x: np.ndarray, dictionary: np.ndarray, codes: np.ndarray, *, penalty: float
) -> np.ndarray:
    """Returns (primal − dual) / ½‖x‖² of every row, as the difference of the two."""
    residual = x - codes @ dictionary
    most = np.max(residual @ dictionary.T, axis=1)
    feasible = residual * np.minimum(1, penalty / np.maximum(most, 1e-300))[:, None]
    energy = 0.5 * np.sum(x**2, axis=1)
    dual = energy - 0.5 * np.sum((x - feasible) ** 2, axis=1)
    return (objective(x, dictionary, codes, penalty=penalty) - dual) / energy


def solve(
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    penalty: float,
    start: np.ndarray,
    tolerance: float = 1e-7,
    sweeps: int = 500,
) -> Optimum:
    """Minimises the lasso by coordinate descent on all rows at once.

    Args:
      x: [batch, d_model] float64.
      dictionary: [n_factors, d_model] float64.
      penalty: λ.
      start: [batch, n_factors]; near codes save time, and decide nothing: the gap is
        that of where it ends.
      tolerance: largest gap at which it stops.
      sweeps: passes over the factors, at most.
    """
    codes = np.maximum(start, 0).astype(np.float64)
    residual = x - codes @ dictionary
    norms = np.sum(dictionary**2, axis=1)
    gap = duality_gap(x, dictionary, codes, penalty=penalty)
    for _ in range(sweeps):
        if np.max(gap) <= tolerance:
            break
        for f, factor in enumerate(dictionary):
            wanted = codes[:, f] + (residual @ factor - penalty) / norms[f]
            change = np.maximum(wanted, 0) - codes[:, f]
            if np.any(change):
                codes[:, f] += change
                residual -= change[:, None] * factor[None]
        gap = duality_gap(x, dictionary, codes, penalty=penalty)
    return Optimum(codes, objective(x, dictionary, codes, penalty=penalty), gap)


def fista(
    x: np.ndarray, dictionary: np.ndarray, *, penalty: float, lipschitz: float, num: int
) -> np.ndarray:
    """Returns the codes after `num` steps of Beck & Teboulle (2009) from zero."""
    codes = extrapolated = np.zeros((len(x), len(dictionary)))
    momentum = 1.0
    for _ in range(num):
        residual = x - extrapolated @ dictionary
        last = codes
        codes = extrapolated + (residual @ dictionary.T - penalty) / lipschitz
        codes = np.maximum(codes, 0)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        extrapolated = codes + (codes - last) * ((momentum - 1) / following)
        momentum = following
    return codes


def dictionary_step(
    x: np.ndarray,
    dictionary: np.ndarray,
    codes: np.ndarray,
    *,
    weights: np.ndarray,
    step_size: float,
    floor: float,
) -> np.ndarray:
    """Returns the dictionary after a run's first step with the update `energy`.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors] of these rows.
      weights: [batch], of the rows' tokens.
      step_size: of the dictionary step.
      floor: added to the energy.
    """
    weighted = codes * weights[:, None]
    gradient = -weighted.T @ (x - codes @ dictionary) / len(x)
    # The bias correction makes the running mean after one step that step's energy.
    energy = np.sum(weighted * codes, axis=0) / len(x)
    moved = dictionary - step_size * gradient / (energy + floor)[:, None]
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def encode(encoder: Any, token_ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns all hidden states of a BERT, [n_layers + 1, batch, length, d_model].

    Args:
      encoder: a `bert.Bert`; only its arrays and sizes are used.
      token_ids: [batch, length].
      mask: [batch, length], False for padding.
    """
    tables = encoder.embeddings
    words = _float64(tables.word)[token_ids]
    places = _float64(tables.position)[: token_ids.shape[1]]
    epsilon = encoder.config.layer_norm_epsilon
    hidden = words + places[None] + _float64(tables.token_type)[0]
    hidden = _norm(hidden, tables.norm, epsilon)
    found = [hidden]
    for layer in encoder.layers:
        attended = _attention(hidden, layer.attention, mask, encoder.config.n_heads)
        middle = _norm(hidden + attended, layer.attention_norm, epsilon)
        wide = _linear(middle, layer.expand)
        wide = 0.5 * wide * (1 + scipy.special.erf(wide / np.sqrt(2)))
        hidden = _norm(
            middle + _linear(wide, layer.contract), layer.output_norm, epsilon
        )
        found.append(hidden)
    return np.stack(found)


def _attention(
    hidden: np.ndarray, part: Any, mask: np.ndarray, n_heads: int
) -> np.ndarray:
    batch, length, d_model = hidden.shape

    def heads(linear: Any) -> np.ndarray:
        split = _linear(hidden, linear).reshape(batch, length, n_heads, -1)
        return split.transpose(0, 2, 1, 3)

    query, key, value = map(heads, (part.query, part.key, part.value))
    scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(d_model // n_heads)
    scores = np.where(mask[:, None, None], scores, -np.inf)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = scores / scores.sum(axis=-1, keepdims=True) @ value
    return _linear(mixed.transpose(0, 2, 1, 3).reshape(hidden.shape), part.output)


def _linear(array: np.ndarray, part: Any) -> np.ndarray:
    return array @ _float64(part.kernel) + _float64(part.bias)


def _norm(array: np.ndarray, part: Any, epsilon: float) -> np.ndarray:
    mean = array.mean(axis=-1, keepdims=True)
    variance = np.mean((array - mean) ** 2, axis=-1, keepdims=True)
    scaled = (array - mean) / np.sqrt(variance + epsilon)
    return scaled * _float64(part.scale) + _float64(part.bias)


def _float64(parameter: Any) -> np.ndarray:
    # By way of float32, since NumPy itself has no bfloat16.
    return np.asarray(parameter[...].astype(np.float32)).astype(np.float64)
