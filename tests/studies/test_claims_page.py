"""The page of claims holds what the results hold, and nothing else."""

import json

import pytest
import scripts

from experiments import claims_page as script
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import claims, environment
from tfvis_jax.studies import claims_page


def _write(folder, name, *verdicts):
    found = [
        claims.Claim(f"{name} {i}.", "share", 0.123 + i, (0.1, 0.2), {}, verdict, "So.")
        for i, verdict in enumerate(verdicts)
    ]
    document = environment.describe("test") | {"claims": [c.to_json() for c in found]}
    (folder / f"{name}.json").write_text(json.dumps(document))
    report = f"figures of {name}\n\n{claims.table(found)}\n\nmore figures\n"
    (folder / f"{name}.md").write_text(report)


def test_page_counts_verdicts_and_shows_every_experiment(tmp_path):
    _write(tmp_path, "patterns", "holds", "not decided by this test")
    _write(tmp_path, "left", "holds")
    (tmp_path / "patterns.png").write_bytes(b"a plot")
    page = tmp_path / "docs" / "paper.md"
    scripts.run(script, results=tmp_path, out=page)
    text = page.read_text()
    assert "Of 3 claims: 2 holds, 1 not decided by this test." in text
    assert text.index("## Word senses: left\n") < text.index("## Sentence patterns")
    assert "figures of patterns" in text
    # In the table of all claims, and in that of the experiment.
    assert text.count("1.12 [0.1, 0.2]") == 2
    assert text.count("more figures") == 2
    assert "(paper/patterns.png)" in text
    assert "left.png" not in text
    assert (page.parent / "paper" / "patterns.png").read_bytes() == b"a plot"


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="make paper"):
        claims_page.read(tmp_path)
