"""Small runs on the toy model and the toy corpus of `conftest`."""

from tfvis_jax import config, sharding
from tfvis_jax.data import build_windows
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.runs import setup
from tfvis_jax.training import loop


def settings(model, corpus, **changes) -> config.RunConfig:
    """Returns settings of a run of a dozen batches; ``changes`` of its fields."""
    fixed = {
        "solver": config.SolverConfig(l1_penalty=0.1),
        "dictionary": config.DictionaryConfig(n_factors=24),
    }
    return config.RunConfig(
        model=str(model),
        corpus=config.CorpusConfig(
            paths=(str(corpus),), window_length=12, held_out_fraction=0.2
        ),
        **(fixed | changes),
    )


def open_run(path, settings):
    """Makes a run's directory and tokens; returns its `Setup` and `Windows`."""
    directory = directory_lib.RunDirectory(path)
    opened = setup.open_model(directory, settings)
    directory.open_or_create(settings)
    windows = build_windows.build(
        directory.tokens, settings.corpus, tokenizer=opened.tokenizer
    )
    return opened, windows


def fit(path, settings, *, mesh=None, stop_after=None, **how):
    """Trains a run on a mesh of these sizes; stops it after that many batches."""
    opened, windows = open_run(path, settings)
    # It is asked before the first batch as well, when no progress was told yet.
    told, calls = [], []

    def should_stop():
        calls.extend(told[:1])
        return stop_after is not None and len(calls) >= stop_after

    return loop.fit(
        opened,
        windows,
        progress=lambda done, total: told.append(done),
        should_stop=should_stop,
        mesh=None if mesh is None else sharding.make_mesh(*mesh),
        **how,
    )


def silent(done, total):
    """Shows no progress."""
    del done, total
