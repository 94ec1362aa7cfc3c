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

from tfvis_jax.pipeline.codes import write_codes
from tfvis_jax.pipeline.descriptions import write_descriptions
from tfvis_jax.pipeline.evaluation import evaluate
from tfvis_jax.pipeline.examples import collect_examples
from tfvis_jax.pipeline.export import export_site, site_data
from tfvis_jax.pipeline.hidden_states import store_hidden_states
from tfvis_jax.pipeline.labels import (
    ExportedPrompts,
    ImportedLabels,
    export_prompts,
    import_labels,
)
from tfvis_jax.pipeline.levels import measure_levels
from tfvis_jax.pipeline.live import live_worker
from tfvis_jax.pipeline.progress import Progress, silent
from tfvis_jax.pipeline.report import summary
from tfvis_jax.pipeline.terminal import bars, note
from tfvis_jax.pipeline.training import Interrupted, prepare, train

__all__ = [
    "ExportedPrompts",
    "ImportedLabels",
    "Interrupted",
    "Progress",
    "bars",
    "collect_examples",
    "evaluate",
    "export_prompts",
    "export_site",
    "import_labels",
    "live_worker",
    "measure_levels",
    "note",
    "prepare",
    "silent",
    "site_data",
    "store_hidden_states",
    "summary",
    "train",
    "write_codes",
    "write_descriptions",
]
