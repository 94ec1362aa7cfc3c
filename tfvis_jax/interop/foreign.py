"""A sparse autoencoder of another tool, as its files define it.

    x₀ = normalised x − a b_dec           a: 1 or 0, `apply_b_dec_to_input`
    α = f(x₀ W_enc + b_enc)               f: as `runs.linear_encoder` says
    x̂ = what undoes the normalisation of α W_dec + b_dec

The names of the arrays are those that these tools share.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.interop import hooks
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.runs import linear_encoder, trained_dictionary

# No normalisation; each row less its mean, divided by its standard deviation; each row
# to norm √d_in.
NORMALISATIONS = ("none", "layer_norm", "constant_norm_rescale")
_LAYER_NORM_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What the files say of an autoencoder.

    Attributes:
      tool: that wrote the files.
      architecture: as the tool names it; of training, where the files say so.
      model: name of the model; "" if the files do not say it.
      hook: name of the place in the model; "" if the files do not say it.
      notes: sentences on what the files leave open.
    """

    tool: str
    architecture: str
    model: str = ""
    hook: str = ""
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ForeignEncoder:
    """A sparse autoencoder of another tool.

    Attributes:
      W_enc: [d_in, n_factors] float32.
      b_enc: [n_factors] float32; of kind "gated" the bias of the gate.
      W_dec: [n_factors, d_in] float32.
      b_dec: [d_in] float32.
      kind: of the nonlinearity, one of `runs.linear_encoder.KINDS`.
      k: how many factors of a row may fire, of kind "topk"; else None.
      threshold: [n_factors] float32 of kind "jumprelu", also of what was trained as
        BatchTopK; else None.
      magnitude_weight: [n_factors] float32 of kind "gated", exp(r_mag); else None.
      magnitude_bias: [n_factors] float32 of kind "gated", b_mag; else None.
      apply_b_dec_to_input: whether rows are centred by b_dec before they are encoded.
      normalize_activations: one of `NORMALISATIONS`.
      about: what else the files say.
    """

    W_enc: np.ndarray
    b_enc: np.ndarray
    W_dec: np.ndarray
    b_dec: np.ndarray
    kind: str
    k: int | None = None
    threshold: np.ndarray | None = None
    magnitude_weight: np.ndarray | None = None
    magnitude_bias: np.ndarray | None = None
    apply_b_dec_to_input: bool = True
    normalize_activations: str = "none"
    about: About

    def __post_init__(self) -> None:
        d_in, n_factors = self.W_enc.shape
        why = linear_encoder.wrong(
            self._encoder(self.b_enc), d_model=d_in, n_factors=n_factors
        )
        if not why and self.normalize_activations not in NORMALISATIONS:
            why = (
                f"Expected `normalize_activations` among {NORMALISATIONS}, got "
                f"{self.normalize_activations!a}"
            )
        for name, shape in (("W_dec", (n_factors, d_in)), ("b_dec", (d_in,))):
            array = getattr(self, name)
            is_good = array.shape == shape and array.dtype == np.float32
            if not why and not (is_good and np.isfinite(array).all()):
                why = (
                    f"Expected `{name}` as finite float32 of shape {shape}, got "
                    f"{array.dtype} of shape {array.shape}"
                )
        if why:
            raise InputError(f"{why}. The autoencoder cannot be used.")

    @property
    def d_in(self) -> int:
        """Width of the hidden states."""
        return self.W_enc.shape[0]

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return self.W_enc.shape[1]

    @property
    def place(self) -> hooks.Place | None:
        """Where in the model the hook is; None if the files do not name it.

        Raises:
          InputError: the hook has no place in a run.
        """
        return hooks.place_of(self.about.hook)

    def encode(self, x: jax.typing.ArrayLike) -> jax.Array:
        """Returns the codes [rows, n_factors], as the tool itself computes them.

        Args:
          x: [rows, d_in] hidden states as the model gives them.

        Raises:
          InputError: ``x`` has another width.
        """
        x = jnp.asarray(x, jnp.float32)
        if x.ndim != 2 or x.shape[1] != self.d_in:
            raise InputError(
                f"Expected `x` of shape [rows, {self.d_in}], got {list(x.shape)}."
            )
        normalised, _, _ = self._normalised(x)
        if self.apply_b_dec_to_input:
            normalised = normalised - jnp.asarray(self.b_dec)[None]
        return self._encoder(self.b_enc).codes(normalised)

    def reconstruct(self, x: jax.typing.ArrayLike) -> jax.Array:
        """Returns x̂ [rows, d_in] of hidden states ``x`` [rows, d_in]."""
        x = jnp.asarray(x, jnp.float32)
        _, mean, size = self._normalised(x)
        decoded = jnp.matmul(self.encode(x), self.W_dec, precision="highest")
        return mean + size * (decoded + jnp.asarray(self.b_dec)[None])

    def as_trained(
        self, *, model: str, place: hooks.Place
    ) -> trained_dictionary.TrainedDictionary:
        """Returns the autoencoder as the dictionary of a run.

        Factors are the decoder's rows at norm 1, and a factor's activation is that of
        the tool times the row's norm: what the factor adds to the hidden state is the
        same, and activations of all factors are comparable, as they are in the codes
        of a solver.

        Args:
          model: folder or hub name of the model.
          place: what is encoded.

        Raises:
          InputError: rows are normalised one by one, so that what is reconstructed is
            no sum of the same factors in all rows; or numbers are too large for
            float32.
        """
        if self.normalize_activations != "none":
            raise InputError(
                "Expected an autoencoder of hidden states as they are, got one with "
                f"normalize_activations {self.normalize_activations!r}, which rescales "
                "every row, so that its factors have no common scale. "
                "`ForeignEncoder.encode` computes its codes."
            )
        norms = np.linalg.norm(self.W_dec.astype(np.float64), axis=1)
        unit = self.W_dec / np.where(norms > 0, norms, 1)[:, None]
        # What is too large for float32 is found below.
        with np.errstate(over="ignore", invalid="ignore"):
            scale = norms.astype(np.float32)
            encoder = dataclasses.replace(self._encoder(self.b_enc), scale=scale)
            if not self.apply_b_dec_to_input:
                # The encoder of a run sees rows that are centred by b_dec in any case.
                by = self.b_dec.astype(np.float64) @ self.W_enc
                encoder = _shifted(encoder, by=by)
        why = linear_encoder.wrong(encoder, d_model=self.d_in, n_factors=self.n_factors)
        if why:
            raise InputError(f"{why}. The autoencoder cannot be used.")
        identity = np.eye(self.d_in, dtype=np.float32)
        return trained_dictionary.TrainedDictionary(
            factors=unit.astype(np.float32),
            layer_scale=np.ones(1, np.float32),
            layers=(place.layer,),
            site=place.site,
            model=model,
            l1_penalty=None,
            whitening=whitening_lib.Whitening(
                mean=self.b_dec[None],  # pyright: ignore[reportArgumentType]
                matrix=identity,  # pyright: ignore[reportArgumentType]
                inverse=identity,  # pyright: ignore[reportArgumentType]
            ),
            encoder=encoder,
        )

    def _encoder(self, bias: np.ndarray) -> linear_encoder.LinearEncoder:
        """Returns the encoder of rows that have been normalised and centred."""
        return linear_encoder.LinearEncoder(
            weight=self.W_enc,
            bias=bias,
            scale=np.ones(self.n_factors, np.float32),
            kind=self.kind,
            k=self.k,
            threshold=self.threshold,
            magnitude_weight=self.magnitude_weight,
            magnitude_bias=self.magnitude_bias,
        )

    def _normalised(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns z with x = mean + size · z, up to ε, and mean and size [rows, 1]."""
        zero = jnp.zeros((len(x), 1), x.dtype)
        if self.normalize_activations == "layer_norm":
            mean = jnp.mean(x, axis=1, keepdims=True)
            size = jnp.std(x, axis=1, keepdims=True, ddof=1)
            return (x - mean) / (size + _LAYER_NORM_EPSILON), mean, size
        if self.normalize_activations == "constant_norm_rescale":
            size = jnp.linalg.norm(x, axis=1, keepdims=True) / self.d_in**0.5
            return x / size, zero, size
        return x, zero, zero + 1


def _shifted(
    encoder: linear_encoder.LinearEncoder, *, by: np.ndarray
) -> linear_encoder.LinearEncoder:
    """Returns the encoder with ``by`` [n_factors] added to every y W."""
    bias = (encoder.bias + by).astype(np.float32)
    if encoder.kind != "gated":
        return dataclasses.replace(encoder, bias=bias)
    magnitude = encoder.magnitude_bias + by * encoder.magnitude_weight
    return dataclasses.replace(
        encoder, bias=bias, magnitude_bias=magnitude.astype(np.float32)
    )
