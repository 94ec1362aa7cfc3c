"""Runs `--preset=paper` end to end on several architectures; a table of docs/models.md.

    python -m benchmarks.models.paper_preset --text=FILE --models=FOLDER,FOLDER

Every model gets a run with the published settings (`RunConfig.paper`): training,
examples, and a page with a sentence encoded. Three small models of random weights are
made for it, with tokenizers of the text; --models names others. The text, the rows and
the number of factors are small, so that the figures say that a model works and what it
costs, not how well it is explained. Times contain compilation.
"""

import dataclasses
import math
import pathlib
import tempfile
import time
from typing import Any, NamedTuple

from absl import flags

from benchmarks.models import marked, small_models
from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax import models, pipeline
from tfvis_jax.data import corpus
from tfvis_jax.errors import InputError
from tfvis_jax.models import registry
from tfvis_jax.reporting import environment, outputs, tables
from tfvis_jax.viewer import bundle

FLAGS = flags.FlagValues()
_TEXT = flags.DEFINE_string(
    "text", None, "File of text, as `tfvis train` reads it.", flag_values=FLAGS
)
_MODELS = flags.DEFINE_list(
    "models",
    [],
    "Folders of further models, beside the small random ones.",
    flag_values=FLAGS,
)
_SMALL = flags.DEFINE_list(
    "small",
    list(small_models.NAMES),
    "Small random models: types of small_models.NAMES.",
    flag_values=FLAGS,
)
_MAX_TOKENS = flags.DEFINE_integer(
    "max_tokens", 2000, "Tokens of the text.", lower_bound=500, flag_values=FLAGS
)
_ROWS = flags.DEFINE_integer(
    "rows",
    2000,
    "Hidden states of a pass, of which there are two.",
    lower_bound=100,
    flag_values=FLAGS,
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors", 500, "Factors; the paper has 2000.", lower_bound=1, flag_values=FLAGS
)
_WRITE = flags.DEFINE_bool("write", True, "Write docs/models.md.", flag_values=FLAGS)

_MARKS = "paper preset"
_SENTENCE = "The river left its bed."
# Of the text, for the vocabulary of a tokenizer.
_CHARACTERS = 200_000


class Measured(NamedTuple):
    """A run of the paper's preset.

    Attributes:
      model_type: its architecture.
      name: of the model's folder, "random" for a small random one.
      d_model: width of a hidden state.
      layers: that the preset takes.
      n_rows: hidden states seen, all passes together.
      fvu: fraction of variance unexplained, held-out text; all layers.
      l0: factors per hidden state, likewise.
      gap: mean relative duality gap.
      seconds: of training, examples and page.
    """

    model_type: str
    name: str
    d_model: int
    layers: tuple[int, ...]
    n_rows: int
    fvu: float
    l0: float
    gap: float
    seconds: tuple[float, float, float]


def settings(folder: pathlib.Path, text: str) -> config_lib.RunConfig:
    """Returns the preset for a model, with the sizes of the flags."""
    n_layers = models.read_config(folder).n_layers
    preset = config_lib.RunConfig.paper(
        model=str(folder),
        paths=(text,),
        n_layers=n_layers,
        max_tokens=_MAX_TOKENS.value,
    )
    available = _MAX_TOKENS.value * len(preset.layers_of(n_layers))
    return dataclasses.replace(
        preset,
        dictionary=dataclasses.replace(preset.dictionary, n_factors=_N_FACTORS.value),
        row_fraction=min(1.0, _ROWS.value / available),
        # A small batch is what a small text fills; it changes no result.
        windows_per_batch=8,
    )


def measure(run: pathlib.Path, config: config_lib.RunConfig, *, name: str) -> Measured:
    """Trains a run, collects its examples, writes its page.

    Args:
      run: folder of the run.
      config: its settings.
      name: of the model, in the table.

    Raises:
      InputError: what any of the steps raises.
    """
    begin = time.monotonic()
    report = pipeline.train(run, config)
    trained = time.monotonic()
    pipeline.collect_examples(run)
    collected = time.monotonic()
    site = pipeline.export_site(run, sentences=[_SENTENCE])
    end = time.monotonic()
    manifest = bundle.read(site, "data/manifest")
    assert manifest["layers"] == report["layers"], "the page is of another run"
    model = models.read_config(config.model)
    model_type, _ = registry.of_config(model)
    found = Measured(
        model_type=model_type,
        name=name,
        d_model=model.d_model,
        layers=tuple(report["layers"]),
        n_rows=report["n_rows"],
        fvu=report["fvu"]["all"],
        l0=report["l0"]["all"],
        gap=report["gap"]["mean"],
        seconds=(trained - begin, collected - trained, end - collected),
    )
    if not all(map(math.isfinite, (found.fvu, found.l0, found.gap))):
        raise InputError(f"Expected finite figures of {config.model}, got {found}.")
    return found


def table(found: list[Measured]) -> str:
    """Returns the rows as Markdown."""
    heads = ("Type", "Model", "d_model", "Layers", "Rows", "FVU", "L0", "Mean gap")
    rows = [
        [
            f"`{each.model_type}`",
            each.name,
            str(each.d_model),
            ", ".join(map(str, each.layers)),
            f"{each.n_rows:,}",
            f"{each.fvu:.3f}",
            f"{each.l0:.1f}",
            f"{each.gap:.1e}",
            *(f"{seconds:.0f} s" for seconds in each.seconds),
        ]
        for each in found
    ]
    return tables.markdown((*heads, "Training", "Examples", "Page"), rows, n_left=2)


def _sample(path: str) -> list[str]:
    """Returns the first documents of a text."""
    texts, size = [], 0
    for document in corpus.read_documents([path], notify=outputs.say):
        texts.append(document.text)
        size += len(document.text)
        if size >= _CHARACTERS:
            break
    return texts


def main() -> None:
    """Measures, prints, writes."""
    if _TEXT.value is None:
        raise InputError("Expected --text=FILE.")
    unknown = sorted(set(_SMALL.value) - set(small_models.NAMES))
    if unknown:
        raise InputError(
            f"Expected --small of {', '.join(small_models.NAMES)}, got {unknown[0]}."
        )
    document = environment.describe("benchmarks.models.paper_preset")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        chosen = [(name, root / name, "random") for name in _SMALL.value]
        for path in map(pathlib.Path, _MODELS.value):
            chosen.append((path.name, path, path.name))
        texts = _sample(_TEXT.value) if _SMALL.value else []
        for name, path, shown in chosen:
            outputs.say(f"{name} …")
            if shown == "random":
                small_models.save(path, name, texts)
            config = settings(path, _TEXT.value)
            found.append(measure(root / f"run-{name}", config, name=shown))
    text = f"{_caption(document)}\n\n{table(found)}"
    print(text)
    if _WRITE.value:
        marked.write(marked.PAGE, _MARKS, text)


def _caption(document: dict[str, Any]) -> str:
    return (
        f"{_N_FACTORS.value:,} factors in place of 2,000, {_MAX_TOKENS.value:,} tokens "
        f"of text. {tables.where(document)}"
    )


if __name__ == "__main__":
    script.run(main, FLAGS)
