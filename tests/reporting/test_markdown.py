"""Tables line up and say where they were measured."""

from tfvis_jax.reporting import environment, tables


def test_columns_line_up_the_first_to_the_left():
    text = tables.markdown(("name", "n"), [("a", "1,000"), ("longer", "2")])
    assert text.splitlines() == [
        "| name   |     n |",
        "| ------ | ----: |",
        "| a      | 1,000 |",
        "| longer |     2 |",
    ]


def test_a_caption_says_where_it_was_measured():
    document = environment.describe("benchmarks.some.script")
    text = tables.captioned("Ten rows.", document, ("a", "b"), [("1", "2")])
    caption, empty, *table = text.splitlines()
    assert caption.startswith("Ten rows. ") and not empty and len(table) == 3
    assert f"{environment.num_cores()} cores of {environment.cpu_model()}" in caption
    assert document["versions"]["jax"] in caption
    assert caption.endswith(f"{document['date'][:10]}.")
    assert document["command"].startswith("python -m benchmarks.some.script")


def test_unknown_numbers_are_a_dash():
    assert tables.or_dash(None, ".1f") == "–"
    assert tables.or_dash(0.25, ".0%") == "25%"
