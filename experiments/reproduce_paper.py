"""Learns factors with the settings of Yun et al. (2021), and writes their page.

    python -m experiments.reproduce_paper --workdir=runs/paper \
        --model=bert-base-uncased --text="wikitext-103/*.tokens"

Every other layer, 2,000 factors, λ = 0.3, 500 steps of FISTA for every 100 hidden
states: about 3 GFLOP a hidden state, so use `--max_tokens` on a small machine. The
same command resumes where it stopped.
"""

from absl import flags

from experiments import script
from tfvis_jax import config as config_lib
from tfvis_jax import models, pipeline

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
    "max_tokens", None, "Tokens to read. (default: all)", flag_values=FLAGS
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
    run = _WORKDIR.value
    with pipeline.bars() as progress:
        report = pipeline.train(run, config, progress=progress)
        pipeline.collect_examples(run, top_n=_TOP_N.value, progress=progress)
        site = pipeline.export_site(run, progress=progress)
    print(pipeline.summary(report))
    print(f"\npage     {site / 'index.html'}")


if __name__ == "__main__":
    script.run(main, FLAGS)
