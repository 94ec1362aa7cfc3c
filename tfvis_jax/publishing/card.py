"""The model card of a published run, its README.md."""

import json
from collections.abc import Iterator
from typing import Any

from tfvis_jax import sites
from tfvis_jax.evaluation import report as evaluation_report
from tfvis_jax.publishing.options import Options
from tfvis_jax.reporting import tables

_METRICS = (
    ("variance unexplained (FVU)", "fvu", ".3f"),
    ("FVU with codes refitted", "fvu_debiased", ".3f"),
    ("factors per token (L0)", "l0", ".1f"),
)


def of_report(report: dict[str, Any], repo: str, *, options: Options) -> str:
    """Returns the card: what it is, figures with intervals, data, how to load it.

    Args:
      report: of the run, without paths of this machine.
      repo: name of the repository.
      options: what is published.
    """
    return "\n".join([*_head(report, options), *_body(report, repo, options)]) + "\n"


def _head(report: dict[str, Any], options: Options) -> Iterator[str]:
    yield "---"
    # JSON's strings are YAML's, so that a name cannot add a field.
    yield f"license: {json.dumps(options.licence or 'unknown')}"
    yield 'library_name: "tfvis_jax"'
    yield 'tags: ["interpretability", "sparse-coding", "dictionary-learning"]'
    if not report["model"].startswith("."):
        yield f"base_model: {json.dumps(report['model'])}"
    yield "---"


def _body(report: dict[str, Any], repo: str, options: Options) -> Iterator[str]:
    model, rows = report["model"], _rows(report)
    yield f"# {_plain(repo)}"
    yield ""
    imported = bool(report.get("encoder"))
    kind = "sparse autoencoder" if imported else "dictionary"
    source = (
        "It was trained elsewhere and imported by tfvis_jax; imported.json says from "
        "where."
        if imported
        else "Made with tfvis_jax; the method is of Yun, Chen, Olshausen and LeCun "
        "(2021)."
    )
    yield (
        f"A {kind} of {report['n_factors']:,} transformer factors of the {rows} of "
        f"{_code(model)} at layers {report['layers']}: each of them is a sparse, "
        f"non-negative sum of factors. {source}"
    )
    yield ""
    yield "## Load"
    yield ""
    yield "```python"
    yield "import tfvis_jax"
    is_local = model.startswith(".")
    given = ', model="FOLDER OR HUB NAME OF THE MODEL"' if is_local else ""
    yield f"run = tfvis_jax.load_run({json.dumps(f'hf://{repo}')}{given})"
    yield 'run.encode("The left bank of the river")'
    yield "```"
    yield ""
    if is_local:
        yield (
            "The model was read from a local folder; `model.json` has the checksum of "
            "its weights, and another model is refused."
        )
        yield ""
    if not options.examples:
        yield (
            "The text is not here, so neither are examples of factors: `run.factor(12)"
            ".vector` and codes of new text work, what shows contexts does not."
        )
        yield ""
    yield "## Figures"
    yield ""
    layers = [f"layer {layer}" for layer in report["layers"]]
    metrics = [each for each in _METRICS if each[1] in report]
    table = [
        [
            title,
            evaluation_report.with_interval(report[name], spec),
            *(
                evaluation_report.with_interval(report[name], spec, layer=place)
                for place in range(len(layers))
            ),
        ]
        for title, name, spec in metrics
    ]
    yield tables.markdown(["on held-out text", "all layers", *layers], table)
    yield ""
    yield f"{evaluation_report.about_intervals(_n_documents(report))}."
    alive = report.get("alive")
    if alive is not None:
        yield f"{alive:.1%} of the factors fire on held-out text."
    yield ""
    yield "## Data"
    yield ""
    yield f"* text: {', '.join(_code(path) for path in report['corpus'])}"
    yield f"* tokens: {report['n_tokens']:,}"
    if "held_out" in report:
        measured = evaluation_report.held_out_words(report["held_out"])
        yield f"* figures: of {report['n_held_out_rows']:,} {rows} of {measured}"
    if report.get("encoder"):
        yield "* codes: by the encoder of an imported autoencoder, which has no λ"
    elif "l1_penalty" in report:
        yield f"* λ: {report['l1_penalty']:.4g}"
    if "versions" in report:
        named = ", ".join(f"{n} {v}" for n, v in sorted(report["versions"].items()))
        yield f"* made with: {_plain(named)}"
    yield f"* licence: {options.licence or 'not stated; ask the author'}"


def _rows(report: dict[str, Any]) -> str:
    return sites.WORDS[report.get("site", sites.HIDDEN)]


def _n_documents(report: dict[str, Any]) -> int:
    found = report.get("n_measured_documents")
    return found if isinstance(found, int) else 0


def _code(text: str) -> str:
    """Returns a name in code marks, on one line."""
    return f"`{' '.join(text.replace('`', ' ').split()) or 'not named'}`"


def _plain(text: str) -> str:
    """Returns text that Markdown and HTML show as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#&" else c for c in text)
