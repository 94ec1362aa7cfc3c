"""Settings of a run: frozen, validated, saved with the run, compared on resume.

Flags are made of the fields (`config_fields`) by the command line; the library takes
the piece it uses. Nothing here imports JAX, so that a command can refuse bad settings
before it starts a device.
"""

import dataclasses

from tfvis_jax.config_fields import check, check_storage, setting
from tfvis_jax.config_pieces import (
    DTYPES,
    INITIALISATIONS,
    PURSUIT_VALUES,
    PURSUITS,
    SOLVER_VALUES,
    SOLVERS,
    UPDATE_VALUES,
    UPDATES,
    CorpusConfig,
    DictionaryConfig,
    SolverConfig,
    SparsityConfig,
)
from tfvis_jax.errors import InputError
from tfvis_jax.sites import HIDDEN, SITES, every_layer, first_layer

__all__ = [
    "DTYPES",
    "INITIALISATIONS",
    "PURSUITS",
    "PURSUIT_VALUES",
    "SOLVERS",
    "SOLVER_VALUES",
    "UPDATES",
    "UPDATE_VALUES",
    "CorpusConfig",
    "DictionaryConfig",
    "RunConfig",
    "SolverConfig",
    "SparsityConfig",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run learns; `config.json` of its directory."""

    model: str = setting(
        dataclasses.MISSING,
        "Folder or Hugging Face Hub name of a model (safetensors or PyTorch weights).",
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
    site: str = setting(
        HIDDEN,
        "What of these layers to learn from: their hidden states, or what attention or "
        "the feed-forward part (MLP) adds to them; these have no layer 0.",
        choices=SITES,
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
    # A dictionary of one layer tells more at 0.5; one of all layers does not.
    whitening: float = setting(
        0.0,
        "How far the variance of the hidden states is evened out over directions "
        "before codes are inferred: 0 leaves them as they are, above 0 subtracts each "
        "layer's mean, 1 gives every direction the same variance. For a dictionary of "
        "one layer try 0.5.",
        at_least=0,
        at_most=1,
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
        if self.layers is not None and self.layers[0] < first_layer(self.site):
            raise InputError(
                f"Expected `layers` from 1 at `site` {self.site}, got {self.layers}: "
                "layer 0 is the embedding output, before any attention or MLP; leave "
                "it out."
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

    def layers_of(self, n_layers: int) -> tuple[int, ...]:
        """Returns the layers to learn from of a model, all of the site if none is set.

        Args:
          n_layers: depth of the model.

        Raises:
          InputError: the model has no such layer.
        """
        layers = self.layers or every_layer(self.site, n_layers=n_layers)
        if layers[-1] > n_layers:
            first = first_layer(self.site)
            which = "" if first else ", 0 being the embedding output"
            raise InputError(
                f"Expected layers between {first} and {n_layers} of {self.model}"
                f"{which}, got {layers[-1]}."
            )
        return layers

    @classmethod
    def paper(
        cls,
        *,
        model: str,
        paths: tuple[str, ...],
        n_layers: int,
        max_tokens: int | None = None,
        site: str = HIDDEN,
    ) -> "RunConfig":
        """Returns the settings of Yun et al. (2021), as their code has them.

        Args:
          model: folder or hub name of a model, see docs/models.md.
          paths: text files, folders or globs.
          n_layers: depth of the model; every other hidden state below the last layer
            is used, as the authors do (0, 2, …, 10 of 12). At another site every other
            layer is (1, 3, …, 11), since there is no layer 0.
          max_tokens: tokens of the text to read; None reads everything.
          site: what is used of these layers; the authors use hidden states.
        """
        first = first_layer(site)
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
            layers=tuple(range(first, first + n_layers, 2)),
            site=site,
            layer_scale=False,
            whitening=0.0,
            token_weights=True,
            rows_per_step=100,
            num_epochs=2,
        )
