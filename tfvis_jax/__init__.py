"""What a BERT represents: hidden states as sparse sums of transformer factors.

The sparse coding toolkit works on any rows and factors:

    encoding = tfvis_jax.encode(x, dictionary, l1_penalty=0.06)
    codes = tfvis_jax.refit(x, dictionary, encoding.codes)

A run goes from text and a model to factors that can be looked at:

    config = tfvis_jax.RunConfig(
        model="bert-base-uncased", corpus=tfvis_jax.CorpusConfig(paths=("text/",))
    )
    tfvis_jax.train("runs/mine", config)
    tfvis_jax.collect_examples("runs/mine")
    run = tfvis_jax.load_run("runs/mine")
    run.factor(30).examples(layer=4)

Every name is imported when it is first used: `import tfvis_jax` starts no device.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvis_jax.config import (
        CorpusConfig,
        DictionaryConfig,
        RunConfig,
        SolverConfig,
        SparsityConfig,
    )
    from tfvis_jax.errors import InputError
    from tfvis_jax.estimators import (
        DictionaryLearning,
        SparseCoder,
        encode_batches,
        encode_rows,
    )
    from tfvis_jax.learning import learn
    from tfvis_jax.notebook import Run, load_run
    from tfvis_jax.pipeline import (
        collect_examples,
        evaluate,
        export_site,
        measure_levels,
        prepare,
        train,
    )
    from tfvis_jax.sparse_coding import (
        Encoding,
        Fista,
        Ista,
        Spectral,
        WorkingSet,
        decode,
        duality_gap,
        encode,
        for_l0,
        lasso_objective,
        pursue,
        refit,
        summarise,
    )

__version__ = "0.1.0"

# Where each public name lives; the imports above say the same to a type checker.
_HOMES = {
    "config": (
        "CorpusConfig",
        "DictionaryConfig",
        "RunConfig",
        "SolverConfig",
        "SparsityConfig",
    ),
    "errors": ("InputError",),
    "estimators": (
        "DictionaryLearning",
        "SparseCoder",
        "encode_batches",
        "encode_rows",
    ),
    "learning": ("learn",),
    "notebook": ("Run", "load_run"),
    "pipeline": (
        "collect_examples",
        "evaluate",
        "export_site",
        "measure_levels",
        "prepare",
        "train",
    ),
    "sparse_coding": (
        "Encoding",
        "Fista",
        "Ista",
        "Spectral",
        "WorkingSet",
        "decode",
        "duality_gap",
        "encode",
        "for_l0",
        "lasso_objective",
        "pursue",
        "refit",
        "summarise",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CorpusConfig",
    "DictionaryConfig",
    "DictionaryLearning",
    "Encoding",
    "Fista",
    "InputError",
    "Ista",
    "Run",
    "RunConfig",
    "SolverConfig",
    "SparseCoder",
    "SparsityConfig",
    "Spectral",
    "WorkingSet",
    "__version__",
    "collect_examples",
    "decode",
    "duality_gap",
    "encode",
    "encode_batches",
    "encode_rows",
    "evaluate",
    "export_site",
    "for_l0",
    "lasso_objective",
    "learn",
    "load_run",
    "measure_levels",
    "prepare",
    "pursue",
    "refit",
    "summarise",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"tfvis_jax.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
