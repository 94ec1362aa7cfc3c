"""The mesh: which device holds which rows and factors. Only this file names its axes.

Rows are split over `DATA`, the dictionary and the codes over `FACTOR`. Everything below
follows the layout of the arrays that it is given.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from tfvis_jax.errors import InputError

DATA, FACTOR = "data", "factor"
Tree = TypeVar("Tree")
_NUMBER = re.compile("-?[0-9]{1,9}")


def parse(text: str, *, num_devices: int) -> tuple[int, int]:
    """Reads a mesh such as ``data=-1,factor=2``; -1 is what the other axis leaves.

    Args:
      text: sizes of the axes; one that is not named has size 1.
      num_devices: how many there are.

    Returns:
      The sizes of `DATA` and `FACTOR`.

    Raises:
      InputError: another axis, one named twice, no number, or more devices than there
        are.
    """
    given = {}
    for part in text.split(","):
        name, _, size = part.strip().partition("=")
        if name not in (DATA, FACTOR) or name in given or not _NUMBER.fullmatch(size):
            raise InputError(
                f"Expected a mesh such as `{DATA}=-1,{FACTOR}=2`, got {text!r}."
            )
        given[name] = int(size)
    sizes = {DATA: 1, FACTOR: 1} | given
    known = math.prod(size for size in sizes.values() if size != -1)
    if list(sizes.values()).count(-1) == 1 and known > 0:
        if num_devices % known:
            raise InputError(
                f"Expected a mesh whose sizes divide {num_devices}, the number of "
                f"devices, where one of them is -1; got {text!r}."
            )
        sizes = {n: num_devices // known if s == -1 else s for n, s in sizes.items()}
    if min(sizes.values()) < 1 or math.prod(sizes.values()) > num_devices:
        raise InputError(
            f"Expected a mesh whose sizes multiply to at most {num_devices}, the "
            f"number of devices, got {text!r}. `{DATA}=-1` takes all that are left."
        )
    return sizes[DATA], sizes[FACTOR]


def make_mesh(data: int, factor: int) -> jax.sharding.Mesh:
    """Returns a mesh of that many devices, the first ones; of all in all processes.

    Raises:
      InputError: there are several processes, and devices would be left over.
    """
    size = data * factor
    if jax.process_count() > 1 and size != jax.device_count():
        raise InputError(
            f"Expected a mesh of all {jax.device_count()} devices of the "
            f"{jax.process_count()} processes, got {data} × {factor}."
        )
    devices = jax.devices()[:size]
    return jax.make_mesh((data, factor), (DATA, FACTOR), devices=devices)


def widest(*, num_parts: int) -> jax.sharding.Mesh:
    """Returns a mesh that splits the rows over as many devices as the parts allow.

    Args:
      num_parts: parts of a batch of windows; each device holds whole ones.
    """
    devices = jax.device_count()
    if jax.process_count() == 1:
        devices = max(n for n in range(1, devices + 1) if num_parts % n == 0)
    return make_mesh(devices, 1)


def one_device() -> jax.sharding.Mesh:
    """Returns the mesh of this process's first device."""
    return jax.make_mesh((1, 1), (DATA, FACTOR), devices=jax.local_devices()[:1])


def of_this_process(mesh: jax.sharding.Mesh | None) -> jax.sharding.Mesh:
    """Returns the devices of a mesh that are this process's, which all share rows.

    Args:
      mesh: from `make_mesh`; the process's first device if None.
    """
    if mesh is None:
        return one_device()
    devices = mesh.local_devices
    return jax.make_mesh((len(devices), 1), (DATA, FACTOR), devices=devices)


def check_sizes(
    mesh: jax.sharding.Mesh,
    *,
    n_factors: int,
    batch_size: int,
    num_parts: int,
    part_size: int,
) -> None:
    """Refuses a mesh that the sizes of a run do not divide by.

    Args:
      mesh: from `make_mesh`.
      n_factors: in the dictionary.
      batch_size: windows in a batch.
      num_parts: parts of a batch of windows that are drawn from alike.
      part_size: windows in a part.

    Raises:
      InputError: names the nearest sizes that do.
    """
    data, factor = mesh.shape[DATA], mesh.shape[FACTOR]
    if n_factors % factor:
        below = n_factors // factor * factor
        nearest = [n for n in (below, below + factor) if n]
        raise InputError(
            f"Expected `n_factors` to be a multiple of the {factor} devices that share "
            f"the dictionary, got {n_factors}; the nearest are "
            f"{' and '.join(map(str, nearest))}."
        )
    if num_parts % data:
        step = data * part_size
        nearest = max(1, round(batch_size / step)) * step
        raise InputError(
            f"Expected `windows_per_batch` to be a multiple of {part_size} for each of "
            f"the {data} devices that share the rows, {step} in all, got "
            f"{batch_size}; {nearest} would do."
        )


def rows(mesh: jax.sharding.Mesh) -> jax.P:
    """Returns how an array with rows or windows first is split."""
    return _along(mesh, DATA)


def factors(mesh: jax.sharding.Mesh) -> jax.P:
    """Returns how an array with factors first is split."""
    return _along(mesh, FACTOR)


def _along(mesh, axis):
    # An axis of one device splits nothing, and whole arrays have faster forms.
    return jax.P(axis) if mesh.shape[axis] > 1 else jax.P()


def local_rows(mesh: jax.sharding.Mesh, *, size: int) -> np.ndarray:
    """Returns which of ``size`` rows this process's devices hold, increasing."""
    layout = jax.NamedSharding(mesh, rows(mesh))
    places = layout.addressable_devices_indices_map((size,)).values()
    return np.unique(np.concatenate([np.arange(size)[index] for index, *_ in places]))


def place_rows(mesh: jax.sharding.Mesh, tree: Tree, *, size: int) -> Tree:
    """Puts this process's rows on its devices.

    Args:
      mesh: from `make_mesh`.
      tree: arrays whose first axis are the rows of `local_rows`.
      size: rows of all processes.
    """

    def place(local):
        shape = (size, *local.shape[1:])
        return jax.make_array_from_process_local_data(
            jax.NamedSharding(mesh, rows(mesh)), np.asarray(local), shape
        )

    return jax.tree.map(place, tree)


def place(mesh: jax.sharding.Mesh, tree: Tree, specs: Any) -> Tree:
    """Puts whole arrays, the same in every process, on the mesh.

    Args:
      mesh: from `make_mesh`.
      tree: arrays.
      specs: a `jax.P` for all of them, or a tree of them.
    """
    if isinstance(specs, jax.P):
        specs = jax.tree.map(lambda _: specs, tree)

    def place(array, spec):
        array = np.asarray(array)
        return jax.make_array_from_callback(
            array.shape, jax.NamedSharding(mesh, spec), lambda index: array[index]
        )

    return jax.tree.map(place, tree, specs)


def read_by_factor(
    mesh: jax.sharding.Mesh,
    read: Callable[[np.ndarray], np.ndarray],
    *,
    shape: tuple[int, ...],
) -> jax.Array:
    """Returns an array with factors first, of which each device is given its share.

    Args:
      mesh: from `make_mesh`.
      read: returns the rows of these numbers.
      shape: of the whole.
    """
    numbers = np.arange(shape[0])
    return jax.make_array_from_callback(
        shape, jax.NamedSharding(mesh, factors(mesh)), lambda at: read(numbers[at[0]])
    )


def make_by_factor(
    mesh: jax.sharding.Mesh, make: Callable[..., jax.Array], *inputs: jax.Array
) -> jax.Array:
    """Returns an array with factors first, of which each device makes its share.

    Args:
      mesh: from `make_mesh`.
      make: returns the whole, without regard to devices; XLA splits it.
      inputs: of `make`, with factors first.
    """
    # The same devices with axes that XLA may use as it likes, unlike those of `mesh`.
    automatic = jax.NamedSharding(
        jax.sharding.Mesh(mesh.devices, mesh.axis_names), factors(mesh)
    )
    made = jax.jit(make, out_shardings=automatic)(*jax.device_put(inputs, automatic))
    return jax.device_put(made, jax.NamedSharding(mesh, factors(mesh)))


def fetch(tree: Tree) -> Tree:
    """Returns whole arrays in the memory of every process."""

    def whole(array):
        if not array.is_fully_replicated:
            layout = jax.NamedSharding(array.sharding.mesh, jax.P())
            array = jax.device_put(array, layout)
        return np.asarray(array)

    return jax.tree.map(whole, tree)


def is_first_process() -> bool:
    """Returns whether this process writes what is written once."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Returns whether the flag is true in some process; all must ask together."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


@contextlib.contextmanager
def first_process_first(name: str) -> Iterator[None]:
    """Lets the first process run the block of this name before the others do."""
    if not is_first_process():
        wait_for_all(name)
    yield
    if is_first_process():
        wait_for_all(name)


def wait_for_all(name: str) -> None:
    """Waits until every process has come to the point of this name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
