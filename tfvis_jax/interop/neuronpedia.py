"""Factors in the form in which Neuronpedia imports features.

A folder MODEL/SOURCE for each layer, which its import route takes from the folder of
its data sets:

    release.jsonl model.jsonl sourceset.jsonl source.jsonl     a line each
    features/batch-0.jsonl.gz …      1,024 features a file
    activations/batch-0.jsonl.gz …   windows that fire them, with α of each token
    explanations/batch-0.jsonl.gz …  what they are called

Neuronpedia counts blocks from 0 and names a source by the block whose output it is of:
its source 3-… is our layer 4. Our layer 0, the embeddings, has a set of its own.

Form: hijohnnylin/neuronpedia, `utils/neuronpedia-utils/neuronpedia_utils/db_models`
and `apps/webapp/app/api/admin/import/route.ts`, August 2026.
"""

import dataclasses
import gzip
import hashlib
import itertools
import json
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tfvis_jax import sites
from tfvis_jax.interop import hooks

BATCH = 1024
# What the name of a set says of the site.
_SUFFIXES = {
    sites.HIDDEN: "",
    sites.ATTENTION_OUT: "-attention",
    sites.MLP_OUT: "-mlp",
}
# The user to whom an instance of one's own gives what it imports.
_CREATOR = "clkht01d40000jv08hvalcvly"
# A run exported twice has equal files.
_CREATED = "2021-03-29T00:00:00"
_DIGITS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """One layer of a run.

    Attributes:
      model: name of the model.
      run: name of the run.
      layer: number of the layer; 0 are the embeddings.
      site: where in the layer, of `sites.SITES`.
      n_layers: blocks of the model.
      n_factors: number of factors.
      d_model: width of the hidden states.
      corpus: name of the text.
      n_windows: windows of the text.
      window_length: tokens of a window.
      created_by: what wrote it, such as "tfvis_jax 0.1.0".
    """

    model: str
    run: str
    layer: int
    site: str
    n_layers: int
    n_factors: int
    d_model: int
    corpus: str
    n_windows: int
    window_length: int
    created_by: str

    @property
    def model_id(self) -> str:
        """The name of the model as Neuronpedia allows it."""
        return _identifier(self.model)

    @property
    def set_name(self) -> str:
        """The name of the layers that are blocks, or of the embeddings alone."""
        name = f"tfvis-{_identifier(self.run)}{_SUFFIXES[self.site]}"
        return name if self.layer else f"{name}-embeddings"

    @property
    def hook(self) -> str:
        """Where the hidden states are, as TransformerLens names it."""
        return hooks.hook_of(self.layer, self.site)

    @property
    def id(self) -> str:
        """The name of the layer."""
        return f"{max(self.layer - 1, 0)}-{self.set_name}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """A window in which a factor fires.

    Attributes:
      tokens: [n] its tokens, which join to its text.
      activations: [n] α of each.
    """

    tokens: Sequence[str]
    activations: Sequence[float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Feature:
    """One factor at one layer.

    Attributes:
      number: index of the factor.
      largest: its largest α.
      density: share of tokens on which it fires.
      histogram: α and number of tokens of each bar.
      nearest: factors of largest cosine, with it.
      raised, lowered: word pieces whose logit it changes most, with the change.
      description: what it is called; "" for nothing.
      windows: strongest first.
    """

    number: int
    largest: float
    density: float
    histogram: Sequence[tuple[float, int]]
    nearest: Sequence[tuple[int, float]]
    raised: Sequence[tuple[str, float]]
    lowered: Sequence[tuple[str, float]]
    description: str
    windows: Sequence[Window]


def write(folder: pathlib.Path, source: Source, features: Iterable[Feature]) -> None:
    """Writes a layer.

    Args:
      folder: to which MODEL/SOURCE is added.
      source: the layer.
      features: its factors, ascending; read once, 1,024 at a time.
    """
    place = folder / source.model_id / source.id
    for name in ("features", "activations", "explanations"):
        (place / name).mkdir(parents=True)
    for name, record in _heads(source).items():
        (place / f"{name}.jsonl").write_bytes(_lines([record]))
    waiting = iter(features)
    for number in itertools.count():
        batch = list(itertools.islice(waiting, BATCH))
        if not batch:
            break
        records = {
            "features": [_feature(source, each) for each in batch],
            "activations": [
                _activation(source, each, rank)
                for each in batch
                for rank in range(len(each.windows))
            ],
            "explanations": [
                _explanation(source, each) for each in batch if each.description
            ],
        }
        for name, lines in records.items():
            # An empty file has no first line, which says what the columns are.
            if lines:
                packed = gzip.compress(_lines(lines), mtime=0)
                (place / name / f"batch-{number}.jsonl.gz").write_bytes(packed)


def _heads(source: Source) -> dict[str, dict[str, Any]]:
    by = {"creatorId": _CREATOR, "createdAt": f"{_CREATED}Z"}
    said = (
        f"{source.n_factors:,} transformer factors of {source.model}, one dictionary "
        f"for all layers, on {source.corpus}"
    )
    return {
        "release": {
            "name": source.set_name,
            "description": said,
            "descriptionShort": f"Transformer factors: {source.run}",
            "urls": [],
            "creatorName": source.created_by,
            "creatorNameShort": "tfvis_jax",
            "visibility": "PUBLIC",
            **by,
        },
        "model": {
            "id": source.model_id,
            "displayName": source.model,
            "displayNameShort": source.model,
            "dimension": source.d_model,
            "layers": source.n_layers,
            "neuronsPerLayer": 0,
            "owner": "",
            "instruct": False,
            "inferenceEnabled": False,
            "visibility": "PUBLIC",
            **by,
        },
        "sourceset": {
            "modelId": source.model_id,
            "name": source.set_name,
            "description": said,
            "type": "transformer factors",
            "creatorName": source.created_by,
            "urls": [],
            "releaseName": source.set_name,
            "visibility": "PUBLIC",
            **by,
        },
        "source": {
            "id": source.id,
            "modelId": source.model_id,
            "setName": source.set_name,
            "dataset": source.corpus,
            "num_prompts": source.n_windows,
            "num_tokens_in_prompt": source.window_length,
            "inferenceEnabled": False,
            "notes": f"layer {source.layer} of the run {source.run}",
            "visibility": "PUBLIC",
            **by,
        },
    }


def _of(source: Source, feature: Feature) -> dict[str, Any]:
    return {
        "modelId": source.model_id,
        "layer": source.id,
        "index": str(feature.number),
    }


def _feature(source: Source, feature: Feature) -> dict[str, Any]:
    return {
        **_of(source, feature),
        "sourceSetName": source.set_name,
        "creatorId": _CREATOR,
        "createdAt": _CREATED,
        "maxActApprox": _rounded(feature.largest),
        "frac_nonzero": _rounded(feature.density),
        "freq_hist_data_bar_values": [_rounded(at) for at, _ in feature.histogram],
        "freq_hist_data_bar_heights": [n for _, n in feature.histogram],
        "topkCosSimIndices": [other for other, _ in feature.nearest],
        "topkCosSimValues": [_rounded(cosine) for _, cosine in feature.nearest],
        "pos_str": [piece for piece, _ in feature.raised],
        "pos_values": [_rounded(change) for _, change in feature.raised],
        "neg_str": [piece for piece, _ in feature.lowered],
        "neg_values": [_rounded(change) for _, change in feature.lowered],
        "hasVector": False,
        "vector": [],
        "hookName": source.hook,
    }


def _activation(source: Source, feature: Feature, rank: int) -> dict[str, Any]:
    window = feature.windows[rank]
    values = [_rounded(alpha) for alpha in window.activations]
    return {
        "id": _unique(source, f"{feature.number}/{rank}"),
        **_of(source, feature),
        "tokens": list(window.tokens),
        "values": values,
        "maxValue": max(values),
        "maxValueTokenIndex": values.index(max(values)),
        "minValue": min(values),
        "creatorId": _CREATOR,
        "createdAt": _CREATED,
    }


def _explanation(source: Source, feature: Feature) -> dict[str, Any]:
    return {
        "id": _unique(source, f"{feature.number}"),
        **_of(source, feature),
        "description": feature.description,
        "authorId": _CREATOR,
        "createdAt": _CREATED,
    }


def _unique(source: Source, name: str) -> str:
    """Returns an id of 25 characters that no other record has."""
    text = f"{source.model_id}/{source.id}/{name}"
    return f"c{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _identifier(name: str) -> str:
    """Returns a name of small letters, digits, - and _."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:64] or "model"


def _rounded(value: float) -> float:
    return float(f"{float(value):.{_DIGITS}g}")


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return "".join(
        f"{json.dumps(record, ensure_ascii=False, allow_nan=False)}\n"
        for record in records
    ).encode("utf-8", "replace")
