# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUntypedBaseClass=false, reportUnknownParameterType=false
# pyright: reportMissingTypeArgument=false, reportUnnecessaryTypeIgnoreComment=false
"""Sparse inference as an architecture of SAELens, for folders of `saelens_writer`.

    import tfvis_jax.interop.saelens_plugin  # registers the architecture
    sae = sae_lens.SAE.load_from_disk("folder")

`encode` solves, for y = (x − b_dec) V and the run's dictionary D,

    minimise over α ≥ 0:  ½‖y − αD‖² + λ Σ α + ½μ‖α‖²

until the relative duality gap of every row is within the run's tolerance, by FISTA with
restarts; with μ, codes are multiplied by 1 + μ, as those of the run. V is the run's
whitening and layer scale; `decode` is α W_dec + b_dec, with W_dec = D V⁻¹.

This file needs PyTorch and sae-lens, and nothing else of the package imports it.
"""

import dataclasses
from typing import Any

import sae_lens
import torch

from tfvis_jax.errors import InputError
from tfvis_jax.interop.saelens_writer import ARCHITECTURE

# Steps between two looks at the duality gap.
_STEPS_AT_ONCE = 10


@dataclasses.dataclass
class SparseCodingSAEConfig(sae_lens.SAEConfig):
    """What `saelens_writer.write` puts into cfg.json.

    Attributes:
      l1_penalty: λ.
      l2_penalty: μ.
      tolerance: relative duality gap at which a row has converged.
      max_steps: steps at most.
    """

    l1_penalty: float = 0.0
    l2_penalty: float = 0.0
    tolerance: float = 1e-3
    max_steps: int = 500

    @classmethod
    def architecture(cls) -> str:
        """Returns the name under which the architecture is registered."""
        return ARCHITECTURE

    def __post_init__(self) -> None:
        super().__post_init__()
        # SAELens leaves out what cfg.json lacks, and the default is no penalty at all.
        if not self.l1_penalty > 0:
            raise InputError(
                f"Expected an l1_penalty above 0 in cfg.json, got {self.l1_penalty}. "
                "Write the folder again with `saelens_writer.write`."
            )


class SparseCodingSAE(sae_lens.SAE[SparseCodingSAEConfig]):
    """A dictionary whose codes are inferred, in place of an encoder's product."""

    factors: torch.nn.Parameter
    whitener: torch.nn.Parameter

    def initialize_weights(self) -> None:
        """Adds the dictionary D and V to the weights that every architecture has."""
        super().initialize_weights()
        d_in, d_sae = self.cfg.d_in, self.cfg.d_sae
        for name, shape in (("factors", (d_sae, d_in)), ("whitener", (d_in, d_in))):
            empty = torch.zeros(shape, dtype=self.dtype, device=self.device)
            setattr(self, name, torch.nn.Parameter(empty))

    @torch.no_grad()
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the codes [..., d_sae] of ``x`` [..., d_in]; no gradient flows."""
        rows = self.process_sae_in(x)
        y = rows.reshape(-1, rows.shape[-1]) @ self.whitener
        codes = infer(
            y,
            self.factors,
            l1_penalty=self.cfg.l1_penalty,
            l2_penalty=self.cfg.l2_penalty,
            tolerance=self.cfg.tolerance,
            max_steps=self.cfg.max_steps,
        )
        codes = (1 + self.cfg.l2_penalty) * codes
        return self.hook_sae_acts_post(codes.reshape(*rows.shape[:-1], -1))

    def decode(self, feature_acts: torch.Tensor) -> torch.Tensor:
        """Returns the hidden states [..., d_in] that codes [..., d_sae] stand for."""
        found = self.hook_sae_recons(feature_acts @ self.W_dec + self.b_dec)
        return self.reshape_fn_out(found, self.d_head)

    def fold_W_dec_norm(self) -> None:
        """Refuses: codes of a rescaled dictionary are those of another penalty."""
        raise NotImplementedError("λ is for factors of norm 1; they are not rescaled.")

    def fold_activation_norm_scaling_factor(self, scaling_factor: float) -> None:
        """Refuses, like `fold_W_dec_norm`: the scale is that of the run."""
        raise NotImplementedError("The run's scale is a part of `whitener`.")

    def fold_activation_whitening(self, *args: Any, **kwargs: Any) -> None:
        """Refuses, like `fold_W_dec_norm`: the whitening is that of the run."""
        raise NotImplementedError("The run's whitening is a part of `whitener`.")


def infer(
    y: torch.Tensor,
    factors: torch.Tensor,
    *,
    l1_penalty: float,
    l2_penalty: float,
    tolerance: float,
    max_steps: int,
) -> torch.Tensor:
    """Solves the non-negative elastic net by FISTA (Beck and Teboulle, 2009).

    A row's momentum starts again whenever it points uphill (O'Donoghue and Candès,
    2015), and a row is left alone once its gap is within the tolerance.

    Args:
      y: [rows, d_in].
      factors: [d_sae, d_in].
      l1_penalty: λ.
      l2_penalty: μ.
      tolerance: relative duality gap of a finished row.
      max_steps: steps at most.

    Returns:
      [rows, d_sae].
    """
    lipschitz = torch.linalg.matrix_norm(factors.float(), 2).square() + l2_penalty
    step = 1 / lipschitz.clamp(min=1e-12).to(y.dtype)
    found = y.new_zeros(len(y), len(factors))
    open_rows = torch.arange(len(y), device=y.device)
    alpha, point = found.clone(), found.clone()
    momentum = y.new_ones(len(y), 1)
    for start in range(0, max_steps, _STEPS_AT_ONCE):
        for _ in range(min(_STEPS_AT_ONCE, max_steps - start)):
            uphill = -(y - point @ factors) @ factors.T + l2_penalty * point
            new = (point - step * (uphill + l1_penalty)).clamp(min=0)
            restart = ((point - new) * (new - alpha)).sum(1, keepdim=True) > 0
            momentum = torch.where(restart, torch.ones_like(momentum), momentum)
            following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            point = new + (momentum - 1) / following * (new - alpha)
            alpha, momentum = new, following
        found[open_rows] = alpha
        gap = relative_gap(
            alpha, y, factors, l1_penalty=l1_penalty, l2_penalty=l2_penalty
        )
        going = gap > tolerance
        if not going.any():
            break
        open_rows, y, alpha = open_rows[going], y[going], alpha[going]
        point, momentum = point[going], momentum[going]
    return found


def relative_gap(
    codes: torch.Tensor,
    y: torch.Tensor,
    factors: torch.Tensor,
    *,
    l1_penalty: float,
    l2_penalty: float,
) -> torch.Tensor:
    """Returns how far codes are from the best, [rows], relative to ½‖y‖².

    `sparse_coding.objective` derives it.
    """
    residual = y - codes @ factors
    correlation = residual @ factors.T - l2_penalty * codes
    energy = residual.square().sum(1) + l2_penalty * codes.square().sum(1)
    largest = correlation.amax(1).clamp(min=l1_penalty)
    scale = l1_penalty / largest
    gap = (1 - scale).square() * energy / 2
    gap = gap + (codes * (l1_penalty - scale[:, None] * correlation)).sum(1)
    return gap / (y.square().sum(1) / 2).clamp(min=1e-30)


sae_lens.register_sae_class(ARCHITECTURE, SparseCodingSAE, SparseCodingSAEConfig)
