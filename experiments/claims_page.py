"""Writes the page of all claims from the results of the experiments.

    python -m experiments.claims_page --results=runs/paper --out=docs/paper.md

`make paper` runs the experiments, and then this.
"""

import pathlib
import shutil

from absl import flags

from experiments import script
from tfvis_jax import files
from tfvis_jax.studies import claims_page

FLAGS = flags.FlagValues()
_RESULTS = flags.DEFINE_string(
    "results",
    None,
    "Folder with the JSON, Markdown and plot of each experiment.",
    required=True,
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out", None, "Markdown file to write.", required=True, flag_values=FLAGS
)


def main() -> None:
    """Copies the plots beside the page, and writes it."""
    folder, page = pathlib.Path(_RESULTS.value), pathlib.Path(_OUT.value)
    results = claims_page.read(folder)
    beside = page.with_suffix("")
    beside.mkdir(parents=True, exist_ok=True)
    plots = [name for name in results if (folder / f"{name}.png").is_file()]
    for name in plots:
        shutil.copyfile(folder / f"{name}.png", beside / f"{name}.png")
    reports = {
        name: (folder / f"{name}.md").read_text(encoding="utf-8") for name in results
    }
    text = claims_page.page(results, reports, plots=plots, folder=beside.name)
    with files.write_atomically(page) as file:
        file.write(text.encode())
    print(f"{page}: {len(results)} experiments")


if __name__ == "__main__":
    script.run(main, FLAGS)
