"""Programs as JAX has traced them, kept in files: the next process need not trace them.

JAX keeps what XLA compiles, but asks for it by the program itself, which Python has to
write first: seconds for a solver. A `Kept` function writes its program once (as
StableHLO, by `jax.export`) and reads it back afterwards, also in the process that has
written it, so that both run the same one. A file is found by all that the program
depends on: the package's own source, versions, JAX's settings, the kind and number of
devices, and the shapes and static values of the arguments.

Nothing is kept before `keep_in` names a folder. Whatever goes wrong with a file, such
as a full disk or damage, the program is traced as if there were none.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
from jax import export

from tfvis_jax import files
from tfvis_jax.errors import InputError

_SUFFIX = ".stablehlo"
# Of a few hundred KB each; the least recently used ones make room.
_MOST = 128
_UNUSED_DAYS = 30
# Libraries whose code decides what a program is.
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
_PACKAGE = pathlib.Path(__file__).parent

_folder: pathlib.Path | None = None


def keep_in(folder: pathlib.Path | None) -> None:
    """Keeps programs from now on.

    Args:
      folder: made when the first program is written; None keeps nothing.
    """
    global _folder
    _folder = folder


class Kept:
    """A jitted function of arrays whose program is kept in a file.

    Under another trace, where no folder is set, or where a program cannot be exported,
    it is the function itself.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        result: Callable[[Sequence[jax.Array]], Any] = tuple,
    ) -> None:
        """Traces nothing yet.

        Args:
          function: jitted, with positional arguments alone; static values are in their
            trees. Its code is in this package, and its closure holds nothing that
            changes.
          name: of this function alone.
          result: makes the function's result, a tuple of arrays, from a sequence of
            these, such as ``SomeNamedTuple._make``.
        """
        self.function, self.name, self._result = function, name, result
        # None where the program cannot be kept.
        self._programs: dict[str, Callable[..., Any] | None] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Runs the program."""
        if _folder is None:
            return self.function(*arguments)
        leaves, tree = jax.tree.flatten(arguments)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self.function(*arguments)
        key = self._key(leaves, tree)
        if key not in self._programs:
            self._programs[key] = self._open(_folder, key, leaves, tree)
        program = self._programs[key]
        if program is None:
            return self.function(*arguments)
        return self._result(program(*leaves))

    def _key(self, leaves: Sequence[Any], tree: Any) -> str:
        arrays = [
            f"{jax.typeof(leaf)} {getattr(leaf, 'sharding', None)}" for leaf in leaves
        ]
        return "\n".join((self.name, str(tree), *arrays))

    def _open(
        self, folder: pathlib.Path, key: str, leaves: Sequence[Any], tree: Any
    ) -> Callable[..., Any] | None:
        """Returns the program, read or traced; None if it cannot be kept."""
        # The address of an object names it in this process alone.
        if " at 0x" in key:
            return None
        name = hashlib.sha256(f"{_surroundings()}\n{key}".encode()).hexdigest()
        path = folder / f"{self.name}-{name}{_SUFFIX}"
        exported = _read(path)
        if exported is None:
            exported = self._export(leaves, tree)
            if exported is None:
                return None
            _write(path, exported)

        def call(*leaves: Any) -> Any:
            return exported.call(*leaves)

        # So it is named in profiles and in the folder of compiled programs.
        call.__name__ = self.name
        return jax.jit(call)

    def _export(self, leaves: Sequence[Any], tree: Any) -> export.Exported | None:
        def flat(*leaves: Any) -> tuple[jax.Array, ...]:
            return tuple(self.function(*jax.tree.unflatten(tree, leaves)))

        try:
            return export.export(jax.jit(flat))(*leaves)
        # Of programs that it does not take, such as calls of some libraries.
        except (ValueError, NotImplementedError):
            return None


def _read(path: pathlib.Path) -> export.Exported | None:
    """Returns a program from a file; None where there is none, or a damaged one."""
    try:
        content = path.read_bytes()
        digest, content = content[:32], content[32:]
        if hashlib.sha256(content).digest() != digest:
            return None
        exported = export.deserialize(bytearray(content))
    except Exception:
        # Not a program: what the parser says of it depends on the bytes.
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return exported


def _write(path: pathlib.Path, exported: export.Exported) -> None:
    """Writes a program, and forgets old ones."""
    # Without FlatBuffers, programs cannot be written; nor can some, whatever they hold.
    with contextlib.suppress(
        OSError, InputError, ImportError, ValueError, NotImplementedError
    ):
        content = bytes(exported.serialize())
        # Whoever may write a program may run it.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.write_atomically(path) as file:
            file.write(hashlib.sha256(content).digest() + content)
        _forget_old(path.parent)


def _forget_old(folder: pathlib.Path) -> None:
    last_use = {path: path.stat().st_mtime for path in folder.glob(f"*{_SUFFIX}")}
    # Of a process that was killed.
    for path in folder.glob(".*.partial"):
        if time.time() - path.stat().st_mtime > 60:
            path.unlink(missing_ok=True)
    newest = sorted(last_use, key=last_use.__getitem__, reverse=True)
    for place, path in enumerate(newest):
        days = (time.time() - last_use[path]) / 86400
        if place >= _MOST or days > _UNUSED_DAYS:
            path.unlink(missing_ok=True)


def _surroundings() -> str:
    """Returns all but the function and its arguments that decides what a program is."""
    settings = {
        name: value
        for name, value in jax.config.values.items()
        if "cache" not in name and "traceback" not in name
    }
    [device, *_] = jax.local_devices()
    return "\n".join(
        (
            _source(),
            *(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES),
            f"{device.platform} {device.device_kind} {jax.device_count()}",
            repr(sorted(settings.items())),
        )
    )


@functools.cache
def _source() -> str:
    """Returns the SHA-256 of the package's source."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
