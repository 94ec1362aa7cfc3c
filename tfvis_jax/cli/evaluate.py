"""`tfvis evaluate`: how good the dictionary of a run is, by every measure."""

import dataclasses
from collections.abc import Sequence

import rich.box
import rich.console
import rich.table
from absl import flags

from tfvis_jax import files
from tfvis_jax.cli import command, progress
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import loss_recovered, reconstruction, refitted, report
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.sparse_coding import metrics

FLAGS = command.new_flags()
_K = flags.DEFINE_integer(
    "k",
    32,
    "Codes kept in each row for the figures at a fixed number of them.",
    lower_bound=1,
    flag_values=FLAGS,
)
_LOSS_WINDOWS = flags.DEFINE_integer(
    "loss_windows",
    128,
    "Held-out windows on which the loss recovered is measured; 0 leaves it out.",
    lower_bound=0,
    flag_values=FLAGS,
)

_KINDS = (refitted.LASSO, refitted.DEBIASED, refitted.K_LARGEST)


def run(arguments: Sequence[str]) -> None:
    """Measures a run on its held-out text, writes and prints the figures."""
    directory = directory_lib.RunDirectory(command.run_argument(arguments))
    directory.read_config()
    with directory.lock():
        found = evaluate(
            directory,
            progress.Stages(),
            k=_K.value,
            loss_windows=_LOSS_WINDOWS.value,
        )
    # As wide as the table, whatever the terminal: a narrow one wraps, a pipe does not.
    console = rich.console.Console(width=max(88, rich.console.Console().width))
    for part in tables(found):
        console.print(part)
    print(f"\nfigures  {directory.evaluation}")


def evaluate(
    directory: directory_lib.RunDirectory,
    stages: progress.Stages,
    *,
    k: int,
    loss_windows: int,
) -> dict:
    """Measures a run and writes `evaluation.json`.

    Returns:
      The content of the file.

    Raises:
      InputError: the run is not trained to its end, or nothing of it is held out.
    """
    trained = dictionary_file.load(directory.dictionary)
    with stages.stage("model", "loading the model"):
        opened = setup.with_masked_lm_head(
            setup.open_model(directory, directory.read_config())
        )
        windows = opened.windows()
    if not len(windows.held_out):
        raise InputError(
            f"Nothing of the text of {directory.path} is held out to measure on: it is "
            "one window long, or a single document. Train on a longer text."
        )
    with stages.stage("reconstruction", "held-out text") as show:
        measured = reconstruction.evaluate(opened, trained, windows, k=k, progress=show)
    recovered = None
    if loss_windows:
        with stages.stage("loss", "loss recovered") as show:
            recovered = _loss_recovered(
                opened, trained, windows, k=k, n=loss_windows, progress=show
            )
    found = _content(trained, measured, recovered, k=k) | {"seconds": stages.seconds}
    files.write_json(directory.evaluation, found)
    return found


def _loss_recovered(opened, trained, windows, *, k, n, progress):
    return loss_recovered.measure(
        loss_recovered.Subject(
            pretrained=opened.pretrained,
            tokenizer=opened.tokenizer,
            layers=trained.layers,
            layer_scale=trained.layer_scale,
            windows_per_batch=opened.config.windows_per_batch,
            seed=opened.config.seed,
        ),
        windows,
        loss_recovered.spread(windows.held_out, n=n),
        refitted.reconstructor(
            trained,
            solver=trained.solver(opened.config.solver),
            windows_per_batch=opened.config.windows_per_batch,
            k=k,
        ),
        mean_windows=loss_recovered.spread(windows.train, n=n),
        progress=progress,
    )


def _content(trained, measured, recovered, *, k: int) -> dict:
    def kind(name):
        figures = {
            field.name: report.by_layer(measured.codes[name], field.name)
            for field in dataclasses.fields(metrics.Figures)
        }
        if recovered is not None:
            figures["loss_recovered"] = report.plain(
                {"all": recovered[name].all, "per_layer": recovered[name].per_layer}
            )
        return figures

    duplicates = metrics.duplicates(trained.factors)
    content = {
        "schema": "tfvis-evaluation/1",
        "dictionary": trained.content_hash,
        "layers": trained.layers,
        "n_factors": len(trained.factors),
        "k": k,
        "codes": {name: kind(name) for name in _KINDS},
        "special_tokens_fvu": measured.special_tokens and measured.special_tokens.fvu,
        "density": measured.density,
        "duplicates": {
            "cosine_quantiles": dict(
                zip(
                    map(str, metrics.DUPLICATE_QUANTILES),
                    duplicates.quantiles,
                    strict=True,
                )
            ),
            "cosine_above": metrics.DUPLICATE_COSINE,
            "n_factors_above": duplicates.n_above,
        },
        "gap": {"mean": measured.gap_mean, "max": measured.gap_max},
        "loss": recovered
        and {
            "name": recovered[refitted.LASSO].loss,
            "n_tokens": recovered[refitted.LASSO].n_tokens,
            "original": recovered[refitted.LASSO].original,
            "mean_ablated": recovered[refitted.LASSO].mean_ablated,
            "reconstructed": {name: recovered[name].reconstructed for name in _KINDS},
        },
    }
    return report.plain(content)


def tables(found: dict) -> list[rich.table.Table | str]:
    """Returns what a person reads of the content of `evaluation.json`."""
    return [
        _layer_table(found),
        *_notes(found),
        "",
        _density_table(found["density"], n_factors=found["n_factors"]),
    ]


def _layer_table(found: dict) -> rich.table.Table:
    codes, k = found["codes"], found["k"]
    lasso = codes[refitted.LASSO]
    short = {
        refitted.LASSO: "lasso",
        refitted.DEBIASED: "refitted",
        refitted.K_LARGEST: f"k={k}",
    }
    # Heading, figure and format of each column after the first.
    columns = [
        *((f"FVU\n{short[kind]}", codes[kind]["fvu"], ".3f") for kind in _KINDS),
        ("L0\nlasso", lasso["l0"], ".1f"),
        (f"L0\nk={k}", codes[refitted.K_LARGEST]["l0"], ".1f"),
        ("alive\n", lasso["alive"], ".1%"),
    ]
    if found["loss"]:
        columns += [
            (f"recovered\n{short[kind]}", codes[kind]["loss_recovered"], ".3f")
            for kind in _KINDS
        ]
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("\nlayer", justify="right")
    for heading, _, _ in columns:
        table.add_column(heading, justify="right")
    for place, layer in enumerate(found["layers"]):
        cells = [_text(values["per_layer"][place], spec) for _, values, spec in columns]
        table.add_row(str(layer), *cells)
    table.add_section()
    table.add_row("all", *(_text(values["all"], spec) for _, values, spec in columns))
    return table


def _notes(found: dict) -> list[str]:
    lasso = found["codes"][refitted.LASSO]
    duplicates = found["duplicates"]
    quantiles = duplicates["cosine_quantiles"]
    notes = [
        f"{lasso['n_rows']['all']:,} held-out hidden states, padding and special "
        "tokens left out",
        f"lasso codes: cosine {_text(lasso['cosine']['all'], '.3f')}, relative bias "
        f"{_text(lasso['relative_bias']['all'], '.3f')}",
        f"special tokens apart: FVU {_text(found['special_tokens_fvu'], '.3f')}",
        f"duality gap: {_text(found['gap']['mean'], '.1e')} mean, "
        f"{_text(found['gap']['max'], '.1e')} worst",
        f"nearest other factor: cosine {_text(quantiles['0.5'], '.2f')} median, "
        f"{_text(quantiles['1.0'], '.2f')} largest; above "
        f"{duplicates['cosine_above']}: {duplicates['n_factors_above']} factors",
    ]
    if found["loss"]:
        notes.append(
            f"recovered: {found['loss']['name']}, over {found['loss']['n_tokens']:,} "
            "tokens; 1 the model as it is, 0 mean ablation"
        )
    return notes


def _density_table(density: dict, *, n_factors: int) -> rich.table.Table:
    """How many factors fire how often, one row for each bin from first to last used."""
    table = rich.table.Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("share of rows in which a factor fires", justify="right")
    table.add_column("factors", justify="right")
    table.add_column("")
    counts, edges = density["counts"], density["log10_edges"]
    used = [place for place, count in enumerate(counts) if count]
    bins = range(used[0], used[-1] + 1) if used else ()
    rows = [
        (f"{_percent(edges[place])} to {_percent(edges[place + 1])}", counts[place])
        for place in bins
    ]
    for share, count in [("never", density["n_silent"]), *rows]:
        table.add_row(share, f"{count:,}", "█" * round(30 * count / n_factors))
    return table


def _percent(log10_share: float) -> str:
    return f"{100 * 10**log10_share:.2g} %"


def _text(value: float | None, spec: str) -> str:
    return "n/a" if value is None else format(value, spec)


COMMAND = command.Command(
    name="evaluate",
    usage="RUN [--flags]",
    description=(
        "Measures a trained run on its held-out text: variance unexplained by the "
        "codes as inferred, refitted on their support, and cut to the k largest; "
        "factors per token; how much of the model's quality survives when a layer is "
        "replaced by its reconstruction; dead, rare and duplicate factors. Prints the "
        "figures and writes them to RUN/evaluation.json."
    ),
    flags=FLAGS,
    run=run,
)
