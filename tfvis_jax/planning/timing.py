"""How long a planned run takes, from the log of a run that was measured.

A rate holds for what it was measured with. For other sizes it is scaled by the work for
a row on each device (`costs.work`), as if every FLOP took as long as there. Where what
differs is not in those formulae, or the difference is large, there is no time.
"""

import dataclasses
import pathlib
from typing import NamedTuple

from tfvis_jax import config as config_lib
from tfvis_jax import config_json, models
from tfvis_jax.errors import InputError
from tfvis_jax.models import encoder_config
from tfvis_jax.planning import compiled, costs, plan
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.runs import report_file
from tfvis_jax.training import metrics_log

# What the time of a row does not depend on.
_FREE = (
    *("model", "seed", "num_epochs", "patience", "checkpoint_every", "checkpoints"),
    *("corpus.paths", "corpus.clean", "corpus.replace_undecodable"),
    *("corpus.held_out_fraction", "corpus.max_tokens", "corpus.special_tokens"),
)
# What `costs.work` scales with.
_SIZES = (
    *("dictionary.n_factors", "corpus.window_length", "layers", "row_fraction"),
    *("windows_per_batch", "rows_per_step"),
)
# Beyond this many times the work, caches and launches are used too differently.
_MOST = 16.0


class Time(NamedTuple):
    """How long a run takes.

    Attributes:
      seconds_per_row: None if not known.
      times_the_work: work of a row on a device, relative to that of the measured run;
        None if not known.
      reason: a sentence about what was scaled, or why there is no time; "" for the
        settings that were measured.
    """

    seconds_per_row: float | None
    times_the_work: float | None
    reason: str


def _unknown(reason: str) -> Time:
    return Time(None, None, reason)


DOES_NOT_FIT = _unknown("this one does not fit")


@dataclasses.dataclass(frozen=True)
class Measured:
    """A run whose log says how fast it was.

    Attributes:
      path: of the run.
      config: its settings.
      rate: of its training.
      mesh: the devices that it was trained on; None if the run does not say.
      kind: of these devices; None if the run does not say.
    """

    path: pathlib.Path
    config: config_lib.RunConfig
    rate: plan.Rate
    mesh: costs.Mesh | None
    kind: str | None

    def same_codes(self, config: config_lib.RunConfig) -> bool:
        """Returns whether codes are asked for as in other settings.

        Only then can rows be expected to take as many solver steps.
        """
        return not [
            name
            for name in _differing(self.config, config)
            if name.startswith(("solver.", "sparsity.", "dictionary."))
            and name not in _SIZES
        ]

    def time_for(
        self,
        planned: plan.Plan,
        config: config_lib.RunConfig,
        model: encoder_config.EncoderConfig,
        *,
        kind: str | None,
        same_devices: bool,
    ) -> Time:
        """Returns how long a planned run takes.

        Args:
          planned: the plan.
          config: its settings.
          model: sizes of its encoder.
          kind: of its devices; None if unknown.
          same_devices: whether nobody asked for other devices than there are, for a
            measured run that does not name its own.
        """
        if not planned.fits:
            return DOES_NOT_FIT
        if (reason := self._other_devices(planned, kind, same_devices)) is not None:
            return _unknown(reason)
        others = [n for n in _differing(self.config, config) if n not in _SIZES]
        if others:
            return _unknown(f"that run has another `{others[0].split('.')[-1]}`")
        try:
            model_there = models.read_config(self.config.model)
        except InputError:
            return _unknown("the model of that run cannot be read")
        mesh_there = self.mesh or planned.mesh
        if costs.solver_name(self.config, mesh_there) != planned.solver:
            return _unknown("that run was solved by another solver")
        steps = self.rate.solver_steps
        here = _flops_of_row(config, model, planned.mesh, steps)
        there = _flops_of_row(self.config, model_there, mesh_there, steps)
        ratio = here / there
        changed = [n for n in _differing(self.config, config) if n in _SIZES]
        layers_there = self.config.layers_of(model_there.n_layers)
        if config.layers_of(model.n_layers) == layers_there:
            changed = [name for name in changed if name != "layers"]
        names = [f"`{name.split('.')[-1]}`" for name in changed]
        names += ["the model"] if model != model_there else []
        names += ["the mesh"] if planned.mesh != mesh_there else []
        if not names:
            return Time(self.rate.seconds_for(1), 1.0, "")
        what = f"{_listed(names)} differ{'' if len(names) > 1 else 's'}"
        if not 1 / _MOST <= ratio <= _MOST:
            return _unknown(
                f"{what}, and a row takes {ratio:,.3g} times the work of one there, "
                "too far to scale"
            )
        return Time(self.rate.seconds_for(1) * ratio, ratio, what)

    def _other_devices(
        self, planned: plan.Plan, kind: str | None, same_devices: bool
    ) -> str | None:
        if self.mesh is None:
            return None if same_devices else "that run does not say its devices"
        if self.mesh.platform != planned.mesh.platform:
            return (
                f"that run was measured on {self.mesh.platform}, not on "
                f"{planned.mesh.platform}"
            )
        if None not in (kind, self.kind) and kind != self.kind:
            return f"that run was measured on devices of the kind {self.kind}"
        return None


def of_run(directory: directory_lib.RunDirectory) -> Measured | None:
    """Returns how fast a run was; None if its log has fewer than two batches.

    Raises:
      InputError: it has a log and no settings, or they are damaged.
    """
    rate = plan.measured_rate(metrics_log.read(directory.metrics))
    if rate is None:
        return None
    mesh, kind = _devices_of(directory)
    return Measured(directory.path, directory.read_config(), rate, mesh, kind)


def _devices_of(
    directory: directory_lib.RunDirectory,
) -> tuple[costs.Mesh | None, str | None]:
    """Returns mesh and kind of device from the report; None if it does not say."""
    report = report_file.read_if_any(directory.report)
    # Reports of older versions have neither.
    if report is None or report.devices is None or report.mesh is None:
        return None, None
    found, mesh = report.devices, report.mesh
    return costs.Mesh(mesh.data, mesh.factor, found.platform), found.kind


def _differing(there: config_lib.RunConfig, here: config_lib.RunConfig) -> list[str]:
    """Returns the names of settings that differ and that a row's time depends on."""
    lines = config_json.differences(there, here, ignoring=_FREE)
    return [line.partition(":")[0] for line in lines]


def _flops_of_row(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    mesh: costs.Mesh,
    steps: float,
) -> float:
    work = costs.work(config, model, mesh=mesh, solver_steps=steps)
    return work.flops / compiled.rows_of_step(config)


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
