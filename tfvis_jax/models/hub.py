"""Finds a model: a local folder, or a hub name through Hugging Face's cache."""

import os
import pathlib

from tfvis_jax.errors import InputError
from tfvis_jax.models import checkpoint_files

# One of these suffices; vocab.json comes with merges.txt.
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json")
_SMALL_FILES = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    *_TOKENIZER_FILES,
    "merges.txt",
)
# Repositories often hold the same weights twice; torch's are used only without these.
_SAFETENSORS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
)
_TORCH = (
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model-*-of-*.bin",
)


def resolve(name_or_folder: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the folder of a model, after downloading it if it is a hub name.

    An existing folder takes precedence over a hub name of the same spelling. Downloads
    respect Hugging Face's own settings (HF_HOME, HF_HUB_OFFLINE, HF_TOKEN, ...).

    Args:
      name_or_folder: a folder, or a name such as "bert-base-uncased".

    Raises:
      InputError: the folder lacks a required file, or the model cannot be downloaded.
    """
    folder = pathlib.Path(name_or_folder).expanduser()
    if folder.is_dir():
        _check_complete(folder)
        return folder
    name = os.fspath(name_or_folder)
    if not isinstance(name_or_folder, str) or name.startswith((".", "/", "~")):
        raise InputError(f"There is no model folder {folder}; check the path.")
    folder = _download(name, patterns=_SMALL_FILES + _SAFETENSORS)
    if not _weights(folder):
        folder = _download(name, patterns=_SMALL_FILES + _TORCH)
    _check_complete(folder)
    return folder


def _weights(folder: pathlib.Path) -> list[str]:
    return [name for name in checkpoint_files.WEIGHT_FILES if (folder / name).is_file()]


def _check_complete(folder: pathlib.Path) -> None:
    missing = []
    if not (folder / "config.json").is_file():
        missing.append("config.json")
    if not _weights(folder):
        missing.append(f"weights ({' or '.join(checkpoint_files.WEIGHT_FILES)})")
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        missing.append(f"a tokenizer ({' or '.join(_TOKENIZER_FILES)})")
    if missing:
        raise InputError(
            f"The model folder {folder} lacks {', '.join(missing)}; copy it from where "
            "the model came from."
        )


def _download(name: str, *, patterns: tuple[str, ...]) -> pathlib.Path:
    # Slow to import, and not needed for a local folder.
    import huggingface_hub
    from huggingface_hub import errors as hub_errors

    try:
        snapshot = huggingface_hub.snapshot_download(
            name, allow_patterns=list(patterns)
        )
    except hub_errors.GatedRepoError as error:
        raise InputError(
            f"The model {name!r} is gated: accept its terms on its hub page, then log "
            "in (`hf auth login`) or set HF_TOKEN."
        ) from error
    except hub_errors.RepositoryNotFoundError as error:
        raise InputError(
            f"There is no folder and no hub model named {name!r}; check the spelling, "
            "or log in with `hf auth login` if it is private."
        ) from error
    except hub_errors.HFValidationError as error:
        raise InputError(
            f"{name!r} is neither an existing folder nor a possible hub name "
            "(owner/model); check the spelling."
        ) from error
    # For example offline mode, no network, a hub failure, a full disk or a proxy error.
    # The HTTP library depends on the hub's version, so its error is taken from there.
    except (OSError, hub_errors.HTTPError) as error:  # pyright: ignore[reportPrivateImportUsage] (see above)
        raise InputError(
            f"The model {name!r} is not a local folder, is not complete in the Hugging "
            f"Face cache, and cannot be downloaded now ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no details'}). Check the "
            "connection and HF_HUB_OFFLINE, or give the folder of a local copy."
        ) from error
    return pathlib.Path(snapshot)
