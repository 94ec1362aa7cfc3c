"""Settings of a run: frozen, validated, saved with the run, compared on resume.

Flags are made of the fields (`config_fields`) by the command line; the library takes
the piece it uses. Nothing here imports JAX, so that a command can refuse bad settings
before it starts a device.
"""

import dataclasses

from tfvis_jax.config_fields import check, check_storage, setting
from tfvis_jax.errors import InputError

SOLVERS = ("auto", "ista", "fista", "fista_restart", "spectral", "working_set")
INITIALISATIONS = ("normal", "samples", "spread")
UPDATES = ("energy", "gradient", "adam", "online")
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Which text, and how it is cut into windows of tokens."""

    paths: tuple[str, ...] = setting(
        dataclasses.MISSING,
        "Text files, folders or globs, separated by commas: .txt, .jsonl, .npy, "
        "MediaWiki .xml, plain or compressed (.gz, .xz, .zst, .bz2); hf://NAME for a "
        "Hugging Face dataset.",
        flag="text",
    )
    clean: bool = setting(
        True, "Undo WikiText's tokenization marks (@-@, <unk>, spaced punctuation)."
    )
    replace_undecodable: bool = setting(
        False, "Replace bytes that are not UTF-8 by U+FFFD instead of stopping."
    )
    window_length: int = setting(
        64, "Tokens in a window, special tokens included.", at_least=3
    )
    special_tokens: bool = setting(
        True, "Put [CLS] before and [SEP] after every window, as BERT was trained."
    )
    held_out_fraction: float = setting(
        0.05, "Fraction of the documents that is never trained on.", above=0, below=1
    )
    max_tokens: int | None = setting(
        None,
        "Stop reading the text after about this many tokens.",
        unset="all",
        at_least=1,
    )

    def __post_init__(self) -> None:
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
        "1).",
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run learns; `config.json` of its directory."""

    model: str = setting(
        dataclasses.MISSING,
        "Folder or Hugging Face Hub name of a BERT (safetensors or PyTorch weights).",
    )
    corpus: CorpusConfig
    solver: SolverConfig = dataclasses.field(default_factory=SolverConfig)
    sparsity: SparsityConfig = dataclasses.field(default_factory=SparsityConfig)
    dictionary: DictionaryConfig = dataclasses.field(default_factory=DictionaryConfig)
    layers: tuple[int, ...] | None = setting(
        None,
        "Hidden states to learn from, such as 0,2,4; 0 is the embedding output.",
        unset="all",
    )
    dtype: str = setting(
        "float32",
        "Precision of the encoder; codes and dictionary are always float32.",
        choices=DTYPES,
    )
    layer_scale: bool = setting(
        True,
        "If True, divide each layer by the root-mean-square norm of its rows.",
        flag=None,
    )
    # It costs explained variance, since frequent tokens are most of the text.
    token_weights: bool = setting(
        False,
        "Weight each token by 1/√count in the dictionary step, as Yun et al. (2021) "
        "do.",
    )
    windows_per_batch: int = setting(64, "Windows encoded together.", at_least=1)
    rows_per_step: int = setting(2048, "Rows in one dictionary step.", at_least=1)
    row_fraction: float = setting(
        1.0,
        "Fraction of the hidden states that is trained on; BERT encodes the rest as "
        "context only.",
        above=0,
        at_most=1,
    )
    num_epochs: int = setting(1, "Passes over the text.", at_least=1)
    patience: int | None = setting(
        None,
        "End training after this many checkpoints without a lower held-out error.",
        unset="never",
        at_least=1,
    )
    checkpoint_every: int = setting(
        50, "Batches of windows between two checkpoints.", at_least=1
    )
    checkpoints: str | None = setting(
        None,
        "Folder or gs://BUCKET/FOLDER for the checkpoints.",
        unset="RUN/checkpoints",
    )
    seed: int = setting(0, "Seed of everything random.", at_least=0, below=2**31)

    def __post_init__(self) -> None:
        check(self)
        if self.layers is not None and (
            not self.layers
            or list(self.layers) != sorted(set(self.layers))
            or self.layers[0] < 0
        ):
            raise InputError(
                "Expected `layers` as increasing numbers from 0, such as 0,2,4; "
                f"got {self.layers}."
            )
        if self.sparsity.equal_l0 and not self.layer_scale:
            raise InputError(
                "Expected `equal_l0` with scaled layers, got `layer_scale` off."
            )
        target_l0, n_factors = self.sparsity.target_l0, self.dictionary.n_factors
        if target_l0 is not None and target_l0 > n_factors:
            raise InputError(
                f"Expected `target_l0` of at most {n_factors}, the number of factors; "
                f"got {target_l0}."
            )
        check_storage("checkpoints", self.checkpoints)

    @classmethod
    def paper(
        cls,
        *,
        model: str,
        paths: tuple[str, ...],
        n_layers: int,
        max_tokens: int | None = None,
    ) -> "RunConfig":
        """Returns the settings of Yun et al. (2021), as their code has them.

        Args:
          model: folder or hub name of a BERT.
          paths: text files, folders or globs.
          n_layers: depth of the model; every other hidden state below the last layer
            is used, as the authors do (0, 2, …, 10 of 12).
          max_tokens: tokens of the text to read; None reads everything.
        """
        return cls(
            model=model,
            corpus=CorpusConfig(
                paths=paths, special_tokens=False, max_tokens=max_tokens
            ),
            solver=SolverConfig(
                solver="fista",
                l1_penalty=0.3,
                tolerance=0.0,
                max_steps=500,
                exact_lipschitz=True,
            ),
            dictionary=DictionaryConfig(
                n_factors=2000,
                initialisation="normal",
                revive_after=None,
                step_size=0.005,
                final_step_fraction=1.0,
                energy_length=300,
                energy_floor=0.001,
                bias_correction=False,
                weigh_energy=False,
            ),
            layers=tuple(range(0, n_layers, 2)),
            layer_scale=False,
            token_weights=True,
            rows_per_step=100,
            num_epochs=2,
        )
