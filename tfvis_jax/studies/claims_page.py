"""One page of all claims, written from the results of the experiments.

Every figure on it is read from their JSON; none is typed by hand.
"""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import claims, tables

# Name of a results file → its title and what it asks; the order of the page.
SECTIONS: Mapping[str, tuple[str, str]] = {
    "left": (
        "Word senses: left",
        "The first level: low factors tell the senses of a word. The paper's example "
        "is whether “left” is a verb. Each figure of one factor stands beside the same "
        "figure of as many random directions, untrained sample factors, raw "
        "dimensions and the whole hidden state.",
    ),
    "left_gum": (
        "Word senses: left, in another corpus",
        "The same question in the GUM corpus of Universal Dependencies, which has "
        "other genres than Brown.",
    ),
    "ambiguous": (
        "Word senses: the thirty most ambiguous words",
        "One word may be luck. These are the words of Brown whose two most frequent "
        "parts of speech are closest in number.",
    ),
    "senses": (
        "Word senses: meanings",
        "Senses within one part of speech: *hard*, *interest*, *line*, *serve*.",
    ),
    "patterns": (
        "Sentence patterns",
        "The second level: factors of the middle layers are patterns of a sentence. "
        "Patterns are recognised by rules, so that shares, base rates and significance "
        "can be computed on all tokens.",
    ),
    "adversarial": (
        "Adversarial text",
        "The closer a text is to the pattern, the higher α: the paper shows it for one "
        "factor and eight texts (Table 4).",
    ),
    "levels": (
        "Levels",
        "The importance of low factors is largest in the first layers, that of mid "
        "factors in the middle, that of high factors in the last.",
    ),
    "layers": (
        "Layers",
        "One dictionary serves all layers, since each layer adds to what is below it.",
    ),
    "windows": (
        "Windows and special tokens",
        "The paper uses windows of 64 tokens without special tokens.",
    ),
    "stability": (
        "Stability",
        "Whether another seed or other text gives the same factors; the paper does not "
        "say.",
    ),
    "steering": (
        "Steering",
        "Whether the model uses a factor as its contexts suggest; the paper does not "
        "test it.",
    ),
}


# The table of claims and the reasons below it, as `claims.table` writes them.
_CLAIMS = re.compile(r"^\| Claim[^\n]*\n(?:\|[^\n]*\n)+\n(?:- [^\n]*(?:\n|$))*", re.M)


def read(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Reads the results in a folder, in the order of the page.

    Raises:
      InputError: the folder has none.
    """
    found = {
        name: files.read_json(folder / f"{name}.json")
        for name in SECTIONS
        if (folder / f"{name}.json").is_file()
    }
    if not found:
        raise InputError(
            f"Expected results of experiments in {folder}, such as left.json; "
            "found none. `make paper` runs them."
        )
    return found


def page(
    results: Mapping[str, dict[str, Any]],
    reports: Mapping[str, str],
    *,
    plots: Sequence[str],
    folder: str,
) -> str:
    """Returns the page as Markdown.

    Args:
      results: JSON of each experiment, from `read`.
      reports: Markdown of each experiment.
      plots: names of the experiments that have a plot.
      folder: where the plots lie, as links from the page see it.
    """
    every = {
        name: [claims.Claim.from_json(entry) for entry in document["claims"]]
        for name, document in results.items()
    }
    counts = [claim.verdict for found in every.values() for claim in found]
    tally = ", ".join(
        f"{counts.count(verdict)} {verdict}"
        for verdict in claims.VERDICTS
        if verdict in counts
    )
    first = next(iter(results.values()))
    parts = [
        "# The paper's claims",
        "Yun, Chen, Olshausen and LeCun (2021) read transformer factors by eye: low "
        "factors tell the senses of a word, middle ones are patterns of a sentence, "
        "high ones need long-range context. Here each claim is a measurement, with an "
        "interval, and with controls that have no factors or did not learn. "
        "`make paper` measures them and writes this page (`make -j2 paper` on two "
        "cores). The model is not the paper's, so that its figures cannot be compared "
        "one by one.",
        f"{tables.where(first)}",
        f"Of {len(counts)} claims: {tally}. A verdict is *holds* only if the interval "
        "is beyond every control; *not decided by this test* means that a control does "
        "as well.",
    ]
    heads = ["Experiment", "Claim", "Factors", "Verdict"]
    lines = [
        [
            SECTIONS[name][0],
            claim.claim,
            claims.figure(claim.ours, claim.interval),
            claim.verdict,
        ]
        for name, found in every.items()
        for claim in found
    ]
    parts += [tables.markdown(heads, lines, n_left=len(heads))]
    for name, found in every.items():
        title, asks = SECTIONS[name]
        parts += [f"## {title}", asks, claims.table(found)]
        if name in plots:
            parts += [f"![{title}]({folder}/{name}.png)"]
        parts += [_details(reports[name])]
    return "\n\n".join(parts) + "\n"


def _details(report: str) -> str:
    """Returns a report that opens on a click, without its claims: they stand above."""
    report = _CLAIMS.sub("", report)
    return (
        '<details markdown="1">\n<summary>All figures</summary>\n\n'
        f"{report.strip()}\n\n</details>"
    )
