"""The figures of a run, as files for a paper."""

import os
import pathlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from tfvis_jax import figures
from tfvis_jax.errors import InputError
from tfvis_jax.examples import passages
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import live
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.reporting import plot_style
from tfvis_jax.sparse_coding import checks

# Words on either side of one that fires a factor; the figure cuts them to its width.
_AROUND = 16
_LONGEST_NAME = 40


def draw_figures(
    directory: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    factors: Sequence[int] = (),
    sentences: Sequence[str] = (),
    contexts: int = 10,
    formats: Sequence[str] = plot_style.FORMATS,
    progress: progress_lib.Progress = progress_lib.silent,
) -> list[pathlib.Path]:
    """Draws the figures of a run: curves by level, densities, reconstruction, and those
    of chosen factors and sentences.

    Args:
      directory: of the run, with its examples.
      folder: where the files go; it is made.
      factors: of each, its curve and its contexts are drawn.
      sentences: of each, tokens × layers are drawn.
      contexts: contexts of a factor.
      formats: of "svg", "pdf" and "png".
      progress: hears of the stage "figures".

    Returns:
      The files.

    Raises:
      InputError: matplotlib is missing, the training of the run has not finished, it
        has no examples, there is no such factor or format, or a sentence cannot be
        encoded.
    """
    plot_style.check()
    checks.check_count("contexts", contexts)
    if unknown := [kind for kind in formats if kind not in plot_style.FORMATS]:
        raise InputError(f"Expected formats of {plot_style.FORMATS}, got {unknown}.")
    folder = pathlib.Path(folder)
    run = run_lib.load_run(directory)
    drawn = _drawn(run, factors=factors, sentences=sentences, contexts=contexts)
    total = 3 + len(factors) + len(sentences)
    for factor in factors:
        run.check_factor(factor)
    written: list[pathlib.Path] = []
    with progress_lib.Stages(progress).stage("figures") as show:
        for done, (name, figure) in enumerate(drawn, start=1):
            folder.mkdir(parents=True, exist_ok=True)
            written += plot_style.save_paper(figure, folder, name, formats=formats)
            show(done, total)
    return written


def _drawn(
    run: run_lib.Run,
    *,
    factors: Sequence[int],
    sentences: Sequence[str],
    contexts: int,
) -> "Iterator[tuple[str, plot_style.Figure]]":
    """Yields each figure with the name of its files."""
    layers, importance = run.trained.layers, run.importance()
    levels = [level.name for level in run.levels]
    yield (
        "importance-by-level",
        figures.importance_curves(importance, levels, layers=layers),
    )
    density = run.examples.density
    yield "density", figures.densities_by_level(density, importance, levels)
    report = run.report
    yield (
        "reconstruction",
        figures.reconstruction_by_layer(
            report["fvu"]["per_layer"], report["l0"]["per_layer"], layers=layers
        ),
    )
    reader = passages.Passages(run.windows, run.examples)
    for factor in factors:
        yield f"factor-{factor}", _context_panel(run, reader, factor, n=contexts)
    if sentences:
        encoder = live.RunEncoder(run)
        for place, text in enumerate(sentences, start=1):
            records = list(encoder.encode(text))
            figure = figures.sentence_grid(
                records, name=lambda factor: run.name(factor) or f"factor {factor}"
            )
            yield f"sentence-{place}-{_slug(text)}", figure


def _context_panel(
    run: run_lib.Run, reader: passages.Passages, factor: int, *, n: int
) -> "plot_style.Figure":
    curve = run.importance()[:, factor]
    index = int(np.argmax(curve))
    found = []
    for passage in reader.strongest(index, factor, n=n):
        before, word, after = reader.around(passage, n=_AROUND)
        found.append(
            figures.KeyWord(
                before=before, word=word, after=after, activation=passage.activation
            )
        )
    return figures.context_panel(
        factor,
        run.name(factor) or f"factor {factor}",
        found,
        layer=run.trained.layers[index],
        importance=curve.tolist(),
        layers=run.trained.layers,
        largest=float(run.examples.max_activation[:, factor].max()),
    )


def _slug(text: str) -> str:
    words = re.sub(r"[^\w]+", "-", text.lower()).strip("-")
    return words[:_LONGEST_NAME].strip("-") or "text"
