"""What scikit-learn expects of every estimator, without importing it.

An estimator stores its settings as they are given and checks them when it is fitted.
scikit-learn's own classes of exceptions and warnings are used where somebody has
imported it, and only there can anybody catch them.
"""

import inspect
import sys
import warnings
from typing import Any, Self

import numpy as np
import scipy.sparse

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import checks

_CONTAINERS = ("default", "pandas")


class Estimator:
    """Parameters, tags and the checks of rows."""

    n_features_in_: int
    tolerance: float
    _requires_fit = True

    @classmethod
    def _names(cls) -> list[str]:
        return list(inspect.signature(cls.__init__).parameters)[1:]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the settings by name; ``deep`` changes nothing."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Changes settings; takes effect when the estimator is next fitted or used.

        Raises:
          InputError: a name is no setting.
        """
        unknown = set(params) - set(self._names())
        if unknown:
            raise InputError(
                f"Expected settings of {type(self).__name__}, which are "
                f"{', '.join(self._names())}; got {', '.join(sorted(unknown))}."
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        changed = []
        for name, value in self.get_params().items():
            if np.ndim(value):
                changed.append(f"{name}=<{' × '.join(map(str, np.shape(value)))}>")
            elif value is not parameters[name].default:
                changed.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """Returns scikit-learn's description of what the estimator can do."""
        # Only scikit-learn asks for its tags.
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float32"]),
            classifier_tags=None,
            regressor_tags=None,
            requires_fit=self._requires_fit,
        )

    def set_output(self, *, transform: str | None = None) -> Self:
        """Chooses what `transform` returns.

        Args:
          transform: "default" for arrays, "pandas" for data frames with the names of
            `get_feature_names_out`; None changes nothing.

        Raises:
          InputError: another name.
        """
        if transform is not None:
            if transform not in _CONTAINERS:
                raise InputError(
                    f"Expected `transform` to be one of {_CONTAINERS}, got "
                    f"{transform!r}."
                )
            self._sklearn_output_config = {"transform": transform}
        return self

    def _in_container(self, codes: Any, rows: Any, names: np.ndarray) -> Any:
        """Returns codes in the container that `set_output` chose."""
        config = getattr(self, "_sklearn_output_config", {})
        if config.get("transform") != "pandas":
            return codes
        if scipy.sparse.issparse(codes):
            raise InputError(
                'Expected `output="dense"` for data frames, got "sparse"; call '
                '`set_output(transform="default")` or change `output`.'
            )
        # Only who has asked for a data frame needs pandas.
        import pandas  # pyright: ignore[reportMissingImports]

        index = rows.index if isinstance(rows, pandas.DataFrame) else None
        return pandas.DataFrame(codes, index=index, columns=names)

    def _check_rows(self, rows: Any, *, n_features: int | None) -> np.ndarray:
        """Returns rows as an array of [rows, d_model], in the type that they have.

        Memory-mapped rows stay on disk. Values are checked when they are read.

        Args:
          rows: what a user gave.
          n_features: how many there must be; None learns it from the rows.
        """
        if scipy.sparse.issparse(rows):
            raise InputError(
                f"Expected dense rows, got a sparse {type(rows).__name__}; convert it "
                "with `.toarray()`."
            )
        checks.check_not_masked("X", rows)
        try:
            array = np.asarray(rows)
            if array.dtype.kind == "O":
                array = array.astype(np.float64)
        except ValueError as error:
            raise InputError(f"Expected rows of numbers: {error}.") from error
        if array.dtype.kind == "c":
            raise InputError("Complex data not supported: expected real rows.")
        if array.dtype.kind not in "biuf":
            raise InputError(f"Expected rows of numbers, got {array.dtype}.")
        if array.ndim != 2:
            raise InputError(
                f"Expected 2D array of [rows, d_model], got shape {array.shape}. "
                "Reshape your data: `.reshape(1, -1)` makes one row of it."
            )
        for number, what in zip(array.shape, ("sample", "feature"), strict=True):
            if number == 0:
                raise InputError(
                    f"Found array with 0 {what}(s) (shape={array.shape}) while a "
                    "minimum of 1 is required."
                )
        if n_features not in (None, array.shape[1]):
            raise InputError(
                f"X has {array.shape[1]} features, but {type(self).__name__} is "
                f"expecting {n_features} features as input."
            )
        self._check_names(rows, reset=n_features is None)
        if n_features is None:
            self.n_features_in_ = array.shape[1]
        return array

    def _check_names(self, rows: Any, *, reset: bool) -> None:
        """Remembers the columns of a data frame, or compares them."""
        names = getattr(rows, "columns", None)
        if names is None or not all(isinstance(name, str) for name in names):
            names = None
        if reset:
            self.__dict__.pop("feature_names_in_", None)
            if names is not None:
                self.feature_names_in_ = np.asarray(names, dtype=object)
            return
        known = getattr(self, "feature_names_in_", None)
        if names is not None and known is not None and list(names) != list(known):
            raise InputError(
                "The feature names should match those that were passed during fit: "
                f"expected {list(known)}, got {list(names)}."
            )

    def _not_fitted(self) -> InputError:
        """Returns the exception to raise where `fit` has not been called."""
        kind = _shared_class("NotFittedError", InputError, AttributeError)
        return kind(
            f"This {type(self).__name__} is not fitted yet: expected a call of `fit` "
            "before it is used."
        )

    def _warn_not_converged(self, number: int, total: int) -> None:
        if number:
            kind = _shared_class("ConvergenceWarning", UserWarning)
            warnings.warn(
                f"{number} of {total} rows did not converge to a duality gap of "
                f"{self.tolerance}; raise `max_steps` or `tolerance`.",
                kind,
                stacklevel=3,
            )


def _shared_class(name: str, *ours: type) -> type:
    """Returns a class that is also scikit-learn's of that name, where it is loaded."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), name, None)
    if theirs is None:
        return type(name, ours, {})
    others = [kind for kind in ours if not issubclass(theirs, kind)]
    return type(name, (*others, theirs), {})
