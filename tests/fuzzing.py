"""Mutated files for the tests of loaders: each is read, or refused by an InputError.

An input is a function of a seed and its number. A test reads as many as it says, the
same on every machine. `FUZZ_SEED` is the seed, `FUZZ_SECONDS` the time of all tests
together, in place of the numbers of inputs, and `FUZZ_INPUT` reads a single input
again. A failure names them, and the folder that it left the input in.
"""

import contextlib
import io
import itertools
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from tfvis_jax.errors import InputError

# What one input may take: of processor time, which does not depend on what else runs,
# and on the clock, which also sees what sleeps for ever.
_MAX_SECONDS = 20
_HANG_S = 300
_MAX_BYTES = 2 * 2**30
# Threads that are started meanwhile are not its own: each has a stack, and reserves an
# arena of glibc, of which there are at most eight for each core, without using it.
_N_CORES = os.cpu_count() or 1
_STACKS = 2 * 9 * 2**20 * _N_CORES
_ARENAS = 8 * 64 * 2**20 * _N_CORES
_BIG = "@@big@@"
_VALUES = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**8, 10**30, 1e308, -0.5, ""),
    *(float("nan"), float("inf"), "x", "\ud800", "\0", "../../etc/passwd", _BIG),
    *([], {}, [None], ["a"], {"content": None}, {"type": "Sequence"}, [[[[1]]]]),
)
_NUMBERS = (-1, 0, 1, 2**15, 2**31 - 1, np.nan, np.inf, -1e30, 65504.0)
_TYPES = ("int8", "uint16", "int32", "uint64", "float16", "float64", "bool", "U3", "S2")


class Fuzz:
    """The inputs of one test."""

    def __init__(
        self, name: str, *, seconds: float | None, folder: pathlib.Path
    ) -> None:
        """Called by the fixture; `seconds` replaces the number of inputs."""
        self._name, self._seconds, self._folder = name, seconds, folder
        self._seed = int(os.environ.get("FUZZ_SEED", "0"))
        self._only = os.environ.get("FUZZ_INPUT")

    def run(
        self,
        originals: Mapping[str, bytes],
        read: Callable[[pathlib.Path, set[str], random.Random], object],
        *,
        inputs: int,
        folder: pathlib.Path | None = None,
        others: Mapping[str, bytes] | None = None,
        may_remove: bool = True,
    ) -> None:
        """Writes mutations of files into a folder and reads it, again and again.

        Args:
          originals: files of the folder by name; the others in it stay as they are.
          read: called with the folder, the names of what was changed, and a source of
            random numbers. It may raise InputError, and nothing else.
          inputs: how many to read: where nothing else says, those of some two seconds.
          folder: of the files; a new one if None.
          others: files of another folder, which may take the place of ours.
          may_remove: If True, files may also be missing.
        """
        folder = self._folder / "input" if folder is None else folder
        for name, content in originals.items():
            _write(folder / name, content)
        counts = [0, 0]
        for number in self._numbers(inputs):
            rng = random.Random(f"{self._seed} {self._name} {number}")
            changed = mutate(
                folder, originals, others or {}, rng, may_remove=may_remove
            )
            try:
                with limited():
                    read(folder, changed, rng)
                counts[0] += 1
            except InputError as error:
                counts[1] += 1
                first = str(error)[:1]
                assert first.isupper() or first in "/\"'`", error
            except BaseException as error:
                kept = pathlib.Path(tempfile.mkdtemp(prefix=f"fuzz-{self._name}-"))
                for name in changed:
                    if (folder / name).is_file():
                        _write(kept / name, (folder / name).read_bytes())
                error.add_note(
                    f"Input {number} of {self._name}: {sorted(changed)} are in {kept}. "
                    f"FUZZ_SEED={self._seed} FUZZ_INPUT={number} reads it again."
                )
                raise
            finally:
                for name in changed:
                    _write(folder / name, originals[name])
        print(f"{self._name}: {counts[0]} inputs read, {counts[1]} refused")

    def _numbers(self, inputs: int) -> Iterator[int]:
        if self._only:
            yield int(self._only)
        elif self._seconds is None:
            yield from range(inputs)
        else:
            ends = time.monotonic() + self._seconds
            # One at least.
            for number in itertools.count():
                yield number
                if time.monotonic() > ends:
                    break


@pytest.fixture(name="fuzz")
def fuzz_fixture(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Fuzz:
    """The inputs of a test; all tests with this fixture share FUZZ_SECONDS."""
    total = os.environ.get("FUZZ_SECONDS")
    seconds = None
    if total:
        tests = [i for i in request.session.items if "fuzz" in i.fixturenames]
        workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        seconds = float(total) * workers / len(tests)
    return Fuzz(request.node.name, seconds=seconds, folder=tmp_path)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Bounds time and memory of what is read in the block."""

    def stop(number: int, frame: object) -> None:
        del frame
        if number == signal.SIGALRM:
            raise TimeoutError(f"It was not over after {_HANG_S} s.")
        raise TimeoutError(f"It took more than {_MAX_SECONDS} s of processor time.")

    # What can be written, and every address, which files that are mapped have, too.
    pages = pathlib.Path("/proc/self/statm").read_text().split()
    limits = {
        resource.RLIMIT_DATA: (int(pages[5]), _MAX_BYTES + _STACKS),
        resource.RLIMIT_AS: (int(pages[0]), _MAX_BYTES + _STACKS + _ARENAS),
    }
    then = {limit: resource.getrlimit(limit) for limit in limits}
    signals = (signal.SIGALRM, signal.SIGPROF)
    before = [signal.signal(number, stop) for number in signals]
    signal.alarm(_HANG_S)
    signal.setitimer(signal.ITIMER_PROF, _MAX_SECONDS)
    for limit, (now, more) in limits.items():
        now *= resource.getpagesize()
        resource.setrlimit(limit, (now + more, then[limit][1]))
    try:
        yield
    finally:
        for limit, both in then.items():
            resource.setrlimit(limit, both)
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def files_of(folder: pathlib.Path, *, but: Collection[str] = ()) -> dict[str, bytes]:
    """Returns the files below a folder, except those below the folders named."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(name.startswith(f"{other}/") for other in but):
            found[name] = path.read_bytes()
    return found


def mutate(
    folder: pathlib.Path,
    originals: Mapping[str, bytes],
    others: Mapping[str, bytes],
    rng: random.Random,
    *,
    may_remove: bool,
) -> set[str]:
    """Changes one file or two; returns their names."""
    # A folder of many small files has few of another kind: kinds come equally often.
    kinds: dict[tuple[str, str], list[str]] = {}
    for name in sorted(originals):
        parent, _, last = name.rpartition("/")
        kind = last if not last[:1].isdigit() else last.partition(".")[2]
        kinds.setdefault((parent.split("/")[0], kind), []).append(name)
    changed = set()
    for _ in range(rng.choice((1, 1, 1, 2))):
        name = rng.choice(kinds[rng.choice(sorted(kinds))])
        changed.add(name)
        action, path = rng.random(), folder / name
        if action < 0.03 and may_remove:
            path.unlink(missing_ok=True)
        elif action < 0.08 and others:
            content = others.get(name) or others[rng.choice(sorted(others))]
            path.write_bytes(content)
        else:
            path.write_bytes(mutated(name, originals[name], rng))
    return changed


def mutated(name: str, content: bytes, rng: random.Random) -> bytes:
    """Returns the content of a file with something changed that its format has."""
    if rng.random() < 0.75 and content:
        suffix = name.rpartition(".")[2]
        with contextlib.suppress(ValueError, safetensors.SafetensorError):
            if suffix == "json":
                return _dumped(_mutated_values(json.loads(content), rng))
            if suffix == "jsonl":
                return _mutated_lines(content, rng)
            if suffix == "js":
                first, last = content.index(b", ") + 2, content.rindex(b")")
                value = _mutated_values(json.loads(content[first:last]), rng)
                return content[:first] + _dumped(value) + content[last:]
            if suffix == "npy":
                return _saved(_mutated_array(np.load(io.BytesIO(content)), rng))
            if suffix == "npz":
                return _mutated_archive(content, rng)
            if suffix == "safetensors":
                return _mutated_tensors(content, rng)
    return mutated_bytes(content, rng)


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """Returns bytes that were cut, replaced, inserted or repeated."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        # Headers are at the beginning.
        size = len(changed) if rng.random() < 0.5 else min(len(changed), 200)
        place = rng.randrange(size or 1)
        action = rng.randrange(5)
        if action == 0:
            del changed[place:]
        elif action == 1:
            changed[place : place + 1] = bytes([rng.randrange(256)])
        elif action == 2:
            inserted = (b"[" * 2000, b"\xff" * 4, b"2\x86", b"\0", b"9" * 20, b"{")
            changed[place:place] = rng.choice(inserted)
        elif action == 3:
            start = rng.randrange(len(changed) or 1)
            changed[place : place + 8] = changed[start : start + 8]
        else:
            del changed[place : place + rng.randint(1, 8)]
    return bytes(changed)


def mutated_json(value: object, rng: random.Random) -> object:
    """Replaces, removes or adds one value somewhere."""
    if isinstance(value, int | float) and rng.random() < 0.4:
        return rng.choice((value + 1, value - 1, -value, value * 1000, str(value)))
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(_VALUES)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        changed = list(value)
        if rng.random() < 0.2:
            del changed[place:]
        else:
            changed[place] = mutated_json(value[place], rng)
        return changed
    key = rng.choice(sorted(value))
    changed = dict(value)
    action = rng.random()
    if action < 0.15:
        del changed[key]
    elif action < 0.2:
        changed["added"] = rng.choice(_VALUES)
    else:
        changed[key] = mutated_json(value[key], rng)
    return changed


def _mutated_values(value: object, rng: random.Random) -> object:
    for _ in range(rng.randint(1, 3)):
        value = mutated_json(value, rng)
    return value


def _dumped(value: object) -> bytes:
    text = json.dumps(value).replace(f'"{_BIG}"', "9" * 5000)
    return text.encode("ascii", "replace")


def _mutated_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    if rng.random() < 0.2:
        del lines[place]
    else:
        lines[place] = _dumped(_mutated_values(json.loads(lines[place]), rng)) + b"\n"
    return b"".join(lines)


def _saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _mutated_array(array: np.ndarray, rng: random.Random) -> np.ndarray:
    with np.errstate(all="ignore"):
        action = rng.randrange(6)
        if action == 0 and not array.dtype.names:
            return array.astype(rng.choice(_TYPES))
        if action == 1 and array.ndim:
            return array[: rng.randint(0, 2)]
        if action == 2:
            return array[..., None] if rng.random() < 0.5 else array.T
        if action == 3:
            return np.concatenate([array, array]) if array.ndim else array[None]
        changed = np.array(array)
        name = rng.choice(array.dtype.names or (None,))
        part = changed if name is None else changed[name]
        if part.size and part.dtype.kind in "iufb":
            number = rng.choice(_NUMBERS)
            if part.dtype.kind != "f":
                number = rng.choice((-1, 1, 255, 2**16 - 1, 2**31 - 1))
            flat = part.reshape(-1).copy()
            size = 1 if action == 4 else len(flat)
            start = rng.randrange(len(flat) - size + 1)
            flat[start : start + size] = np.array(number).astype(part.dtype)
            part[...] = flat.reshape(part.shape)
        return changed


def _mutated_archive(content: bytes, rng: random.Random) -> bytes:
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = rng.choice(sorted(arrays))
    if rng.random() < 0.15:
        del arrays[name]
    else:
        arrays[name] = _mutated_array(arrays[name], rng)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _mutated_tensors(content: bytes, rng: random.Random) -> bytes:
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header.get("__metadata__", {})
    tensors = safetensors.numpy.load(content)
    if rng.random() < 0.5 and metadata:
        name = rng.choice(sorted(metadata))
        with contextlib.suppress(ValueError):
            value = _mutated_values(json.loads(metadata[name]), rng)
            metadata[name] = _dumped(value).decode()
    else:
        name = rng.choice(sorted(tensors))
        tensors[name] = np.ascontiguousarray(_mutated_array(tensors[name], rng))
        if tensors[name].dtype.kind in "US":
            tensors[name] = tensors[name].view(np.uint8)
    return safetensors.numpy.save(tensors, metadata)


def _write(path: pathlib.Path, content: bytes) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
