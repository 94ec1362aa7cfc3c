"""Meshes by name and number, and which rows a process reads."""

import jax
import numpy as np
import pytest

from tfvis_jax import sharding
from tfvis_jax.errors import InputError


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("data=-1", (8, 1)),
        ("data=-1,factor=2", (4, 2)),
        ("factor=-1, data=2", (2, 4)),
        ("data=8,factor=1", (8, 1)),
        ("factor=-1", (1, 8)),
        ("data=1", (1, 1)),
    ],
)
def test_sizes_of_a_mesh(text, sizes):
    assert sharding.parse(text, num_devices=8) == sizes
    assert sharding.make_mesh(*sizes).shape == {"data": sizes[0], "factor": sizes[1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows=2", "such as"),
        ("data", "such as"),
        ("data=two", "such as"),
        ("data=²", "such as"),
        ("factor=2,factor=4", "such as"),
        ("data=-1,factor=-1", "at most 8"),
        ("data=-1,factor=3", "divide 8"),
        ("data=3,factor=3", "at most 8"),
        ("data=0", "at most 8"),
    ],
)
def test_meshes_that_make_no_sense(text, message):
    with pytest.raises(InputError, match=message):
        sharding.parse(text, num_devices=8)


@pytest.mark.parametrize(
    ("num_parts", "devices"), [(1, 1), (8, 8), (12, 6), (7, 7), (13, 1), (256, 8)]
)
def test_the_widest_mesh_holds_whole_parts(num_parts, devices):
    assert sharding.widest(num_parts=num_parts).shape["data"] == devices


@pytest.mark.parametrize("sizes", [(8, 1), (4, 2), (2, 4), (1, 8)])
def test_arrays_come_back_as_they_went(sizes):
    mesh = sharding.make_mesh(*sizes)
    array = np.arange(16 * 3, dtype=np.float32).reshape(16, 3)
    rows = sharding.local_rows(mesh, size=16)
    # One process has all of them.
    np.testing.assert_array_equal(rows, np.arange(16))
    placed = sharding.place_rows(mesh, {"x": array[rows]}, size=16)
    split = sharding.place(mesh, array, sharding.factors(mesh))
    assert len(placed["x"].addressable_shards) == 8
    shapes = {shard.data.shape for shard in split.addressable_shards}
    assert shapes == {(16 // sizes[1], 3)}
    for found in (placed["x"], split):
        np.testing.assert_array_equal(sharding.fetch(found), array)


def test_one_process_needs_no_others():
    assert sharding.is_first_process()
    assert sharding.any_process(True) and not sharding.any_process(False)
    sharding.wait_for_all("anything")
    assert sharding.one_device().devices.item() == jax.devices()[0]
