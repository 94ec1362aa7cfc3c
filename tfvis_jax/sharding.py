"""Makes meshes and places arrays on them; the only module that names mesh axes.

Rows are split over `DATA`, the dictionary and the codes over `FACTOR`. All code below
this module follows the sharding of the arrays that it is given.
"""

import contextlib
import functools
import math
import re
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from tfvis_jax.errors import InputError

DATA, FACTOR = "data", "factor"
Tree = TypeVar("Tree")
# A mesh of devices, or its sizes alone.
AnyMesh = jax.sharding.Mesh | jax.sharding.AbstractMesh
# Of jax.Device, which type checkers cannot name: jaxlib has no stubs for it.
Devices = Sequence[Any]
_NUMBER = re.compile("-?[0-9]{1,9}")


def parse(text: str, *, num_devices: int) -> tuple[int, int]:
    """Parses a mesh such as ``data=-1,factor=2``; -1 uses all remaining devices.

    Args:
      text: sizes of the axes; an axis that is not named has size 1.
      num_devices: number of devices.

    Returns:
      The sizes of `DATA` and `FACTOR`.

    Raises:
      InputError: an axis is unknown, is named twice or has no number, or the mesh needs
        more devices than there are.
    """
    given = {}
    for part in text.split(","):
        name, _, size = part.strip().partition("=")
        if name not in (DATA, FACTOR) or name in given or not _NUMBER.fullmatch(size):
            raise InputError(
                f"Expected a mesh such as `{DATA}=-1,{FACTOR}=2`, got {text!r}; name "
                "each axis at most once."
            )
        given[name] = int(size)
    sizes = {DATA: 1, FACTOR: 1} | given
    known = math.prod(size for size in sizes.values() if size != -1)
    if list(sizes.values()).count(-1) == 1 and known > 0:
        if num_devices % known:
            raise InputError(
                f"Expected the sizes other than -1 to divide {num_devices}, the number "
                f"of devices, got {text!r}; choose a divisor."
            )
        sizes = {n: num_devices // known if s == -1 else s for n, s in sizes.items()}
    if min(sizes.values()) < 1 or math.prod(sizes.values()) > num_devices:
        raise InputError(
            f"Expected a mesh whose sizes multiply to at most {num_devices}, the "
            f"number of devices, got {text!r}; `{DATA}=-1` uses all that remain."
        )
    return sizes[DATA], sizes[FACTOR]


def make_mesh(data: int, factor: int) -> jax.sharding.Mesh:
    """Returns a mesh of the first ``data · factor`` devices of all processes.

    Args:
      data: number of devices that share the rows.
      factor: number of devices that share the dictionary.

    Raises:
      InputError: there are several processes, and the mesh does not use all devices.
    """
    size = data * factor
    if jax.process_count() > 1 and size != jax.device_count():
        raise InputError(
            f"Expected a mesh of all {jax.device_count()} devices of the "
            f"{jax.process_count()} processes, got {data} × {factor}; use `{DATA}=-1`."
        )
    # All processes must list the devices in the same order, as JAX does.
    devices = jax.devices()[:size]
    return jax.make_mesh((data, factor), (DATA, FACTOR), devices=devices)


def widest(*, num_parts: int) -> jax.sharding.Mesh:
    """Returns a mesh that splits the rows over as many devices as possible.

    Args:
      num_parts: number of parts of a batch of windows; each device holds whole parts.
    """
    devices = jax.device_count()
    # Several processes have to use all devices; `check_sizes` refuses what cannot work.
    if jax.process_count() == 1:
        devices = most_devices(num_parts=num_parts, num_devices=devices)
    return make_mesh(devices, 1)


def most_devices(*, num_parts: int, num_devices: int) -> int:
    """Returns how many of the devices can share the rows equally.

    Args:
      num_parts: number of parts of a batch of windows; each device holds whole parts.
      num_devices: number of devices.
    """
    return max(n for n in range(1, num_devices + 1) if num_parts % n == 0)


def one_device() -> jax.sharding.Mesh:
    """Returns a mesh of this process's first device alone."""
    return jax.make_mesh((1, 1), (DATA, FACTOR), devices=jax.local_devices()[:1])


def of_this_process(mesh: jax.sharding.Mesh | None) -> jax.sharding.Mesh:
    """Returns a mesh that splits the rows over this process's devices of a mesh.

    Args:
      mesh: from `make_mesh`; if None, the result is `one_device`.
    """
    if mesh is None:
        return one_device()
    devices = mesh.local_devices
    return jax.make_mesh((len(devices), 1), (DATA, FACTOR), devices=devices)


def check_sizes(
    mesh: AnyMesh,
    *,
    n_factors: int,
    batch_size: int,
    num_parts: int,
    part_size: int,
) -> None:
    """Refuses a mesh whose sizes do not divide those of a run.

    Args:
      mesh: from `make_mesh`, or its sizes alone.
      n_factors: number of factors in the dictionary.
      batch_size: number of windows in a batch.
      num_parts: number of parts of a batch of windows.
      part_size: number of windows in a part.

    Raises:
      InputError: the sizes do not divide; the message names the nearest that would.
    """
    data, factor = mesh.shape[DATA], mesh.shape[FACTOR]
    if n_factors % factor:
        below = n_factors // factor * factor
        nearest = [n for n in (below, below + factor) if n]
        raise InputError(
            f"Expected `n_factors` to be a multiple of the {factor} devices that share "
            f"the dictionary, got {n_factors}; use "
            f"{' or '.join(map(str, nearest))}."
        )
    if num_parts % data:
        step = data * part_size
        nearest = max(1, round(batch_size / step)) * step
        raise InputError(
            f"Expected `windows_per_batch` to be a multiple of {part_size} for each of "
            f"the {data} devices that share the rows, {step} in all, got "
            f"{batch_size}; use {nearest}."
        )


def rows(mesh: AnyMesh) -> jax.P:
    """Returns how to split an array whose first axis runs over rows or windows."""
    return _along(mesh, DATA)


def factors(mesh: AnyMesh) -> jax.P:
    """Returns how to split an array whose first axis runs over factors."""
    return _along(mesh, FACTOR)


def _along(mesh: AnyMesh, axis: str) -> jax.P:
    # An axis of one device splits nothing, and JAX handles unsplit arrays faster.
    return jax.P(axis) if mesh.shape[axis] > 1 else jax.P()


def local_rows(mesh: jax.sharding.Mesh, *, size: int) -> np.ndarray:
    """Returns which of ``size`` rows this process's devices hold, increasing."""
    layout = jax.NamedSharding(mesh, rows(mesh))
    places = layout.addressable_devices_indices_map((size,)).values()
    held = [np.arange(size)[place] for place in places if place is not None]
    return np.unique(np.concatenate(held))


def place_rows(mesh: jax.sharding.Mesh, tree: Tree, *, size: int) -> Tree:
    """Places this process's rows on its devices.

    Args:
      mesh: from `make_mesh`.
      tree: arrays whose first axis runs over the rows of `local_rows`.
      size: number of rows in all processes.
    """

    def place(local: np.ndarray) -> jax.Array:
        shape = (size, *local.shape[1:])
        return jax.make_array_from_process_local_data(
            jax.NamedSharding(mesh, rows(mesh)), np.asarray(local), shape
        )

    return jax.tree.map(place, tree)


@overload
def place(mesh: jax.sharding.Mesh, tree: np.ndarray, specs: jax.P) -> jax.Array: ...


@overload
def place(mesh: jax.sharding.Mesh, tree: Tree, specs: Any) -> Tree: ...


def place(mesh: jax.sharding.Mesh, tree: Any, specs: Any) -> Any:
    """Places whole arrays, which every process has, on the mesh.

    Args:
      mesh: from `make_mesh`.
      tree: arrays.
      specs: a `jax.P` for all arrays, or a tree of these.
    """
    if isinstance(specs, jax.P):
        specs = jax.tree.map(lambda _: specs, tree)

    def place(array: jax.typing.ArrayLike, spec: jax.P) -> jax.Array:
        whole = np.asarray(array)
        return jax.make_array_from_callback(
            whole.shape, jax.NamedSharding(mesh, spec), lambda index: whole[index]
        )

    return jax.tree.map(place, tree, specs)


def read_by_factor(
    mesh: jax.sharding.Mesh,
    read: Callable[[np.ndarray], np.ndarray],
    *,
    shape: tuple[int, ...],
) -> jax.Array:
    """Returns an array of factors, of which each device reads its own share.

    Args:
      mesh: from `make_mesh`.
      read: returns the factors of the given indices.
      shape: shape of the whole array, whose first axis runs over factors.
    """
    indices = np.arange(shape[0])

    def read_share(share: tuple[slice, ...] | None) -> np.ndarray:
        return read(indices if share is None else indices[share[0]])

    layout = jax.NamedSharding(mesh, factors(mesh))
    return jax.make_array_from_callback(shape, layout, read_share)


def make(
    mesh: jax.sharding.Mesh, work: Callable[..., Tree], *inputs: Any, specs: Tree
) -> Tree:
    """Returns arrays of which each device computes its own share.

    Args:
      mesh: from `make_mesh`.
      work: returns whole arrays, without regard to devices; XLA splits it.
      inputs: arguments of ``work``, arrays on the mesh or of the host.
      specs: a `jax.P` for each array of the result.
    """
    # The same devices with automatic axes, along which XLA chooses the sharding.
    automatic = jax.sharding.Mesh(mesh.devices, mesh.axis_names)

    def on(where: jax.sharding.Mesh) -> Tree:
        return jax.tree.map(lambda spec: jax.NamedSharding(where, spec), specs)

    def given(array: Any) -> Any:
        if not isinstance(array, jax.Array):
            return array
        spec = jax.typeof(array).sharding.spec
        return jax.device_put(array, jax.NamedSharding(automatic, spec))

    made = jax.jit(work, out_shardings=on(automatic))(*jax.tree.map(given, inputs))
    # Where that is a copy, as with several processes, it takes the place of the first.
    return jax.device_put(made, on(mesh), donate=True)


def fetch(tree: Tree) -> Tree:
    """Copies arrays as a whole into the memory of every process."""

    def whole(array: jax.Array) -> np.ndarray:
        # Arrays of the host are whole, and NumPy joins the shares of own devices.
        layout = getattr(array, "sharding", None)
        if isinstance(layout, jax.NamedSharding) and not (
            array.is_fully_replicated or array.is_fully_addressable
        ):
            # Gathers the shares of all processes, on each of the devices.
            array = jax.device_put(array, jax.NamedSharding(layout.mesh, jax.P()))
        return np.asarray(array)

    return jax.tree.map(whole, tree)


def is_first_process() -> bool:
    """Returns whether this process writes the files that are written once."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Returns whether the flag is True in any process; all processes must call this."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def of_first_process(number: float) -> float:
    """Returns the first process's number in all; all processes must call this."""
    if jax.process_count() == 1:
        return number
    return float(multihost_utils.broadcast_one_to_all(np.float64(number)))


@contextlib.contextmanager
def first_process_first(name: str) -> Generator[None, None, None]:
    """Runs the block in the first process before the others; all must enter it."""
    if not is_first_process():
        wait_for_all(name)
    yield
    if is_first_process():
        wait_for_all(name)


def wait_for_all(name: str) -> None:
    """Waits until every process has reached the point of this name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def side_by_side(devices: Devices) -> jax.sharding.Mesh:
    """Returns a mesh for `on_each`, on which every device has work of its own.

    Args:
      devices: of this process.
    """
    return jax.make_mesh((len(devices),), (DATA,), devices=devices)


def place_copies(mesh: jax.sharding.Mesh, tree: Tree) -> Tree:
    """Places a copy of every array on every device."""
    return jax.device_put(tree, jax.NamedSharding(mesh, jax.P()))


def place_apart(mesh: jax.sharding.Mesh, array: np.ndarray | jax.Array) -> jax.Array:
    """Places [devices, ...] arrays, the share of one device each."""
    # Every axis is named, as in what a program returns: one program takes both.
    every = jax.P(DATA, *[None] * (array.ndim - 1))
    return jax.device_put(array, jax.NamedSharding(mesh, every))


def shares(array: jax.Array, *, n: int) -> list[np.ndarray]:
    """Returns what the first n devices hold of [devices, ...], on the host.

    Each is copied by itself, and on a CPU not at all.

    Args:
      array: as of `on_each`.
      n: number of devices.
    """

    def place(shard: jax.Shard) -> int:
        return shard.index[0].start or 0

    first = sorted(array.addressable_shards, key=place)[:n]
    return [np.asarray(shard.data)[0] for shard in first]


def apart(mesh: jax.sharding.Mesh, array: jax.Array) -> jax.Array:
    """Returns rows [devices · n, ...] as [devices, n, ...], for `on_each`.

    Args:
      mesh: from `side_by_side`.
      array: whose rows the mesh splits, or else are put on its devices.
    """
    array = jax.device_put(array, jax.NamedSharding(mesh, jax.P(DATA)))
    return _reshaped(array, (mesh.size, -1), mesh=mesh, merged=1)


def together(mesh: jax.sharding.Mesh, array: jax.Array) -> jax.Array:
    """Returns the rows [devices, n, ...] of `on_each` as [devices · n, ...].

    Args:
      mesh: from `side_by_side`.
      array: whose first axis runs over devices.
    """
    return _reshaped(array, (-1,), mesh=mesh, merged=2)


@functools.partial(jax.jit, static_argnames=("leading", "mesh", "merged"))
def _reshaped(
    array: jax.Array, leading: tuple[int, ...], *, mesh: jax.sharding.Mesh, merged: int
) -> jax.Array:
    layout = jax.NamedSharding(mesh, jax.P(DATA))

    return jnp.reshape(array, (*leading, *array.shape[merged:]), out_sharding=layout)


def on_each(
    mesh: jax.sharding.Mesh, work: Callable[..., Any], *, n_shared: int
) -> Callable[..., Any]:
    """Returns one compiled program that does the work of each device there.

    Args:
      mesh: from `side_by_side`.
      work: from arrays, or trees of arrays, to such.
      n_shared: number of leading arguments that are the same for all devices.

    Returns:
      A function whose other arguments, and result, have a leading axis of devices. It
      is compiled anew for each call of `on_each`, so callers keep it.
    """

    # Each device gets a leading axis of length 1, its share of the stacked arrays.
    def on_one(*arguments: Any) -> Any:
        own = jax.tree.map(lambda array: array[0], arguments[n_shared:])
        result = work(*arguments[:n_shared], *own)
        return jax.tree.map(lambda array: array[None], result)

    split = jax.P(DATA)

    def on_all(*arguments: Any) -> Any:
        specs = [jax.P()] * n_shared + [split] * (len(arguments) - n_shared)
        return jax.shard_map(on_one, mesh=mesh, in_specs=tuple(specs), out_specs=split)(
            *arguments
        )

    return jax.jit(on_all)


def on_own_rows(
    mesh: jax.sharding.Mesh, work: Callable[..., Any], *, n_shared: int
) -> Callable[..., Any]:
    """Returns one compiled program that does the work on the rows of each device.

    Args:
      mesh: from `side_by_side`.
      work: from arrays, or trees of arrays, to such, whose first axis runs over rows.
      n_shared: number of leading arguments that are the same for all devices.

    Returns:
      The same function of arrays that the mesh splits. It is compiled anew for each
      call of `on_own_rows`, so callers keep it.
    """

    def on_all(*arguments: Any) -> Any:
        specs = [jax.P()] * n_shared + [jax.P(DATA)] * (len(arguments) - n_shared)
        return jax.shard_map(
            work, mesh=mesh, in_specs=tuple(specs), out_specs=jax.P(DATA)
        )(*arguments)

    return jax.jit(on_all)
