"""What is known of the factors of a run, beyond the tokens that fire them."""

import functools

from tfvis_jax import models
from tfvis_jax.description import labels as labels_lib
from tfvis_jax.description import vocabulary
from tfvis_jax.description import word_counts as word_counts_lib
from tfvis_jax.errors import InputError
from tfvis_jax.examples import results
from tfvis_jax.levels import rule
from tfvis_jax.saliency import explanation as explanation_lib
from tfvis_jax.saliency import target as target_lib


class Findings(results.Results):
    """Levels, labels, word counts and saliency maps of a run."""

    @functools.cached_property
    def levels(self) -> list[rule.Level]:
        """Low, mid, high or unclear, with the reason, for every factor."""
        return rule.of_run(self)

    @functools.cached_property
    def labels(self) -> dict[int, labels_lib.Label]:
        """What somebody calls the factors, as `tfvis labels` imported it."""
        return labels_lib.load(self.directory.labels, self.trained)

    @functools.cached_property
    def word_counts(self) -> word_counts_lib.WordCounts:
        """How often words and n-grams stand in the corpus."""
        return word_counts_lib.of_windows(self.windows)

    @functools.cached_property
    def masked_lm_head(self) -> vocabulary.Head | None:
        """The model's masked-LM head; None where it has none or is not at hand."""
        try:
            has_head = models.has_masked_lm_head(self.config.model)
        except InputError:
            return None
        return vocabulary.open_head(self.opened, self.windows) if has_head else None

    def explain_target(
        self, target: target_lib.Target, *, layer: int, **settings
    ) -> explanation_lib.Explanation:
        """Returns what makes a factor fire at a token; else as `explain`."""
        [explanation] = explanation_lib.explain(
            self.opened, self.trained, [target], layer=layer, **settings
        )
        return explanation
