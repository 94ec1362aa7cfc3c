"""The steps of a run as functions: text in, a dictionary, its examples and a page out.

    from tfvis_jax import config, pipeline

    settings = config.RunConfig(
        model="bert-base-uncased", corpus=config.CorpusConfig(paths=("text/",))
    )
    report = pipeline.train("runs/mine", settings)
    pipeline.collect_examples("runs/mine")
    pipeline.measure_levels("runs/mine")
    pipeline.export_site("runs/mine")

Each takes the run's directory, holds its lock while it writes, and resumes where an
earlier call stopped. They are silent unless given a `Progress`, such as that of `bars`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvis_jax.pipeline.codes import write_codes
    from tfvis_jax.pipeline.completion import (
        changed_since_page,
        has_examples,
        has_page,
        make_examples,
        make_page,
    )
    from tfvis_jax.pipeline.descriptions import write_descriptions
    from tfvis_jax.pipeline.evaluation import evaluate
    from tfvis_jax.pipeline.examples import collect_examples
    from tfvis_jax.pipeline.exchange import export_tables
    from tfvis_jax.pipeline.export import export_site, site_data
    from tfvis_jax.pipeline.figures import draw_figures
    from tfvis_jax.pipeline.hidden_states import store_hidden_states
    from tfvis_jax.pipeline.importing import import_autoencoder, import_dictionary
    from tfvis_jax.pipeline.labelling import (
        Budget,
        LabelledFactors,
        ScoredLabels,
        label_factors,
        score_labels,
    )
    from tfvis_jax.pipeline.labels import (
        ExportedPrompts,
        ImportedLabels,
        export_prompts,
        import_labels,
    )
    from tfvis_jax.pipeline.levels import measure_levels
    from tfvis_jax.pipeline.live import live_worker, note_store, rating_store
    from tfvis_jax.pipeline.progress import Progress, silent
    from tfvis_jax.pipeline.report import summary
    from tfvis_jax.pipeline.terminal import bars, note
    from tfvis_jax.pipeline.training import Interrupted, prepare, train
    from tfvis_jax.pipeline.trial import TextBudget, Trial, run_trial, text_within

# Where each name lives, as above: a command imports the steps that it takes.
_HOMES = {
    "codes": ("write_codes",),
    "completion": (
        "changed_since_page",
        "has_examples",
        "has_page",
        "make_examples",
        "make_page",
    ),
    "descriptions": ("write_descriptions",),
    "evaluation": ("evaluate",),
    "examples": ("collect_examples",),
    "exchange": ("export_tables",),
    "export": ("export_site", "site_data"),
    "figures": ("draw_figures",),
    "hidden_states": ("store_hidden_states",),
    "importing": ("import_autoencoder", "import_dictionary"),
    "labelling": (
        "Budget",
        "LabelledFactors",
        "ScoredLabels",
        "label_factors",
        "score_labels",
    ),
    "labels": ("ExportedPrompts", "ImportedLabels", "export_prompts", "import_labels"),
    "levels": ("measure_levels",),
    "live": ("live_worker", "note_store", "rating_store"),
    "progress": ("Progress", "silent"),
    "report": ("summary",),
    "terminal": ("bars", "note"),
    "training": ("Interrupted", "prepare", "train"),
    "trial": ("TextBudget", "Trial", "run_trial", "text_within"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Budget",
    "ExportedPrompts",
    "ImportedLabels",
    "Interrupted",
    "LabelledFactors",
    "Progress",
    "ScoredLabels",
    "TextBudget",
    "Trial",
    "bars",
    "changed_since_page",
    "collect_examples",
    "draw_figures",
    "evaluate",
    "export_prompts",
    "export_site",
    "export_tables",
    "has_examples",
    "has_page",
    "import_autoencoder",
    "import_dictionary",
    "import_labels",
    "label_factors",
    "live_worker",
    "make_examples",
    "make_page",
    "measure_levels",
    "note",
    "note_store",
    "prepare",
    "rating_store",
    "run_trial",
    "score_labels",
    "silent",
    "site_data",
    "store_hidden_states",
    "summary",
    "text_within",
    "train",
    "write_codes",
    "write_descriptions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
