"""`tfvis label`: labels by a language model, and scores of all labels."""

import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

import rich.table
from absl import flags

from tfvis_jax import pipeline
from tfvis_jax.cli import command, devices, run_argument, shared_flags, terminal
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.labelling import endpoint, scores, trials
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags(compiles=True)
_ENDPOINT = flags.DEFINE_string(
    "endpoint",
    None,
    "URL of an OpenAI-compatible server, such as http://localhost:8000/v1. Excerpts of "
    "the run's text are sent there. Without it, nothing is sent anywhere.",
    flag_values=FLAGS,
)
_MODEL = flags.DEFINE_string(
    "model", None, "Name of the model on that server.", flag_values=FLAGS
)
_KEY = flags.DEFINE_string(
    "api_key_env",
    None,
    "Environment variable that holds the server's key. It is never shown or stored.",
    flag_values=FLAGS,
)
_FACTORS = flags.DEFINE_list(
    "factors", [], "Factors, such as 3,12. (default: all)", flag_values=FLAGS
)
_SCORES = flags.DEFINE_list(
    "scores",
    list(trials.NAMES),
    "Scores that the model makes of each label; --scores= labels alone.",
    flag_values=FLAGS,
)
_MAX_REQUESTS = flags.DEFINE_integer(
    "max_requests",
    500,
    "Requests that are sent at most, repeated ones included; 0 shows how many it would "
    "take, and does nothing else. The same command goes on after them.",
    lower_bound=0,
    flag_values=FLAGS,
)
_PARALLEL = flags.DEFINE_integer(
    "parallel",
    4,
    "Requests at a time.",
    lower_bound=1,
    upper_bound=256,
    flag_values=FLAGS,
)
_TIMEOUT = flags.DEFINE_float(
    "timeout",
    120.0,
    "Seconds that one request may take.",
    lower_bound=0.1,
    flag_values=FLAGS,
)


def main(arguments: Sequence[str]) -> None:
    """Scores the labels of a run, after a language model has made some if asked."""
    path = run_argument.one(arguments, writes=True)
    chosen = shared_flags.numbers("factors", _FACTORS.value) or None
    if _ENDPOINT.value is None:
        for flag in (_MODEL, _KEY, _SCORES, _MAX_REQUESTS, _PARALLEL, _TIMEOUT):
            if FLAGS[flag.name].present:
                raise command.UsageError(f"Expected --endpoint with --{flag.name}.")
        devices.use_all_cores(quietly=True)
        _score(path, chosen)
        return
    if _MODEL.value is None:
        raise command.UsageError("Expected --model, its name on the endpoint.")
    server = endpoint.Endpoint(
        _ENDPOINT.value, _MODEL.value, _key(), timeout=_TIMEOUT.value
    )
    if server.key and server.address.startswith("http:") and not server.is_local:
        pipeline.note(
            "The key and the text go to another machine unencrypted: the endpoint is "
            "http, not https."
        )
    devices.use_all_cores(quietly=True)
    _label(path, server, chosen)


def _key() -> str:
    name = _KEY.value
    if name is None:
        return ""
    key = os.environ.get(name, "").strip()
    if not key:
        raise InputError(
            "Expected a key in the environment variable that --api_key_env names, but "
            "it is not set."
        )
    return key


def _score(path: pathlib.Path, chosen: list[int] | None) -> None:
    with pipeline.bars() as progress:
        found = pipeline.score_labels(path, factors=chosen, progress=progress)
    _show(found.pooled, found.control)
    if found.by_level:
        print()
        _show_levels(found.by_level)
    n_factors = max((each.n_factors for each in found.pooled.values()), default=0)
    print(
        f"judge    the words of each label; {found.n_labels:,} labels, and for the "
        f"other {n_factors - found.n_labels:,} factors their list of words"
        + _dead(found.n_dead)
    )
    _next(path)


def _label(
    path: pathlib.Path, server: endpoint.Endpoint, chosen: list[int] | None
) -> None:
    with pipeline.bars() as progress:
        found = pipeline.label_factors(
            path,
            server,
            factors=chosen,
            score=_SCORES.value,
            max_requests=_MAX_REQUESTS.value,
            parallel=_PARALLEL.value,
            on_budget=lambda budget: _announce(budget, server),
            progress=progress,
        )
    if _MAX_REQUESTS.value == 0:
        return
    _show(found.pooled, {})
    asked, answered = found.tokens
    kept = f"; {found.n_kept:,} kept, of people or tools" if found.n_kept else ""
    unnamed = f"; {found.n_unnamed:,} without an answer" if found.n_unnamed else ""
    given_up = f", {found.n_unanswered:,} given up" if found.n_unanswered else ""
    print(
        f"judge    {server.model}\n"
        f"labels   {found.n_labelled:,} by {server.model}{kept}{unnamed}"
        f"{_dead(found.n_dead)}\n"
        f"sent     {found.n_requests:,} requests{given_up}; {asked:,} + {answered:,} "
        "tokens as the server counts them"
    )
    if found.n_left:
        print(
            f"left     {found.n_left:,} factors: --max_requests={_MAX_REQUESTS.value} "
            "is reached; the same command goes on"
        )
    _next(path)


def _announce(budget: pipeline.Budget, server: endpoint.Endpoint) -> None:
    most = budget.max_requests
    limit = f", of which {most:,} now (--max_requests)" if most is not None else ""
    if most is not None and most >= budget.n_requests:
        limit = ""
    print(
        f"{budget.n_factors:,} factors: {budget.n_requests:,} requests with about "
        f"{budget.n_tokens:,} tokens go to {server.address}{limit}; "
        f"{budget.n_answered:,} are answered already.",
        file=sys.stderr,
    )


def _show(
    pooled: Mapping[str, scores.Pooled], control: Mapping[str, scores.Pooled]
) -> None:
    if not pooled:
        return
    table = rich.table.Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("score")
    heads = ["right", "95 % interval", "chance", "factors"]
    for head in [*heads, *(["another factor's label"] if control else [])]:
        table.add_column(head, justify="right")
    for name, each in pooled.items():
        other = [f"{control[name].value:.1%}"] if name in control else []
        table.add_row(
            name,
            f"{each.value:.1%}",
            f"{each.low:.1%} – {each.high:.1%}",
            f"{each.chance:.0%}",
            f"{each.n_factors:,}",
            *other,
        )
    terminal.console().print(table)


def _show_levels(by_level: Mapping[str, Mapping[str, scores.Pooled]]) -> None:
    table = rich.table.Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("level")
    table.add_column("factors", justify="right")
    for name in trials.NAMES:
        table.add_column(f"{name}, %", justify="right", no_wrap=True)
    for level, pooled in by_level.items():
        shown = [
            _percent(pooled[name]) if name in pooled else "n/a" for name in trials.NAMES
        ]
        n_factors = max((each.n_factors for each in pooled.values()), default=0)
        table.add_row(level, f"{n_factors:,}", *shown)
    terminal.console().print(table)


def _percent(pooled: scores.Pooled) -> str:
    value, low, high = (100 * each for each in pooled[:3])
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _dead(number: int) -> str:
    return f"; {number:,} do not fire and are left out" if number else ""


def _next(path: pathlib.Path) -> None:
    run = directory_lib.RunDirectory(path)
    print(f"scores   {run.label_scores}\nnext     {command_line('export', path)}")


COMMAND = command.Command(
    name="label",
    usage="RUN [--endpoint=URL --model=NAME] [--flags]",
    description=(
        "Scores how well the labels of a run say when factors fire, by detection, "
        "fuzzing and intruders, each with its chance level and a 95 % interval. With "
        "--endpoint, a language model names the factors that have no label first, and "
        "answers the questions; each answer is kept, and the same command goes on "
        "where it stopped. Without it, the words of the labels answer, and nothing is "
        "sent anywhere. A factor without a label is scored by its list of words."
    ),
    flags=FLAGS,
    run=main,
)
