"""What a run works on: the model, its tokeniser, the windows, the layers."""

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import msgspec
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import config_json, files, models, schema
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.runs import directory


class _Identity(msgspec.Struct):
    sha256: schema.Hash


@dataclasses.dataclass(frozen=True)
class Setup:
    """The inputs of a run, opened.

    Attributes:
      run: its directory.
      config: its settings.
      pretrained: the model; its encoder returns the outputs at the run's site.
      tokenizer: the model's own.
      layers: numbers of the layers that are used.
    """

    run: directory.RunDirectory
    config: config_lib.RunConfig
    pretrained: models.Pretrained
    tokenizer: tokenizer_lib.Tokenizer
    layers: tuple[int, ...]

    def windows(self) -> windows_lib.Windows:
        """Opens the token windows of the run.

        Raises:
          InputError: they are missing or damaged, or were cut with other settings or
            for another tokenizer.
        """
        windows = open_windows(self.run, self.config)
        own = self.tokenizer.prefix, self.tokenizer.suffix
        if windows.special_tokens and (windows.prefix, windows.suffix) != own:
            raise InputError(
                f"Expected special tokens with ids {own} around the windows in "
                f"{self.run.tokens}, as the tokenizer in {self.tokenizer.folder} has "
                f"them; got {(windows.prefix, windows.suffix)}. Restore what belongs "
                "together."
            )
        return windows

    def other_text(
        self, paths: Sequence[str | os.PathLike[str]]
    ) -> config_lib.CorpusConfig:
        """Returns how another text is read and cut: as that of the run, to its end."""
        return dataclasses.replace(
            self.config.corpus,
            paths=tuple(os.fspath(path) for path in paths),
            max_document_tokens=None,
            max_unknown=None,
            max_tokens=None,
        )


def open_windows(
    run: directory.RunDirectory, config: config_lib.RunConfig
) -> windows_lib.Windows:
    """Opens the token windows of a run.

    Raises:
      InputError: they are missing or damaged, or were cut with other settings.
    """
    windows = windows_lib.open(run.tokens)
    wanted = config.corpus.window_length, config.corpus.special_tokens
    found = windows.window_length, windows.special_tokens
    if found != wanted:
        raise InputError(
            f"Expected windows with (window_length, special_tokens) of {wanted} in "
            f"{run.tokens}, as {run.config_path} has it; got {found}. Restore what "
            "belongs together."
        )
    return windows


def open_model(run: directory.RunDirectory, config: config_lib.RunConfig) -> Setup:
    """Loads model and tokeniser and checks the settings against them.

    Raises:
      InputError: the model cannot be read or has other weights than before, a layer
        does not exist, or the windows are longer than the model's positions.
    """
    try:
        pretrained = models.load(config.model, dtype=config.dtype)
    except InputError as error:
        if not run.model_identity.is_file():
            raise
        if run.hub_repo:
            remedy = (
                f"The run was published with the name of a folder: put {config.model}, "
                "the model or a link to it, into the directory that you are in; or "
                f'`tfvis_jax.load_run("hf://{run.hub_repo}", model="FOLDER")`.'
            )
        else:
            remedy = (
                "If the model has moved, "
                f"`{command_line('train', run, '--model=FOLDER')}` gives its new path."
            )
        raise InputError(f"{error} {remedy}") from error
    pretrained = pretrained.at(config.site)
    layers = config.layers_of(pretrained.config.n_layers)
    max_positions = pretrained.config.max_positions
    if config.corpus.window_length > max_positions:
        raise InputError(
            f"Expected windows of at most {max_positions} tokens, the positions of "
            f"{pretrained.name}; got {config.corpus.window_length}."
        )
    tokenizer = tokenizer_lib.load(
        pretrained.folder, vocab_size=pretrained.config.vocab_size
    )
    _check_same_weights(run, pretrained)
    return Setup(run, config, pretrained, tokenizer, layers)


def with_language_model(
    opened: Setup, *, notify: Callable[[str], None] = warnings.warn
) -> Setup:
    """Adds the language model head if the model's folder has one that can be used.

    The encoder stays the one that is open.

    Args:
      opened: model and settings.
      notify: told in a sentence why a head that is there is not used.
    """
    model = opened.config.model
    head = models.head_of(model)
    if head is None:
        return opened
    try:
        pretrained = models.load(model, dtype=opened.config.dtype, head=head)
    except InputError as error:
        # The encoder has been loaded: it is the head that does not fit.
        notify(f"The model's language model head is not used. {error}")
        return opened
    assert pretrained.language_model is not None
    # The encoder that is in memory already; that of the head's file is forgotten.
    shared = dataclasses.replace(
        opened.pretrained,
        language_model=pretrained.language_model.on(opened.pretrained.encoder),
        ignored=pretrained.ignored,
    )
    return dataclasses.replace(opened, pretrained=shared)


def keep_model_identity(opened: Setup) -> None:
    """Records the weights that a run is made with; `open_model` refuses others."""
    files.write_json(
        opened.run.model_identity, {"sha256": weights_hash(opened.pretrained)}
    )


def identity(opened: Setup, windows: windows_lib.Windows) -> dict[str, Any]:
    """Returns all that decides what a run learns, as JSON, wherever its files are."""
    return {
        "settings": config_json.to_json(opened.config),
        "weights": weights_hash(opened.pretrained),
        "text": hashlib.sha256(windows.token_counts.tobytes()).hexdigest(),
    }


def other_run(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Returns one line for each thing in which two runs, from `identity`, differ."""
    old, new = (config_json.from_json(each["settings"]) for each in (there, here))
    places = ("model", "corpus.paths", "checkpoints")
    changed = config_json.differences(
        old, new, ignoring=(*places, *config_json.of_saving(new))
    )
    return changed + [f"other {n}" for n in ("weights", "text") if there[n] != here[n]]


def _check_same_weights(
    run: directory.RunDirectory, pretrained: models.Pretrained
) -> None:
    if not run.model_identity.is_file():
        return
    known = schema.read(
        run.model_identity,
        _Identity,
        remedy="Remove it if the weights are those that the run was made with.",
    )
    if known.sha256 != weights_hash(pretrained):
        raise InputError(
            f"The weights in {pretrained.folder} are not those that {run.path} was "
            "made with. Restore them, or make a new run."
        )


def weights_hash(pretrained: models.Pretrained) -> str:
    """Returns the SHA-256 of a model's weights."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(pretrained.encoder):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()
