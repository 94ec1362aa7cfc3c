"""`tfvis explain`: which tokens make a factor fire."""

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import rich.console
import rich.text
from absl import flags

from tfvis_jax.cli import command, devices, run_argument, shared_flags, terminal
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.saliency import example_target
from tfvis_jax.saliency import explanation as explanation_lib
from tfvis_jax.saliency import quality as quality_lib
from tfvis_jax.saliency import target as target_lib

FLAGS = command.new_flags(compiles=True)
_FACTOR = shared_flags.factor(FLAGS)
_LAYER = shared_flags.layer(FLAGS, "Layer at which the factor fires")
_EXAMPLE = flags.DEFINE_integer(
    "example",
    None,
    "Rank among the top-activating examples of factor and layer. (default: 1)",
    lower_bound=1,
    flag_values=FLAGS,
)
_TEXT = flags.DEFINE_string(
    "text",
    None,
    "A text of your own instead of an example; the token that fires the factor most "
    "is explained.",
    flag_values=FLAGS,
)
_METHODS = flags.DEFINE_list(
    "methods",
    list(explanation_lib.METHODS),
    "Saliency maps to make.",
    flag_values=FLAGS,
)
_REPLACEMENT = flags.DEFINE_enum(
    "replacement",
    "unk",
    explanation_lib.REPLACEMENTS,
    "What replaces a token: the unknown token, or the mask token. A model of bytes has "
    "none that is unknown, and takes its mask token or an ellipsis.",
    flag_values=FLAGS,
)
_SAMPLES = flags.DEFINE_integer(
    "max_samples",
    2001,
    "Masks that LIME draws at most.",
    lower_bound=100,
    flag_values=FLAGS,
)
_ADAPTIVE = flags.DEFINE_bool(
    "adaptive",
    True,
    "Stop LIME once the standard error of every weight is at most 5 % of the largest "
    "weight.",
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of LIME's masks.", lower_bound=0, flag_values=FLAGS
)
_JSON = shared_flags.json(FLAGS, "Print JSON.")

# Fraction of the largest weight below which tokens are not coloured.
_FAINTEST = 0.1
_POSITIVE, _NEGATIVE = (255, 140, 0), (90, 140, 255)
_CONTEXT = {
    0: "the token alone keeps 90 % of α",
    1: "one token on either side keeps 90 % of α",
}
_MORE_CONTEXT = "{} tokens on either side keep 90 % of α"
_NAMES = {
    "lime": "LIME",
    "occlusion": "occlusion",
    "gradient_times_input": "gradient × input",
    "integrated_gradients": "integrated gradients",
}


def main(arguments: Sequence[str]) -> None:
    """Prints maps of the tokens that make a factor fire."""
    path = run_argument.one(arguments)
    factor = _checked_factor()
    devices.use_all_cores(quietly=True)
    run = run_lib.load_run(path)
    run.check_factor(factor)
    layer = _LAYER.value
    if layer is None:
        layer = run.peak_layer(factor)
    if _TEXT.value is None:
        rank = _EXAMPLE.value or 1
        target = example_target.of_example(run, factor=factor, layer=layer, rank=rank)
        source = {"example": rank, "note": f"example {rank} of the corpus"}
    else:
        found = target_lib.in_text(
            run.opened, run.trained, _TEXT.value, layer=layer, factor=factor
        )
        target, source = found.target, {"text": _TEXT.value, "note": _windowed(found)}
    explanation = run.explain_target(
        target,
        layer=layer,
        methods=_METHODS.value,
        replacement=_REPLACEMENT.value,
        max_samples=_SAMPLES.value,
        adaptive=_ADAPTIVE.value,
        seed=_SEED.value,
    )
    if _JSON.value:
        print(json.dumps(explanation.as_json() | source, ensure_ascii=False))
        return
    console = rich.console.Console(highlight=False)
    for line in _report(explanation, str(source["note"])):
        console.print(line)


def _checked_factor() -> int:
    """Returns --factor; UsageError where flags are missing or contradict each other."""
    if _FACTOR.value is None:
        raise command.UsageError("Expected --factor=NUMBER.")
    if _TEXT.value is not None and _EXAMPLE.value is not None:
        raise command.UsageError("Expected --example or --text, got both.")
    if not _METHODS.value or not set(_METHODS.value) <= set(explanation_lib.METHODS):
        raise command.UsageError(
            f"Expected --methods out of {', '.join(explanation_lib.METHODS)}; got "
            f"{_METHODS.value}."
        )
    return _FACTOR.value


def _windowed(found: target_lib.FoundInText) -> str:
    if found.n_windows == 1:
        return "your text"
    return (
        f"your text is longer than the model's positions and was cut into "
        f"{found.n_windows} windows; this is window {found.window + 1}, where the "
        "factor fires most"
    )


def _report(
    explanation: explanation_lib.Explanation, note: str
) -> Iterator[rich.text.Text]:
    target = explanation.target
    word = terminal.printable(target.texts[target.position])
    yield rich.text.Text(
        f"factor {target.factor} at layer {explanation.layer}: α = "
        f"{explanation.activation:.3f} on “{word}” ({note})"
    )
    need = _CONTEXT.get(explanation.context_need, _MORE_CONTEXT)
    yield rich.text.Text(f"context need: {need.format(explanation.context_need)}")
    for name, found in explanation.maps.items():
        yield rich.text.Text()
        yield rich.text.Text(f"{_NAMES[name]}{_facts(found.facts)}", style="bold")
        yield _coloured(target, found.weights)
        yield rich.text.Text("  " + _strongest(explanation, name))
        yield rich.text.Text("  " + _quality(found.quality))
    yield rich.text.Text()
    yield rich.text.Text("tokens in random order, for comparison", style="bold")
    yield rich.text.Text("  " + _quality(explanation.chance))
    legend = rich.text.Text()
    legend.append("orange", style=_background(_POSITIVE, 1))
    legend.append(" makes it fire, ")
    legend.append("blue", style=_background(_NEGATIVE, 1))
    legend.append(" keeps it from firing, ")
    legend.append("underlined", style="bold underline")
    legend.append(" is where it fires")
    yield legend


def _coloured(target: target_lib.Target, weights: np.ndarray) -> rich.text.Text:
    line = rich.text.Text("  ")
    largest = np.max(np.abs(weights), initial=0)
    for place in target.places.tolist():
        share = weights[place] / largest if largest else 0
        style = ""
        if abs(share) >= _FAINTEST:
            style = _background(_POSITIVE if share > 0 else _NEGATIVE, abs(share))
        if place == target.position:
            style += " bold underline"
        line.append(" " if target.is_spaced[place] else "")
        line.append(terminal.printable(target.texts[place]), style=style.strip())
    return line


def _background(colour: tuple[int, int, int], share: float) -> str:
    # From near white to the full colour, with black on it: readable on any terminal.
    blend = [round(255 + share * (part - 255)) for part in colour]
    return f"black on rgb({blend[0]},{blend[1]},{blend[2]})"


def _strongest(explanation: explanation_lib.Explanation, method: str) -> str:
    return ", ".join(
        f"{terminal.printable(text)} {weight:+.3f}"
        for text, weight in explanation.strongest(method)
    )


def _facts(facts: Mapping[str, float]) -> str:
    if "r2" in facts:
        return (
            f": R² {facts['r2']:.3f}, {facts['n_samples']} masks, stability over two "
            f"seeds {facts['stability']:.3f}, largest standard error "
            f"{facts['relative_error']:.1%} of the largest weight"
        )
    if "baseline" in facts:
        return (
            f": α of the baseline {facts['baseline']:.3f}, completeness error "
            f"{facts['error']:.1%}"
        )
    return ""


def _quality(quality: quality_lib.Quality) -> str:
    kept = ", ".join(f"{k}: {share:.0%}" for k, share in quality.kept.items())
    return (
        f"insertion {quality.insertion_area:.2f}, deletion "
        f"{quality.deletion_area:.2f}; α kept by the first tokens  {kept}"
    )


COMMAND = command.Command(
    name="explain",
    usage='RUN --factor=N [--layer=L] [--example=K | --text="A TEXT"]',
    description=(
        "Shows which tokens of a window make a factor fire at one of them: by LIME, "
        "occlusion and gradients, each with its insertion and deletion scores. Needs "
        "the examples of the run, unless --text and --layer are given."
    ),
    flags=FLAGS,
    run=main,
)
