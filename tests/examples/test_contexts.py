"""Test excerpts of contexts."""

from tfvis_jax.examples import contexts


def _excerpt(before, after, *, width):
    example = contexts.Example(before, "left", after, 0.5, "a document", 0, 0)
    return example.excerpt(width=width)


def test_excerpts_are_cut_between_words():
    assert _excerpt("He ", ".", width=10) == "He [left]."
    assert _excerpt("", "", width=0) == "[left]"
    assert _excerpt("They have ", " the bank.", width=6) == "… have [left] the …"
    assert (
        _excerpt("They have ", " the bank.", width=10) == "They have [left] the bank."
    )
    assert _excerpt("They have ", "", width=0) == "… [left]"
    # Where there is no space, inside of them.
    assert _excerpt("山田太郎は", "を出た", width=2) == "… 郎は[left]を出 …"
