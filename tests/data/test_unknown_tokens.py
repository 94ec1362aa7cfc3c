"""Text that the vocabulary does not know is counted, left out or refused."""

import json

import numpy as np
import pytest

from tfvis_jax import config
from tfvis_jax.data import build_windows, tokenizer, unknown_tokens
from tfvis_jax.errors import InputError

TEXTS = {
    "english": "the blue lobsters " * 20,
    "chinese": "东京是日本的首都 the " * 20,
    "thai": "สวัสดี ครับ the " * 20,
    "emoji": "the 😀 😃 lobster " * 20,
}


def _build(folder, texts, *, tokenizer, notify=None, **settings):
    path = folder / "texts.jsonl"
    lines = [json.dumps({"title": t, "text": text}) for t, text in texts.items()]
    path.write_text("\n".join(lines))
    return build_windows.build(
        folder / "tokens",
        config.CorpusConfig(paths=(str(path),), window_length=12, **settings),
        tokenizer=tokenizer,
        notify=notify or (lambda sentence: pytest.fail(sentence)),
    )


def _share(found: tokenizer.Tokenizer, text: str) -> float:
    """Counts with the tokenizers library, apart from this package."""
    pieces = found.backend.encode(text, add_special_tokens=False).tokens
    return pieces.count("[UNK]") / len(pieces)


def test_unknown_tokens_are_counted(small_tokenizer, tmp_path):
    told = []
    built = _build(
        tmp_path,
        TEXTS,
        tokenizer=small_tokenizer,
        notify=told.append,
        allow_unknown_tokens=True,
    )
    found = built.index["unknown_tokens"]
    rows = np.arange(len(built))
    ids = built.token_ids(rows)[built.row_mask(rows)]
    assert found["count"] == (ids == small_tokenizer.unk_id).sum() > 0
    assert found["share"] == pytest.approx(found["count"] / len(ids))
    shares = {name: _share(small_tokenizer, text) for name, text in TEXTS.items()}
    assert {d["name"]: d["share"] for d in found["documents"]} == {
        name: pytest.approx(shares[name]) for name in ("chinese", "thai", "emoji")
    }
    assert found["documents"][0]["name"] == "chinese"
    assert len(told) == 1 and "script" in told[0]


@pytest.mark.parametrize("name", ["chinese", "thai"])
def test_text_of_another_script_is_refused_until_it_is_allowed(
    small_tokenizer, tmp_path, name
):
    texts = {name: TEXTS[name]}
    with pytest.raises(InputError, match=rf"{name} \(\d\d%\).*--allow_unknown_tokens"):
        _build(tmp_path, texts, tokenizer=small_tokenizer)
    told = []
    # What was refused is not in the way.
    _build(
        tmp_path,
        texts,
        tokenizer=small_tokenizer,
        notify=told.append,
        allow_unknown_tokens=True,
    )
    assert len(told) == 1 and "unknown to the model's vocabulary" in told[0]


def test_few_unknown_tokens_are_no_matter(small_tokenizer, tmp_path):
    built = _build(
        tmp_path, {"a": "the blue lobsters " * 20 + "☃"}, tokenizer=small_tokenizer
    )
    assert 0 < built.index["unknown_tokens"]["share"] < unknown_tokens.WARNED


def test_documents_with_a_larger_share_are_left_out(small_tokenizer, tmp_path):
    told = []
    built = _build(
        tmp_path,
        TEXTS,
        tokenizer=small_tokenizer,
        notify=told.append,
        max_unknown=0.2,
    )
    assert {built.document_name(row) for row in range(len(built))} == {"english"}
    assert built.index["unknown_tokens"] == {"count": 0, "share": 0.0, "documents": []}
    assert told == [
        "Documents left out, because more than 0.2 of their tokens are unknown to the "
        "model's vocabulary: 3 (chinese, thai, emoji)."
    ]
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"No text in .*left out.*: 3 \(chinese"):
        _build(
            tmp_path / "other",
            {k: v for k, v in TEXTS.items() if k != "english"},
            tokenizer=small_tokenizer,
            notify=told.append,
            max_unknown=0.2,
        )


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="max_unknown"):
        config.CorpusConfig(paths=("a",), max_unknown=share)
