"""The levels of a run's factors, from what is known about them."""

from tfvis_jax.examples import results as results_lib
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import gathering, level_file, rule


def of_results(results: results_lib.Results) -> list[rule.Level]:
    """Returns the level of every factor of a run.

    What `tfvis levels` has measured on the run's examples is used; for factors that it
    has not measured, the examples alone.

    Args:
      results: results of the run, with examples.

    Raises:
      InputError: the file of the evidence is damaged, or there are no examples.
    """
    return [rule.judge(each) for each in evidence_of(results)]


def evidence_of(results: results_lib.Results) -> list[evidence_lib.Evidence]:
    """Returns the evidence about every factor; arguments and errors of `of_results`."""
    examples = results.examples
    try:
        found = level_file.load(results.directory.levels, examples).evidence
    except level_file.NotMeasured:
        found = gathering.of_examples(results)
    return [each or evidence_lib.Evidence(0, None) for each in found]
