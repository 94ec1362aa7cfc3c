"""Settings of a run: frozen, validated, saved with the run, compared on resume.

Flags live in the command line only; the library takes the piece it uses. Nothing here
imports JAX, so that a command can refuse bad settings before it starts a device.
"""

import dataclasses
import math
from collections.abc import Mapping

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
}
SOLVERS = ("auto", *SOLVER_VALUES)
PURSUITS = tuple(PURSUIT_VALUES)
UPDATES = tuple(UPDATE_VALUES)
INITIALISATIONS = ("normal", "samples", "spread")
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Which text, and how it is cut into windows of tokens."""

    paths: tuple[str, ...]
    # Undo WikiText's tokenisation marks (`@-@`, `<unk>`, spaced punctuation).
    clean: bool = True
    # Put U+FFFD where bytes are not UTF-8, instead of stopping.
    replace_undecodable: bool = False
    # Tokens in a window, special tokens included.
    window_length: int = 64
    # [CLS] before and [SEP] after every window, as in BERT's own training.
    special_tokens: bool = True
    # Share of the documents that is never trained on.
    held_out_fraction: float = 0.05
    # Stop reading after about this many tokens; None reads everything.
    max_tokens: int | None = None

    def __post_init__(self):
        if not self.paths:
            raise InputError("Expected at least one text file, folder or glob.")
        _check(self.window_length >= 3, "window_length", ">= 3", self.window_length)
        _check(
            0 < self.held_out_fraction < 1,
            "held_out_fraction",
            "between 0 and 1",
            self.held_out_fraction,
        )
        if self.max_tokens is not None:
            _check(self.max_tokens >= 1, "max_tokens", ">= 1", self.max_tokens)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """How a code is inferred; hashable, so it may be a static argument of a jit."""

    solver: str = "auto"
    # λ, the weight of the L1 term, on rows scaled as `layer_scale` says; not used where
    # `target_l0` is given.
    l1_penalty: float = 0.06
    # Mean number of active factors that training keeps by moving λ; None keeps λ.
    target_l0: float | None = None
    # Scale layers so that all have the same mean number of active factors.
    equal_l0: bool = False
    # λ of the first step as a multiple of itself; falls to 1 as training warms up.
    l1_warmup: float = 1.0
    # Largest relative duality gap at which a row is finished; 0 runs every step.
    tolerance: float = 1e-3
    max_steps: int = 500
    # Steps of exactly 1/L, by an eigen-decomposition, instead of a bound on L.
    exact_lipschitz: bool = False

    def __post_init__(self):
        _check_choice("solver", self.solver, SOLVERS)
        _check(
            math.isfinite(self.l1_penalty) and self.l1_penalty > 0,
            "l1_penalty",
            "a finite number > 0",
            self.l1_penalty,
        )
        if self.target_l0 is not None:
            _check(
                0 < self.target_l0 < math.inf,
                "target_l0",
                "a finite number > 0",
                self.target_l0,
            )
        _check(
            0 < self.l1_warmup < math.inf, "l1_warmup", "finite, > 0", self.l1_warmup
        )
        _check(0 <= self.tolerance < 1, "tolerance", ">= 0, < 1", self.tolerance)
        _check(self.max_steps >= 1, "max_steps", ">= 1", self.max_steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DictionaryConfig:
    """The dictionary and the step that learns it."""

    n_factors: int = 1024
    # "normal": Gaussian directions; "samples": rows of the corpus; "spread": rows far
    # apart.
    initialisation: str = "samples"
    # Direction of a step. "energy": gradient over the diagonal of the Hessian;
    # "gradient"; "adam": Adam's (step sizes near 0.01); "online": the minimum of a
    # surrogate over past batches (step size 1).
    update: str = "energy"
    # Steps after which a factor that never fired becomes the worst-explained row; None
    # leaves it.
    revive_after: int | None = 100
    step_size: float = 0.2
    # The step size falls linearly to this share of itself over the run.
    final_step_fraction: float = 0.1
    # Number of steps that the running means of "energy" and "online" look back.
    energy_length: int = 30
    # Added to the energy, so that a factor that rarely fires takes no giant step.
    energy_floor: float = 1e-5
    # Divide the running mean by the weight it has seen, so that it starts unbiased.
    bias_correction: bool = True
    # Weigh the energy by the token weights, as the gradient is.
    weigh_energy: bool = True

    def __post_init__(self):
        _check(self.n_factors >= 1, "n_factors", ">= 1", self.n_factors)
        _check_choice("initialisation", self.initialisation, INITIALISATIONS)
        _check_choice("update", self.update, UPDATES)
        if self.revive_after is not None:
            _check(self.revive_after >= 1, "revive_after", ">= 1", self.revive_after)
        _check(
            0 < self.step_size < math.inf, "step_size", "finite, > 0", self.step_size
        )
        _check(
            0 <= self.final_step_fraction <= 1,
            "final_step_fraction",
            "between 0 and 1",
            self.final_step_fraction,
        )
        _check(self.energy_length >= 1, "energy_length", ">= 1", self.energy_length)
        _check(self.energy_floor > 0, "energy_floor", "> 0", self.energy_floor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run learns; `config.json` of its directory."""

    model: str
    corpus: CorpusConfig
    solver: SolverConfig = dataclasses.field(default_factory=SolverConfig)
    dictionary: DictionaryConfig = dataclasses.field(default_factory=DictionaryConfig)
    # Hidden states to learn from; 0 is the embedding output, None means all.
    layers: tuple[int, ...] | None = None
    # Arithmetic of the encoder; codes and dictionary are always float32.
    dtype: str = "float32"
    # Divide each layer by the root-mean-square norm of its rows.
    layer_scale: bool = True
    # Weigh a token by 1/√count in the dictionary step, as the paper does; it costs
    # explained variance, since frequent tokens are most of the text.
    token_weights: bool = False
    windows_per_batch: int = 64
    # Rows in one dictionary step.
    rows_per_step: int = 2048
    # Share of a batch's rows that is trained on; the rest is encoded by BERT only.
    row_fraction: float = 1.0
    num_epochs: int = 1
    # Checkpoints without a lower held-out error at which training ends; None goes on.
    patience: int | None = None
    # Window batches between two checkpoints.
    checkpoint_every: int = 50
    # Folder or gs://BUCKET/FOLDER that they are kept in; None is inside the run.
    checkpoints: str | None = None
    seed: int = 0

    def __post_init__(self):
        _check_choice("dtype", self.dtype, DTYPES)
        if self.layers is not None and (
            not self.layers
            or list(self.layers) != sorted(set(self.layers))
            or self.layers[0] < 0
        ):
            raise InputError(
                "Expected `layers` as increasing numbers from 0, such as 0,2,4; "
                f"got {self.layers}."
            )
        if self.solver.equal_l0 and not self.layer_scale:
            raise InputError(
                "Expected `equal_l0` with scaled layers, got `layer_scale` off."
            )
        target_l0, n_factors = self.solver.target_l0, self.dictionary.n_factors
        if target_l0 is not None:
            _check(
                target_l0 <= n_factors,
                "target_l0",
                f"<= {n_factors} factors",
                target_l0,
            )
        for name in (
            "windows_per_batch",
            "rows_per_step",
            "num_epochs",
            "checkpoint_every",
        ):
            _check(getattr(self, name) >= 1, name, ">= 1", getattr(self, name))
        _check_place(self.checkpoints)
        if self.patience is not None:
            _check(self.patience >= 1, "patience", ">= 1", self.patience)
        _check(0 <= self.seed < 2**31, "seed", ">= 0, < 2³¹", self.seed)
        _check(
            0 < self.row_fraction <= 1, "row_fraction", "> 0, <= 1", self.row_fraction
        )

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


def to_json(config: RunConfig) -> dict:
    """Returns the settings as plain lists, numbers and strings."""
    return dataclasses.asdict(config)


def from_json(values: Mapping) -> RunConfig:
    """Rebuilds the settings that `to_json` wrote; InputError on any other names."""
    values = dict(values)
    pieces = {
        "corpus": CorpusConfig,
        "solver": SolverConfig,
        "dictionary": DictionaryConfig,
    }
    try:
        for name, piece in pieces.items():
            values[name] = piece(**_with_tuples(values[name]))
        return RunConfig(**_with_tuples(values))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"Expected the settings of a run as this version writes them: {error}."
        ) from error


def differences(
    old: RunConfig, new: RunConfig, *, ignoring: tuple[str, ...] = ()
) -> list[str]:
    """Returns one line for each setting in which two runs differ.

    Args:
      old: of a run that is there.
      new: what is asked for.
      ignoring: names that may differ, such as "corpus.paths".
    """
    before, after = _flatten(to_json(old)), _flatten(to_json(new))
    return [
        f"{name}: {before.get(name)!r} there, {after.get(name)!r} asked for"
        for name in sorted((before | after).keys() - set(ignoring))
        if before.get(name) != after.get(name)
    ]


def of_saving(config: RunConfig) -> tuple[str, ...]:
    """Returns the settings that decide when a state is saved, not what is learnt."""
    return () if config.patience is not None else ("checkpoint_every",)


def _with_tuples(values: Mapping) -> dict:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
    }


def _flatten(values: Mapping, prefix: str = "") -> dict:
    flat = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _check(holds: bool, name: str, expected: str, got: object) -> None:
    if not holds:
        raise InputError(f"Expected `{name}` {expected}, got {got}.")


def _check_place(checkpoints: str | None) -> None:
    scheme, found, rest = (checkpoints or "").partition("://")
    if not found:
        return
    if scheme != "gs":
        raise InputError(
            f"Expected `checkpoints` as a folder or gs://BUCKET/FOLDER, got "
            f"{checkpoints}. Orbax, which writes them, knows no other stores; a folder "
            "that the system has mounted will do."
        )
    if not all(rest.partition("/")[::2]):
        raise InputError(
            f"Expected `checkpoints` as gs://BUCKET/FOLDER, got {checkpoints}."
        )


def _check_choice(name: str, got: str, choices: tuple[str, ...]) -> None:
    if got not in choices:
        raise InputError(f"Expected `{name}` to be one of {choices}, got {got!r}.")
