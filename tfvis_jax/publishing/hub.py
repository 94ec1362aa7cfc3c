"""Repositories on the hub: files go up in one commit, and come down to its cache.

Everything goes through `huggingface_hub` and follows its settings (HF_TOKEN, HF_HOME,
HF_HUB_OFFLINE, …). It is imported when it is used: it is slow to import.
"""

import contextlib
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tfvis_jax.errors import InputError
from tfvis_jax.publishing import contents

SCHEME = "hf://"
_REPO = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[\w.][\w./-]{0,199}", re.ASCII)


class Address(NamedTuple):
    """A repository at a revision; None for its newest."""

    repo: str
    revision: str | None


def parse(address: str) -> Address:
    """Reads `hf://user/name` or `hf://user/name@revision`.

    Raises:
      InputError: it is none of these.
    """
    repo, at, revision = address.removeprefix(SCHEME).partition("@")
    if not _REPO.fullmatch(repo) or (at and not _REVISION.fullmatch(revision)):
        raise InputError(
            "Expected a run on the hub as hf://user/name or hf://user/name@revision, "
            f"got {address[:200]!r}."
        )
    return Address(repo, revision or None)


def check_repo(repo: str) -> None:
    """Refuses what cannot be the name of a repository, such as "user/name"."""
    if not _REPO.fullmatch(repo):
        raise InputError(f"Expected the repository as user/name, got {repo[:200]!r}.")


def check_can_push() -> None:
    """Refuses to begin without a token, or offline; sends nothing."""
    import huggingface_hub
    from huggingface_hub import constants

    if constants.is_offline_mode():
        raise InputError(
            "Nothing can be published offline: HF_HUB_OFFLINE is set. Unset it, and "
            "run the command again."
        )
    if not huggingface_hub.get_token():
        raise InputError(
            "No token of the hub was found: log in with `hf auth login`, or set "
            "HF_TOKEN to one that may write."
        )


def push(
    items: Sequence[contents.Item], repo: str, *, public: bool, update: bool
) -> str:
    """Uploads files in one commit.

    Args:
      items: files.
      repo: name of the repository; made, unless ``update``.
      public: whether anyone may read it; a repository that exists stays as it is.
      update: adds a revision to a repository that exists.

    Returns:
      The revision.

    Raises:
      InputError: the repository exists already, or does not if it is to be updated; or
        the hub refuses it or cannot be reached.
    """
    import huggingface_hub

    api = huggingface_hub.HfApi()
    with _sentences(repo):
        exists = api.repo_exists(repo)
        if exists and not update:
            raise InputError(
                f"The repository {repo} exists already and was left as it is. Name "
                "another, or add a revision to it with --update (update=True)."
            )
        if update and not exists:
            raise InputError(
                f"There is no repository {repo} to update, or this token may not see "
                "it; leave out --update (update=True) to make it."
            )
        if not exists:
            api.create_repo(repo, private=not public)
        operations = [
            huggingface_hub.CommitOperationAdd(
                item.name,
                item.source if isinstance(item.source, bytes) else str(item.source),
            )
            for item in items
        ]
        try:
            commit = api.create_commit(
                repo, operations, commit_message="A run of tfvis_jax"
            )
        except Exception as error:
            if not exists:
                error.add_note(
                    f"The repository {repo} was made and is empty: run the command "
                    "again with --update (update=True)."
                )
            raise
    return str(commit.oid)


def download(address: Address) -> pathlib.Path:
    """Downloads the files of a run, and no others, to the hub's cache.

    Returns:
      The folder, a run directory.

    Raises:
      InputError: there is no such repository or revision, or it cannot be reached, or
        it holds no run.
    """
    import huggingface_hub

    with _sentences(address.repo, revision=address.revision):
        folder = huggingface_hub.snapshot_download(
            address.repo,
            revision=address.revision,
            allow_patterns=list(contents.LOADED),
        )
    path = pathlib.Path(folder)
    for name in ("config.json", "dictionary.safetensors"):
        if not (path / name).is_file():
            raise InputError(
                f"The repository {address.repo} holds no run of tfvis_jax: it has no "
                f"{name}. Check the name, or name the revision after an @."
            )
    return path


@contextlib.contextmanager
def _sentences(repo: str, *, revision: str | None = None) -> Iterator[None]:
    """Turns what the hub's client raises into a sentence."""
    from huggingface_hub import errors

    try:
        yield
    except InputError:
        raise
    except errors.RevisionNotFoundError as error:
        raise InputError(
            f"The repository {repo} has no revision {revision}; name a branch, a tag "
            "or a commit."
        ) from error
    except errors.GatedRepoError as error:
        raise InputError(
            f"The repository {repo} is gated: accept its terms on its hub page, then "
            "log in (`hf auth login`) or set HF_TOKEN."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"There is no repository {repo}, or it is private and this token may not "
            "read it; check the name, or log in with `hf auth login`."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise InputError(
            f"The repository {repo} cannot be reached offline: HF_HUB_OFFLINE is set."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise InputError(
            f"The repository {repo} is not, or not whole, in the hub's cache, and "
            "cannot be downloaded now. Check the connection and HF_HUB_OFFLINE."
        ) from error
    except errors.HfHubHTTPError as error:
        raise InputError(_of_status(error, repo)) from error
    # For example no network, a full disk or a proxy error. The HTTP library depends on
    # the hub's version, so its error is taken from there.
    except (OSError, ValueError, errors.HTTPError) as error:  # pyright: ignore[reportPrivateImportUsage] (see above)
        raise InputError(
            f"The repository {repo} cannot be reached now ({type(error).__name__}: "
            f"{_first_line(error)}). Check the connection and HF_HUB_OFFLINE."
            + _notes(error)
        ) from error


def _of_status(error: Exception, repo: str) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        why = "the hub does not know this token; log in with `hf auth login`"
    elif status == 403:
        why = "this token may not write there; make one that may, or name another"
    elif status == 409:
        why = "it exists already; name another, or add a revision with --update"
    else:
        why = f"the hub says {_first_line(error)}"
    return f"The repository {repo} cannot be used: {why}.{_notes(error)}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:300] if lines else "no details"


def _notes(error: Exception) -> str:
    return "".join(f" {note}" for note in getattr(error, "__notes__", ()))
