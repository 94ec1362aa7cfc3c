"""A run whose dictionary, or autoencoder, was learned elsewhere."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import files, models, schema, sharding, sites
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import reconstruction
from tfvis_jax.interop import (
    foreign,
    hooks,
    saelens_dictionary,
    transformer_vis,
)
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.pipeline import training
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.runs import dictionary_file, imported_file, setup, trained_dictionary
from tfvis_jax.training import calibration

_Make = Callable[
    [setup.Setup, windows_lib.Windows], trained_dictionary.TrainedDictionary
]


def import_dictionary(
    directory: str | os.PathLike[str],
    config: config_lib.RunConfig,
    path: str | os.PathLike[str],
    *,
    progress: progress_lib.Progress = progress_lib.silent,
    num_workers: int = 1,
    notify: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Makes a run of a dictionary of Yun et al. (2021), and measures it on its text.

    The run has token windows, `dictionary.safetensors` and `report.json` as a trained
    one; examples, levels and the page follow as there. Hidden states are used as the
    model gives them.

    Args:
      directory: of the run; made if it does not exist.
      config: the settings: model, text, layers, and λ or a target L0. The number of
        factors is that of the file, and layers are not scaled.
      path: the `.npy` file, as `transformer_vis.read` reads it.
      progress: hears of the stages "model", "tokens" and "evaluate".
      num_workers: processes that turn text into tokens.
      notify: told in a sentence what stops nothing.

    Returns:
      The content of `report.json`.

    Raises:
      InputError: the file, the settings, the model or the text cannot be used, or the
        directory holds a run that was trained.
    """
    path = pathlib.Path(path)
    factors = transformer_vis.read(
        path, d_model=models.read_config(config.model).d_model
    )

    def make(
        opened: setup.Setup, windows: windows_lib.Windows
    ) -> trained_dictionary.TrainedDictionary:
        trained = trained_dictionary.TrainedDictionary(
            factors=factors,
            layer_scale=np.ones(len(opened.layers), np.float32),
            layers=opened.layers,
            model=config.model,
            l1_penalty=config.solver.l1_penalty,
            site=config.site,
        )
        target_l0 = config.sparsity.target_l0
        if target_l0 is None:
            return trained
        found = calibration.l1_penalty(opened, trained, windows, target_l0=target_l0)
        return dataclasses.replace(trained, l1_penalty=found)

    return _import(
        directory,
        _unscaled(config, n_factors=len(factors)),
        make,
        {"format": "transformer-vis", "file": path.name},
        progress=progress,
        num_workers=num_workers,
        notify=notify,
    )


def import_autoencoder(
    directory: str | os.PathLike[str],
    config: config_lib.RunConfig,
    read: foreign.ForeignEncoder | saelens_dictionary.ForeignDictionary,
    *,
    progress: progress_lib.Progress = progress_lib.silent,
    num_workers: int = 1,
    notify: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Makes a run of a sparse autoencoder, and measures it on its text.

    Codes come from the autoencoder's own encoder, in every later step too: they have no
    λ and no duality gap. A factor's activation is that of the autoencoder times the
    norm of its row of the decoder (`ForeignEncoder.as_trained`).

    Args:
      directory: of the run; made if it does not exist.
      config: the settings: model, text, and the layer unless the files name it.
      read: as `saelens.read` or `sparsify.read` reads it; or a dictionary, as
        `saelens_dictionary.read` does, whose codes are inferred by the solver that its
        files describe.
      progress: hears of the stages "model", "tokens" and "evaluate".
      num_workers: processes that turn text into tokens.
      notify: told in a sentence what stops nothing, such as the name of another model.

    Returns:
      The content of `report.json`.

    Raises:
      InputError: the autoencoder is of other hidden states than the model's or the
        layer's; or the settings, the model or the text cannot be used; or the
        directory holds a run that was trained.
    """
    about = read.about
    place = _place(read, config)
    d_model = models.read_config(config.model).d_model
    if d_model != read.d_in:
        made_for = f", made for {schema.short(about.model)}" if about.model else ""
        raise InputError(
            f"Expected an autoencoder of {d_model} numbers, the width of the hidden "
            f"states of {config.model}, got one of {read.d_in}{made_for}. Name its "
            "model."
        )
    if isinstance(read, saelens_dictionary.ForeignDictionary):
        config = dataclasses.replace(
            config,
            solver=read.solver(config.solver),
            sparsity=dataclasses.replace(config.sparsity, target_l0=None),
        )
    trained = read.as_trained(model=config.model, place=place)
    for note in about.notes:
        notify(note)
    if about.model and not _same_name(about.model, config.model):
        notify(
            f"The autoencoder says that it is of {schema.short(about.model)}; its "
            f"codes mean nothing unless {config.model} is that model."
        )

    def make(
        opened: setup.Setup, windows: windows_lib.Windows
    ) -> trained_dictionary.TrainedDictionary:
        del windows
        ends_with_norm = not hasattr(opened.pretrained.encoder, "final_norm")
        if ends_with_norm and hooks.may_be_before_norm(about.hook):
            block = about.hook.rpartition(".")[0]
            notify(
                f"{about.hook} is read as hidden state {place.layer} of "
                f"{opened.pretrained.name}, which is after the block's last norm. In "
                "HookedEncoder of TransformerLens it is the sum before that norm, and "
                f"{block}.hook_normalized_resid_post the hidden state: codes of an "
                "autoencoder that was trained on the sum are wrong here."
            )
        is_last = place == (opened.pretrained.config.n_layers, sites.HIDDEN)
        if read.place and is_last and not ends_with_norm:
            raise InputError(
                f"Expected an autoencoder of a layer before {place.layer}: in "
                f"{opened.pretrained.name} that is the last, whose hidden states are "
                f"those after the final norm; {about.hook} is before it, and codes "
                "would be wrong."
            )
        return trained

    return _import(
        directory,
        dataclasses.replace(
            _unscaled(config, n_factors=read.n_factors),
            layers=(place.layer,),
            site=place.site,
        ),
        make,
        {
            "format": about.tool,
            "architecture": about.architecture,
            "model": about.model,
            "hook": about.hook,
        },
        progress=progress,
        num_workers=num_workers,
        notify=notify,
    )


def _place(
    read: foreign.ForeignEncoder | saelens_dictionary.ForeignDictionary,
    config: config_lib.RunConfig,
) -> hooks.Place:
    """Returns what an autoencoder is of, which settings may say if its files do not."""
    named, given = read.place, config.layers
    if named is None:
        if given is None or len(given) != 1:
            raise InputError(
                "Expected the one layer that the autoencoder is of, which its files do "
                "not name; such as --layers=4, the output of block 3."
            )
        return hooks.Place(given[0], config.site)
    if given not in (None, (named.layer,)):
        raise InputError(
            f"Expected layer {named.layer}, which is what {read.about.hook} is of, got "
            f"{list(given)}. Leave --layers out, and --preset=paper, which has its own."
        )
    if config.site not in (sites.HIDDEN, named.site):
        raise InputError(
            f"Expected site {named.site}, which is what {read.about.hook} is, got "
            f"{config.site}. Leave --site out."
        )
    return named


def _same_name(one: str, other: str) -> bool:
    return pathlib.PurePath(one).name.lower() == pathlib.PurePath(other).name.lower()


def _unscaled(config: config_lib.RunConfig, *, n_factors: int) -> config_lib.RunConfig:
    """Returns the settings of a run that uses hidden states as the model gives them."""
    return dataclasses.replace(
        config,
        layer_scale=False,
        whitening=0.0,
        dictionary=dataclasses.replace(config.dictionary, n_factors=n_factors),
        sparsity=dataclasses.replace(config.sparsity, equal_l0=False),
    )


def _import(
    directory: str | os.PathLike[str],
    config: config_lib.RunConfig,
    make: _Make,
    record: dict[str, str],
    *,
    progress: progress_lib.Progress,
    num_workers: int,
    notify: Callable[[str], None],
) -> dict[str, Any]:
    """Writes the run, with ``record`` as where its dictionary is from."""
    stages = progress_lib.Stages(progress)
    mesh = sharding.one_device()
    with writing(directory, new=True) as run:
        if run.dictionary.exists() and not run.imported.exists():
            raise InputError(
                f"{run.path} holds a dictionary that was trained there. Name another "
                "directory."
            )
        opened, windows = training.prepare_locked(
            run, config, stages, num_workers=num_workers, mesh=None, notify=notify
        )
        trained = make(opened, windows)
        # First: nobody may train over what is imported.
        imported = imported_file.Imported(**record, sha256=trained.content_hash)
        imported_file.write(run.imported, imported)
        dictionary_file.save(run.dictionary, trained)
        with stages.stage("evaluate") as show:
            result = reconstruction.evaluate(opened, trained, windows, progress=show)
        report = report_lib.of_training(
            opened, trained, windows, result, mesh=mesh, seconds=stages.seconds
        )
        files.write_json(run.report, report)
    return report
