"""What a run still lacks before its page can be shown, and how it comes by it."""

import contextlib
import os

import jax

from tfvis_jax import sharding
from tfvis_jax.errors import InputError
from tfvis_jax.examples import stored
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.examples import collect_examples
from tfvis_jax.pipeline.export import export_site, made_from
from tfvis_jax.runs import dictionary_file
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.viewer import bundle


def has_examples(directory: str | os.PathLike[str]) -> bool:
    """Returns whether a run has examples of its dictionary, however many.

    Args:
      directory: of the run.
    """
    run = directory_lib.RunDirectory(directory)
    with contextlib.suppress(InputError):
        stored.load(run.examples, dictionary_file.load(run.dictionary))
        return True
    return False


def has_page(directory: str | os.PathLike[str]) -> bool:
    """Returns whether a run has a page.

    Args:
      directory: of the run.
    """
    site = directory_lib.RunDirectory(directory).site
    return (site / "data" / "manifest.js").is_file()


def changed_since_page(directory: str | os.PathLike[str]) -> list[str]:
    """Returns the files of a run that are others than those its page was made from.

    Args:
      directory: of the run, with a page.
    """
    run = directory_lib.RunDirectory(directory)
    manifest = bundle.read(run.site, "data/manifest")
    if "made_from" not in manifest:  # An older page.
        return []
    then, now = dict(manifest["made_from"]), made_from(run)
    return sorted(name for name in then | now if then.get(name) != now.get(name))


def make_examples(
    directory: str | os.PathLike[str],
    *,
    progress: progress_lib.Progress = progress_lib.silent,
    mesh: jax.sharding.Mesh | None = None,
) -> None:
    """Collects the examples of a trained run, unless it has some.

    Args:
      directory: of the run.
      progress: hears of the stages "model" and "examples".
      mesh: of the training; a mesh that splits the dictionary leaves it to all devices.

    Raises:
      InputError: as `collect_examples` does.
    """
    if has_examples(directory):
        return
    if mesh is not None and mesh.shape[sharding.FACTOR] > 1:
        mesh = None
    collect_examples(directory, progress=progress, mesh=mesh)


def make_page(
    directory: str | os.PathLike[str],
    *,
    num_workers: int | None = 1,
    progress: progress_lib.Progress = progress_lib.silent,
) -> None:
    """Makes what the page of a trained run needs and does not have: examples, files.

    What is there stays as it is.

    Args:
      directory: of the run.
      num_workers: processes that write the files of factors, as of `export_site`.
      progress: hears of the stages "model", "examples" and "export".

    Raises:
      InputError: as `collect_examples` and `export_site` do.
    """
    if has_page(directory):
        return
    make_examples(directory, progress=progress)
    export_site(directory, num_workers=num_workers, progress=progress)
