"""Damaged codes are read or refused by an InputError, however they are damaged."""

import fuzzing
import numpy as np
import pytest

from tfvis_jax import codes, pipeline
from tfvis_jax.codes import blocks, stored

pytestmark = pytest.mark.fuzz


@pytest.fixture(scope="module")
def written(run, other_text, tmp_path_factory):
    """Codes in several blocks, with rows."""
    folder = tmp_path_factory.mktemp("fuzz") / "codes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK_TOKENS_WITH_ROWS", 200)
        pipeline.write_codes(
            run[0].run.path, [str(other_text)], folder, layers=[1, 2], with_rows=True
        )
    files = fuzzing.files_of(folder, but=("tokens",))
    return {name: content for name, content in files.items() if ".lock" not in name}


def test_codes(fuzz, written):
    def read(folder, changed, rng):
        if "settings.json" in changed:
            stored.CodesFolder(folder).check({"layers": [1, 2]})
        found = codes.load(folder, layers=rng.choice((None, [1])))
        rows = len(found.tokens)
        for layer in found.layers:
            part = found.codes[layer]
            assert part.shape == (rows, 24) and len(found.gap[layer]) == rows
            # SciPy reads outside of an array whose indices are too large.
            assert np.isfinite(part @ np.ones(24, np.float32)).all()
            assert found.x is None or found.x[layer].shape == (rows, 16)
        document = int(found.tokens.document[-1])
        found.rows_of(document, 0, len(found.documents.text[document]))
        found.tokens.is_any_of(["bank"])
        assert all(isinstance(word, str) for word in found.tokens.word[:20])

    fuzz.run(written, read, inputs=85)
