"""What of a layer can be probed: codes, their controls, and the hidden state itself."""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import sparse_coding
from tfvis_jax.codes import rows as rows_lib
from tfvis_jax.comparison import sae, train_sae
from tfvis_jax.estimators import csr, encode_rows
from tfvis_jax.runs import encoding, setup, trained_dictionary
from tfvis_jax.sparse_coding import dictionary as dictionary_lib

# Codes, in the order of reports.
FACTORS, SAE = "factors", "SAE"
SAMPLES, RANDOM = "sample factors", "random directions"
PROJECTIONS, HIDDEN = "projections", "hidden state"
RECONSTRUCTION, RESIDUAL = "reconstruction", "residual"
# Rows on which λ of the sample factors is found.
_L0_ROWS = 2048
_SAE_PASSES = 5
_BATCH_ROWS = 512

Codes = Callable[[np.ndarray], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Probed:
    """The dictionary of a run and what it is compared with, at equal size.

    Attributes:
      factors: [n_factors, d_model], those of the run.
      random_directions: [n_factors, d_model], unit rows.
      encode: from rows [rows, d_model] and their layer to codes and residuals.
      codes: for each other name the function from rows to codes.
      source: model, number of factors and L0 of the run, in words.
      settings: of the autoencoder, if there is one, and of the sample factors.
    """

    factors: np.ndarray
    random_directions: np.ndarray
    encode: Callable[[np.ndarray, int], rows_lib.RowCodes]
    codes: dict[str, Codes]
    source: str
    settings: dict[str, Any]

    def represent(
        self, rows: np.ndarray, names: Sequence[str], *, layer: int
    ) -> dict[str, Any]:
        """Computes representations of hidden states.

        Hidden state, reconstruction and residual are those of the model. All others
        come from whitened and scaled rows, as the factors do: they differ from them in
        the directions alone.

        Args:
          rows: [rows, d_model] float32 of `labelled_rows.scaled_rows`, of one layer.
          names: names of this module's constants.
          layer: the layer.

        Returns:
          For each name [rows, features], an array or a CSR matrix.
        """
        made: dict[str, Callable[[], Any]] = {
            PROJECTIONS: lambda: rows @ self.factors.T,
            RANDOM: lambda: rows @ self.random_directions.T,
        }
        found: dict[str, Any] = {}
        if {FACTORS, HIDDEN, RECONSTRUCTION, RESIDUAL} & set(names):
            coded = self.encode(rows, layer)
            found[FACTORS], found[HIDDEN] = coded.codes, coded.x
            found[RECONSTRUCTION] = coded.reconstruction
            found[RESIDUAL] = coded.residual
        for name in names:
            if name in self.codes:
                found[name] = self.codes[name](rows)
        return {name: found[name] if name in found else made[name]() for name in names}


def open_probed(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
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
                # One size: a word must not be the reason to compile again.
                batch_rows=_BATCH_ROWS,
            ).codes
        )

    def encode(scaled: np.ndarray, layer: int) -> rows_lib.RowCodes:
        return rows_lib.encode_rows(opened, trained, scaled, layer=layer)

    codes: dict[str, Codes] = {}
    l0 = _l0(opened, trained, seed=seed)
    sample = rows[:_L0_ROWS]
    keys = jax.random.split(jax.random.key(seed))
    factors = np.asarray(
        dictionary_lib.initialise_from_samples(
            jnp.asarray(rows[: 8 * n_factors]), n_factors=n_factors, key=keys[0]
        )
    )
    l1_penalty = float(sparse_coding.for_l0(sample, factors, target_l0=l0))
    codes[SAMPLES] = lasso(factors, l1_penalty)
    settings: dict[str, Any] = {"l0": l0, SAMPLES: {"l1_penalty": l1_penalty}}
    if sae_kind is not None:
        config = sae.SAEConfig(
            kind=sae_kind,
            n_factors=n_factors,
            target_l0=max(round(l0), 1),
            num_passes=_SAE_PASSES,
            seed=seed,
        )
        began = time.perf_counter()
        codes[SAE] = _sae_codes(rows[:sae_rows], config)
        settings[SAE] = {
            **dataclasses.asdict(config),
            "rows": len(rows[:sae_rows]),
            "seconds": round(time.perf_counter() - began, 1),
        }
    name = "/".join(pathlib.PurePath(trained.model).parts[-2:])
    return Probed(
        factors=trained.factors,
        random_directions=np.asarray(
            dictionary_lib.initialise_normal(
                keys[1], n_factors=n_factors, d_model=d_model
            )
        ),
        codes=codes,
        encode=encode,
        source=f"{name}, {n_factors:,} factors, L0 {l0:.1f}",
        settings=settings,
    )


def _l0(
    opened: setup.Setup, trained: trained_dictionary.TrainedDictionary, *, seed: int
) -> float:
    """Returns the mean number of active factors on the text of the run."""
    windows = opened.windows()
    chosen = np.random.default_rng(seed).permutation(windows.train)
    chosen = chosen[: opened.config.windows_per_batch]
    active, rows = 0, 0
    for _, layers in encoding.encode_windows(opened, trained, windows, chosen):
        for layer in layers:
            valid = np.asarray(layer.valid)
            active += np.count_nonzero(np.asarray(layer.codes)[valid])
            rows += np.count_nonzero(valid)
    return active / rows


def _sae_codes(rows: np.ndarray, config: sae.SAEConfig) -> Codes:
    trained = train_sae.train(jnp.asarray(rows), config=config)

    def codes(x: np.ndarray) -> Any:
        found = np.zeros((len(x), config.n_factors), np.float32)
        for start in range(0, len(x), _BATCH_ROWS):
            part = x[start : start + _BATCH_ROWS]
            padded = np.zeros((_BATCH_ROWS, x.shape[1]), np.float32)
            padded[: len(part)] = part
            found[start : start + len(part)] = np.asarray(
                trained.codes(jnp.asarray(padded))
            )[: len(part)]
        return csr.from_dense(found)

    return codes
