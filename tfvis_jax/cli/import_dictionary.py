"""`tfvis import`: a dictionary, or an autoencoder, of another tool becomes a run."""

from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, settings, shared_flags
from tfvis_jax.errors import command_line
from tfvis_jax.interop import foreign, saelens, saelens_dictionary, sparsify
from tfvis_jax.runs import directory as directory_lib

# What an imported encoder has no use for.
_OF_THE_SOLVER = (
    *("l1_penalty", "l2_penalty", "target_l0"),
    *("solver", "tolerance", "max_steps"),
)
# What the files of a dictionary have of their own, of hidden states as they are.
_OF_THE_FILES = ("n_factors", "whitening", "equal_l0")
# What only learns a dictionary.
_OF_TRAINING = (
    *("update", "revive_after", "step_size", "l1_warmup", "token_weights"),
    *("rows_per_step", "row_fraction", "num_epochs", "patience"),
    *("checkpoint_every", "checkpoints"),
)

FLAGS = command.new_flags(compiles=True)
settings.define(FLAGS)
_DICTIONARY = flags.DEFINE_string(
    "dictionary",
    None,
    "The .npy file [d_model, n_factors] that the code of Yun et al. (2021) writes.",
    flag_values=FLAGS,
)
_SAELENS = flags.DEFINE_string(
    "saelens",
    None,
    "The folder of a sparse autoencoder of SAELens, with cfg.json and "
    "sae_weights.safetensors; or of a dictionary, as `tfvis export --format=saelens` "
    "writes it.",
    flag_values=FLAGS,
)
_SPARSIFY = flags.DEFINE_string(
    "sparsify",
    None,
    "The folder of a sparse autoencoder of EleutherAI's sparsify, with cfg.json and "
    "sae.safetensors.",
    flag_values=FLAGS,
)
_NUM_WORKERS = shared_flags.num_workers(FLAGS)


def main(arguments: Sequence[str]) -> None:
    """Makes the run and prints its report."""
    directory = directory_lib.RunDirectory(run_argument.one(arguments, writes=True))
    sources = [
        flag for flag in (_DICTIONARY, _SAELENS, _SPARSIFY) if flag.value is not None
    ]
    if len(sources) != 1:
        raise command.UsageError(
            "Expected --dictionary=FILE.npy, --saelens=FOLDER or --sparsify=FOLDER, "
            f"got {' and '.join(f'--{flag.name}' for flag in sources) or 'none'}."
        )
    _refuse_given(
        _OF_THE_FILES,
        "the files say how many factors there are, and they are of hidden states as "
        "the model gives them",
    )
    _refuse_given(_OF_TRAINING, "nothing is trained")
    if _DICTIONARY.value is not None:
        report = _dictionary(directory, _DICTIONARY.value)
    elif _SAELENS.value is not None:
        folder = _SAELENS.value
        is_ours = saelens_dictionary.is_dictionary(folder)
        reader = saelens_dictionary.read if is_ours else saelens.read
        report = _autoencoder(directory, reader, folder)
    else:
        report = _autoencoder(directory, sparsify.read, str(_SPARSIFY.value))
    print(pipeline.summary(report))
    print(f"\nreport   {directory.report}")
    print(f"next     {command_line('examples', directory)}")


def _refuse_given(names: Sequence[str], why: str) -> None:
    """Refuses flags that would be without an effect."""
    given = [f"--{name}" for name in names if FLAGS[name].value is not None]
    if given:
        raise command.UsageError(f"Expected no {', '.join(given)}: {why}.")


def _dictionary(directory: directory_lib.RunDirectory, path: str) -> dict[str, Any]:
    if FLAGS.l1_penalty is None and FLAGS.target_l0 is None:
        raise command.UsageError(
            "Expected --l1_penalty, the λ that the dictionary was learned with (0.23 "
            "for those published), or --target_l0: the file does not say it."
        )
    devices.use_all_cores()
    with pipeline.bars() as progress:
        return pipeline.import_dictionary(
            directory,
            settings.of_run(FLAGS, directory),
            path,
            progress=progress,
            num_workers=_NUM_WORKERS.value,
            notify=pipeline.note,
        )


def _autoencoder(
    directory: directory_lib.RunDirectory,
    reader: Callable[
        [str], foreign.ForeignEncoder | saelens_dictionary.ForeignDictionary
    ],
    folder: str,
) -> dict[str, Any]:
    _refuse_given(
        _OF_THE_SOLVER,
        "the codes of an autoencoder come from its own encoder, which has no λ and no "
        "solver"
        if reader is not saelens_dictionary.read
        else "the files say how the codes of this dictionary are inferred",
    )
    read = reader(folder)
    # The settings do not tell "hidden" that is given from the default.
    place, site = read.place, FLAGS["site"].value
    if place is not None and site not in (None, place.site):
        raise command.UsageError(
            f"Expected --site={place.site}, which is what {read.about.hook} is, got "
            f"{site}. Leave --site out."
        )
    devices.use_all_cores()
    with pipeline.bars() as progress:
        return pipeline.import_autoencoder(
            directory,
            settings.of_run(FLAGS, directory),
            read,
            progress=progress,
            num_workers=_NUM_WORKERS.value,
            notify=pipeline.note,
        )


COMMAND = command.Command(
    name="import",
    usage=(
        "RUN --dictionary=FILE.npy --l1_penalty=λ --model=M --text=FILES …\n"
        "       tfvis import RUN --saelens=FOLDER --model=M --text=FILES …"
    ),
    description=(
        "Makes a run of a dictionary that the code of Yun et al. (2021) has learned, "
        "or of a sparse autoencoder of SAELens or sparsify, and measures it on a text: "
        "examples, levels, the page and all other commands take it as they take one "
        "that was trained here. Hidden states are used as the model gives them; "
        "--preset=paper has the layers and windows of the published dictionaries. The "
        "codes of an autoencoder come from its own encoder, at the one layer that its "
        "files name, or else --layers."
    ),
    flags=FLAGS,
    run=main,
)
