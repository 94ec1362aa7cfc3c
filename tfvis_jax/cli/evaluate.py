"""`tfvis evaluate`: how good the dictionary of a run is, by every metric."""

from collections.abc import Sequence
from typing import Any

import rich.box
import rich.console
import rich.markup
import rich.table
from absl import flags

from tfvis_jax import pipeline, sites
from tfvis_jax.cli import command, devices, run_argument, shared_flags
from tfvis_jax.evaluation import parts, refitted, report
from tfvis_jax.pipeline.evaluation import KINDS
from tfvis_jax.pipeline.report import encoder_words, text
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags(compiles=True)
_K = flags.DEFINE_integer(
    "k",
    32,
    "Codes kept in each row for the metrics at a fixed number of them.",
    lower_bound=1,
    flag_values=FLAGS,
)
_LOSS_WINDOWS = flags.DEFINE_integer(
    "loss_windows",
    64,
    "Held-out windows on which the loss recovered is measured; 0 skips it.",
    lower_bound=0,
    flag_values=FLAGS,
)
_TEXT = flags.DEFINE_list(
    "text",
    [],
    "Another text to measure on, beside the held-out one: files, folders, globs or "
    "hf://NAME, separated by commas, as for `tfvis train`.",
    flag_values=FLAGS,
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "Labels of your own to probe, beside the sentences that tfvis brings: JSON lines "
    "of text, span and label, CoNLL-U, or word/TAG; a file or a folder.",
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out",
    None,
    "JSON file of the metrics. (default: RUN/evaluation.json)",
    flag_values=FLAGS,
)
_NUM_WORKERS = shared_flags.num_workers(FLAGS)


def main(arguments: Sequence[str]) -> None:
    """Measures a run on its held-out text, writes and prints the metrics."""
    directory = directory_lib.RunDirectory(
        run_argument.one(
            arguments, writes=_OUT.value is None, instead="give --out=FILE.json"
        )
    )
    directory.read_config()
    devices.use_all_cores()
    with pipeline.bars() as progress:
        found = pipeline.evaluate(
            directory,
            k=_K.value,
            loss_windows=_LOSS_WINDOWS.value,
            text=_TEXT.value or None,
            labels=_LABELS.value,
            out=_OUT.value,
            num_workers=_NUM_WORKERS.value,
            progress=progress,
            notify=pipeline.note,
        )
    # As wide as the table, whatever the terminal: a narrow one wraps, a pipe does not.
    console = rich.console.Console(width=max(88, rich.console.Console().width))
    for part in tables(found):
        console.print(part)
    print(f"\nmetrics  {_OUT.value or directory.evaluation}")


def tables(found: dict[str, Any]) -> list[rich.table.Table | str]:
    """Returns the content of `evaluation.json` as tables and lines of text."""
    return [
        _layer_table(found),
        *_notes(found),
        "",
        _density_table(found["density"], n_factors=found["n_factors"]),
        *_probing(found),
        *_other_texts(found),
    ]


def _layer_table(found: dict[str, Any]) -> rich.table.Table:
    codes, k = found["codes"], found["k"]
    lasso = codes[refitted.LASSO]
    short = {
        refitted.LASSO: _own(found),
        refitted.DEBIASED: "refitted",
        refitted.K_LARGEST: f"k={k}",
    }
    # Heading, metric and format of each column after the first.
    columns = [
        *((f"FVU\n{short[kind]}", codes[kind]["fvu"], ".3f") for kind in KINDS),
        (f"L0\n{_own(found)}", lasso["l0"], ".1f"),
        (f"L0\nk={k}", codes[refitted.K_LARGEST]["l0"], ".1f"),
        ("alive\n", lasso["alive"], ".1%"),
    ]
    if found["loss"]:
        columns += [
            (f"recovered\n{short[kind]}", codes[kind]["loss_recovered"], ".3f")
            for kind in KINDS
        ]
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("\nlayer", justify="right")
    for heading, _, _ in columns:
        table.add_column(heading, justify="right")
    for place, layer in enumerate(found["layers"]):
        cells = [text(values["per_layer"][place], spec) for _, values, spec in columns]
        table.add_row(str(layer), *cells)
    table.add_section()
    table.add_row("all", *(text(values["all"], spec) for _, values, spec in columns))
    return table


def _notes(found: dict[str, Any]) -> list[str]:
    lasso = found["codes"][refitted.LASSO]
    duplicates = found["duplicates"]
    quantiles = duplicates["cosine_quantiles"]
    notes = [
        f"{lasso['n_rows']['all']:,} {sites.WORDS[found.get('site', sites.HIDDEN)]} of "
        f"{report.held_out_words(found['held_out'])}; padding and special tokens "
        "excluded",
        f"FVU {report.with_interval(lasso['fvu'], '.3f')}, refitted "
        f"{report.with_interval(found['codes'][refitted.DEBIASED]['fvu'], '.3f')}, L0 "
        f"{report.with_interval(lasso['l0'], '.1f')}",
        report.about_intervals(found["n_documents"]),
        f"{_own(found)} codes: cosine {text(lasso['cosine']['all'], '.3f')}, relative "
        f"bias {text(lasso['relative_bias']['all'], '.3f')}",
        f"special tokens alone: FVU {text(found['special_tokens_fvu'], '.3f')}",
        _of_the_codes(found),
        f"nearest other factor: cosine {text(quantiles['0.5'], '.2f')} median, "
        f"{text(quantiles['1.0'], '.2f')} largest; above "
        f"{duplicates['cosine_above']}: {duplicates['n_factors_above']} factors",
    ]
    if found["loss"]:
        notes.append(
            f"recovered: {found['loss']['name']}, over {found['loss']['n_tokens']:,} "
            "tokens; 1 is the model as it is, 0 mean ablation"
        )
    return notes


def _own(found: dict[str, Any]) -> str:
    """Returns what the codes of the run are called, before any are refitted."""
    return "encoder" if found.get("encoder") else "lasso"


def _of_the_codes(found: dict[str, Any]) -> str:
    if found.get("encoder"):
        return encoder_words(found["encoder"])
    gap = found["gap"]
    return (
        f"duality gap: {text(gap['mean'], '.1e')} mean, "
        f"{text(gap['max'], '.1e')} largest"
    )


def _density_table(density: dict[str, Any], *, n_factors: int) -> rich.table.Table:
    """Returns how many factors fire how often, a row for each bin that is used."""
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


def _probing(found: dict[str, Any]) -> list[rich.table.Table | str]:
    """Returns what x, reconstruction, codes and residual tell, each alone."""
    shown: list[rich.table.Table | str] = []
    for name, each in found.get("probing", {}).items():
        counts = ", ".join(f"{n:,} {label}" for label, n in each["classes"].items())
        shown += [
            "",
            rich.markup.escape(
                f"probing {name}: {counts}; {each['n_documents']:,} documents"
            ),
            f"accuracy ± half the 95 % interval over documents; majority "
            f"{each['majority'][0]:.3f}",
        ]
        if each["note"]:
            shown.append(rich.markup.escape(each["note"]))
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in ("layer", *parts.PARTS, "residual's\nshare"):
            table.add_column(heading, justify="right")
        for place, layer in enumerate(each["layers"]):
            table.add_row(
                str(layer),
                *(_figure(each["accuracy"][part][place]) for part in parts.PARTS),
                text(each["residual_share"][place], ".2f"),
            )
        shown += [table, *_few_features(each)]
    return shown


def _few_features(each: dict[str, Any]) -> list[str]:
    """Returns the accuracy of a few factors and dimensions, at the best layer of each.

    The layer is that of the highest accuracy, which flatters both alike.
    """
    lines = []
    for part, name in ((parts.CODES, "factors"), (parts.X, "dimensions of x")):
        best = []
        for k, by_layer in each["sparse"][part].items():
            place = max(range(len(by_layer)), key=lambda at: by_layer[at][0])
            best.append(
                f"{k}: {by_layer[place][0]:.3f} (layer {each['layers'][place]})"
            )
        lines.append(f"{name}, best layer of k = {', '.join(best)}")
    return lines


def _figure(estimate: Sequence[float]) -> str:
    value, low, high = estimate
    return f"{value:.3f} ± {(high - low) / 2:.3f}"


def _other_texts(found: dict[str, Any]) -> list[rich.table.Table | str]:
    """Returns the metrics on other texts, below those on the held-out text."""
    if "texts" not in found:
        return []
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("text", overflow="fold")
    own = f"FVU {_own(found)}"
    headings = ["documents", own, "FVU refitted", "L0", "alive"]
    if not found.get("encoder"):
        headings.append("mean gap")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, each in {"held out": found, **found["texts"]}.items():
        lasso, debiased = (each["codes"][kind] for kind in KINDS[:2])
        cells = [
            f"{each['n_documents']:,}",
            report.with_interval(lasso["fvu"], ".3f"),
            report.with_interval(debiased["fvu"], ".3f"),
            report.with_interval(lasso["l0"], ".1f"),
            text(lasso["alive"]["all"], ".1%"),
            text(each["gap"]["mean"], ".1e"),
        ][: len(headings)]
        # An interval stands below its figure.
        table.add_row(
            rich.markup.escape(name), *(cell.replace(" [", "\n[") for cell in cells)
        )
    return ["", table]


def _percent(log10_share: float) -> str:
    return f"{100 * 10**log10_share:.2g} %"


COMMAND = command.Command(
    name="evaluate",
    usage="RUN [--flags]",
    description=(
        "Measures a trained run on its held-out text: variance unexplained by the "
        "codes as inferred, refitted on their support, and truncated to the k largest; "
        "factors per token; how much of the model's quality survives when a layer is "
        "replaced by its reconstruction; dead, rare and duplicate factors; what hidden "
        "states, reconstructions, codes and residuals tell of labelled words. --text "
        "measures another text beside it, --labels probes labels of your own. Prints "
        "the metrics, with intervals over documents, and writes them to "
        "RUN/evaluation.json, or --out."
    ),
    flags=FLAGS,
    run=main,
)
