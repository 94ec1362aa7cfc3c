"""`tfvis codes`: the codes of any text, as files."""

import pathlib
from collections.abc import Sequence

from absl import flags

from tfvis_jax import pipeline, sharding
from tfvis_jax.cli import command, devices, run_argument, shared_flags
from tfvis_jax.codes import stored

FLAGS = command.new_flags(compiles=True)
devices.define(FLAGS)
_TEXT = flags.DEFINE_list(
    "text",
    [],
    "Text to encode: files, folders, globs or hf://NAME, separated by commas, as for "
    "`tfvis train`.",
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out", None, "Folder to write the codes to.", flag_values=FLAGS
)
_LAYERS = flags.DEFINE_list(
    "layers", [], "Layers to encode, such as 0,4. (default: all)", flag_values=FLAGS
)
_WORDS = flags.DEFINE_list(
    "words",
    [],
    "Write only the tokens of these words, such as left,right, in any case. (default: "
    "all)",
    flag_values=FLAGS,
)
_ROWS = flags.DEFINE_bool(
    "rows",
    False,
    "Also write the hidden states, divided by the layer's scale, and the residuals.",
    flag_values=FLAGS,
)
_FORMAT = flags.DEFINE_enum(
    "format",
    "npz",
    stored.FORMATS,
    "npz: SciPy sparse arrays and NumPy tables. parquet: a line for each token and "
    "layer; needs pyarrow.",
    flag_values=FLAGS,
)
_NUM_WORKERS = shared_flags.num_workers(FLAGS)


def main(arguments: Sequence[str]) -> None:
    """Encodes a text and writes its codes."""
    path = run_argument.one(arguments)
    if not _TEXT.value:
        raise command.UsageError("Expected --text, at least one file, folder or glob.")
    if not _OUT.value:
        raise command.UsageError("Expected --out, the folder to write to.")
    with devices.joined(FLAGS):
        first = sharding.is_first_process()
        with pipeline.bars(quiet=not first) as progress:
            index = pipeline.write_codes(
                path,
                _TEXT.value,
                _OUT.value,
                layers=shared_flags.numbers("layers", _LAYERS.value) or None,
                words=_WORDS.value or None,
                with_rows=_ROWS.value,
                format=_FORMAT.value,
                num_workers=_NUM_WORKERS.value,
                progress=progress,
                mesh=None if FLAGS.mesh is None else devices.mesh(FLAGS),
                notify=pipeline.note,
            )
    if first:
        print(
            f"{index['n_rows']:,} tokens of {index['n_documents']:,} documents encoded "
            f"at each of {len(index['layers'])} layers"
        )
        print(f"\ncodes    {pathlib.Path(_OUT.value).absolute()}")


COMMAND = command.Command(
    name="codes",
    usage="RUN --text=FILES --out=FOLDER [--flags]",
    description=(
        "Encodes a text of any length with a trained run and writes the codes of every "
        "token at every layer as sparse arrays, with tables that say which token, word "
        "and document each row is. Every document is encoded. Interrupt it at any "
        "time: the same command resumes."
    ),
    flags=FLAGS,
    run=main,
)
