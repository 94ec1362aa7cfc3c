"""Labels for a probe, whatever their format, and the sentences that come with it."""

import os
import pathlib

from tfvis_jax.errors import InputError
from tfvis_jax.probing import corpora, labelled

# Twenty English words, each eight times as a verb and eight times as something else, in
# 320 sentences of forty scenes, which are the documents. Written for this purpose.
_VERBS = pathlib.Path(__file__).with_name("verbs.jsonl")
OTHER = "other"


def verbs() -> labelled.LabelledText:
    """Returns the sentences that come with this package: is the word a verb?

    "They park here" and "the park": of each of twenty words half of the 320 occurrences
    are verbs, so that the word itself tells nothing. The 40 documents are scenes; a
    split by document tests on other scenes. The sentences are short and plain, and the
    word before tells most of the labels: a probe that fails here misses something
    simple, and one that does not has shown little.
    """
    found = labelled.read_json_lines(_VERBS).relabelled({"verb": ["verb"]}, other=OTHER)
    # A name that says what it is, wherever it is shown.
    return found.named("verbs, the sentences of tfvis_jax")


def read(path: os.PathLike[str] | str) -> labelled.LabelledText:
    """Reads labelled text of any format that this package knows.

    Files that end in .jsonl or .json are JSON lines, .conllu and .conllu.xz are CoNLL-U
    (also a folder that holds any), all others word/TAG. Tags become parts of speech.

    Args:
      path: a file or a folder.

    Raises:
      InputError: there is nothing, or it is damaged.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(
            f"Expected labels (JSON lines, CoNLL-U or word/TAG) at {path}, found "
            "nothing there."
        )
    names = [path.name]
    if path.is_dir():
        names = [each.name for each in path.iterdir() if each.is_file()]
        lines = sorted(path.glob("*.jsonl"))
        if len(lines) == 1:
            return labelled.read_json_lines(lines[0])
        if lines:
            raise InputError(
                f"Expected one file of JSON lines in {path}, got {len(lines)}; name "
                "the file."
            )
    elif path.suffix in (".jsonl", ".json"):
        return labelled.read_json_lines(path)
    if any(name.endswith((".conllu", ".conllu.xz")) for name in names):
        read, tagset = corpora.read_conllu, "universal"
    else:
        read, tagset = corpora.read_word_tags, "brown"
    return read(path).mapped(lambda tag: corpora.coarse_tag(tag, tagset=tagset))
