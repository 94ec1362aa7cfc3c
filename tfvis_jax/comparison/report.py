"""A comparison of dictionaries as a Markdown table and as a plot."""

import pathlib
from typing import Any

from tfvis_jax.comparison import ratios
from tfvis_jax.reporting import plot_style, tables


def table(document: dict[str, Any]) -> str:
    """Returns where it was measured, all rows, and ratios to the best autoencoder.

    Args:
      document: what `compare.compare` returns.
    """
    heads = ("method", "L0", "FVU", "FVU refitted", "loss recovered", "alive")
    heads += ("seconds", "rows seen", "learning rate", "seed", "agreement")
    rows = sorted(document["rows"], key=lambda row: row["target_l0"])
    cells = [
        (
            row["method"],
            f"{row['l0']:.1f}",
            f"{row['fvu']:.4f}",
            tables.or_dash(row["fvu_debiased"], ".4f"),
            tables.or_dash(row["loss_recovered"], ".4f"),
            f"{row['alive']:.1%}",
            f"{row['seconds']:.0f}",
            f"{row['rows_seen']:,}",
            tables.or_dash(row["learning_rate"], "g"),
            str(row["seed"]),
            tables.or_dash(row["agreement"], ".3f"),
        )
        for row in rows
    ]
    lines = [
        f"{document['n_rows']:,} {document['source']}; "
        f"{document['n_held_out_rows']:,} held out; "
        f"{document['config']['n_factors']:,} factors. {tables.where(document)}",
        "",
        tables.markdown(heads, cells),
    ]
    lines += _ratios(document["rows"])
    lines += _losses_per_layer(rows)
    return "\n".join(lines)


def draw(document: dict[str, Any], path: pathlib.Path) -> None:
    """Draws the error against L0: lower and further left is better.

    Args:
      document: what `compare.compare` returns.
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(1, 1, figsize=(7, 4.5))
    axis = axes[0, 0]
    colours = {
        "sparse_coding": plot_style.BLUE,
        "sae_batchtopk": plot_style.ORANGE,
        "sae_jumprelu": plot_style.GREEN,
        "sae_topk": plot_style.VERMILION,
        "sae_matryoshka": plot_style.PURPLE,
        "sae_relu": plot_style.SKY,
    }
    # Those that do not learn are grey.
    lines = {"random_factors": ":", "pca": "-."}
    # An untrained model has other hidden states.
    shown = [row for row in document["rows"] if row["method"] != "random_encoder"]
    for name in dict.fromkeys(row["method"] for row in shown):
        rows = [row for row in shown if row["method"] == name]
        rows = sorted(rows, key=lambda row: row["l0"])
        axis.plot(
            [row["l0"] for row in rows],
            [row["fvu"] for row in rows],
            marker="o",
            color=colours.get(name, plot_style.GREY),
            linewidth=2.6 if name == "sparse_coding" else 1.4,
            linestyle="-" if name in colours else lines.get(name, "--"),
            label=name.replace("_", " ").replace("sae", "SAE"),
        )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    ticks = sorted({row["target_l0"] for row in document["rows"]})
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    values = [row["fvu"] for row in shown]
    shares = [s for s in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8) if min(values) / 2 < s]
    axis.set_yticks(shares, [f"{share:.0%}" for share in shares])
    axis.set_xlabel("active factors in a hidden state (L0)")
    axis.set_ylabel("held-out variance unexplained")
    axis.set_title(f"{document['config']['n_factors']:,} factors, equal rows seen")
    figure.legend(loc="outside right upper")
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)


def _ratios(rows: list[dict[str, Any]]) -> list[str]:
    found = ratios.against_best_sae(rows)
    if not found:
        return []
    heads = ("sparse coding at L0", "FVU", "best SAE", "its FVU", "ratio")
    heads += ("best SAE, refitted", "its FVU", "ratio")
    cells = [
        (
            f"{entry['l0']:.1f}",
            f"{entry['fvu']:.4f}",
            entry["sae"],
            f"{entry['sae_fvu']:.4f}",
            f"{entry['ratio']:.2f}",
            entry["sae_debiased"],
            f"{entry['sae_fvu_debiased']:.4f}",
            f"{entry['ratio_debiased']:.2f}",
        )
        for entry in found
    ]
    return [
        "",
        "Against the best autoencoder, interpolated to the same L0",
        "",
        tables.markdown(heads, cells),
    ]


def _losses_per_layer(rows: list[dict[str, Any]]) -> list[str]:
    """Where a dictionary serves several layers: what each layer recovers."""
    rows = [row for row in rows if len(row["loss_recovered_per_layer"] or ()) > 1]
    if not rows:
        return []
    n_layers = len(rows[0]["loss_recovered_per_layer"])
    heads = ("loss recovered", "L0", *(f"{n + 1}. layer" for n in range(n_layers)))
    cells = [
        (
            row["method"],
            f"{row['l0']:.1f}",
            *(
                tables.or_dash(share, ".4f")
                for share in row["loss_recovered_per_layer"]
            ),
        )
        for row in rows
    ]
    return ["", tables.markdown(heads, cells)]
