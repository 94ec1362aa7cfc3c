"""Compares dictionaries on the same hidden states: held-out error against L0.

    python -m experiments.compare_dictionaries --run runs/demo --out compare.json
    python -m experiments.compare_dictionaries --activations rows.npy \
        --n_factors 1024 --l0 16,32,64 --out compare.json

Sparse coding, five kinds of sparse autoencoders, PCA, and dictionaries that learn
nothing get the same rows, equally often, and the same number of factors. With --run the
held-out rows are those of its held-out documents, and the model's own loss under each
reconstruction is measured too. Writes JSON, a Markdown table and a plot.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from absl import app, flags

from benchmarks import environment, outputs, plot_style, tables
from tfvis_jax import run_directory
from tfvis_jax.baselines import comparison, train_sae
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import loss_recovered
from tfvis_jax.training import dictionary_file, encoding, setup

_RUN = flags.DEFINE_string("run", None, "Finished run whose hidden states are used.")
_ACTIVATIONS = flags.DEFINE_string(
    "activations", None, "Rows instead of a run's: .npy of [rows, d_model]."
)
_HELD_OUT = flags.DEFINE_string(
    "held_out", None, "Rows to measure on; by default the last tenth of --activations."
)
_ROWS = flags.DEFINE_integer("rows", 60_000, "Rows to learn from.", lower_bound=2)
_LAYER = flags.DEFINE_integer("layer", None, "Of the run; all by default.")
_N_FACTORS = flags.DEFINE_integer("n_factors", 1024, "In each dictionary.")
_L0 = flags.DEFINE_list("l0", ["16", "32", "64"], "Mean numbers of active factors.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Every method is trained with each.")
_PASSES = flags.DEFINE_integer("passes", 10, "Times that each row is learnt from.")
_METHODS = flags.DEFINE_list("methods", list(comparison.METHODS), "What to compare.")
_RATES = flags.DEFINE_list(
    "learning_rates", [str(r) for r in train_sae.LEARNING_RATES], "Of autoencoders."
)
_LOSS_WINDOWS = flags.DEFINE_integer(
    "loss_windows", 64, "Windows to measure the model's loss on; 0 leaves it out."
)
_OUT = flags.DEFINE_string("out", None, "JSON file to write.", required=True)

_HELD_OUT_SHARE = 0.1
_MAX_HELD_OUT = 16_384


@dataclasses.dataclass(frozen=True)
class Data:
    """Rows to learn from and to measure on.

    Attributes:
      x: [rows, d_model] float32.
      held_out: [held-out rows, d_model] float32.
      source: where they come from, in words.
      loss: the share of the model's loss that a reconstruction recovers, where there
        is a model.
    """

    x: np.ndarray
    held_out: np.ndarray
    source: str
    loss: Callable[[comparison.Candidate], float] | None = None


def main(argv: Sequence[str]) -> None:
    """Fits, measures, prints a table, writes JSON, Markdown and a plot."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    try:
        out = pathlib.Path(_OUT.value)
        if out.suffix != ".json":
            raise InputError(f"Expected --out to end in .json, got {out}.")
        config = comparison.ComparisonConfig(
            methods=tuple(_METHODS.value),
            n_factors=_N_FACTORS.value,
            target_l0=_numbers("l0", _L0.value, int),
            seeds=_numbers("seeds", _SEEDS.value, int),
            num_passes=_PASSES.value,
            learning_rates=_numbers("learning_rates", _RATES.value, float),
        )
        data = _load()
        document = environment.describe("experiments.compare_dictionaries")
        document |= {
            "source": data.source,
            "config": dataclasses.asdict(config),
            "n_rows": len(data.x),
            "n_held_out_rows": len(data.held_out),
            "rows": [],
        }
        for candidate in comparison.candidates(data.x, config, progress=outputs.say):
            row = comparison.measure(candidate, data.held_out)
            row["loss_recovered"] = data.loss(candidate) if data.loss else None
            document["rows"].append(row)
            outputs.say(
                f"  FVU {row['fvu']:.4f}, refitted {row['fvu_debiased']:.4f} at L0 "
                f"{row['l0']:.1f}, {row['alive']:.1%} alive, {row['seconds']:.0f} s"
            )
    except InputError as error:
        raise SystemExit(f"compare_dictionaries: {error}") from error
    document["rows"] = [_plain(row) for row in document["rows"]]
    text = _table(document)
    print(text)
    outputs.write(out, document, text, draw=_draw)


def _load() -> Data:
    if (_RUN.value is None) == (_ACTIVATIONS.value is None):
        raise InputError("Expected either --run or --activations.")
    if _RUN.value is not None:
        return _from_run(pathlib.Path(_RUN.value))
    rows = _read(_ACTIVATIONS.value)
    if _HELD_OUT.value is not None:
        held_out = _read(_HELD_OUT.value)
    else:
        first = len(rows) - max(1, int(len(rows) * _HELD_OUT_SHARE))
        rows, held_out = rows[:first], rows[first:]
    if rows.shape[1] != held_out.shape[1]:
        raise InputError(
            "Expected rows to learn from and to measure on of one d_model, got "
            f"{rows.shape[1]} and {held_out.shape[1]}."
        )
    return Data(
        x=_float32(rows[: _ROWS.value], _ACTIVATIONS.value),
        held_out=_float32(held_out[:_MAX_HELD_OUT], _HELD_OUT.value or "the last rows"),
        source=f"rows of {pathlib.Path(_ACTIVATIONS.value).name}",
    )


def _from_run(path: pathlib.Path) -> Data:
    directory = run_directory.RunDirectory(path)
    if not directory.config_path.is_file():
        raise InputError(f"{path} is not a run. `tfvis demo {path}` makes one.")
    trained = dictionary_file.load(directory.dictionary)
    opened = setup.open_model(directory, directory.read_config())
    if _LAYER.value is not None:
        if _LAYER.value not in trained.layers:
            raise InputError(
                f"Expected --layer among {trained.layers}, got {_LAYER.value}."
            )
        index = trained.layers.index(_LAYER.value)
        trained = dataclasses.replace(
            trained,
            layers=(_LAYER.value,),
            layer_scale=trained.layer_scale[index : index + 1],
        )
    windows = opened.windows()
    if not len(windows.held_out):
        raise InputError(f"Nothing of the text of {path} is held out to measure on.")
    layers = ", ".join(map(str, trained.layers))
    return Data(
        x=encoding.sample_rows(
            opened, trained, windows, windows.train, count=_ROWS.value
        ),
        held_out=encoding.sample_rows(
            opened, trained, windows, windows.held_out, count=_MAX_HELD_OUT
        ),
        source=f"hidden states of {opened.pretrained.name}, layers {layers}",
        loss=_loss(opened, trained, windows) if _LOSS_WINDOWS.value else None,
    )


def _loss(opened, trained, windows) -> Callable[[comparison.Candidate], float]:
    subject = loss_recovered.Subject(
        pretrained=setup.with_masked_lm_head(opened).pretrained,
        tokenizer=opened.tokenizer,
        layers=trained.layers,
        layer_scale=trained.layer_scale,
        windows_per_batch=min(32, _LOSS_WINDOWS.value),
    )

    def measure(candidate: comparison.Candidate) -> float:
        return loss_recovered.measure(
            subject,
            windows,
            loss_recovered.spread(windows.held_out, n=_LOSS_WINDOWS.value),
            lambda _, x: candidate.method.reconstruct(x),
            mean_windows=loss_recovered.spread(windows.train, n=_LOSS_WINDOWS.value),
        ).all

    return measure


def _read(path: str) -> np.ndarray:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
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


def _numbers(name: str, texts: list[str], kind: type) -> tuple:
    try:
        return tuple(kind(text) for text in texts)
    except ValueError as error:
        raise InputError(f"Expected --{name} as numbers, got {texts}.") from error


def _plain(row: dict) -> dict:
    """JSON has no NaN."""
    return {key: None if value != value else value for key, value in row.items()}


def _table(document: dict) -> str:
    heads = ("method", "L0", "FVU", "FVU refitted", "loss recovered", "alive")
    heads += ("seconds", "rows seen", "learning rate", "seed")
    rows = sorted(document["rows"], key=lambda row: row["target_l0"])
    cells = [
        (
            row["method"],
            f"{row['l0']:.1f}",
            f"{row['fvu']:.4f}",
            _or_dash(row["fvu_debiased"], ".4f"),
            _or_dash(row["loss_recovered"], ".4f"),
            f"{row['alive']:.1%}",
            f"{row['seconds']:.0f}",
            f"{row['rows_seen']:,}",
            _or_dash(row["learning_rate"], "g"),
            str(row["seed"]),
        )
        for row in rows
    ]
    return "\n".join(
        [
            f"{document['n_rows']:,} {document['source']}; "
            f"{document['n_held_out_rows']:,} held out; "
            f"{document['config']['n_factors']:,} factors. "
            f"{tables.where(document)}",
            "",
            tables.markdown(heads, cells),
        ]
    )


def _or_dash(value, spec):
    return "–" if value is None else format(value, spec)


def _draw(document: dict, path: pathlib.Path) -> None:
    """Draws the error against L0: lower and further left is better."""
    figure, axes = plot_style.subplots(1, 1, figsize=(7, 4.5))
    axis = axes[0, 0]
    colours = (plot_style.BLUE, plot_style.ORANGE, plot_style.GREEN)
    colours += (plot_style.VERMILION, plot_style.PURPLE, plot_style.SKY)
    for index, name in enumerate(dict.fromkeys(r["method"] for r in document["rows"])):
        rows = [row for row in document["rows"] if row["method"] == name]
        ours = name == "sparse_coding"
        key = "fvu_debiased" if name.endswith("_factors") or ours else "fvu"
        rows = sorted(rows, key=lambda row: row["l0"])
        colour = (*colours, *[plot_style.GREY] * 9)[index]
        axis.plot(
            [row["l0"] for row in rows],
            [row[key] for row in rows],
            marker="o",
            color=colour,
            linewidth=2.6 if ours else 1.4,
            linestyle="-" if index < len(colours) else ("--", ":", "-.")[index % 3],
            label=name.replace("_", " ").replace("sae", "SAE"),
        )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    ticks = sorted({row["target_l0"] for row in document["rows"]})
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    values = [row["fvu"] for row in document["rows"]]
    shares = [s for s in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8) if min(values) / 2 < s]
    axis.set_yticks(shares, [f"{share:.0%}" for share in shares])
    axis.set_xlabel("active factors in a hidden state (L0)")
    axis.set_ylabel("held-out variance unexplained")
    axis.set_title(f"{document['config']['n_factors']:,} factors, equal rows seen")
    figure.legend(loc="outside right upper")
    plot_style.footnote(figure, f"{document['source']}; {tables.where(document)}")
    plot_style.save(figure, path)


if __name__ == "__main__":
    app.run(main)
