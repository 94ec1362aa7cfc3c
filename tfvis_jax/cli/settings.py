"""Flags that decide what a run learns, and the settings that they make."""

import dataclasses
import glob
import os

from absl import flags

from tfvis_jax import config as config_lib
from tfvis_jax import models
from tfvis_jax.cli import command
from tfvis_jax.errors import InputError

_CORPUS, _SOLVER = config_lib.CorpusConfig, config_lib.SolverConfig
_DICTIONARY, _RUN = config_lib.DictionaryConfig, config_lib.RunConfig
_PRESETS = ("default", "paper")


def define(values: flags.FlagValues) -> None:
    """Adds the settings' flags; without a value a flag leaves the preset's."""

    def text(name, help):
        flags.DEFINE_string(name, None, help, flag_values=values)

    def integer(name, help):
        flags.DEFINE_integer(name, None, help, flag_values=values)

    def number(name, help):
        flags.DEFINE_float(name, None, help, flag_values=values)

    flags.DEFINE_enum(
        "preset",
        "default",
        _PRESETS,
        "default: what measures best, the values in brackets. paper: those of Yun et "
        "al. (2021): layers 0,2,4,…; λ 0.3 on raw hidden states; 2,000 factors; 500 "
        "steps of FISTA; 100 rows a step; step size 0.005; no special tokens; two "
        "passes.",
        flag_values=values,
    )
    text("model", "Folder or hub name of a BERT (safetensors or PyTorch weights).")
    flags.DEFINE_list(
        "text",
        [],
        "Text files, folders or globs, separated by commas: .txt, .jsonl, .npy, .xml "
        "of MediaWiki, plain or compressed (.gz, .xz, .zst, .bz2); hf://NAME for a "
        "Hugging Face dataset.",
        flag_values=values,
    )
    text(
        "layers",
        "Hidden states to use, such as 0,2,4; 0 is the embedding output. "
        "All by default.",
    )
    integer("n_factors", f"Factors in the dictionary ({_DICTIONARY.n_factors}).")
    number(
        "target_l0",
        "Mean number of active factors per token; training finds the λ for it. "
        "Instead of --l1_penalty.",
    )
    flags.DEFINE_bool(
        "equal_l0",
        None,
        "Scale the layers so that tokens have as many active factors in each.",
        flag_values=values,
    )
    number("l1_penalty", f"λ, the weight of the L1 term ({_SOLVER.l1_penalty}).")
    number(
        "l1_warmup",
        "λ begins at this multiple of itself and falls to it in the first 30 % of the "
        f"training ({_SOLVER.l1_warmup}).",
    )
    flags.DEFINE_enum(
        "solver",
        None,
        config_lib.SOLVERS,
        "How codes are inferred (auto).",
        flag_values=values,
    )
    number(
        "tolerance", f"Relative duality gap of a finished code ({_SOLVER.tolerance})."
    )
    integer("max_steps", f"Solver steps at most ({_SOLVER.max_steps}).")
    integer("window_length", f"Tokens in a window ({_CORPUS.window_length}).")
    integer("max_tokens", "Read about this many tokens of the text; all by default.")
    number(
        "held_out_fraction",
        f"Documents kept for testing ({_CORPUS.held_out_fraction}).",
    )
    flags.DEFINE_bool(
        "special_tokens",
        None,
        "Put [CLS] and [SEP] round each window; on by default.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "clean",
        None,
        "Undo WikiText's marks (@-@, <unk>, headings); on by default.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "replace_undecodable",
        None,
        "Replace bytes that are not UTF-8 by U+FFFD.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "dtype",
        None,
        config_lib.DTYPES,
        "Arithmetic of the encoder (float32).",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "token_weights",
        None,
        "Weigh a token by 1/√count in the dictionary step; on in the paper preset.",
        flag_values=values,
    )
    integer("num_epochs", f"Passes over the text ({_RUN.num_epochs}).")
    integer(
        "patience",
        "End when the held-out error has not fallen for so many checkpoints; by "
        "default training goes on to its end.",
    )
    number("row_fraction", "Share of the hidden states that is trained on (1.0).")
    integer(
        "windows_per_batch", f"Windows encoded together ({_RUN.windows_per_batch})."
    )
    integer("rows_per_step", f"Rows in one dictionary step ({_RUN.rows_per_step}).")
    flags.DEFINE_enum(
        "update",
        None,
        config_lib.UPDATES,
        "Direction of the dictionary step: the gradient over the Hessian's diagonal "
        "(energy, the default), the plain gradient, Adam's (step sizes near 0.01), or "
        "the minimum over all past batches (online, step size 1).",
        flag_values=values,
    )
    number("step_size", f"Of the dictionary step ({_DICTIONARY.step_size}).")
    integer(
        "revive_after",
        "Steps after which a factor that never fired starts again from the row that is "
        f"explained worst ({_DICTIONARY.revive_after}).",
    )
    integer(
        "checkpoint_every", f"Batches between checkpoints ({_RUN.checkpoint_every})."
    )
    text(
        "checkpoints",
        "Folder or gs://BUCKET/FOLDER for them; RUN/checkpoints by default.",
    )
    integer("seed", f"Of everything random ({_RUN.seed}).")


def build(values: flags.FlagValues) -> config_lib.RunConfig:
    """Returns the settings that the flags describe.

    Raises:
      UsageError: a setting is missing or out of range.
    """
    if not values.model:
        raise command.UsageError("Expected --model, a folder or hub name of a BERT.")
    if not values.text:
        raise command.UsageError("Expected --text, at least one file, folder or glob.")
    paths = tuple(_absolute(path) for path in values.text)
    return override(_preset(values, paths), values)


def override(
    config: config_lib.RunConfig, values: flags.FlagValues
) -> config_lib.RunConfig:
    """Returns settings with those replaced for which a flag was given.

    Raises:
      UsageError: a setting is out of range.
    """
    model = _absolute(values.model) if values.model else config.model
    try:
        return _replace(
            config,
            values,
            corpus=_replace(config.corpus, values),
            solver=_solver(config.solver, values),
            dictionary=_replace(config.dictionary, values),
            model=model,
            layers=_layers(values.layers, config.layers),
            checkpoints=_place(values.checkpoints) or config.checkpoints,
        )
    except InputError as error:
        raise command.UsageError(str(error)) from error


def _preset(values, paths) -> config_lib.RunConfig:
    if values.preset == "paper":
        return config_lib.RunConfig.paper(
            model=values.model, paths=paths, n_layers=_depth(values.model)
        )
    return config_lib.RunConfig(
        model=values.model, corpus=config_lib.CorpusConfig(paths=paths)
    )


def _solver(preset, values) -> config_lib.SolverConfig:
    """A λ asked for is kept, unless a target is asked for too."""
    if values.l1_penalty is not None and values.target_l0 is None:
        preset = dataclasses.replace(preset, target_l0=None)
    return _replace(preset, values)


def _replace(piece, values, **fixed):
    """Returns a copy with every field for which a flag has a value."""
    named = {field.name for field in dataclasses.fields(piece)} & set(values)
    given = {name: values[name].value for name in named - set(fixed)}
    return dataclasses.replace(
        piece, **{k: v for k, v in given.items() if v is not None}, **fixed
    )


def _layers(given: str | None, preset: tuple[int, ...] | None):
    if given is None or given == "all":
        return preset if given is None else None
    try:
        return tuple(int(layer) for layer in given.split(","))
    except ValueError:
        raise InputError(
            f"Expected `layers` as numbers, such as 0,2,4; got {given!r}."
        ) from None


def _depth(model: str) -> int:
    return models.read_config(model).n_layers


def _place(checkpoints: str | None) -> str | None:
    # Not yet there, as a rule, so that `_absolute` would not know it as local.
    if checkpoints is None or "://" in checkpoints:
        return checkpoints
    return os.path.abspath(checkpoints)


def _absolute(path: str) -> str:
    """Local paths are kept absolute, so that a run works from any directory."""
    local = os.path.exists(path) or path.startswith((".", "/")) or glob.has_magic(path)
    if path.startswith("hf://") or not local:
        return path
    return os.path.abspath(path)
