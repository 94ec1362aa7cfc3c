"""Places that checkpoints are kept in: folders, and buckets of Google Cloud Storage.

They are `epath` paths, as Orbax has them. A bucket has no folders to make or rename.
"""

import os

import jax
import tensorstore
from etils import epath

from tfvis_jax import files
from tfvis_jax.errors import InputError

_BUCKET = "gs://"
# Some seconds in all; by default a bucket that does not answer is asked for minutes.
_TRIES = 2
_PROBE = b"tfvis\n"


def check(folder: str | os.PathLike) -> None:
    """Refuses a folder or bucket that cannot be written to; to ask before training.

    Args:
      folder: made if absent.

    Raises:
      InputError: it cannot be written, or a library that buckets need is missing.
    """
    place = epath.Path(folder)
    probe = f".writable-{jax.process_index()}"
    try:
        if str(place).startswith(_BUCKET):
            # Arrays go another way than the small files beside them, and both must.
            _bucket(place).write(probe, _PROBE).result()
        else:
            place.mkdir(parents=True, exist_ok=True)
            (place / probe).write_bytes(_PROBE)
        (place / probe).unlink()
    except ImportError as error:
        raise InputError(
            f"Expected gcsfs and google-cloud-storage for checkpoints in {place}, and "
            "found them not: pip install 'tfvis_jax[gcs]'."
        ) from error
    except Exception as error:  # Of the system, tensorstore or gcsfs.
        advice = (
            "The bucket must exist, and this machine's credentials must let it write, "
            "list and delete there; `gcloud auth application-default login` makes some."
            if str(place).startswith(_BUCKET)
            else "Choose another folder with --checkpoints."
        )
        raise InputError(
            f"Checkpoints cannot be kept in {place} ({reason(error)}). {advice}"
        ) from error


def move(source: epath.Path, target: epath.Path) -> None:
    """Moves a folder, under a like name where that of the target is taken."""
    target = _free(target)
    if not str(source).startswith(_BUCKET):
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return
    _copy(source, target)
    source.rmtree()


def reason(error: Exception) -> str:
    """Returns what an exception of the system or a library says, in a line."""
    if files.is_disk_full(error):
        return "no space left on the disk"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]


def _bucket(place: epath.Path) -> tensorstore.KvStore:
    bucket, _, path = str(place).removeprefix(_BUCKET).partition("/")
    retries = {"gcs_request_retries": {"max_retries": _TRIES}}
    return tensorstore.KvStore.open(
        {"driver": "gcs", "bucket": bucket, "path": f"{path}/", "context": retries}
    ).result()


def _free(path: epath.Path) -> epath.Path:
    """Returns a name like this one that is not taken."""
    number = 0
    taken = path
    while taken.exists():
        number += 1
        taken = path.with_name(f"{path.name}.{number}")
    return taken


def _copy(source: epath.Path, target: epath.Path) -> None:
    """Copies a folder of a bucket file by file; there is nothing else in it."""
    if not source.is_dir():
        source.copy(target)
        return
    for path in source.iterdir():
        _copy(path, target / path.name)
