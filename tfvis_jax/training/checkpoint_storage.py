"""Checks and moves checkpoints in folders and in buckets of Google Cloud Storage.

Both are `epath` paths, which Orbax uses. A bucket has no folders to create or rename.
"""

import os

import jax
import tensorstore
from etils import epath

from tfvis_jax import files
from tfvis_jax.errors import InputError

_BUCKET = "gs://"
# Takes some seconds; by default, a bucket that does not answer is retried for minutes.
_TRIES = 2
_PROBE = b"tfvis\n"


def check(folder: str | os.PathLike[str]) -> None:
    """Refuses a folder or bucket that cannot be written to, before training starts.

    Args:
      folder: a folder, created if absent, or gs://BUCKET/FOLDER.

    Raises:
      InputError: it cannot be written to, or a library that buckets need is missing.
    """
    place = epath.Path(folder)
    probe = f".writable-{jax.process_index()}"
    try:
        if str(place).startswith(_BUCKET):
            # Arrays and small files are written by different libraries; both must work.
            _bucket(place).write(probe, _PROBE).result()
        else:
            place.mkdir(parents=True, exist_ok=True)
            (place / probe).write_bytes(_PROBE)
        (place / probe).unlink()
    except ImportError as error:
        raise InputError(
            f"Checkpoints in {place} require gcsfs and google-cloud-storage; install "
            "them with `pip install 'tfvis_jax[gcs]'`."
        ) from error
    except Exception as error:  # From the system, tensorstore or gcsfs.
        advice = (
            "The bucket must exist, and this machine's credentials must allow writing, "
            "listing and deleting; `gcloud auth application-default login` sets them."
            if str(place).startswith(_BUCKET)
            else "Choose another folder with --checkpoints."
        )
        raise InputError(
            f"Checkpoints cannot be kept in {place} ({reason(error)}). {advice}"
        ) from error


def move(source: epath.Path, target: epath.Path) -> None:
    """Moves a folder; if the target exists, a number is appended to its name."""
    target = _free(target)
    if not str(source).startswith(_BUCKET):
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return
    _copy(source, target)
    source.rmtree()


def reason(error: Exception) -> str:
    """Returns the message of an exception of the system or a library, in one line."""
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
    """Returns the path, with a number appended if it exists already."""
    number = 0
    taken = path
    while taken.exists():
        number += 1
        taken = path.with_name(f"{path.name}.{number}")
    return taken


def _copy(source: epath.Path, target: epath.Path) -> None:
    """Copies a folder of a bucket file by file, since a bucket knows files only."""
    if not source.is_dir():
        source.copy(target)
        return
    for path in source.iterdir():
        _copy(path, target / path.name)
