"""The pieces of a run's settings: text, solver, sparsity, dictionary."""

import dataclasses

from tfvis_jax.config_fields import check, setting
from tfvis_jax.errors import InputError

# What names stand for: classes, or functions that make one, which
# `sparse_coding.registry` looks up. A new one needs its own file and a line here.
SOLVER_VALUES = {
    "ista": "tfvis_jax.sparse_coding.ista:Ista",
    "fista": "tfvis_jax.sparse_coding.fista:Fista",
    "fista_restart": "tfvis_jax.sparse_coding.fista:Fista.restarting",
    "spectral": "tfvis_jax.sparse_coding.spectral:Spectral",
    "working_set": "tfvis_jax.sparse_coding.working_set:WorkingSet",
}
PURSUIT_VALUES = {
    "omp": "tfvis_jax.sparse_coding.greedy:Omp",
    "gradient_pursuit": "tfvis_jax.sparse_coding.greedy:GradientPursuit",
    "top_k": "tfvis_jax.sparse_coding.greedy:TopK",
}
UPDATE_VALUES = {
    "energy": "tfvis_jax.sparse_coding.updates:CodeEnergy",
    "gradient": "tfvis_jax.sparse_coding.updates:Gradient",
    "adam": "tfvis_jax.sparse_coding.updates:Adam",
    "online": "tfvis_jax.sparse_coding.updates:Surrogate",
    "newton": "tfvis_jax.sparse_coding.newton:Newton",
}
SOLVERS = ("auto", *SOLVER_VALUES)
PURSUITS = tuple(PURSUIT_VALUES)
UPDATES = tuple(UPDATE_VALUES)
INITIALISATIONS = ("normal", "samples", "spread")
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Which text, and how it is cut into windows of tokens."""

    paths: tuple[str, ...] = setting(
        dataclasses.MISSING,
        "Text files, folders or globs, separated by commas: .txt, .jsonl, .json, .npy, "
        "MediaWiki .xml, plain or compressed (.gz, .xz, .zst, .bz2); hf://NAME for a "
        "Hugging Face dataset.",
        flag="text",
    )
    clean: bool = setting(
        True, "Undo WikiText's tokenization marks (@-@, <unk>, spaced punctuation)."
    )
    replace_undecodable: bool = setting(
        False, "Replace bytes that cannot be decoded by U+FFFD instead of stopping."
    )
    text_field: str = setting(
        "text", "Field of JSON objects, and of a dataset's records, that is the text."
    )
    max_unknown: float | None = setting(
        None,
        "Leave out documents of which more than this share of the tokens are unknown "
        "to the model's vocabulary, such as 0.2.",
        unset="none is left out",
        at_least=0,
        below=1,
    )
    allow_unknown_tokens: bool = setting(
        False,
        "Use text of which most tokens are unknown to the model's vocabulary.",
    )
    window_length: int = setting(
        64, "Tokens in a window, special tokens included.", at_least=3
    )
    special_tokens: bool = setting(
        True,
        "Put the tokenizer's special tokens, such as [CLS] and [SEP], around every "
        "window.",
    )
    held_out_fraction: float = setting(
        0.05,
        "Fraction of the documents that is never trained on, but at least 20 of them. "
        "With fewer than 100 documents, the fraction of each long document.",
        above=0,
        below=1,
    )
    fold_near_copies: bool = setting(
        True,
        "Use only the first of documents with nearly the same text. Of exact copies, "
        "only the first is always used.",
    )
    max_document_tokens: int | None = setting(
        None,
        "Use only the beginning of each document, about this many tokens.",
        unset="all",
        at_least=1,
    )
    max_tokens: int | None = setting(
        None,
        "Stop reading the text after about this many tokens.",
        unset="all",
        at_least=1,
    )

    def __post_init__(self) -> None:
        if isinstance(self.paths, str):
            # It would be taken for paths of one letter each.
            raise InputError(
                "Expected `paths` to be a tuple of paths, got the string "
                f"{self.paths!r}; write ({self.paths!r},)."
            )
        if not self.paths:
            raise InputError("Expected at least one text file, folder or glob.")
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """How codes are inferred; hashable, so it may be a static argument of a jit."""

    solver: str = setting(
        "auto",
        "Algorithm that infers the codes; auto chooses by platform and size.",
        choices=SOLVERS,
    )
    l1_penalty: float = setting(
        0.06,
        "λ, the weight of the L1 term, for rows of norm near 1. Not used where "
        "`target_l0` is given.",
        above=0,
    )
    l2_penalty: float = setting(
        0.0,
        "μ, the weight of the L2 term of an elastic net, which shares a code among "
        "factors that are alike; 0 is the lasso. Factors are learned by the lasso; μ "
        "counts once they are.",
        at_least=0,
    )
    tolerance: float = setting(
        1e-3,
        "Relative duality gap at which a code has converged; 0 runs every step.",
        at_least=0,
        below=1,
    )
    max_steps: int = setting(500, "Solver steps at most.", at_least=1)
    exact_lipschitz: bool = setting(
        False,
        "If True, take steps of exactly 1/L, by an eigendecomposition, instead of a "
        "bound on L.",
        flag=None,
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def of_training(self) -> "SolverConfig":
        """The solver that factors are learned with."""
        return dataclasses.replace(self, l2_penalty=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparsityConfig:
    """How sparse the codes become in training."""

    target_l0: float | None = setting(
        None,
        "Mean number of active factors per token. Training finds the λ that gives it, "
        "instead of `l1_penalty`.",
        unset="λ is fixed",
        above=0,
    )
    equal_l0: bool = setting(
        False,
        "Scale the layers so that tokens have the same mean number of active factors "
        "in each.",
    )
    l1_warmup: float = setting(
        1.0,
        "λ starts at this multiple of itself and falls to λ over the first 30 % of the "
        "training.",
        above=0,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DictionaryConfig:
    """The dictionary and the step that learns it."""

    n_factors: int = setting(1024, "Factors in the dictionary.", at_least=1)
    initialisation: str = setting(
        "samples",
        "First factors: normal takes Gaussian directions, samples rows of the corpus, "
        "spread rows far apart.",
        choices=INITIALISATIONS,
        flag=None,
    )
    update: str = setting(
        "energy",
        "Direction of the dictionary step: energy divides the gradient by the diagonal "
        "of the Hessian, gradient is the plain gradient, adam is Adam's (step sizes "
        "near 0.01), online is the minimum of a surrogate over past batches (step size "
        "1), newton divides by the whole Hessian (step size 0.5; up to some thousand "
        "factors).",
        choices=UPDATES,
    )
    revive_after: int | None = setting(
        100,
        "Steps without firing after which a factor is dead and starts again as the row "
        "that is explained worst.",
        unset="never",
        at_least=1,
    )
    step_size: float = setting(0.2, "Size of the dictionary step.", above=0)
    final_step_fraction: float = setting(
        0.1,
        "Fraction of itself to which the step size falls linearly over the run.",
        at_least=0,
        at_most=1,
        flag=None,
    )
    energy_length: int = setting(
        30,
        "Steps that the running means of energy and online look back.",
        at_least=1,
        flag=None,
    )
    energy_floor: float = setting(
        1e-5,
        "Added to the energy, so that a factor that rarely fires takes no giant step.",
        above=0,
        flag=None,
    )
    bias_correction: bool = setting(
        True,
        "If True, divide the running mean by the weight it has seen, so that it starts "
        "unbiased.",
        flag=None,
    )
    weigh_energy: bool = setting(
        True,
        "If True, weight the energy by the token weights, as the gradient is.",
        flag=None,
    )

    def __post_init__(self) -> None:
        check(self)
