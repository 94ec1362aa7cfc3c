"""A run is one directory. This is where its files are.

config.json   the settings, written first
model.json    checksum of the model's weights
tokens/       the corpus as windows of token ids
hidden_states/ hidden states, if stored (activations/ in older runs)
checkpoints/  training state, unless --checkpoints names another folder; damaged ones
              are moved to checkpoints-damaged/
metrics.jsonl one line per batch of windows
profile/      profiler traces, if requested
dictionary.safetensors  the trained factors and layer scales
imported.json where the factors are from, if they were learned elsewhere
examples/     what fires each factor, per layer
examples-progress/  a pass for them that has not finished
levels.json   how much context each factor needs
labels.json   labels of factors, from people or tools
label_scores.json  how well they say when factors fire
labelling.jsonl  what a language model was asked and answered, to make them
notes.json    levels, labels and notes that people set on the page
ratings.json  which contexts fit a factor, as people say on the page
explanations.jsonl  one line per factor, if requested
report.json   how good the dictionary is, and how long the run took
evaluation.json how good it is by every metric
site/         the page
figures/      figures for a paper, if drawn
"""

import contextlib
import dataclasses
import difflib
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from tfvis_jax import config as config_lib
from tfvis_jax import config_json, files, schema
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.runs import lock


@dataclasses.dataclass(frozen=True, init=False)
class RunDirectory:
    """Paths of a run.

    Attributes:
      path: the directory, absolute.
    """

    path: pathlib.Path

    def __init__(self, path: str | os.PathLike[str]):
        """Names a directory, which need not exist."""
        object.__setattr__(self, "path", pathlib.Path(path).absolute())

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def hub_repo(self) -> str:
        """Repository of a run in the hub's cache, as "user/name"; "" if it is none."""
        # As the hub's client lays out its cache: models--user--name/snapshots/COMMIT.
        kind, *parts = self.path.parent.parent.name.split("--")
        is_snapshot = self.path.parent.name == "snapshots" and kind == "models"
        return "/".join(parts) if is_snapshot and len(parts) == 2 else ""

    @property
    def name(self) -> str:
        """What the run is called: the name of its directory, or of its repository."""
        return self.hub_repo.rpartition("/")[2] or self.path.name

    @property
    def config_path(self) -> pathlib.Path:
        return self.path / "config.json"

    @property
    def model_identity(self) -> pathlib.Path:
        return self.path / "model.json"

    @property
    def tokens(self) -> pathlib.Path:
        return self.path / "tokens"

    @property
    def hidden_states(self) -> pathlib.Path:
        older = self.path / "activations"
        return older if older.is_dir() else self.path / "hidden_states"

    @property
    def checkpoints(self) -> pathlib.Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> pathlib.Path:
        return self.path / "metrics.jsonl"

    @property
    def profile(self) -> pathlib.Path:
        return self.path / "profile"

    @property
    def dictionary(self) -> pathlib.Path:
        return self.path / "dictionary.safetensors"

    @property
    def imported(self) -> pathlib.Path:
        return self.path / "imported.json"

    @property
    def examples(self) -> pathlib.Path:
        return self.path / "examples"

    @property
    def levels(self) -> pathlib.Path:
        return self.path / "levels.json"

    @property
    def labels(self) -> pathlib.Path:
        return self.path / "labels.json"

    @property
    def label_scores(self) -> pathlib.Path:
        return self.path / "label_scores.json"

    @property
    def labelling(self) -> pathlib.Path:
        return self.path / "labelling.jsonl"

    @property
    def notes(self) -> pathlib.Path:
        return self.path / "notes.json"

    @property
    def ratings(self) -> pathlib.Path:
        return self.path / "ratings.json"

    @property
    def explanations(self) -> pathlib.Path:
        return self.path / "explanations.jsonl"

    @property
    def examples_progress(self) -> pathlib.Path:
        return self.path / "examples-progress"

    @property
    def report(self) -> pathlib.Path:
        return self.path / "report.json"

    @property
    def evaluation(self) -> pathlib.Path:
        return self.path / "evaluation.json"

    @property
    def site(self) -> pathlib.Path:
        return self.path / "site"

    @property
    def figures(self) -> pathlib.Path:
        return self.path / "figures"

    def read_config(self) -> config_lib.RunConfig:
        """Returns the settings of an existing run; InputError if there is none."""
        if not self.config_path.is_file():
            near = _near_run(self.path)
            raise InputError(
                f"{self.path} is not a run directory: it has no config.json. "
                + ("" if near is None else f"Did you mean {near}? ")
                + f"`{command_line('train', self)} …` makes one."
            )
        values = schema.read(
            self.config_path,
            dict[str, Any],
            remedy="Restore it, or make another run with `tfvis train`.",
        )
        try:
            return config_json.from_json(values)
        except InputError as error:
            raise InputError(f"{self.config_path}: {error}") from error

    def open_or_create(self, config: config_lib.RunConfig) -> None:
        """Makes the directory for these settings, or checks that it has the same ones.

        Until the text is read nothing depends on the settings, so that the next call
        can correct a mistake in them. The model may have another path later: what
        counts are its weights, which `runs.setup` compares. How often a state is saved
        may change at any time, unless it decides when training ends.

        Raises:
          InputError: the directory was made with other settings (lists them and
            changes nothing), or holds something that is not a run.
        """
        self.check()
        if self.config_path.is_file():
            old = self.read_config()
            if old == config:
                return
            changed = config_json.differences(
                old,
                config,
                ignoring=(
                    "model",
                    "corpus.allow_unknown_tokens",
                    *config_json.of_saving(config),
                ),
            )
            if changed and (self.tokens / "index.json").is_file():
                raise InputError(
                    f"{self.path} was made with other settings:\n  "
                    + "\n  ".join(changed)
                    + "\nNothing was changed. Use these settings or another directory."
                )
            if changed:
                shutil.rmtree(self.tokens, ignore_errors=True)
                self.model_identity.unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        files.write_json(self.config_path, config_json.to_json(config))

    def check(self) -> None:
        """Refuses a path that is neither free nor a run; InputError says what is."""
        if self.config_path.is_file() or not self.path.exists():
            return
        if not self.path.is_dir():
            raise InputError(f"Expected a directory, got the file {self.path}.")
        ours = {".lock", ".config.json.partial"}
        strangers = sorted({p.name for p in self.path.iterdir()} - ours)
        if strangers:
            raise InputError(
                f"Expected a run or an empty directory; {self.path} has no config.json "
                f"but {', '.join(strangers[:3])}. Choose another directory."
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Locks the directory for one writer; the system unlocks it when we die.

        A directory that the block leaves without a file is removed again.

        Raises:
          InputError: this or another process is writing this run; says which. Or it is
            in the hub's cache.
        """
        if self.hub_repo:
            raise InputError(
                f"Expected a run that can be written to, got {self.path} in the hub's "
                f"cache, which is only read. {copy_from_hub(self.hub_repo)}"
            )
        self.check()
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            with lock.locked(self.path):
                yield
        finally:
            # No further than what is not empty.
            with contextlib.suppress(OSError):
                for path in made:
                    path.rmdir()


def copy_from_hub(repo: str, revision: str | None = None) -> str:
    """Returns how to make a copy of a run of the hub that may be written to."""
    at = f" --revision={revision}" if revision else ""
    return (
        f"`hf download {repo}{at} --local-dir=runs/{repo.rpartition('/')[2]}` makes a "
        "copy of your own that commands write to."
    )


def _near_run(path: pathlib.Path) -> pathlib.Path | None:
    """Returns the run of the most similar name beside a path, if one is similar."""
    if path.exists():
        return None
    try:
        beside = [each for each in path.parent.iterdir() if each.is_dir()]
    except OSError:
        return None
    runs = [each.name for each in beside if RunDirectory(each).config_path.is_file()]
    near = difflib.get_close_matches(path.name, runs, n=1)
    return path.with_name(near[0]) if near else None
