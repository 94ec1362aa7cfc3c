"""`tfvis publish`: a run to the hub."""

from collections.abc import Sequence

from absl import flags

from tfvis_jax.cli import command, run_argument
from tfvis_jax.notebook import run as run_lib

FLAGS = command.new_flags()
_REPO = flags.DEFINE_string(
    "repo", None, "Repository on the hub, as user/name.", flag_values=FLAGS
)
_PUBLIC = flags.DEFINE_bool(
    "public", False, "Anyone may read it. (default: its owner)", flag_values=FLAGS
)
_EXAMPLES = flags.DEFINE_bool(
    "examples",
    False,
    "Upload the tokens and the examples too. They hold the text, which its licence "
    "must allow to pass on.",
    flag_values=FLAGS,
)
_SITE = flags.DEFINE_bool(
    "site",
    False,
    "Upload the exported page too. It holds passages of the text, and the notes and "
    "ratings of people.",
    flag_values=FLAGS,
)
_LICENSE = flags.DEFINE_string(
    "license",
    "",
    "Identifier of the dictionary's licence, such as apache-2.0, for its card.",
    flag_values=FLAGS,
)
_BASE_MODEL = flags.DEFINE_string(
    "base_model",
    "",
    "Hub name of the model, where the run has a local folder of it.",
    flag_values=FLAGS,
)
_UPDATE = flags.DEFINE_bool(
    "update",
    False,
    "Add a revision to a repository that exists.",
    flag_values=FLAGS,
)
_YES = flags.DEFINE_bool("yes", False, "Upload without a question.", flag_values=FLAGS)


def main(arguments: Sequence[str]) -> None:
    """Shows what will be uploaded, asks, and uploads it."""
    path = run_argument.one(arguments)
    if not _REPO.value:
        raise command.UsageError("Expected --repo=user/name.")
    address = run_lib.load_run(path).push_to_hub(
        _REPO.value,
        public=_PUBLIC.value,
        examples=_EXAMPLES.value,
        site=_SITE.value,
        licence=_LICENSE.value,
        base_model=_BASE_MODEL.value,
        update=_UPDATE.value,
        yes=_YES.value,
    )
    if address is None:
        print("Nothing was uploaded.")
        return
    print(f'published {address}\nload      tfvis_jax.load_run("{address}")')


COMMAND = command.Command(
    name="publish",
    usage="RUN --repo=user/name [--flags]",
    description=(
        "Uploads a run to the hub: its dictionary, settings, report, levels, labels "
        "and a model card, after showing what and asking. The repository is private, "
        "and the text stays here, unless flags say otherwise. `tfvis_jax.load_run"
        '("hf://user/name")` opens it.'
    ),
    flags=FLAGS,
    run=main,
)
