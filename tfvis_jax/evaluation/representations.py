"""What of a layer can be probed: codes, their controls, and the hidden state itself."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import sparse_coding
from tfvis_jax.comparison import sae, train_sae
from tfvis_jax.estimators import csr, encode_rows
from tfvis_jax.runs import dictionary_file, encoding, setup
from tfvis_jax.sparse_coding import dictionary as dictionary_lib

# Codes, in the order of reports.
FACTORS, SAE = "factors", "SAE"
SAMPLES, RANDOM = "sample factors", "random directions"
PROJECTIONS, HIDDEN = "projections", "hidden state"
RECONSTRUCTION, RESIDUAL = "reconstruction", "residual"
# Rows on which λ of the sample factors is found.
_L0_ROWS = 2048
_SAE_PASSES = 5

Codes = Callable[[np.ndarray], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Probed:
    """The dictionary of a run and what it is compared with, at equal size.

    Attributes:
      factors: [n_factors, d_model], those of the run.
      random_directions: [n_factors, d_model], unit rows.
      codes: for each name the function from scaled rows [rows, d_model] to codes.
      source: model, number of factors and L0 of the run, in words.
    """

    factors: np.ndarray
    random_directions: np.ndarray
    codes: dict[str, Codes]
    source: str

    def represent(self, x: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Computes representations of hidden states.

        Args:
          x: [rows, d_model] float32, scaled hidden states of one layer.
          names: names of this module's constants.

        Returns:
          For each name [rows, features], an array or a CSR matrix.
        """
        made: dict[str, Callable[[], Any]] = {
            HIDDEN: lambda: x,
            PROJECTIONS: lambda: x @ self.factors.T,
            RANDOM: lambda: x @ self.random_directions.T,
            RECONSTRUCTION: lambda: reconstruction,
            RESIDUAL: lambda: x - reconstruction,
        }
        codes = {
            name: encode(x)
            for name, encode in self.codes.items()
            if name in names
            or (name == FACTORS and {RECONSTRUCTION, RESIDUAL} & set(names))
        }
        reconstruction = (
            np.asarray(codes[FACTORS] @ self.factors, np.float32)
            if FACTORS in codes
            else x
        )
        return {name: codes[name] if name in codes else made[name]() for name in names}


def open_probed(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    *,
    seed: int = 0,
    sae_kind: str | None = None,
    sae_rows: int = 60_000,
) -> Probed:
    """Makes the controls of a run.

    Sample factors are hidden states of the run's training text, less their mean and
    scaled to norm 1, and the mean itself; they are never trained. Their λ gives them
    the L0 of the run.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      seed: of directions, samples and the autoencoder.
      sae_kind: of a sparse autoencoder to train beside, one of `comparison.sae.KINDS`.
      sae_rows: rows that it is trained on.
    """
    n_factors, d_model = trained.factors.shape
    windows = opened.windows()
    wanted = max(_L0_ROWS, 8 * n_factors, sae_rows if sae_kind else 0)
    rows = encoding.sample_rows(
        opened, trained, windows, windows.train, count=wanted, seed=seed
    )
    solver = trained.solver(opened.config.solver)

    def lasso(factors: np.ndarray, l1_penalty: float) -> Codes:
        return lambda x: (
            encode_rows(
                x,
                factors,
                l1_penalty=l1_penalty,
                solver=solver.solver,
                tolerance=solver.tolerance,
                max_steps=solver.max_steps,
                output="sparse",
            ).codes
        )

    codes: dict[str, Codes] = {FACTORS: lasso(trained.factors, solver.l1_penalty)}
    sample = rows[:_L0_ROWS]
    l0 = codes[FACTORS](sample).nnz / len(sample)
    keys = jax.random.split(jax.random.key(seed))
    factors = np.asarray(
        dictionary_lib.initialise_from_samples(
            jnp.asarray(rows[: 8 * n_factors]), n_factors=n_factors, key=keys[0]
        )
    )
    codes[SAMPLES] = lasso(
        factors, float(sparse_coding.for_l0(sample, factors, target_l0=l0))
    )
    if sae_kind is not None:
        codes[SAE] = _sae_codes(
            rows[:sae_rows], kind=sae_kind, n_factors=n_factors, l0=l0, seed=seed
        )
    name = "/".join(pathlib.PurePath(trained.model).parts[-2:])
    return Probed(
        factors=trained.factors,
        random_directions=np.asarray(
            dictionary_lib.initialise_normal(
                keys[1], n_factors=n_factors, d_model=d_model
            )
        ),
        codes=codes,
        source=f"{name}, {n_factors:,} factors, L0 {l0:.1f}",
    )


def _sae_codes(
    rows: np.ndarray, *, kind: str, n_factors: int, l0: float, seed: int
) -> Codes:
    trained = train_sae.train(
        jnp.asarray(rows),
        config=sae.SAEConfig(
            kind=kind,
            n_factors=n_factors,
            target_l0=max(round(l0), 1),
            num_passes=_SAE_PASSES,
            seed=seed,
        ),
    )
    return lambda x: csr.from_dense(np.asarray(trained.codes(jnp.asarray(x))))
