"""Store where in the corpus each factor fires, how often, and with which other factors.

The files hold references (window, position, α). Words and contexts are read from the
token windows when they are shown. `gathering.collect` gathers everything in one pass.
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import numpy as np

from tfvis_jax import files, npy, schema
from tfvis_jax.data import windows_files
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import layer_statistics, unfinished

if TYPE_CHECKING:
    from tfvis_jax.runs import trained_dictionary

SCHEMA = "tfvis-examples/2"


class _Schema(msgspec.Struct):
    schema: Any = None
    dictionary_hash: Any = None


class _Index(msgspec.Struct):
    layers: tuple[schema.Count, ...]
    n_tokens: schema.Count
    window_length: Annotated[int, msgspec.Meta(ge=1, le=2**17)]
    seed: schema.Count
    dictionary_hash: schema.Hash


class Places(NamedTuple):
    """Tokens of the corpus at which a factor fires.

    Attributes:
      activation: [m] float32, α > 0.
      window: [m] int32, index of the window.
      position: [m] int32, index of the token in the window.
    """

    activation: np.ndarray
    window: np.ndarray
    position: np.ndarray


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
      folder: where they are stored; None if they are not.
      num_windows: number of windows of the corpus; None if it is not known.
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
    folder: pathlib.Path | None = None
    num_windows: int | None = None

    def top(self, index: int, factor: int, *, stop: int | None = None) -> Places:
        """Returns the top-activating examples of a factor, strongest first.

        What is memory-mapped is checked when it is read, here and in the other methods.

        Args:
          index: index into the layers.
          factor: index of the factor.
          stop: maximum number of examples; all that are stored if None.

        Raises:
          InputError: the files of the examples are damaged.
        """
        return self._places("", index, factor, stop)

    def drawn(self, index: int, factor: int, *, stop: int | None = None) -> Places:
        """Returns the random examples of a factor; otherwise like `top`."""
        return self._places("random_", index, factor, stop)

    def largest(self, index: int, factor: int) -> float:
        """Returns the largest α of a factor at a layer; 0 where it never fires."""
        return float(self.top(index, factor, stop=1).activation.max(initial=0))

    def top_contexts(self, index: int, factor: int) -> np.ndarray:
        """Returns ``context_activation`` of a factor, [n, context_length]."""
        return self._contexts("", index, factor)

    def drawn_contexts(self, index: int, factor: int) -> np.ndarray:
        """Returns ``random_context_activation`` of a factor."""
        return self._contexts("random_", index, factor)

    def partners(self, index: int, factor: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the co-firing factors of a factor and their scores, [m] each."""
        partner = np.asarray(self.partner[index, factor])
        score = np.asarray(self.partner_score[index, factor])
        n_factors = self.partner.shape[1]
        if np.any((partner < -1) | (partner >= n_factors)):
            raise self._damaged("partner", partner, f"-1 to {n_factors - 1}")
        if not np.all((score >= 0) & (score <= 1)):
            raise self._damaged("partner_score", score, "0 to 1")
        found = (partner >= 0) & (score > 0)
        return partner[found], score[found]

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Makes another process open the files again: no array is copied."""
        if self.folder is None:
            return super().__reduce__()
        rest = {name: getattr(self, name) for name in _REST}
        return _reopened, (self.folder, self.num_windows, rest)

    @property
    def max_activation(self) -> np.ndarray:
        """Largest α, [n_layers, n_factors]; 0 where a factor never fires."""
        largest = np.asarray(self.activation[:, :, 0])
        self.check_activations(largest)
        return largest

    def check_activations(self, values: np.ndarray) -> None:
        """Refuses activations, or means of them, that are no finite numbers >= 0."""
        if not np.all((values >= 0) & (values < np.inf)):
            raise self._damaged("activation", values, "0 to any finite number")

    def _places(self, prefix: str, index: int, factor: int, stop: int | None) -> Places:
        activation, window, position = (
            np.asarray(getattr(self, prefix + name)[index, factor, :stop])
            for name in ("activation", "window", "position")
        )
        # Lists are padded with 0 at their end, and stored activations are positive.
        n = int(np.count_nonzero(activation))
        found = Places(activation[:n], window[:n], position[:n])
        if not np.all((found.activation > 0) & (found.activation < np.inf)):
            raise self._damaged(f"{prefix}activation", activation, "0, at the end, up")
        num_windows = 2**31 if self.num_windows is None else self.num_windows
        for name, values, limit in (
            ("window", found.window, num_windows),
            ("position", found.position, self.window_length),
        ):
            if np.any((values < 0) | (values >= limit)):
                raise self._damaged(prefix + name, values, f"0 to {limit - 1}")
        return found

    def _contexts(self, prefix: str, index: int, factor: int) -> np.ndarray:
        name = f"{prefix}context_activation"
        found = np.asarray(getattr(self, name)[index, factor])
        if not np.all((found >= 0) & (found < np.inf)):
            raise self._damaged(name, found, "0 to any finite number")
        return found

    def _damaged(self, name: str, values: np.ndarray, expected: str) -> InputError:
        folder = pathlib.Path() if self.folder is None else self.folder
        again = command_line("examples", folder.parent)
        return schema.damaged(
            folder / f"{name}.npy",
            f"Expected numbers from {expected}, got some from {values.min()} to "
            f"{values.max()}",
            remedy=f"`{again}` computes the examples again.",
        )

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
_REST = _Index.__struct_fields__
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


def load(
    folder: pathlib.Path, trained: "trained_dictionary.TrainedDictionary"
) -> Examples:
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
    path = folder / "index.json"
    known = schema.read(path, _Schema, remedy=f"{again} again.")
    if known.schema != SCHEMA:
        raise InputError(
            f"Expected examples of schema {SCHEMA} in {folder}, got "
            f"{schema.short(known.schema)}; {again} again."
        )
    if known.dictionary_hash != trained.content_hash:
        raise InputError(
            f"The examples in {folder} belong to another dictionary; {again} again."
        )
    index = schema.read(path, _Index, remedy=f"{again} again.")
    if index.layers != tuple(trained.layers):
        raise InputError(
            f"Expected examples of layers {list(trained.layers)}, got those of "
            f"{list(index.layers)} in {folder}; {again} again."
        )
    tokens = folder.with_name("tokens")
    num_windows = None
    if (tokens / "index.json").is_file():
        windows, _ = windows_files.read_index(tokens)
        num_windows = windows.num_windows
        if windows.settings.window_length != index.window_length:
            raise schema.damaged(
                path,
                f"Expected examples in windows of {windows.settings.window_length} "
                f"tokens, got {index.window_length}",
                remedy=f"{again} again.",
            )
    try:
        # Memory-mapped: a page or a notebook reads few of the factors.
        arrays: dict[str, Any] = {
            name: npy.open_array(folder / f"{name}.npy") for name in ARRAYS
        }
        _check(arrays, index, trained)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The examples in {folder} are damaged ({error}); {again} again."
        ) from error
    rest: dict[str, Any] = {name: getattr(index, name) for name in _REST}
    return Examples(**rest, **arrays, folder=folder, num_windows=num_windows)


def _reopened(
    folder: pathlib.Path, num_windows: int | None, rest: dict[str, Any]
) -> Examples:
    """Returns stored examples that another process has loaded, and so has checked."""
    arrays: dict[str, Any] = {
        name: npy.open_array(folder / f"{name}.npy") for name in ARRAYS
    }
    return Examples(**rest, **arrays, folder=folder, num_windows=num_windows)


def _check(
    arrays: dict[str, np.ndarray],
    index: _Index,
    trained: "trained_dictionary.TrainedDictionary",
) -> None:
    """Raises ValueError unless shapes and types fit each other and the dictionary.

    The arrays are not read: `Examples` checks what it returns of them.
    """
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
        # An importance score is a mean over at least one.
        if name == "activation" and not array.shape[2]:
            raise ValueError(f"{name} of shape {array.shape}")
    for name, limit in (("firing", index.n_tokens), ("mean_norm", np.inf)):
        values = arrays[name]
        if not np.all((values >= 0) & (values <= limit) & (values < np.inf)):
            raise ValueError(f"{name} outside 0 to {limit}")


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
