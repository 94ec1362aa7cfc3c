"""Where in the corpus each factor fires, how often, at which words, with which others.

Stored are references (window, position, α); words and contexts are read from the
windows when they are shown. `collection.collect` gathers them in one pass.
"""

import dataclasses
import pathlib

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.examples import layer_statistics, unfinished
from tfvis_jax.runs import dictionary_file

SCHEMA = "tfvis-examples/2"


@dataclasses.dataclass(frozen=True)
class Examples:
    """What fires each factor, over the whole corpus.

    Contexts hold α of `context_length` tokens from `context_start` on: the whole window
    where it has 64 tokens or fewer, else 64 tokens round the one in question.

    Attributes:
      layers: the dictionary's layers.
      n_tokens: tokens that were encoded, the same for every layer.
      window_length: tokens of a window.
      seed: of the random sample.
      dictionary_hash: `content_hash` of the dictionary that they belong to.
      activation: [n_layers, n_factors, n] float32, falling; 0 where fewer fired.
      window: [n_layers, n_factors, n] int32, −1 where fewer fired.
      position: [n_layers, n_factors, n] int32, token in the window; −1 likewise.
      context_activation: [n_layers, n_factors, up to 50, context_length] float16, of
        the first of these tokens.
      random_activation: [n_layers, n_factors, n_random] float32 of tokens drawn
        uniformly from all that fire the factor, in random order; 0 where fewer fired.
      random_window, random_position: [n_layers, n_factors, n_random] int32, or −1.
      random_context_activation: [n_layers, n_factors, n_random, context_length]
        float16.
      firing: [n_layers, n_factors] int64, tokens on which the factor fires.
      histogram: [n_layers, n_factors, n_bins] int64, tokens with α from one of
        `firing_statistics.HISTOGRAM_EDGES` to below the next.
      token_id: [n_layers, n_factors, k] int32, the token ids that fire the factor most
        often, the most frequent first; −1 where fewer do.
      token_count: [n_layers, n_factors, k] int64, how often they do.
      token_mean: [n_layers, n_factors, k] float32, mean α of these.
      strong_token_id, strong_token_count, strong_token_mean: the same, the ids with
        the largest mean first, of those that fire it `token_tables.MIN_COUNT` times or
        more.
      partner: [n_layers, n_factors, k] int32, the factors that fire at the same tokens,
        −1 where fewer do; all −1 where pairs were too many to count.
      partner_score: [n_layers, n_factors, k] float32, tokens that fire both over tokens
        that fire either (Jaccard).
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
        """Tokens of a context."""
        return self.context_activation.shape[-1]

    def context_start(self, position: np.ndarray | int) -> np.ndarray:
        """Returns the position in its window at which a token's context begins."""
        return layer_statistics.context_start(
            position,
            window_length=self.window_length,
            context_length=self.context_length,
        )


_FIELDS = dataclasses.fields(Examples)
ARRAYS = tuple(field.name for field in _FIELDS if field.type is np.ndarray)
_REST = tuple(field.name for field in _FIELDS if field.type is not np.ndarray)
# How names of arrays begin that have as many entries; those of the rest are `n`.
_GROUPS = ("random", "histogram", "token", "strong_token", "partner")
# How names of arrays end that do not hold whole numbers.
_FRACTIONS = ("activation", "mean", "score", "norm")


def save(folder: pathlib.Path, examples: Examples) -> None:
    """Writes the examples; older ones stay until the new ones are whole.

    Schema `tfvis-examples/2`: one .npy file for each array of `Examples`, under its
    name, and `index.json` with `schema` and what is no array. `docs/examples.md`
    describes the files for those who read them without this program.
    """
    with files.whole_folder(folder) as partial:
        for name in ARRAYS:
            np.save(partial / f"{name}.npy", getattr(examples, name))
        rest = {name: getattr(examples, name) for name in _REST}
        files.write_json(partial / "index.json", {"schema": SCHEMA, **rest})


def load(folder: pathlib.Path, trained: dictionary_file.TrainedDictionary) -> Examples:
    """Reads the examples, memory-mapped.

    Raises:
      InputError: they are missing, not whole, of another schema, or belong to another
        dictionary than ``trained``.
    """
    again = f"`tfvis examples {folder.parent}` computes them"
    if not (folder / "index.json").is_file():
        # The two folders lie side by side, see `RunDirectory`.
        begun = folder.with_name(f"{folder.name}-progress")
        if sentence := unfinished.half_computed(begun):
            raise InputError(sentence)
        raise InputError(f"There are no examples in {folder} yet; {again}.")
    index = files.read_json(folder / "index.json")
    schema = index.get("schema") if isinstance(index, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"Expected examples of schema {SCHEMA} in {folder}, got {schema}; {again} "
            "anew."
        )
    if index.get("dictionary_hash") != trained.content_hash:
        raise InputError(
            f"The examples in {folder} belong to another dictionary; {again} anew."
        )
    try:
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ARRAYS
        }
        rest = {name: index[name] for name in _REST}
        rest["layers"] = tuple(rest["layers"])
        _check(arrays, rest, trained)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The examples in {folder} are damaged ({error}); {again} anew."
        ) from error
    return Examples(**rest, **arrays)


def _check(arrays, rest, trained):
    """Raises ValueError unless all belongs together."""
    if rest["layers"] != tuple(trained.layers):
        raise ValueError(f"layers {rest['layers']} of {trained.layers}")
    for name in ("n_tokens", "window_length", "seed"):
        if type(rest[name]) is not int or rest[name] < 0:
            raise ValueError(f"{name} {rest[name]!r}")
    sizes = {"layer": len(trained.layers), "factor": len(trained.factors)}
    for name, array in arrays.items():
        axes = _axes(name)
        expected = tuple(
            sizes.setdefault(axis, size)
            for axis, size in zip(axes, array.shape, strict=False)
        )
        if array.shape != expected or len(axes) != array.ndim:
            raise ValueError(f"{name} of shape {array.shape}")
        kind = "f" if name.endswith(_FRACTIONS) else "i"
        if array.dtype.kind != kind:
            raise ValueError(f"{name} of type {array.dtype}")


def _axes(name) -> tuple[str, ...]:
    """Returns names for the axes of an array; equal ones have equal sizes."""
    if name == "mean_norm":
        return ("layer",)
    if name == "firing":
        return ("layer", "factor")
    if name.endswith("context_activation"):
        of = "random" if name.startswith("random") else "context"
        return ("layer", "factor", of, "place")
    of = next((group for group in _GROUPS if name.startswith(group)), "stored")
    return ("layer", "factor", of)
