"""Publish a run: say what will leave this machine, ask, and upload it."""

import collections
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tfvis_jax.description import labels as labels_lib
from tfvis_jax.errors import InputError
from tfvis_jax.examples import results as results_lib
from tfvis_jax.publishing import contents, hub
from tfvis_jax.publishing.options import Options


class Plan(NamedTuple):
    """What will be uploaded.

    Attributes:
      repo: name of the repository.
      options: what is published.
      items: the files.
    """

    repo: str
    options: Options
    items: Sequence[contents.Item]

    def __str__(self) -> str:
        folders: dict[str, list[int]] = collections.defaultdict(list)
        for item in self.items:
            folder, inside, _ = item.name.partition("/")
            folders[folder + inside].append(item.size)
        lines = [f"{'file':<28} {'files':>7} {'size':>10}"]
        lines += [
            f"{name:<28} {len(sizes) if name.endswith('/') else '':>7} "
            f"{_size(sum(sizes)):>10}"
            for name, sizes in folders.items()
        ]
        sizes = [item.size for item in self.items]
        lines.append(f"{'in all':<28} {len(sizes):>7,} {_size(sum(sizes)):>10}")
        options = self.options
        if options.update:
            lines.append(f"to {self.repo}, as a new revision")
        else:
            who = "public: anyone may read it" if options.public else "private"
            lines.append(f"to {self.repo}, a new repository, {who}")
        text = [
            *(["tokens/ and examples/ hold the text"] if options.examples else []),
            *(["site/ holds passages of the text"] if options.site else []),
        ]
        lines.append(
            f"{' and '.join(text)}: its licence must allow that."
            if text
            else "The text of the run stays here."
        )
        if options.site:
            lines.append("site/ also shows the notes and ratings of people.")
        return "\n".join(lines)


def publish(
    results: results_lib.Results,
    repo: str,
    options: Options,
    *,
    labels: Mapping[int, labels_lib.FactorLabel],
    agree: Callable[[Plan], bool],
) -> str | None:
    """Uploads a run to the hub.

    Args:
      results: of the run, trained.
      repo: name of the repository, as "user/name".
      options: what is published.
      labels: of factors.
      agree: is asked before anything leaves this machine.

    Returns:
      The address of what was uploaded, with its revision; None if nothing was.

    Raises:
      InputError: something is missing here, or the hub refuses.
    """
    hub.check_repo(repo)
    plan = Plan(repo, options, contents.of_run(results, repo, options, labels=labels))
    hub.check_can_push()
    if not agree(plan):
        return None
    revision = hub.push(plan.items, repo, public=options.public, update=options.update)
    return f"{hub.SCHEME}{repo}@{revision}"


def ask(plan: Plan) -> bool:
    """Shows a plan on the terminal and asks.

    Raises:
      InputError: there is no terminal to ask on.
    """
    print(plan)
    if not sys.stdin.isatty():
        raise InputError(
            "Nothing was uploaded: there is no terminal to ask on. Give --yes "
            "(yes=True) to upload without a question."
        )
    try:
        answer = input("Upload? [y/N] ")
    except EOFError:  # Ctrl-D
        return False
    return answer.strip().lower() in ("y", "yes")


def tell(plan: Plan) -> bool:
    """Shows a plan and agrees."""
    print(plan)
    return True


def _size(n_bytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} B"
