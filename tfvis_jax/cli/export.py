"""`tfvis export`: the page of a run, as files."""

import pathlib
from collections.abc import Sequence

import numpy as np
from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, shared_flags
from tfvis_jax.errors import command_line
from tfvis_jax.evaluation import matching
from tfvis_jax.pipeline import exchange
from tfvis_jax.viewer import bundle, single_file, sizes
from tfvis_jax.viewer import sentences as sentences_lib

FLAGS = command.new_flags(compiles=True)
_CONTEXTS = flags.DEFINE_integer(
    "contexts", 20, "Contexts per layer and factor.", lower_bound=1, flag_values=FLAGS
)

_SENTENCES = flags.DEFINE_string(
    "sentences",
    None,
    "Text file with sentences, one a line; the page shows their factors without a "
    "server.",
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out", None, "Folder of the page. (default: RUN/site)", flag_values=FLAGS
)
_BESIDE = flags.DEFINE_string(
    "beside",
    None,
    "Another run of the same model and layers: the page compares the factors of both.",
    flag_values=FLAGS,
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    None,
    "Processes that write the page; each takes memory. (default: one a core for a "
    "large page)",
    lower_bound=1,
    flag_values=FLAGS,
)
_SINGLE_FILE = flags.DEFINE_bool(
    "single_file",
    False,
    "Also write the page as one HTML file beside its folder, for a small run.",
    flag_values=FLAGS,
)
_FORMAT = flags.DEFINE_enum(
    "format",
    "page",
    ["page", *exchange.FORMATS],
    "csv, parquet: tables of factors and of their contexts. neuronpedia: what "
    "Neuronpedia imports. delphi: the activations of the corpus, as delphi caches "
    "them. saelens: folders of weights, one a layer. These need --out.",
    flag_values=FLAGS,
)
_LAYERS = flags.DEFINE_list(
    "layers",
    [],
    "Layers to write with --format=saelens or delphi, such as 0,4. (default: all)",
    flag_values=FLAGS,
)
# What makes a page and nothing else.
_OF_PAGES = ("sentences", "beside", "num_workers", "single_file")


def main(arguments: Sequence[str]) -> None:
    """Writes the site of a run, or its tables."""
    path = run_argument.one(
        arguments, writes=_OUT.value is None, instead="give --out=FOLDER"
    )
    if _FORMAT.value != "page":
        _write_tables(path)
        return
    _check_layers()
    name = _SENTENCES.value
    sentences = sentences_lib.read_texts(name) if name else []
    devices.use_all_cores(quietly=True)
    with pipeline.bars() as progress:
        folder = pipeline.export_site(
            path,
            contexts=_CONTEXTS.value,
            sentences=sentences,
            out=_OUT.value,
            beside=_BESIDE.value,
            num_workers=_NUM_WORKERS.value,
            progress=progress,
            on_estimate=lambda found: _show("estimated", found),
        )
    _show("written", sizes.measure(folder))
    if _SINGLE_FILE.value:
        file = folder.with_name(f"{folder.name}.html")
        single_file.write(folder, file)
        print(f"one file {file}   {file.stat().st_size / 1e6:.1f} MB")
    if _BESIDE.value is not None:
        print(f"beside   {_found_twice(folder)}")
    print(f"page     {folder / 'index.html'}")
    if _OUT.value is None:
        print(f"next     {command_line('view', path)}")


def _write_tables(path: pathlib.Path) -> None:
    if _OUT.value is None:
        raise command.UsageError("Expected --out, the folder to write to.")
    if given := [f"--{name}" for name in _OF_PAGES if FLAGS[name].present]:
        raise command.UsageError(
            f"Expected {', '.join(given)} with --format=page alone, got "
            f"--format={_FORMAT.value}."
        )
    _check_layers()
    devices.use_all_cores(quietly=True)
    with pipeline.bars() as progress:
        folder = pipeline.export_tables(
            path,
            _OUT.value,
            format=_FORMAT.value,
            contexts=_CONTEXTS.value,
            layers=shared_flags.numbers("layers", _LAYERS.value) or None,
            progress=progress,
        )
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        size = file.stat().st_size / 1e6
        print(f"{size:>8.2f} MB  {file.relative_to(folder)}")
    print(f"\ntables   {folder}")


def _check_layers() -> None:
    if _LAYERS.value and _FORMAT.value not in exchange.OF_LAYERS:
        raise command.UsageError(
            f"Expected --layers with --format={' or '.join(exchange.OF_LAYERS)}, got "
            f"--format={_FORMAT.value}, which has all layers."
        )


def _show(title: str, found: list[sizes.Size]) -> None:
    """Prints a table of sizes."""
    rows = [*found, sizes.Size("in all", *_total(found))]
    print(f"{title:<26} {'files':>6} {'MB':>8}")
    for row in rows:
        print(f"  {row.what:<24} {row.files:>6,} {row.size / 1e6:>8.2f}")
    print(flush=True)


def _found_twice(folder: pathlib.Path) -> str:
    """Returns how many living factors of a run have one like them in another."""
    found = bundle.read(folder, "data/beside")
    peaks = bundle.read(folder, "data/index")["peak"]
    alive = [factor for factor, peak in enumerate(peaks) if peak is not None]
    cosine = np.array(found["cosine"])[alive]
    return (
        f"{np.mean(cosine >= matching.SAME):.0%} of {len(cosine):,} factors were found "
        f"twice (cosine of at least {matching.SAME} with one of {found['title']}; "
        f"median {np.median(cosine):.2f}, by chance {found['by_chance']})"
    )


def _total(found: list[sizes.Size]) -> tuple[int, int]:
    return sum(row.files for row in found), sum(row.size for row in found)


COMMAND = command.Command(
    name="export",
    usage="RUN [--flags]",
    description=(
        "Writes RUN/site, a page that opens with a double-click and from any web "
        "server, without a network. With --format, writes the factors and their "
        "contexts for other tools instead."
    ),
    flags=FLAGS,
    run=main,
)
