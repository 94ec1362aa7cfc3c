"""`tfvis figures`: figures of a run for a paper."""

import pathlib
from collections.abc import Sequence

from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, shared_flags
from tfvis_jax.reporting import plot_style
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags()
_OUT = flags.DEFINE_string(
    "out", None, "Folder to write. (default: RUN/figures)", flag_values=FLAGS
)
_FORMAT = flags.DEFINE_list(
    "format",
    list(plot_style.FORMATS),
    "Formats, of svg, pdf and png.",
    flag_values=FLAGS,
)
_FACTOR = flags.DEFINE_list(
    "factor",
    [],
    "Factors to draw with their contexts, such as 13,406.",
    flag_values=FLAGS,
)
_SENTENCE = flags.DEFINE_multi_string(
    "sentence",
    [],
    "Sentence to draw, token by layer; may be given more than once.",
    flag_values=FLAGS,
)
_CONTEXTS = flags.DEFINE_integer(
    "contexts", 10, "Contexts of a factor.", lower_bound=1, flag_values=FLAGS
)


def main(arguments: Sequence[str]) -> None:
    """Draws the figures of a run."""
    directory = directory_lib.RunDirectory(
        run_argument.one(
            arguments, writes=_OUT.value is None, instead="give --out=FOLDER"
        )
    )
    directory.read_config()
    if unknown := [kind for kind in _FORMAT.value if kind not in plot_style.FORMATS]:
        raise command.UsageError(
            f"Expected --format of {','.join(plot_style.FORMATS)}, got "
            f"{','.join(unknown)}."
        )
    factors = shared_flags.numbers("factor", _FACTOR.value)
    plot_style.check()
    if _SENTENCE.value:
        devices.use_all_cores(quietly=True)
    with pipeline.bars() as progress:
        written = pipeline.draw_figures(
            directory.path,
            pathlib.Path(_OUT.value or directory.figures),
            factors=factors,
            sentences=_SENTENCE.value,
            contexts=_CONTEXTS.value,
            formats=_FORMAT.value,
            progress=progress,
        )
    for path in written:
        print(path)


COMMAND = command.Command(
    name="figures",
    usage="RUN [--flags]",
    description=(
        "Draws figures of a run for a paper: importance by level, densities, "
        "reconstruction by layer, and those of chosen factors and sentences. They are "
        "as wide as a column or a page, and their text is text. matplotlib draws them: "
        "pip install 'tfvis_jax[plots]'."
    ),
    flags=FLAGS,
    run=main,
)
