"""Labels by a language model, and scores of labels."""

from tfvis_jax.labelling.endpoint import Endpoint
from tfvis_jax.labelling.excerpts import Excerpt, Material, gather
from tfvis_jax.labelling.scores import Pooled, Score, Scored
from tfvis_jax.labelling.trials import Trials
from tfvis_jax.labelling.word_judge import WordJudge

__all__ = [
    "Endpoint",
    "Excerpt",
    "Material",
    "Pooled",
    "Score",
    "Scored",
    "Trials",
    "WordJudge",
    "gather",
]
