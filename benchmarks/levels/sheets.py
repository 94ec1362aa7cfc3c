"""Sheets of contexts from which somebody says what factors stand for.

    python -m benchmarks.levels.sheets --run=runs/demo --random=40 --likely=24 \
        --without=benchmarks/levels/labelled/demo.json --out=sheets

writes `first.txt` and `second.txt`, the same factors in two random orders, without
level, layer or importance, and `drawn.json`: which factors were drawn at random from
those that have a level, and which because the rule as it is says that they are likely
to be mid or high. Readers get a sheet and the rules in `labelled/README.md`; what they
write is read by `benchmarks.levels.readings`.
"""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from benchmarks.levels import readings
from experiments import script
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.examples import passages
from tfvis_jax.levels import gathering, rule
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.reporting import outputs

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
    "run", None, "Run with examples and levels.", required=True, flag_values=FLAGS
)
_RANDOM = flags.DEFINE_integer(
    "random", 40, "Factors to draw at random.", lower_bound=0, flag_values=FLAGS
)
_LIKELY = flags.DEFINE_integer(
    "likely",
    24,
    "Factors to draw that are likely to be mid or high.",
    lower_bound=0,
    flag_values=FLAGS,
)
_WITHOUT = flags.DEFINE_list(
    "without", [], "Files of factors that were read before.", flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides what is drawn.", flag_values=FLAGS)
_OUT = flags.DEFINE_string(
    "out", None, "Folder to write.", required=True, flag_values=FLAGS
)

_STRONGEST = 12
# Of each of the bands below, and of the random sample.
_WEAKER = (3, 3, 2)
_ELSEWHERE = 3
# Words on either side.
_AROUND = 12


def draw(
    levels: Sequence[rule.Level],
    *,
    n_random: int,
    n_likely: int,
    without: set[int],
    rng: np.random.Generator,
) -> dict[str, list[int]]:
    """Returns the factors to read, by how they were drawn: random or likely ones.

    Random ones are drawn from all with a probability of each class. Of the likely ones,
    half are those of the largest probability of high, the others are drawn from those
    that are called mid, or come closest to it.

    Args:
      levels: of all factors, as the rule is now.
      n_random, n_likely: numbers of factors.
      without: factors that are not drawn.
      rng: draws.
    """
    alive = [
        factor
        for factor, level in enumerate(levels)
        if level.probabilities and factor not in without
    ]
    chosen = rng.permutation(alive)[:n_random].tolist()
    rest = [factor for factor in alive if factor not in chosen]
    by_high = sorted(rest, key=lambda f: -levels[f].probabilities["high"])
    high = by_high[: n_likely // 2]
    by_mid = sorted(
        set(rest) - set(high), key=lambda f: -levels[f].probabilities["mid"]
    )
    n_mid = n_likely - len(high)
    called = sum(levels[f].name == "mid" for f in by_mid)
    mid = rng.permutation(by_mid[: max(called, n_mid)])[:n_mid].tolist()
    return {"random": chosen, "likely": sorted([*high, *mid])}


def sheet(run: run_lib.Run, factors: Sequence[int]) -> Iterator[str]:
    """Yields the lines of a sheet."""
    reader = passages.Passages(run.windows, run.examples)
    peak = gathering.of_run(run)
    importance = run.importance()
    documents: dict[str, int] = {}

    def lines(found: Sequence[passages.Passage], largest: float) -> Iterator[str]:
        for each in found:
            before, word, after = reader.around(each, n=_AROUND)
            name = reader.window(each.window).document
            number = documents.setdefault(name, len(documents))
            yield (
                f"  {each.activation / largest:4.2f} {before}[[{word}]]{after}"
                f"   ({number}: {name})"
            )

    for factor in factors:
        index = int(peak[factor])
        largest = run.examples.largest(index, factor)
        yield f"### factor {factor}"
        yield "strongest:"
        yield from lines(reader.strongest(index, factor, n=_STRONGEST), largest)
        yield "weaker:"
        for band, n in zip(passages.BANDS, _WEAKER, strict=False):
            found = reader.in_band(index, factor, band=band, n=n)
            yield from lines(found, largest)
        yield from lines(reader.drawn(index, factor, n=_WEAKER[-1]), largest)
        others = np.argsort(-importance[:, factor], kind="stable").tolist()
        for other in [i for i in others if i != index][:2]:
            if run.examples.firing[other, factor]:
                yield "another layer:"
                largest = run.examples.largest(other, factor)
                found = reader.strongest(other, factor, n=_ELSEWHERE)
                yield from lines(found, largest)
        yield ""


def main() -> None:
    """Draws the factors and writes both sheets."""
    run = run_lib.load_run(_RUN.value)
    known = [
        each for path in _WITHOUT.value for each in readings.load(pathlib.Path(path))
    ]
    rng = np.random.default_rng(_SEED.value)
    drawn = draw(
        run.levels,
        n_random=_RANDOM.value,
        n_likely=_LIKELY.value,
        without={each.factor for each in known},
        rng=rng,
    )
    factors = [factor for part in drawn.values() for factor in part]
    if not factors:
        raise InputError(f"Expected factors with a level in {run.directory.path}.")
    folder = pathlib.Path(_OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("first", "second"):
        order = rng.permutation(factors).tolist()
        text = "\n".join(sheet(run, order))
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    files.write_json(folder / "drawn.json", drawn)
    outputs.say(f"{len(factors)} factors: {folder}")


if __name__ == "__main__":
    script.run(main, FLAGS)
