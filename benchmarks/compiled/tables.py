"""Tables of compiled programs, beside what the formulae say of them."""

from collections.abc import Sequence
from typing import Any

from tfvis_jax import config as config_lib
from tfvis_jax.models import bert
from tfvis_jax.planning import costs

BERT_BASE = bert.BertConfig(
    vocab_size=30522, d_model=768, n_layers=12, n_heads=12, d_hidden=3072
)
# From so many factors on, their codes are too large for a chip of 16 GiB.
_SPLIT_FROM, _SPLIT_OVER = 2**20, 8
# Below it an exchange is a number a row, a factor or a dimension.
_LARGE = 2**20
# In the program of a step for TPUs: the correlations of x; a solver step and a look, of
# two each, in bfloat16; a residual; both again in float32; residual and gradient.
_PRODUCTS = 12
# Of the prediction: rows in all, and solver steps of a dictionary step.
_TOTAL_ROWS, _STEPS = 1e12, 100


def settings(*, n_factors: int, data: int, rows: int) -> config_lib.RunConfig:
    """Returns a run with as many rows and windows for each device of the data axis."""
    default = config_lib.RunConfig.windows_per_batch
    return config_lib.RunConfig(
        model="BERT-base",
        corpus=config_lib.CorpusConfig(paths=("-",)),
        dictionary=config_lib.DictionaryConfig(n_factors=n_factors),
        windows_per_batch=default * data,
        rows_per_step=rows * data,
    )


def split_over(n_factors: int) -> int:
    """Returns over how many devices a dictionary is split; 1 where codes fit."""
    return _SPLIT_OVER if n_factors >= _SPLIT_FROM else 1


def programs(document: dict) -> str:
    """Returns the document as Markdown: a row for each program, beside the formulae.

    The encoder comes first, then the steps: the smallest slices, and factors, first.
    """
    lines = [
        "| slice | program | factors | mesh | MiB a chip | by formula | GFLOP | "
        "by formula | exchanged: each solver step | each look | once |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in sorted(document["programs"], key=_by_size):
        figures = each["figures"]
        cells = [
            each["topology"],
            each["program"],
            f"{each['n_factors']:,}" if each["program"] == "step" else "",
            f"data={each['data']}, factor={each['factor']}",
        ]
        if isinstance(figures, str):
            lines.append(f"| {' | '.join(cells)} | {figures.splitlines()[0]} |||||||")
            continue
        held = ("arguments", "results", "temporary", "code")
        num_bytes, flops = _formulae(each, rows=document["rows"])
        cells += [
            f"{sum(figures[part] for part in held) / 2**20:,.0f}",
            f"{num_bytes / 2**20:,.0f}",
            f"{figures['flops'] / 1e9:,.0f}",
            f"{flops / 1e9:,.0f}",
            *(_exchanged(figures["collectives"], loops) for loops in (2, 1, 0)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def prediction(*, rows: int, factors: Sequence[int]) -> str:
    """Returns by formula what a run of 10¹² rows takes, as Markdown.

    Args:
      rows: of a step, for each device of the data axis.
      factors: numbers of factors.
    """
    lines = [
        "| chips | factors | mesh | GiB a chip | rows a step | steps | TFLOP of a chip "
        "in a step | GiB exchanged in a step | FLOP in all |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for chips in (8, 64, 256):
        for n_factors in factors:
            factor = split_over(n_factors)
            mesh = costs.Mesh(chips // factor, factor, "tpu")
            config = settings(n_factors=n_factors, data=mesh.data, rows=rows)
            work = costs.work(config, BERT_BASE, mesh=mesh, solver_steps=_STEPS)
            num_bytes = costs.memory(config, BERT_BASE, mesh=mesh).peak
            num_steps = _TOTAL_ROWS / config.rows_per_step
            exchanged = work.exchanged_rows + work.exchanged_gradient
            lines.append(
                f"| {chips} | {n_factors:,} | data={mesh.data}, factor={mesh.factor} | "
                f"{num_bytes / 2**30:.2f} | {config.rows_per_step:,} | "
                f"{num_steps:.2g} | {work.flops / 1e12:,.2f} | "
                f"{exchanged / 2**30:.3f} | {work.flops * chips * num_steps:.2g} |"
            )
    return "\n".join(lines)


def _by_size(each: dict[str, Any]) -> tuple[str, bool, int, int]:
    generation = each["topology"].partition(":")[0]
    chips = each["data"] * each["factor"]
    return generation, each["program"] != "encoder", chips, each["n_factors"]


def _formulae(each: dict[str, Any], *, rows: int) -> tuple[float, float]:
    """Returns bytes and FLOPs of a program by formula, loops counted once."""
    mesh = costs.Mesh(each["data"], each["factor"], "tpu")
    config = settings(n_factors=each["n_factors"], data=each["data"], rows=rows)
    memory = costs.memory(config, BERT_BASE, mesh=mesh)
    if each["program"] == "encoder":
        tokens = config.windows_per_batch // each["data"] * config.corpus.window_length
        held = memory.weights + memory.hidden_states + memory.encoder_buffers
        return held, tokens * costs.encoder_flops(config, BERT_BASE)
    work = costs.work(config, BERT_BASE, mesh=mesh, solver_steps=0)
    held = memory.dictionary + memory.update_state + memory.rows + memory.codes
    product = work.update_flops / 2
    return held, _PRODUCTS * product


def _exchanged(collectives: list[list[Any]], loops: int) -> str:
    """Returns the large exchanges in so many loops; the revival's in brackets."""
    large = [c for c in collectives if c[2] == loops and c[1] >= _LARGE]
    texts = [f"{kind} {size / 2**20:,.1f} MiB" for kind, size, *_ in large]
    rare = [conditional for *_, conditional in large]
    return ", ".join(
        f"({text})" if seldom else text
        for text, seldom in zip(texts, rare, strict=True)
    )


def weak_scaling(measured: list[dict]) -> str:
    """Returns the figures as Markdown, each with its share of the first row's."""
    names = [name for name in measured[0] if name not in ("devices", "exchanged")]
    titles = [
        name.replace("_", " ").replace("traffic", "bytes moved") for name in names
    ]
    lines = [
        f"| devices | {' | '.join(titles)} | bytes exchanged in a step |",
        "|---" * (len(names) + 2) + "|",
    ]
    for each in measured:
        cells = [
            f"{each[name]:,.0f} ({each[name] / measured[0][name]:.3f})"
            for name in names
        ]
        lines.append(
            f"| {each['devices']} | {' | '.join(cells)} | {each['exchanged']:,} |"
        )
    return "\n".join(lines)
