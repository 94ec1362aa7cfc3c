"""`tfvis export`: the page of a run, as files."""

import math
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import flags

from tfvis_jax.cli import command, progress, train
from tfvis_jax.description import featured
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.viewer import bundle, site

FLAGS = command.new_flags()
_CONTEXTS = flags.DEFINE_integer(
    "contexts", 20, "Contexts per layer and factor.", lower_bound=1, flag_values=FLAGS
)


def run(arguments: Sequence[str]) -> None:
    """Writes the site of a run."""
    path = command.run_argument(arguments)
    opened = run_lib.load_run(path)
    with opened.directory.lock():
        export(opened, progress.Stages(), contexts=_CONTEXTS.value)
    print(
        f"page     {opened.directory.site / 'index.html'}\nnext     tfvis view {path}"
    )


def export(opened: run_lib.Run, stages: progress.Stages, *, contexts: int) -> None:
    """Writes `site/` from the dictionary, the examples and the report."""
    with stages.stage("export", "writing the page") as show:
        bundle.write(
            opened.directory.site, site_data(opened, contexts=contexts), progress=show
        )


def site_data(opened: run_lib.Run, *, contexts: int) -> site.SiteData:
    """Returns what the page of a run shows."""
    report, trained, found = opened.report, opened.trained, opened.examples

    def contexts_of(number: int) -> list[list[site.Context]]:
        factor = opened.factor(number)
        return [
            [
                site.Context(
                    before=example.before,
                    word=example.word,
                    after=example.after,
                    activation=example.activation,
                    document=example.document,
                )
                for example in factor.examples(layer=layer, n=contexts)
            ]
            for layer in trained.layers
        ]

    return site.SiteData(
        title=opened.directory.path.name,
        model=train.model_name(report["model"]),
        corpus=", ".join(pathlib.Path(p).name for p in report["corpus"]),
        layers=trained.layers,
        n_factors=len(trained.factors),
        l1_penalty=trained.l1_penalty,
        report={
            "tokens": report["n_tokens"],
            "fvu": _number(report["fvu"]["all"]),
            "FVU per layer": [_number(value) for value in report["fvu"]["per_layer"]],
            "l0": _number(report["l0"]["all"]),
            "L0 per layer": [_number(value) for value in report["l0"]["per_layer"]],
            "factors alive on held-out text": _number(report["alive"]),
            "mean duality gap": _number(report["gap"]["mean"]),
            "activations in an importance score": found.activation.shape[2],
            "held-out hidden states": report["n_held_out_rows"],
        },
        importance=opened.importance(),
        density=found.density,
        max_activation=np.asarray(found.activation[:, :, 0]),
        levels=[level.name for level in opened.levels],
        level_reasons=[level.reason for level in opened.levels],
        featured=featured.choose(opened, opened.levels),
        contexts=contexts_of,
        labels={
            number: site.Label(text=label.text, remarks=" ".join(label.remarks))
            for number, label in opened.labels.items()
        },
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


COMMAND = command.Command(
    name="export",
    usage="RUN [--flags]",
    description=(
        "Writes RUN/site, a page that opens by double-click and from any web server, "
        "without a network."
    ),
    flags=FLAGS,
    run=run,
)
