"""Do special tokens and the length of windows matter to what is learned?

The same tokens of the same documents are read in windows of several lengths, with and
without [CLS] and [SEP]. A dictionary is learned in each setting, and measured on the
same tokens of other documents. Special tokens themselves are no rows. All hidden states
are in the scale of the run, so that dictionaries of two settings can be compared.
"""

import dataclasses
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from tfvis_jax.data import build_windows
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching
from tfvis_jax.probing import scores
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies import by_document, equal_l0, text_rows

OTHER_SEED = "the same, another seed"

Tell = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Sizes of a study.

    Attributes:
      lengths: tokens in a window, special tokens included.
      n_tokens: tokens to learn from.
      n_held_out: tokens of other documents to measure on.
      per_document: tokens of a document, from its beginning, at most.
      max_tokens: tokens of the text that are read, about.
      n_factors: factors of a dictionary.
      target_l0: mean number of active factors.
      num_passes: passes over the rows.
      n_resamples: bootstrap resamples.
      seed: of all draws.
    """

    lengths: tuple[int, ...] = (32, 64, 128, 256)
    n_tokens: int = 12_000
    n_held_out: int = 5_000
    per_document: int = 400
    max_tokens: int = 400_000
    n_factors: int = 512
    target_l0: float = 24
    num_passes: int = 2
    n_resamples: int = 1000
    seed: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class OfSetting:
    """What was found in one setting.

    Attributes:
      name: the setting, in words.
      length: tokens in a window.
      special_tokens: whether windows have [CLS] and [SEP].
      fvu: of its own dictionary on its own hidden states at equal L0.
      fvu_of_default: of the default setting's dictionary on these hidden states.
      l0: the L0 found.
      change: for each layer Σ ‖x − x'‖² / Σ ‖x' − μ'‖² of the same tokens, x' being
        those of the default setting.
      cosine: mean cosine of its factors with those of the default setting, matched one
        to one.
      same: share of the matched factors that are the same.
    """

    name: str
    length: int
    special_tokens: bool
    fvu: scores.Estimate
    fvu_of_default: scores.Estimate
    l0: float
    change: list[float]
    cosine: scores.Estimate
    same: scores.Estimate


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """All that was found.

    Attributes:
      layers: that were learned.
      default: name of the default setting.
      settings: all of them, the default first; then `OTHER_SEED`, which is the default
        setting with the seed that the others have.
      n_documents: documents learned from.
      n_held_out_documents: documents measured on.
      n_held_out_tokens: tokens measured on.
    """

    layers: tuple[int, ...]
    default: str
    settings: list[OfSetting]
    n_documents: int
    n_held_out_documents: int
    n_held_out_tokens: int

    def find(self, name: str) -> OfSetting:
        """Returns a setting by its name."""
        return next(each for each in self.settings if each.name == name)


def name_of(length: int, special_tokens: bool) -> str:
    """Returns a setting in words."""
    return f"{length} tokens, {'with' if special_tokens else 'without'} [CLS] and [SEP]"


def study(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    config: StudyConfig,
    *,
    text: Sequence[str] | None = None,
    progress: Tell = lambda what, done, total: None,
    notify: Callable[[str], None] = warnings.warn,
) -> Study:
    """Learns a dictionary in every setting.

    The default setting is that of the run; it is compared with the other lengths, and
    with the same length without (or with) special tokens.

    Args:
      opened: model and settings of the run.
      trained: whose layers and scales are used.
      config: sizes.
      text: files to read; those of the run if None.
      progress: called with (what, done, in all).
      notify: told in a sentence what was left out of the text.

    Raises:
      InputError: a window is longer than the model's positions, or the text cannot be
        read or has too few documents.
    """
    corpus = opened.config.corpus
    default = (corpus.window_length, corpus.special_tokens)
    settings = [default, (default[0], not default[1])]
    settings += [
        (length, default[1]) for length in config.lengths if length != default[0]
    ]
    most = opened.pretrained.config.max_positions
    if max(config.lengths) > most:
        raise InputError(
            f"Expected windows of at most {most} tokens, the positions of "
            f"{opened.pretrained.name}; got {max(config.lengths)}."
        )
    paths = corpus.paths if text is None else tuple(text)
    with tempfile.TemporaryDirectory() as folder:
        cut = []
        for number, (length, special) in enumerate(settings):
            progress("text to tokens", number, len(settings))
            cut.append(
                build_windows.build(
                    pathlib.Path(folder) / str(number),
                    dataclasses.replace(
                        corpus,
                        paths=paths,
                        window_length=length,
                        special_tokens=special,
                        max_tokens=config.max_tokens,
                    ),
                    tokenizer=opened.tokenizer,
                    notify=notify if number == 0 else _ignore,
                    every_document=True,
                )
            )
        progress("text to tokens", len(settings), len(settings))
        learning, measuring = _choose(cut, config)
        rows = []
        for number, windows in enumerate(cut):
            progress("hidden states", number, len(cut))
            rows.append(
                tuple(
                    _read(opened, trained, windows, chosen)
                    for chosen in (learning, measuring)
                )
            )
        progress("hidden states", len(cut), len(cut))
    return _learn(opened, settings, rows, config, progress)


def _ignore(notice: str) -> None:
    del notice


def _choose(
    cut: Sequence[windows_lib.Windows], config: StudyConfig
) -> tuple[dict[int, int], dict[int, int]]:
    """Returns documents to learn from and to measure on, with the tokens of each."""
    counts = [
        np.bincount(each.documents, weights=each.num_rows(np.arange(len(each))))
        for each in cut
    ]
    n_documents = min(map(len, counts))
    # A text that ends at some number of tokens ends elsewhere in each setting.
    common = np.min([each[:n_documents] for each in counts], axis=0).astype(int)
    common = np.minimum(common, config.per_document)
    order = np.random.default_rng(config.seed).permutation(n_documents).tolist()
    order = [document for document in order if common[document] > 0]
    if len(order) < 2:
        raise InputError(f"Expected a text of two documents or more, got {len(order)}.")
    measuring, learning = {}, {}
    # At least one document is left to learn from.
    for document in order[:-1]:
        if sum(measuring.values()) >= config.n_held_out:
            break
        if len(measuring) >= len(order) // 2:
            break
        measuring[document] = int(common[document])
    for document in order[len(measuring) :]:
        if sum(learning.values()) >= config.n_tokens:
            break
        learning[document] = int(common[document])
    return learning, measuring


def _read(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: dict[int, int],
) -> text_rows.TextRows:
    """Returns the first tokens of some documents, in their order, at every layer."""
    order, kept = [], []
    for document, n_tokens in sorted(chosen.items()):
        of_document = np.flatnonzero(windows.documents == document)
        ends = np.cumsum(windows.num_rows(of_document))
        needed = of_document[: int(np.searchsorted(ends, n_tokens)) + 1]
        order.append(needed)
        kept.append(np.arange(ends[len(needed) - 1]) < n_tokens)
    rows = text_rows.read(opened, trained, windows, np.concatenate(order))
    return rows.take(np.tile(np.concatenate(kept), len(trained.layers)))


def _learn(
    opened: setup.Setup,
    settings: Sequence[tuple[int, bool]],
    rows: Sequence[tuple[text_rows.TextRows, ...]],
    config: StudyConfig,
    progress: Tell,
) -> Study:
    default_rows, default_measured = rows[0]
    resampled = by_document.Resampled(
        default_measured.document, n_resamples=config.n_resamples, seed=config.seed
    )
    # One seed draws the same tokens as first factors in every setting. So the others
    # have another seed than the default, as `OTHER_SEED` has, which they are held to.
    jobs = [
        (name_of(*setting), setting, *of_setting, config.seed + (number > 0))
        for number, (setting, of_setting) in enumerate(zip(settings, rows, strict=True))
    ]
    jobs.append(
        (OTHER_SEED, settings[0], default_rows, default_measured, config.seed + 1)
    )
    found: list[OfSetting] = []
    default_factors = np.zeros(())
    for number, (name, setting, learned, measured, seed) in enumerate(jobs):
        progress("dictionaries", number, len(jobs))
        factors = equal_l0.learn_factors(
            learned.x,
            n_factors=config.n_factors,
            target_l0=config.target_l0,
            num_passes=config.num_passes,
            seed=seed,
            solver=opened.config.solver,
            dictionary=opened.config.dictionary,
        )
        if number == 0:
            default_factors = factors
        own, of_default = (
            equal_l0.encode(
                each,
                measured,
                target_l0=config.target_l0,
                solver=opened.config.solver,
            )
            for each in (factors, default_factors)
        )
        pairs = matching.assign(factors, default_factors)
        over_factors = by_document.Resampled(
            pairs.first, n_resamples=config.n_resamples, seed=seed
        )
        found.append(
            OfSetting(
                name=name,
                length=setting[0],
                special_tokens=setting[1],
                fvu=equal_l0.fvu(own.error, measured, resampled),
                fvu_of_default=equal_l0.fvu(of_default.error, measured, resampled),
                l0=own.l0,
                change=_change(measured, default_measured),
                cosine=over_factors.mean(pairs.cosine),
                same=over_factors.mean(pairs.cosine >= matching.SAME),
            )
        )
    progress("dictionaries", len(jobs), len(jobs))
    return Study(
        layers=default_measured.layers,
        default=name_of(*settings[0]),
        settings=found,
        n_documents=len(np.unique(default_rows.document)),
        n_held_out_documents=resampled.n_documents,
        n_held_out_tokens=len(default_measured) // len(default_measured.layers),
    )


def _change(rows: text_rows.TextRows, default: text_rows.TextRows) -> list[float]:
    variance = default.variance()
    squares = np.sum((rows.hidden.astype(np.float64) - default.hidden) ** 2, axis=1)
    return [
        float(
            squares[default.layer == layer].sum()
            / variance[default.layer == layer].sum()
        )
        for layer in range(len(default.layers))
    ]
