"""Rows to compare dictionaries on: from files, or hidden states of a run's text."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from tfvis_jax import models, npy, sites
from tfvis_jax.comparison import methods
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.evaluation import loss_recovered, replacement
from tfvis_jax.interop import hooks
from tfvis_jax.runs import dictionary_file, encoding, setup, trained_dictionary
from tfvis_jax.runs import directory as directory_lib

_HELD_OUT_SHARE = 0.1
_MAX_HELD_OUT = 16_384

Loss = Callable[[methods.FittedMethod], loss_recovered.Recovered]


@dataclasses.dataclass(frozen=True)
class Data:
    """Rows to learn from and to measure on.

    Attributes:
      x: [rows, d_model] float32.
      held_out: [held-out rows, d_model] float32.
      source: where they come from, in words.
      loss: measures the model's loss under a reconstruction; None without a model.
      loss_windows: windows that the loss is measured on; None without one.
      place: what the rows are of, if all are of one layer of a run; else None.
      scale: what the rows of that layer were divided by.
    """

    x: np.ndarray
    held_out: np.ndarray
    source: str
    loss: Loss | None = None
    loss_windows: int | None = None
    place: hooks.Place | None = None
    scale: float = 1.0


def from_files(activations: str, held_out: str | None, *, num_rows: int) -> Data:
    """Reads rows.

    Args:
      activations: .npy of [rows, d_model].
      held_out: the same, to measure on; the last tenth of the others if None.
      num_rows: rows to learn from, at most.

    Raises:
      InputError: a file cannot be read or holds something else.
    """
    rows = _read(activations)
    if held_out is not None:
        measured = _read(held_out)
    else:
        first = len(rows) - max(1, int(len(rows) * _HELD_OUT_SHARE))
        rows, measured = rows[:first], rows[first:]
    if rows.shape[1] != measured.shape[1]:
        raise InputError(
            "Expected rows to learn from and to measure on of one d_model, got "
            f"{rows.shape[1]} and {measured.shape[1]}."
        )
    return Data(
        x=_float32(rows[:num_rows], activations),
        held_out=_float32(measured[:_MAX_HELD_OUT], held_out or "the last rows"),
        source=f"rows of {pathlib.Path(activations).name}",
    )


def from_run(
    path: pathlib.Path,
    *,
    num_rows: int,
    layer: int | None = None,
    loss_windows: int = 0,
    untrained: bool = False,
) -> Data:
    """Draws hidden states of a run's text, and offers the model's loss.

    Args:
      path: a finished run.
      num_rows: rows to learn from, at most.
      layer: of the run; all if None.
      loss_windows: windows that a loss is measured on; 0 for none.
      untrained: If True, give the model random weights and measure no loss.

    Raises:
      InputError: there is no such run or layer, or nothing is held out.
    """
    directory = directory_lib.RunDirectory(path)
    if not directory.config_path.is_file():
        raise InputError(
            f"{path} is not a run. `{command_line('demo', path)}` makes one."
        )
    # Hidden states as they are, which every method is given.
    trained = dataclasses.replace(
        dictionary_file.load(directory.dictionary), whitening=None
    )
    opened = setup.open_model(directory, directory.read_config())
    if untrained:
        opened = dataclasses.replace(
            opened, pretrained=models.untrained(opened.pretrained, seed=0)
        )
    if layer is not None:
        if layer not in trained.layers:
            raise InputError(f"Expected a layer among {trained.layers}, got {layer}.")
        index = trained.layers.index(layer)
        trained = dataclasses.replace(
            trained,
            layers=(layer,),
            layer_scale=trained.layer_scale[index : index + 1],
        )
    windows = opened.windows()
    if not len(windows.held_out):
        raise InputError(f"Nothing of the text of {path} is held out to measure on.")
    layers = ", ".join(map(str, trained.layers))
    rows = sites.WORDS[trained.site]
    is_one = len(trained.layers) == 1
    has_loss = loss_windows > 0 and not untrained
    return Data(
        x=encoding.sample_rows(opened, trained, windows, windows.train, count=num_rows),
        held_out=encoding.sample_rows(
            opened, trained, windows, windows.held_out, count=_MAX_HELD_OUT
        ),
        source=f"{rows} of {_name(opened.pretrained)}, layers {layers}",
        loss=_loss(opened, trained, windows, loss_windows) if has_loss else None,
        loss_windows=loss_windows if has_loss else None,
        place=hooks.Place(trained.layers[0], trained.site) if is_one else None,
        scale=float(trained.layer_scale[0]) if is_one else 1.0,
    )


def _name(pretrained: models.Pretrained) -> str:
    """The last two parts of a folder, or the hub's name."""
    return "/".join(pathlib.PurePath(pretrained.name).parts[-2:])


def _loss(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    n_windows: int,
) -> Loss:
    subject = replacement.Subject(
        pretrained=setup.with_language_model(opened).pretrained,
        tokenizer=opened.tokenizer,
        layers=trained.layers,
        layer_scale=trained.layer_scale,
        windows_per_batch=min(32, n_windows),
    )

    def measure(candidate: methods.FittedMethod) -> loss_recovered.Recovered:
        return loss_recovered.measure(
            subject,
            windows,
            loss_recovered.spread(windows.held_out, n=n_windows),
            lambda _, x: candidate.method.reconstruct(x),
            mean_windows=loss_recovered.spread(windows.train, n=n_windows),
        )

    return measure


def _read(path: str) -> np.ndarray:
    try:
        rows = npy.open_array(pathlib.Path(path))
    except (OSError, npy.NotAnArray) as error:
        raise InputError(f"{path} cannot be read as .npy: {error}.") from error
    if rows.ndim != 2 or len(rows) < 2 or rows.dtype.kind != "f":
        raise InputError(
            f"Expected {path} as floats of shape [rows, d_model] with two rows, "
            f"got {rows.dtype} of shape {rows.shape}."
        )
    return rows


def _float32(rows: np.ndarray, source: str) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    if not np.isfinite(rows).all():
        raise InputError(f"Expected finite rows, got NaN or infinity in {source}.")
    return rows
