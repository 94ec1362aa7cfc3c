"""`tfvis train`: text and a BERT in, a dictionary and a report out; resumable."""

import contextlib
import importlib.metadata
import pathlib
import platform
import signal
import sys
from collections.abc import Sequence

import jax
from absl import flags

import tfvis_jax
from tfvis_jax import config as config_lib
from tfvis_jax import files, sharding
from tfvis_jax.cli import command, devices, progress, settings, signals
from tfvis_jax.data import build_windows
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.evaluation import reconstruction
from tfvis_jax.evaluation import report as report_lib
from tfvis_jax.planning import plan
from tfvis_jax.runs import dictionary_file, setup, stored_hidden_states
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.training import checkpoint_storage, loop, metrics_log

FLAGS = command.new_flags()
settings.define(FLAGS)
devices.define(FLAGS)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    1,
    "Processes that turn text into tokens.",
    lower_bound=1,
    flag_values=FLAGS,
)
_ACTIVATIONS = flags.DEFINE_string(
    "activations",
    None,
    "Folder of hidden states that `tfvis activations` wrote, of the same model and "
    "text (no .npy of rows, as the experiments take); read instead of running the "
    "model again.",
    flag_values=FLAGS,
)
_PROFILE = flags.DEFINE_integer(
    "profile_batch",
    None,
    "Write a profiler trace of this batch of windows, from 1, into RUN/profile; "
    "choose one after the first, which compiles.",
    lower_bound=1,
    flag_values=FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Trains the run and prints its report."""
    path = command.run_argument(arguments)
    directory = directory_lib.RunDirectory(path)
    with devices.joined(FLAGS):
        if directory.config_path.is_file() and not FLAGS.text:
            config = settings.override(directory.read_config(), FLAGS)
        else:
            config = settings.build(FLAGS)
        first = sharding.is_first_process()
        mesh = devices.mesh(FLAGS, config)
        with directory.lock() if first else contextlib.nullcontext():
            report = train(
                directory,
                config,
                progress.Stages(quiet=not first),
                num_workers=_NUM_WORKERS.value,
                mesh=mesh,
                profile_batch=_PROFILE.value,
                activations=_ACTIVATIONS.value,
            )
    if report is None:
        print(f"saved; `tfvis train {path}` goes on", file=sys.stderr)
    elif first:
        print(summary(report))
        print(f"\nreport   {directory.report}\nnext     tfvis examples {path}")


def train(
    directory: directory_lib.RunDirectory,
    config: config_lib.RunConfig,
    stages: progress.Stages,
    *,
    num_workers: int = 1,
    mesh: jax.sharding.Mesh | None = None,
    profile_batch: int | None = None,
    activations: str | None = None,
) -> dict | None:
    """Makes the token windows, learns the dictionary, measures it; writes the report.

    Returns:
      The content of `report.json`; None when SIGTERM ended the run before, with all
      that it had learnt saved.
    """
    first = sharding.is_first_process()
    mesh = sharding.one_device() if mesh is None else mesh
    with sharding.first_process_first("tokens"):
        opened, windows = prepare(
            directory, config, stages, num_workers=num_workers, mesh=mesh
        )
    stored = None
    if activations is not None:
        stored = stored_hidden_states.open_for(
            pathlib.Path(activations), opened, windows
        )
    with signals.asking() as asked, stages.stage("train", "learning") as show:
        try:
            state = loop.fit(
                opened,
                windows,
                progress=show,
                should_stop=lambda: bool(asked),
                mesh=mesh,
                notify=progress.note if first else lambda _: None,
                profile_batch=profile_batch,
                stored=stored,
            )
        except loop.Interrupted:
            if signal.SIGINT in asked:
                raise KeyboardInterrupt from None
            return None
    report = {}
    if first:
        report = _measure(opened, windows, state, stages)
    sharding.wait_for_all("report")
    return report


def prepare(
    directory: directory_lib.RunDirectory,
    config: config_lib.RunConfig,
    stages: progress.Stages,
    *,
    num_workers: int,
    mesh: jax.sharding.Mesh | None = None,
) -> tuple[setup.Setup, windows_lib.Windows]:
    """Opens model and tokens; the first process makes what is not there.

    Where the devices of ``mesh`` are to train it, a run that they cannot hold is
    refused before anything is written.
    """
    with stages.stage("model", "loading the model"):
        opened = setup.open_model(directory, config)
    if mesh is not None:
        plan.check(config, opened.pretrained.config, mesh=mesh)
        if config.checkpoints is not None:
            checkpoint_storage.check(config.checkpoints)
    directory.open_or_create(config)
    if sharding.is_first_process():
        setup.keep_model_identity(opened)
    with stages.stage("tokens", "text to tokens") as show:
        windows = build_windows.build(
            directory.tokens,
            config.corpus,
            tokenizer=opened.tokenizer,
            num_workers=num_workers,
            progress=show,
        )
    return opened, windows


def _measure(opened, windows, state, stages):
    """Saves what was learnt, and how good it is."""
    directory = opened.run
    trained = dictionary_file.from_state(state, opened)
    dictionary_file.save(directory.dictionary, trained)
    with stages.stage("evaluate", "held-out text") as show:
        result = reconstruction.evaluate(opened, trained, windows, progress=show)
    report = _report(opened, trained, windows, result, stages)
    files.write_json(directory.report, report)
    return report


def summary(report: dict) -> str:
    """Returns the report's main figures as lines of text."""

    def row(title, figures, spec):
        each = ", ".join(_text(value, spec) for value in figures["per_layer"])
        return f"  {title:<21} {_text(figures['all'], spec):<7} (per layer {each})"

    return "\n".join(
        [
            f"{report['n_factors']:,} factors for layers {report['layers']} of "
            f"{model_name(report['model'])}",
            f"{report['n_tokens']:,} tokens of text; figures on "
            f"{report['n_held_out_rows']:,} held-out hidden states:",
            row("unexplained variance", report["fvu"], ".3f"),
            row("  with codes refitted", report["fvu_debiased"], ".3f"),
            row("factors per token", report["l0"], ".1f"),
            f"  {'factors alive':<21} {_text(report['alive'], '.1%')}",
            f"  {'duality gap':<21} {_text(report['gap']['mean'], '.1e')} mean, "
            f"{_text(report['gap']['max'], '.1e')} worst",
        ]
    )


def model_name(model: str) -> str:
    """Returns the last two parts of a folder or hub name; often the last is "model"."""
    return "/".join(pathlib.PurePath(model).parts[-2:])


def _text(value: float | None, spec: str) -> str:
    return "n/a" if value is None else format(value, spec)


def _report(opened, trained, windows, result, stages) -> dict:
    config, log = opened.config, metrics_log.read(opened.run.metrics)
    lasso, debiased = result.lasso, result.debiased
    return {
        "schema": "tfvis-report/1",
        "model": config.model,
        "corpus": list(config.corpus.paths),
        "n_tokens": windows.index["num_tokens"],
        "n_rows": sum(line["rows"] for line in log),
        "n_held_out_rows": lasso.all.n_rows,
        "n_factors": config.dictionary.n_factors,
        "layers": list(opened.layers),
        "l1_penalty": trained.l1_penalty,
        "fvu": report_lib.by_layer(lasso, "fvu"),
        "fvu_debiased": report_lib.by_layer(debiased, "fvu"),
        "l0": report_lib.by_layer(lasso, "l0"),
        "alive": report_lib.plain(lasso.all.alive),
        "gap": report_lib.plain({"mean": result.gap_mean, "max": result.gap_max}),
        "seconds": _seconds(opened.run.report, stages.seconds)
        | {"train": log[-1]["seconds"] if log else 0.0},
        "versions": _versions(),
    }


def _seconds(report: pathlib.Path, now: dict[str, float]) -> dict[str, float]:
    """Seconds of each stage: the longest, for the work of one is not done again."""
    before = files.read_json(report)["seconds"] if report.is_file() else {}
    return {name: max(before.get(name, 0), now[name]) for name in now}


def _versions() -> dict[str, str]:
    libraries = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "tfvis_jax": tfvis_jax.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in libraries},
    }


COMMAND = command.Command(
    name="train",
    usage="RUN --model=FOLDER_OR_NAME --text=FILES [--flags]",
    description=(
        "Reads text, runs a BERT over it and learns one dictionary of factors for the "
        "chosen layers. RUN is the directory to write. Interrupt it at any time: the "
        "same command goes on where it stopped, and so does `tfvis train RUN` alone."
    ),
    flags=FLAGS,
    run=run,
)
