"""Cases for steering around one word, such as "left" as a verb.

The factor that tells the word best is chosen on the documents of one half; the words
that are steered are those of the other half. Three places are looked at:

    next to the word     the token before or behind it is hidden, the word is read
    the word, read       the word is read, and its own place is predicted
    the word, hidden     the word is hidden, and its place is predicted
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from tfvis_jax import probing
from tfvis_jax.codes import rows as rows_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import labelled_rows
from tfvis_jax.probing import ranking
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies.steering import steering
from tfvis_jax.studies.words import word_sets

BESIDE, READ, HIDDEN = "next to the word", "the word, read", "the word, hidden"
# A word counts as of a class, or as of none of it, from this share of its occurrences.
_SURE = 0.95
_LEAST_COUNT = 3


@dataclasses.dataclass(frozen=True)
class ChosenFactor:
    """The factor that tells a word best at one layer.

    Attributes:
      layer: the layer.
      factor: number of the factor.
      average_precision: of its α over all tokens of the training documents.
      test_average_precision: the same over the other documents.
      word_average_precision: of a detector of the word in any class, over the other
        documents: what the word alone tells.
      amount: mean α at the word in its class, in the training documents.
    """

    layer: int
    factor: int
    average_precision: float
    test_average_precision: float
    word_average_precision: float
    amount: float

    @property
    def tells_class(self) -> bool:
        """Whether it tells more than the word does."""
        return self.test_average_precision > self.word_average_precision


@dataclasses.dataclass(frozen=True, eq=False)
class Occurrences:
    """A word in sentences of labelled text, and the factors that tell it.

    Attributes:
      word: the word.
      positive: its class that is looked for.
      tokens: of all sentences.
      first, last: [n] int64, the tokens of each occurrence.
      is_positive: [n] bool.
      documents: [n] int64.
      is_training: [n] bool; factors are chosen on these.
      chosen: the best factor of each layer.
      n_documents: documents in all.
    """

    word: str
    positive: str
    tokens: probing.Tokens
    first: np.ndarray
    last: np.ndarray
    is_positive: np.ndarray
    documents: np.ndarray
    is_training: np.ndarray
    chosen: tuple[ChosenFactor, ...]
    n_documents: int

    @property
    def best(self) -> ChosenFactor:
        """The best of all layers, by the training documents."""
        return max(self.chosen, key=lambda each: each.average_precision)


def find(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    word: word_sets.Word,
    *,
    seed: int = 0,
) -> Occurrences:
    """Finds a word and chooses its factor at every layer.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      word: labelled occurrences with a class that is looked for.
      seed: divides the documents.

    Raises:
      InputError: a half has no occurrence of a class, or no factor fires at the word.
    """
    labelled, positive = word.labelled, word.positive or ""
    tokens = probing.tokenize(labelled, opened.tokenizer)
    aligned = probing.align(labelled, tokens)
    kept = np.flatnonzero(aligned.aligned)
    documents = labelled.span_documents[kept]
    is_positive = labelled.labels[kept] == positive
    found = np.unique(documents)
    rng = np.random.default_rng(seed)
    training = rng.permutation(found)[: (len(found) + 1) // 2]
    is_training = np.isin(documents, training)
    for half in (is_training, ~is_training):
        if not (is_positive & half).any() or (is_positive | ~half).all():
            raise InputError(
                f"Expected {word.name} as {positive} and as something else in both "
                f"halves of {len(found)} documents; got {is_positive.sum()} of "
                f"{len(kept)} occurrences. Give more labelled text."
            )
    hidden = labelled_rows.scaled_rows(opened, trained, labelled, tokens)
    target = np.zeros(len(tokens.ids), bool)
    target[aligned.first[kept][is_positive]] = True
    in_training = np.isin(labelled.document_of[tokens.text_of], training)
    # All occurrences are alike to it: its only threshold has this precision.
    of_word = float(is_positive[~is_training].mean())
    chosen = tuple(
        _best_factor(
            opened, trained, x, target, in_training, layer=layer, of_word=of_word
        )
        for layer, x in zip(trained.layers, hidden, strict=True)
    )
    return Occurrences(
        word=word.name,
        positive=positive,
        tokens=tokens,
        first=aligned.first[kept],
        last=aligned.last[kept],
        is_positive=is_positive,
        documents=documents,
        is_training=is_training,
        chosen=chosen,
        n_documents=len(found),
    )


def _best_factor(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    x: np.ndarray,
    target: np.ndarray,
    in_training: np.ndarray,
    *,
    layer: int,
    of_word: float,
) -> ChosenFactor:
    codes = rows_lib.encode_rows(opened, trained, x, layer=layer).codes
    fires = np.flatnonzero(np.diff(codes[target & in_training].tocsc().indptr))
    if not len(fires):
        raise InputError(f"No factor fires at the word at layer {layer}.")
    columns = codes[:, fires].toarray()
    precisions = [
        ranking.column_average_precision(columns[half], target[half])
        for half in (in_training, ~in_training)
    ]
    best = int(np.argmax(precisions[0]))
    return ChosenFactor(
        layer=layer,
        factor=int(fires[best]),
        average_precision=float(precisions[0][best]),
        test_average_precision=float(precisions[1][best]),
        word_average_precision=of_word,
        amount=float(columns[target & in_training, best].mean()),
    )


def cases(
    opened: setup.Setup,
    found: Occurrences,
    factor: int,
    *,
    place: str,
    positives_only: bool = True,
) -> steering.Cases:
    """Returns the occurrences in test documents as cases.

    Sentences that are longer than a window of the run are left out.

    Args:
      opened: model and settings of the run.
      found: the word.
      factor: which factor to steer, at the tokens of the word.
      place: where predictions are compared: `BESIDE`, `READ` or `HIDDEN`.
      positives_only: only occurrences of the class that is looked for.

    Raises:
      InputError: no sentence is short enough, or there is no mask token.
    """
    tokenizer, tokens = opened.tokenizer, found.tokens
    prefix, suffix = (
        list(ids) if opened.config.corpus.special_tokens else []
        for ids in (tokenizer.prefix, tokenizer.suffix)
    )
    room = opened.config.corpus.window_length - len(prefix) - len(suffix)
    length = opened.config.corpus.window_length
    wanted = ~found.is_training & (found.is_positive | (not positives_only))
    token_ids, seen, rows, steered = [], [], [], []
    positions, labels, documents = [], [], []
    for number in np.flatnonzero(wanted).tolist():
        text = tokens.text_of[found.first[number]]
        start, end = np.searchsorted(tokens.text_of, [text, text + 1]).tolist()
        if end - start > room:
            continue
        whole = [*prefix, *tokens.ids[start:end], *suffix]
        ids = np.full(length, tokenizer.pad_id, np.int32)
        ids[: len(whole)] = whole
        first, last = (
            int(edge[number]) - start + len(prefix)
            for edge in (found.first, found.last)
        )
        inside = range(len(prefix), len(prefix) + end - start)
        looked = {BESIDE: (first - 1, last + 1), READ: (first,), HIDDEN: (first,)}
        for position in looked[place]:
            if position not in inside:
                continue
            read = ids.copy()
            if place == BESIDE:
                read[position] = tokenizer.required_mask_id()
            elif place == HIDDEN:
                read[first : last + 1] = tokenizer.required_mask_id()
            token_ids.append(read)
            seen.append(np.arange(length) < len(whole))
            rows.append(np.isin(np.arange(length), inside))
            steered.append(np.isin(np.arange(length), range(first, last + 1)))
            positions.append([position])
            labels.append([ids[position]])
            documents.append(found.documents[number])
    if not documents:
        raise InputError(
            f"Expected sentences of at most {room} tokens with {found.word}, got none."
        )
    return steering.Cases(
        token_ids=np.array(token_ids),
        token_mask=np.array(seen),
        row_mask=np.array(rows),
        steered=np.array(steered),
        factors=np.full(len(documents), factor),
        positions=np.array(positions, np.int32),
        labels=np.array(labels, np.int32),
        counted=np.ones((len(documents), 1), bool),
        documents=np.array(documents),
    )


def sure_words(
    labelled: probing.LabelledText,
    positive: str,
    tokenizer: tokenizer_lib.Tokenizer,
    *,
    without: Iterable[int] = (),
) -> steering.WordSets:
    """Returns the tokens that are nearly always, and nearly never, of one class.

    Args:
      labelled: text all of whose words are labelled with their class.
      positive: the class.
      tokenizer: the model's.
      without: documents that are not counted.
    """
    counted = ~np.isin(labelled.span_documents, np.array(list(without), np.int64))
    words, places = np.unique(labelled.words[counted].astype(str), return_inverse=True)
    total = np.bincount(places, minlength=len(words))
    share = (
        np.bincount(
            places, weights=labelled.labels[counted] == positive, minlength=len(words)
        )
        / total
    )
    sets = steering.WordSets(*np.zeros((2, tokenizer.vocab_size), bool))
    often = total >= _LEAST_COUNT
    for chosen, ids in (
        (share >= _SURE, sets.first),
        (share <= 1 - _SURE, sets.second),
    ):
        for word in words[chosen & often].tolist():
            pieces = tokenizer.encode(word).ids
            if len(pieces) == 1:
                ids[pieces[0]] = True
    return sets
