"""Store where in the corpus each factor fires, how often, and with which other factors.

The files hold references (window, position, α). Words and contexts are read from the
token windows when they are shown. `gathering.collect` gathers everything in one pass.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import layer_statistics, unfinished
from tfvis_jax.runs import dictionary_file

SCHEMA = "tfvis-examples/2"


@dataclasses.dataclass(frozen=True)
class Examples:
    """The examples and statistics of each factor over the whole corpus.

    A context is the whole window if that has at most 64 tokens, and otherwise 64 tokens
    around the one in question. It begins at `context_start`.

    Attributes:
      layers: layers of the dictionary.
      n_tokens: number of tokens that were encoded, the same at every layer.
      window_length: number of tokens in a window.
      seed: random seed of the random sample.
      dictionary_hash: `content_hash` of the dictionary.
      activation: [n_layers, n_factors, n] float32, α of the top-activating examples,
        descending; padded with 0.
      window: [n_layers, n_factors, n] int32, their windows; padded with −1.
      position: [n_layers, n_factors, n] int32, their positions in these windows; padded
        with −1.
      context_activation: [n_layers, n_factors, up to 50, context_length] float16, α
        over the contexts of the first of them.
      random_activation: [n_layers, n_factors, n_random] float32, α of tokens drawn
        uniformly from all that fire the factor, in random order; padded with 0.
      random_window: [n_layers, n_factors, n_random] int32; padded with −1.
      random_position: [n_layers, n_factors, n_random] int32; padded with −1.
      random_context_activation: [n_layers, n_factors, n_random, context_length]
        float16.
      firing: [n_layers, n_factors] int64, number of tokens on which the factor fires.
      histogram: [n_layers, n_factors, n_bins] int64, number of tokens with α in the
        half-open bins between `firing_statistics.HISTOGRAM_EDGES`.
      token_id: [n_layers, n_factors, k] int32, the token ids that fire the factor most
        often, most frequent first; padded with −1.
      token_count: [n_layers, n_factors, k] int64, how often they fire it.
      token_mean: [n_layers, n_factors, k] float32, mean α when they do.
      strong_token_id: like ``token_id``, but the ids of largest mean α among those that
        fire the factor at least `token_tables.MIN_COUNT` times.
      strong_token_count: like ``token_count``, of ``strong_token_id``.
      strong_token_mean: like ``token_mean``, of ``strong_token_id``.
      partner: [n_layers, n_factors, k] int32, the co-firing factors, which fire at the
        same tokens; padded with −1. All −1 if there were too many pairs to count.
      partner_score: [n_layers, n_factors, k] float32, their Jaccard index: tokens that
        fire both, divided by tokens that fire either.
      mean_norm: [n_layers] float64, mean ‖x‖ of the scaled hidden states.
    """

    layers: tuple[int, ...]
    n_tokens: int
    window_length: int
    seed: int
    dictionary_hash: str
    activation: np.ndarray
    window: np.ndarray
    position: np.ndarray
    context_activation: np.ndarray
    random_activation: np.ndarray
    random_window: np.ndarray
    random_position: np.ndarray
    random_context_activation: np.ndarray
    firing: np.ndarray
    histogram: np.ndarray
    token_id: np.ndarray
    token_count: np.ndarray
    token_mean: np.ndarray
    strong_token_id: np.ndarray
    strong_token_count: np.ndarray
    strong_token_mean: np.ndarray
    partner: np.ndarray
    partner_score: np.ndarray
    mean_norm: np.ndarray

    @property
    def density(self) -> np.ndarray:
        """Fraction of tokens on which a factor fires, [n_layers, n_factors]."""
        return self.firing / max(self.n_tokens, 1)

    @property
    def context_length(self) -> int:
        """Number of tokens in a context."""
        return self.context_activation.shape[-1]

    def context_start(self, position: np.ndarray | int) -> np.ndarray:
        """Returns the position in its window at which a token's context begins."""
        return layer_statistics.context_start(
            position,
            window_length=self.window_length,
            context_length=self.context_length,
        )


# The class defines the files: one per array, and the rest in the index.
_FIELDS = dataclasses.fields(Examples)
ARRAYS = tuple(field.name for field in _FIELDS if field.type is np.ndarray)
_REST = tuple(field.name for field in _FIELDS if field.type is not np.ndarray)
# Arrays whose names share one of these prefixes have last axes of one length.
_GROUPS = ("random", "histogram", "token", "strong_token", "partner")
# Arrays whose names end in one of these hold floating-point numbers.
_FRACTIONS = ("activation", "mean", "score", "norm")


def save(folder: pathlib.Path, examples: Examples) -> None:
    """Writes the examples; older ones stay in place until the new ones are complete.

    Schema `tfvis-examples/2`: one .npy file per array of `Examples`, under its name,
    and `index.json` with `schema` and the other attributes. `docs/examples.md`
    describes the files for other programs.
    """
    with files.whole_folder(folder) as partial:
        for name in ARRAYS:
            np.save(partial / f"{name}.npy", getattr(examples, name))
        rest = {name: getattr(examples, name) for name in _REST}
        files.write_json(partial / "index.json", {"schema": SCHEMA, **rest})


def load(folder: pathlib.Path, trained: dictionary_file.TrainedDictionary) -> Examples:
    """Reads the examples, memory-mapped.

    Raises:
      InputError: if they are missing, incomplete, damaged or of another schema, or if
        they belong to another dictionary than ``trained``.
    """
    again = f"`{command_line('examples', folder.parent)}` computes them"
    if not (folder / "index.json").is_file():
        # The two folders are siblings, see `RunDirectory`.
        begun = folder.with_name(f"{folder.name}-progress")
        if sentence := unfinished.partly_computed(begun):
            raise InputError(sentence)
        raise InputError(f"There are no examples in {folder} yet; {again}.")
    index = files.read_json(folder / "index.json")
    # The index may be any JSON value, if another program wrote it.
    schema = index.get("schema") if isinstance(index, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"Expected examples of schema {SCHEMA} in {folder}, got {schema}; {again} "
            "again."
        )
    if index.get("dictionary_hash") != trained.content_hash:
        raise InputError(
            f"The examples in {folder} belong to another dictionary; {again} again."
        )
    try:
        # Memory-mapped: a page or a notebook reads few of the factors.
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ARRAYS
        }
        rest = {name: index[name] for name in _REST}
        rest["layers"] = tuple(rest["layers"])
        _check(arrays, rest, trained)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The examples in {folder} are damaged ({error}); {again} again."
        ) from error
    return Examples(**rest, **arrays)


def _check(
    arrays: dict[str, np.ndarray],
    rest: dict[str, Any],
    trained: dictionary_file.TrainedDictionary,
) -> None:
    """Raises ValueError unless shapes and types fit each other and the dictionary."""
    if rest["layers"] != tuple(trained.layers):
        raise ValueError(f"layers {rest['layers']} of {trained.layers}")
    for name in ("n_tokens", "window_length", "seed"):
        # Not isinstance, which would accept true and false.
        if type(rest[name]) is not int or rest[name] < 0:
            raise ValueError(f"{name} {rest[name]!r}")
    sizes = {"layer": len(trained.layers), "factor": len(trained.factors)}
    for name, array in arrays.items():
        axes = _axes(name)
        # The first array with an axis sets its size; the others must agree.
        expected = tuple(
            sizes.setdefault(axis, size)
            for axis, size in zip(axes, array.shape, strict=False)
        )
        if array.shape != expected or len(axes) != array.ndim:
            raise ValueError(f"{name} of shape {array.shape}")
        kind = "f" if name.endswith(_FRACTIONS) else "i"
        if array.dtype.kind != kind:
            raise ValueError(f"{name} of type {array.dtype}")


def _axes(name: str) -> tuple[str, ...]:
    """Returns names for the axes of an array; axes of one name have one size."""
    if name == "mean_norm":
        return ("layer",)
    if name == "firing":
        return ("layer", "factor")
    if name.endswith("context_activation"):
        of = "random" if name.startswith("random") else "context"
        return ("layer", "factor", of, "place")
    of = next((group for group in _GROUPS if name.startswith(group)), "stored")
    return ("layer", "factor", of)
