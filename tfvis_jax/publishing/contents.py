"""What of a run is published: its dictionary, settings, figures and labels.

The text stays here unless it is asked for: whoever may read it need not be allowed to
pass it on. It is in `tokens/` and `examples/`, which only make sense together, and in
the passages of the exported page. Nor are paths of this machine published: a model in a
local folder keeps the last part of its path, and files of the text their names.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tfvis_jax import config_json
from tfvis_jax.description import labels as labels_lib
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import results as results_lib
from tfvis_jax.publishing import card
from tfvis_jax.publishing import options as options_lib
from tfvis_jax.publishing.options import Options
from tfvis_jax.runs import dictionary_file, imported_file, report_file

TEXT_FOLDERS = ("tokens", "examples")
# What `hub.download` takes of a repository.
LOADED = (
    *("config.json", "model.json", "dictionary.safetensors", "report.json"),
    *("imported.json", "levels.json", "labels.json", "label_scores.json"),
    *(f"{folder}/*" for folder in TEXT_FOLDERS),
)


@dataclasses.dataclass(frozen=True)
class Item:
    """A file to publish.

    Attributes:
      name: in the repository.
      source: its content, or the file that holds it.
    """

    name: str
    source: bytes | pathlib.Path

    @property
    def size(self) -> int:
        """Bytes."""
        if isinstance(self.source, bytes):
            return len(self.source)
        return self.source.stat().st_size


def of_run(
    results: results_lib.Results,
    repo: str,
    options: Options,
    *,
    labels: Mapping[int, labels_lib.FactorLabel],
) -> list[Item]:
    """Returns the files of a run that are published, the largest kinds last.

    Args:
      results: of the run, trained.
      repo: name of the repository, as "user/name".
      options: what is published.
      labels: of factors.

    Raises:
      InputError: the run is not trained, or has not what is asked for.
    """
    directory, trained = results.directory, results.trained
    if not directory.report.is_file():
        raise InputError(
            f"{directory.report} does not exist, because training is not finished. "
            f"`{command_line('train', directory)}` resumes it."
        )
    report = report_file.read(directory.report, layers=trained.layers)
    model = options.base_model or _without_path(results.config.model)
    config = config_json.to_json(results.config)
    corpus = [_name(path) for path in config["corpus"]["paths"]]
    config |= {"model": model, "checkpoints": None}
    config["corpus"] = {**config["corpus"], "paths": corpus}
    # Notes and unknown tokens name documents and files.
    report = {k: v for k, v in report.items() if k not in ("notes", "unknown_tokens")}
    report |= {"model": model, "corpus": corpus}
    named = dataclasses.replace(trained, model=model)
    items = [
        Item("README.md", card.of_report(report, repo, options=options).encode()),
        Item("config.json", _json(config)),
        Item("report.json", _json(report)),
        Item("dictionary.safetensors", dictionary_file.to_bytes(named)),
    ]
    if labels:
        items.append(Item("labels.json", _json(labels_lib.to_json(labels, trained))))
    if directory.imported.is_file():
        imported = imported_file.read(directory.imported)
        # Its name of the model may be a path.
        imported = msgspec.structs.replace(imported, model="")
        items.append(Item("imported.json", _json(imported_file.as_json(imported))))
    for path in (directory.model_identity, directory.levels, directory.label_scores):
        if path.is_file():
            items.append(Item(path.name, path))
    if options.site:
        if not (directory.site / "index.html").is_file():
            raise InputError(
                f"{directory.site} holds no page; `{command_line('export', directory)}`"
                " writes it."
            )
        items += _files(directory.site, "site")
    if options.examples:
        if not directory.examples.is_dir():
            raise InputError(
                f"{directory.path} has no examples; "
                f"`{command_line('examples', directory)}` finds them."
            )
        for folder in TEXT_FOLDERS:
            items += _files(directory.path / folder, folder)
    return items


def _without_path(model: str) -> str:
    """Returns a hub name, or the last part of a path in a form that is no hub name."""
    if options_lib.is_hub_name(model) and not pathlib.Path(model).is_dir():
        return model
    return f"./{pathlib.PurePath(model).name}"


def _name(path: str) -> str:
    # The address of a dataset is no path.
    return path if path.startswith("hf://") else pathlib.PurePath(path).name or "text"


def _files(folder: pathlib.Path, name: str) -> Iterator[Item]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        # Files of the hub's cache are links. One to a folder is not entered.
        if path.is_file() and not hidden:
            yield Item(f"{name}/{inside.as_posix()}", path)


def _json(value: Any) -> bytes:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace") + b"\n"
