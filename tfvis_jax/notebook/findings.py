"""Derive levels, labels, word counts and saliency maps from the results of a run."""

import dataclasses
import functools
from typing import Any

from tfvis_jax import levels as levels_lib
from tfvis_jax import models, saliency
from tfvis_jax.description import factor_words, vocabulary
from tfvis_jax.description import labels as labels_lib
from tfvis_jax.description import word_counts as word_counts_lib
from tfvis_jax.errors import InputError
from tfvis_jax.examples import results as results_lib
from tfvis_jax.labelling import scores
from tfvis_jax.levels import judging
from tfvis_jax.runs import human_notes
from tfvis_jax.runs import ratings as ratings_lib


class Findings(results_lib.Results):
    """The results of a run and what is derived from them, computed on first use."""

    @functools.cached_property
    def computed_levels(self) -> list[levels_lib.Level]:
        """The level of every factor by the rule, with the reason."""
        return [levels_lib.judge(each) for each in self.level_evidence]

    @functools.cached_property
    def level_evidence(self) -> list[levels_lib.Evidence]:
        """What the rule knows of every factor, and what `tfvis levels` has measured."""
        return judging.evidence_of(self)

    @functools.cached_property
    def levels(self) -> list[levels_lib.Level]:
        """The level of every factor with the reason; one that a person set wins."""
        levels = list(self.computed_levels)
        for factor, note in self.notes.items():
            if note.level:
                rule = levels[factor]
                by = f"Set by {note.by or 'a person'}"
                reason = f"{by}; the rule says {rule.name}. {rule.reason}"
                levels[factor] = dataclasses.replace(
                    rule, name=note.level, reason=reason, is_guess=False
                )
        return levels

    @functools.cached_property
    def imported_labels(self) -> dict[int, labels_lib.FactorLabel]:
        """The user-supplied labels that `tfvis labels` imported, by factor."""
        return labels_lib.load(self.directory.labels, self.trained)

    @functools.cached_property
    def labels(self) -> dict[int, labels_lib.FactorLabel]:
        """The labels of factors: imported ones, and those of the page, which win."""
        given = {
            factor: labels_lib.FactorLabel(note.label, source=note.by or "a person")
            for factor, note in self.notes.items()
            if note.label
        }
        return self.imported_labels | given

    @functools.cached_property
    def label_scores(self) -> dict[int, list[scores.Scored]]:
        """How well labels say when factors fire, as `tfvis label` found, by factor."""
        return scores.load(
            self.directory.label_scores,
            dictionary_hash=self.trained.content_hash,
            n_factors=len(self.trained.factors),
        )

    @functools.cached_property
    def notes(self) -> dict[int, human_notes.Note]:
        """What people set on the page, by factor."""
        return human_notes.load(
            self.directory.notes,
            dictionary_hash=self.trained.content_hash,
            n_factors=len(self.trained.factors),
        )

    @functools.cached_property
    def ratings(self) -> list[ratings_lib.Rating]:
        """What people say on the page of which contexts fit a factor."""
        return ratings_lib.load(
            self.directory.ratings,
            dictionary_hash=self.trained.content_hash,
            n_factors=len(self.trained.factors),
        )

    @functools.cached_property
    def words(self) -> factor_words.FactorWords:
        """The words of each factor, the same in all that shows them."""
        return factor_words.FactorWords(self)

    @functools.cached_property
    def unnamed(self) -> str | None:
        """Why factors have no words, in a sentence; None if they have some."""
        try:
            _ = self.examples
        except InputError as error:
            return str(error)
        return None

    def name(self, factor: int) -> str:
        """Returns the label of a factor, or its first two words.

        Args:
          factor: index of the factor.

        Returns:
          "" if the factor never fires, or if the run has no examples yet.
        """
        if factor in self.labels:
            return self.labels[factor].text
        return "" if self.unnamed else self.words.name(factor)

    @functools.cached_property
    def word_counts(self) -> word_counts_lib.WordCounts:
        """Counts of words and n-grams in the corpus."""
        return word_counts_lib.of_windows(self.windows)

    @functools.cached_property
    def language_model_head(self) -> vocabulary.Head | None:
        """The model's language model head; None if it has none or cannot be found."""
        # Asked before the model is loaded, which takes long and may not be needed.
        try:
            has_head = models.head_of(self.config.model) is not None
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
