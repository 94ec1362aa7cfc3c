"""Damaged folders of autoencoders are refused by an InputError, however damaged."""

import fuzzing
import numpy as np
import pytest

from interop import saelens_folders, test_sparsify
from tfvis_jax.interop import saelens, sparsify

pytestmark = pytest.mark.fuzz
_X = np.ones((3, saelens_folders.D_IN), np.float32)


def _use(read):
    codes = np.asarray(read.encode(_X)) if read.d_in == _X.shape[1] else np.zeros(1)
    arrays = (read.W_enc, read.b_enc, read.b_dec, read.magnitude_weight)
    largest = max(np.abs(array).max() for array in arrays if array is not None)
    # Numbers as large as these overflow in products and sums.
    assert np.isfinite(codes).all() or largest > 1e30
    _ = read.place, read.about.notes


@pytest.mark.parametrize("architecture", ["topk", "jumprelu", "batchtopk"])
def test_folders_of_saelens(fuzz, tmp_path, architecture):
    folder = saelens_folders.make(tmp_path / "whole", architecture)
    originals = fuzzing.files_of(folder)
    fuzz.run(
        originals, lambda path, changed, rng: _use(saelens.read(path)), inputs=1300
    )


def test_folders_of_sparsify(fuzz, tmp_path):
    folder = test_sparsify.write(
        tmp_path / "whole", test_sparsify.settings(), test_sparsify.arrays()
    )
    originals = fuzzing.files_of(folder)
    fuzz.run(
        originals, lambda path, changed, rng: _use(sparsify.read(path)), inputs=1200
    )
