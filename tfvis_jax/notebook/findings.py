"""Derive levels, labels, word counts and saliency maps from the results of a run."""

import functools
from typing import Any

from tfvis_jax import levels as levels_lib
from tfvis_jax import models, saliency
from tfvis_jax.description import labels as labels_lib
from tfvis_jax.description import vocabulary
from tfvis_jax.description import word_counts as word_counts_lib
from tfvis_jax.errors import InputError
from tfvis_jax.examples import results as results_lib


class Findings(results_lib.Results):
    """The results of a run and what is derived from them, computed on first use."""

    @functools.cached_property
    def levels(self) -> list[levels_lib.Level]:
        """The level of every factor, low, mid, high or unclear, with the reason."""
        return levels_lib.of_results(self)

    @functools.cached_property
    def labels(self) -> dict[int, labels_lib.FactorLabel]:
        """The user-supplied labels that `tfvis labels` imported, by factor."""
        return labels_lib.load(self.directory.labels, self.trained)

    @functools.cached_property
    def word_counts(self) -> word_counts_lib.WordCounts:
        """Counts of words and n-grams in the corpus."""
        return word_counts_lib.of_windows(self.windows)

    @functools.cached_property
    def masked_lm_head(self) -> vocabulary.Head | None:
        """The model's masked-LM head; None if it has none or cannot be found."""
        # Asked before the model is loaded, which takes long and may not be needed.
        try:
            has_head = models.has_masked_lm_head(self.config.model)
        except InputError:
            return None
        return vocabulary.open_head(self.opened, self.windows) if has_head else None

    def explain_target(
        self, target: saliency.Target, *, layer: int, **settings: Any
    ) -> saliency.Explanation:
        """Explains one target; arguments are those of `saliency.explain`."""
        [explanation] = saliency.explain(
            self.opened, self.trained, [target], layer=layer, **settings
        )
        return explanation
