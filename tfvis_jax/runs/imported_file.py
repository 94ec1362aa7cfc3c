"""`imported.json`: where a dictionary is from that was learned elsewhere."""

import pathlib

import msgspec

from tfvis_jax import files, schema


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Where a dictionary or an autoencoder is from.

    Attributes:
      format: the tool whose files were read.
      sha256: of the dictionary (`TrainedDictionary.content_hash`).
      file: name of the file; "" of a folder.
      architecture: of an autoencoder, as its tool names it.
      model: that its files name.
      hook: the place in the model that its files name.
    """

    format: str
    sha256: schema.Hash
    file: str = ""
    architecture: str = ""
    model: str = ""
    hook: str = ""


def write(path: pathlib.Path, imported: Imported) -> None:
    """Writes the file, atomically."""
    files.write_json(path, as_json(imported))


def as_json(imported: Imported) -> dict[str, str]:
    """Returns what `write` writes: the fields that say something."""
    return {n: v for n, v in msgspec.to_builtins(imported).items() if v}


def read(path: pathlib.Path) -> Imported:
    """Reads the file; InputError if it is missing or damaged."""
    return schema.read(path, Imported, remedy="Make the run again with `tfvis import`.")
