"""Load a part-of-speech tagger from a folder: NLTK's averaged perceptron."""

import json
import lzma
import pathlib
from typing import Any

from tfvis_jax.description import terms
from tfvis_jax.errors import InputError

_PARTS = ("weights", "tagdict", "classes")
_ONE_FILE = ("averaged_perceptron_tagger.json", "averaged_perceptron_tagger.json.xz")


def load(folder: pathlib.Path) -> terms.Tagger:
    """Loads the weights of NLTK's PerceptronTagger; runs no code from the files.

    Args:
      folder: folder with NLTK's three files,
        ``averaged_perceptron_tagger_eng.weights.json``, ``….tagdict.json`` and
        ``….classes.json``, or with one file of all three parts,
        ``averaged_perceptron_tagger.json``, optionally compressed (``.xz``).

    Returns:
      A function from the words of a window to their tags.

    Raises:
      InputError: if NLTK is not installed, or if the folder holds no such weights.
    """
    # NLTK is optional: only taggers need it.
    try:
        from nltk.tag import perceptron
    except ImportError as error:
        raise InputError(
            "A tagger needs NLTK, which is not installed: pip install 'tfvis_jax[pos]'."
        ) from error
    parts = _read(pathlib.Path(folder))
    try:
        tagger = perceptron.PerceptronTagger.decode_json_obj(parts)
        # Wrong weights may show only when they are used.
        [_] = tagger.tag(["word"])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"Expected weights of a perceptron tagger in {folder}; reading them failed "
            f"({error})."
        ) from error
    return lambda words: [tag for _, tag in tagger.tag(words)]


def _read(folder: pathlib.Path) -> tuple[Any, ...]:
    for name in _ONE_FILE:
        if (folder / name).is_file():
            whole = _json(folder / name)
            if not isinstance(whole, dict) or not whole.keys() >= set(_PARTS):
                raise InputError(f"Expected {_PARTS} in {folder / name}.")
            return tuple(whole[part] for part in _PARTS)
    paths = [folder / f"averaged_perceptron_tagger_eng.{p}.json" for p in _PARTS]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"Expected {_ONE_FILE[0]} or {', '.join(path.name for path in paths)} in "
            f"{folder}; missing {', '.join(missing)}."
        )
    return tuple(_json(path) for path in paths)


def _json(path: pathlib.Path) -> Any:
    opener = lzma.open if path.suffix == ".xz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return json.load(file)
    except (ValueError, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}).") from error
