"""A run in the forms of other tools.

Tables for analysts, features for Neuronpedia, activations for delphi, weights for
SAELens.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

import tfvis_jax
from tfvis_jax import files, models, sites
from tfvis_jax.description import (
    factor_description,
    factor_words,
    label_prompts,
    neighbours,
)
from tfvis_jax.errors import InputError
from tfvis_jax.examples import firing_statistics, passages
from tfvis_jax.interop import delphi, hooks, neuronpedia, row_tables, saelens_writer
from tfvis_jax.models import encoder, registry
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.runs import encoding
from tfvis_jax.sparse_coding import checks

FORMATS = (*row_tables.FORMATS, "neuronpedia", "delphi", "saelens")
# Those made of contexts, and those of which some layers may be written.
_OF_CONTEXTS = (*row_tables.FORMATS, "neuronpedia", "delphi")
OF_LAYERS = ("delphi", "saelens")
SCHEMA = "tfvis-tables/1"
_INDEX = "tfvis.json"
_WORDS, _NEAREST = 8, 10
# Of the bands below the strongest ones; as on the page.
_IN_BAND, _AT_RANDOM = 4, 5
# Of a longer text, windows at equal distances are encoded: a layer's firings are held
# in memory.
_MOST_TOKENS = 1_000_000


def export_tables(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str,
    contexts: int = 20,
    layers: Sequence[int] | None = None,
    progress: progress_lib.Progress = progress_lib.silent,
) -> pathlib.Path:
    """Writes a run in the form of another tool.

    ``csv`` and ``parquet`` are two tables: ``examples`` has a row for each context,
    with its band of α as on the page, and ``factors`` one for each factor and layer.
    ``neuronpedia`` and ``delphi`` are what `interop` says of them; for delphi, the
    corpus is encoded, or a million tokens of it. ``saelens`` is a folder for each
    layer, ``layer_4`` with our number of the layer, as `saelens_writer` writes it.

    Args:
      directory: of the run, with its examples unless weights are written.
      out: folder to write; an earlier one of this function is replaced.
      format: of `FORMATS`.
      contexts: strongest contexts per layer and factor.
      layers: those to write, of `OF_LAYERS`; all if None.
      progress: hears of the stage "tables", layer by layer.

    Returns:
      The folder.

    Raises:
      InputError: the run has no examples or no such layer, the format needs a package
        that is not there, or something else is in the folder.
    """
    checks.check_count("contexts", contexts, at_least=1)
    if format not in FORMATS:
        raise InputError(f"Expected a format of {', '.join(FORMATS)}, got {format!r}.")
    row_tables.check_format(format)
    folder = pathlib.Path(out).absolute()
    _check_replaceable(folder)
    run = run_lib.load_run(directory)
    # Before the work that would be in vain.
    if format in _OF_CONTEXTS:
        _ = run.examples
    if layers is not None and format not in OF_LAYERS:
        raise InputError(
            f"Expected `layers` with a format of {', '.join(OF_LAYERS)}, got them with "
            f"{format}, which has all layers."
        )
    chosen = run.trained.of_layers(layers).layers
    with (
        progress_lib.Stages(progress).stage("tables") as show,
        files.whole_folder(folder) as partial,
    ):
        index = {
            "schema": SCHEMA,
            "format": format,
            "run": run.directory.name,
            "dictionary_hash": run.trained.content_hash,
            "made_by": f"tfvis_jax {tfvis_jax.__version__}",
        }
        if format == "neuronpedia":
            _write_features(run, partial, contexts=contexts, show=show)
        elif format == "delphi":
            _write_codes(run, partial, chosen, show=show)
        elif format == "saelens":
            _write_weights(run, partial, chosen, show=show)
        else:
            for table in (
                _factor_table(run),
                _example_table(run, contexts=contexts, show=show),
            ):
                row_tables.write(partial, table, format=format)
        files.write_json(partial / _INDEX, index)
    return folder


def _check_replaceable(folder: pathlib.Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    # Any JSON may be there.
    with contextlib.suppress(
        OSError, ValueError, LookupError, TypeError, AttributeError
    ):
        found = json.loads((folder / _INDEX).read_bytes())
        if found["schema"].startswith("tfvis-tables/"):
            return
    raise InputError(
        f"Expected a new folder, or one that this command has written, got {folder}, "
        "which holds something else; choose another folder."
    )


def _factor_table(run: run_lib.Run) -> row_tables.Table:
    columns = {
        "factor": int,
        "layer": int,
        "importance": float,
        "density": float,
        "max_activation": float,
        "level": str,
        "label": str,
        "words": str,
    }

    def rows() -> Iterator[tuple[object, ...]]:
        found, importance = run.examples, run.importance()
        density, largest = found.density, found.max_activation
        for factor in range(len(run.trained.factors)):
            level, label = run.levels[factor].name, run.labels.get(factor)
            for index, layer in enumerate(run.trained.layers):
                at = (index, factor)
                words = run.words.at(index, factor, n=_WORDS) if density[at] else []
                yield (
                    *(factor, layer, float(importance[at]), float(density[at])),
                    *(float(largest[at]), level),
                    "" if label is None else label.at(layer).text,
                    ", ".join(word.text for word in words),
                )

    return row_tables.Table("factors", columns, rows())


def _example_table(
    run: run_lib.Run, *, contexts: int, show: Callable[[int, int], None]
) -> row_tables.Table:
    columns = {
        "factor": int,
        "layer": int,
        "band": str,
        "rank": int,
        "activation": float,
        "word": str,
        "left": str,
        "right": str,
        "document": str,
        "window": int,
        "copies": int,
    }
    reader = passages.Passages(run.windows, run.examples)
    upper, middle = passages.BANDS

    def bands(index: int, factor: int) -> dict[str, list[passages.Passage]]:
        n = min(contexts, _IN_BAND)
        return {
            "top": reader.strongest(index, factor, n=contexts),
            "90-99": reader.in_band(index, factor, band=upper, n=n),
            "50-90": reader.in_band(index, factor, band=middle, n=n),
            "random": reader.drawn(index, factor, n=min(contexts, _AT_RANDOM)),
        }

    def rows() -> Iterator[tuple[object, ...]]:
        layers = run.trained.layers
        for index, layer in enumerate(layers):
            show(index, len(layers))
            for factor in range(len(run.trained.factors)):
                for band, found in bands(index, factor).items():
                    for rank, passage in enumerate(found, start=1):
                        # As many words as the window has.
                        left, word, right = reader.around(
                            passage, n=run.windows.window_length
                        )
                        yield (
                            *(factor, layer, band, rank, passage.activation),
                            *(word, left, right),
                            reader.window(passage.window).document,
                            *(passage.window, passage.copies),
                        )
        show(len(layers), len(layers))

    return row_tables.Table("examples", columns, rows())


def _write_features(
    run: run_lib.Run,
    folder: pathlib.Path,
    *,
    contexts: int,
    show: Callable[[int, int], None],
) -> None:
    trained = run.trained
    for index, layer in enumerate(trained.layers):
        show(index, len(trained.layers))
        source = neuronpedia.Source(
            model=report_lib.model_name(trained.model),
            run=run.directory.name,
            layer=layer,
            site=trained.site,
            n_layers=run.opened.pretrained.config.n_layers,
            n_factors=len(trained.factors),
            d_model=trained.factors.shape[1],
            corpus=report_lib.corpus_name(run.config.corpus.paths),
            n_windows=len(run.windows),
            window_length=run.windows.window_length,
            created_by=f"tfvis_jax {tfvis_jax.__version__}",
        )
        neuronpedia.write(folder, source, _features(run, index, contexts=contexts))
    show(len(trained.layers), len(trained.layers))


def _write_weights(
    run: run_lib.Run,
    folder: pathlib.Path,
    layers: Sequence[int],
    *,
    show: Callable[[int, int], None],
) -> None:
    trained = run.trained
    model = registry.abstract(models.read_config(run.config.model))
    for number, layer in enumerate(layers):
        show(number, len(layers))
        saelens_writer.write(
            folder / f"layer_{layer}",
            trained,
            layer=layer,
            solver=run.config.solver,
            hook=_hook(model, layer, site=trained.site),
        )
    show(len(layers), len(layers))


def _hook(model: encoder.Encoder, layer: int, *, site: str) -> str | None:
    """Returns the name of a layer where it is not `hooks.hook_of`'s, a sum."""
    if layer == 0 or site != sites.HIDDEN:
        return None
    if not hasattr(model, "final_norm"):
        return hooks.hook_after_norm(layer)
    return "" if layer == model.config.n_layers else None


def _write_codes(
    run: run_lib.Run,
    folder: pathlib.Path,
    layers: Sequence[int],
    *,
    show: Callable[[int, int], None],
) -> None:
    trained, windows = run.trained, run.windows
    most = max(_MOST_TOKENS // windows.window_length, 1)
    spread = np.linspace(0, len(windows) - 1, min(most, len(windows)))
    chosen = np.unique(spread.round().astype(np.int64))
    for number, layer in enumerate(layers):
        show(number, len(layers))
        delphi.write_layer(
            folder,
            layer,
            _firings(run, layer, chosen),
            tokens=windows.token_ids(chosen),
            n_factors=len(trained.factors),
            config={
                "dataset_repo": report_lib.corpus_name(run.config.corpus.paths),
                "dataset_split": "train",
                "dataset_name": "",
                "dataset_column": "text",
                "batch_size": run.config.windows_per_batch,
                "cache_ctx_len": windows.window_length,
                "ctx_len": windows.window_length,
                "n_tokens": int(chosen.size * windows.window_length),
                "n_splits": delphi.N_FILES,
                "model_name": trained.model,
            },
        )
    show(len(layers), len(layers))


def _firings(
    run: run_lib.Run, layer: int, chosen: np.ndarray
) -> Iterator[delphi.Firings]:
    """Yields what fires at a layer, a batch of windows at a time."""
    one = run.trained.of_layers([layer])
    for batch, states in encoding.scaled_windows(run.opened, one, run.windows, chosen):
        [rows] = encoding.encode_layers(run.opened, one, batch, states)
        length = batch.row_mask.shape[1]
        codes = np.asarray(rows.codes)
        row, factor = np.nonzero(codes * np.asarray(rows.valid)[:, None])
        # Negative windows are padding of the last batch.
        real = batch.window_ids[row // length] >= 0
        row, factor = row[real], factor[real]
        yield delphi.Firings(
            window=np.searchsorted(chosen, batch.window_ids[row // length]),
            position=row % length,
            factor=factor,
            activation=codes[row, factor],
        )


def _features(
    run: run_lib.Run, index: int, *, contexts: int
) -> Iterator[neuronpedia.Feature]:
    """Yields every factor at a layer; one that does not fire has no windows."""
    trained, found = run.trained, run.examples
    layer, head = trained.layers[index], run.language_model_head
    firing = np.flatnonzero(found.firing[index]).tolist()
    records = label_prompts.records(
        run,
        firing,
        layer=layer,
        counts=label_prompts.WindowCounts(top=contexts, negative=0),
    )
    words = factor_words.FactorWords(run)
    fires = set(firing)
    for factor in range(len(trained.factors)):
        record = next(records) if factor in fires else None
        changed = None
        if record is not None and head is not None:
            changed = factor_description.vocabulary_of(run, factor, head, layer=layer)
        listed = words.at(index, factor, n=_WORDS) if record is not None else []
        label = run.labels.get(factor)
        yield neuronpedia.Feature(
            number=factor,
            largest=float(found.max_activation[index, factor]),
            density=float(found.density[index, factor]),
            histogram=_bars(found.histogram[index, factor]),
            nearest=[
                (other.factor, other.score)
                for other in neighbours.by_cosine(trained, factor, k=_NEAREST)
            ],
            raised=() if changed is None else changed.raised,
            lowered=() if changed is None else changed.lowered,
            description=(
                ", ".join(word.text for word in listed)
                if label is None
                else label.at(layer).text
            ),
            windows=[
                neuronpedia.Window(
                    tokens=example["tokens"], activations=example["activations"]
                )
                for example in ([] if record is None else record["examples"])
                if example["tokens"]
            ],
        )


def _bars(counts: np.ndarray) -> list[tuple[float, int]]:
    """Returns (α, number of tokens) of the bins that are not empty."""
    edges = firing_statistics.HISTOGRAM_EDGES
    return [
        (float(edges[place]), int(counts[place])) for place in np.flatnonzero(counts)
    ]
