"""Learns factors with the settings of Yun et al. (2021), and writes their page.

    python -m experiments.reproduce_paper --workdir=runs/paper \
        --model=bert-base-uncased --text="wikitext-103/*.tokens"

Every other layer, 2,000 factors, λ = 0.3, 500 steps of FISTA for every 100 hidden
states: about 3 GFLOP a hidden state, so take `--max_tokens` on a small machine. The
same command again goes on where it stopped.
"""

from absl import flags

from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax import models
from tfvis_jax.cli import examples, export, progress, train
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.runs import directory as directory_lib

FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run's directory.", required=True, flag_values=FLAGS
)
_MODEL = flags.DEFINE_string(
    "model", None, "Folder or hub name.", required=True, flag_values=FLAGS
)
_TEXT = flags.DEFINE_list(
    "text", None, "Files, folders or globs.", required=True, flag_values=FLAGS
)
_MAX_TOKENS = flags.DEFINE_integer(
    "max_tokens", None, "Of the text; all by default.", flag_values=FLAGS
)
_TOP_N = flags.DEFINE_integer(
    "top_n",
    1000,
    "Activations in an importance score.",
    lower_bound=1,
    flag_values=FLAGS,
)


def main() -> None:
    """Trains, collects examples and writes the page."""
    config = config_lib.RunConfig.paper(
        model=_MODEL.value,
        paths=tuple(_TEXT.value),
        n_layers=models.read_config(_MODEL.value).n_layers,
        max_tokens=_MAX_TOKENS.value,
    )
    directory, stages = directory_lib.RunDirectory(_WORKDIR.value), progress.Stages()
    with directory.lock():
        report = train.train(directory, config, stages)
        examples.collect(directory, stages, top_n=_TOP_N.value)
        export.export(run_lib.load_run(directory.path), stages, contexts=20)
    print(train.summary(report))
    print(f"\npage     {directory.site / 'index.html'}")


if __name__ == "__main__":
    script.run(main, FLAGS)
