"""Readers: where labels are, what documents are, and what users are told."""

import json
import lzma
import zipfile

import numpy as np
import pytest

from tfvis_jax import probing
from tfvis_jax.errors import InputError
from tfvis_jax.probing import corpora

_CONLLU = """\
# newdoc id = first
# sent_id = 1
# text = I don't  go (home).
1\tI\tI\tPRON\tPRP\t_\t3\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
4\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
5\t(\t(\tPUNCT\t-LRB-\t_\t6\tpunct\t_\t_
6\thome\thome\tADV\tRB\t_\t4\tadvmod\t_\t_
6.1\tgone\tgo\tVERB\tVBN\t_\t_\t_\t_\t_
7\t)\t)\tPUNCT\t-RRB-\t_\t6\tpunct\t_\t_
8\t.\t.\tPUNCT\t.\t_\t4\tpunct\t_\t_

# newdoc id = second
# sent_id = 2
# text = Au lait
1-2\tAu\t_\t_\t_\t_\t_\t_\t_\t_
1\tà\tà\tADP\tIN\t_\t3\tcase\t_\t_
2\tle\tle\tDET\tDT\t_\t3\tdet\t_\t_
3\tlait\tlait\tNOUN\tNN\t_\t0\troot\t_\t_
"""

_SENSEVAL = """\
<corpus lang="en">
<lexelt item="hard-a">
<instance id="hard-a.sjm-274_1:">
<answer instance="hard-a.sjm-274_1:" senseid="HARD1"/>
<context>
 <wf pos="PRP">it</wf> <wf pos='"'>"</wf> <head> <wf pos="JJ">hard</wf></head> \
<wf pos="CC">&amp;</wf>
</context>
</instance>
<instance id="hard-a.sjm-274_12:">
<answer instance="hard-a.sjm-274_12:" senseid="HARD2"/>
<answer instance="hard-a.sjm-274_12:" senseid="HARD3"/>
<context>
 <head> <wf pos="JJR">harder</wf></head> <wf pos="NN">work</wf>
</context>
</instance>
</lexelt>
</corpus>
"""


def _spans(labelled):
    return [
        (labelled.texts[text][start:end], label)
        for text, (start, end), label in zip(
            labelled.text_of, labelled.spans, labelled.labels, strict=True
        )
    ]


def test_word_tags_of_a_folder_beside_a_read_me(tmp_path):
    (tmp_path / "README").write_text("ABOUT THE CORPUS\n")
    (tmp_path / "ca01").write_text("\n\tHe/pps left/vbd ``/`` 1/2/cd ''/''\n\n\n./.\n")
    (tmp_path / "ca02").write_text("Left/jj-hl hands/nns\n")
    labelled = probing.read_word_tags(tmp_path)
    assert labelled.texts == ('He left " 1/2 "', ".", "Left hands")
    assert labelled.document_names == ("ca01", "ca02")
    assert labelled.document_of.tolist() == [0, 0, 1]
    assert _spans(labelled) == [
        *(("He", "pps"), ("left", "vbd"), ('"', "``"), ("1/2", "cd"), ('"', "''")),
        *((".", "."), ("Left", "jj-hl"), ("hands", "nns")),
    ]
    left = labelled.occurrences("left")
    assert left.texts == ('He left " 1/2 "', "Left hands")
    assert left.span_documents.tolist() == [0, 1]


def test_an_archive_reads_like_its_folder(tmp_path):
    (tmp_path / "ca01").write_text("He/pps left/vbd\n")
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        archive.writestr("brown/README", "ABOUT")
        archive.writestr("brown/ca01", "He/pps left/vbd\n")
    for path in (tmp_path / "corpus.zip", tmp_path / "ca01"):
        assert _spans(probing.read_word_tags(path)) == [("He", "pps"), ("left", "vbd")]


@pytest.mark.parametrize(
    ("tagset", "expected"),
    [
        (
            "brown",
            {
                **{"vbd": "verb", "VBN-TL": "verb", "hvz": "verb", "md": "verb"},
                **{"nn-tl": "noun", "np$": "noun", "nr": "noun", "jjt": "adjective"},
                **{"ql": "adverb", "wdt": "determiner", "pps": "pronoun"},
                **{"*": "negation", "in": "preposition", "``": "other", "nil": "other"},
            },
        ),
        (
            "penn",
            {
                **{"VBZ": "verb", "NNP": "noun", "JJ": "adjective", "RB": "adverb"},
                **{"PRP$": "pronoun", "IN": "preposition", ".": "other"},
            },
        ),
        (
            "universal",
            {
                **{"AUX": "verb", "PROPN": "noun", "ADJ": "adjective", "ADV": "adverb"},
                **{"ADP": "preposition", "PART": "particle", "PUNCT": "other"},
            },
        ),
    ],
)
def test_parts_of_speech_of_tags(tagset, expected):
    found = {tag: probing.coarse_tag(tag, tagset=tagset) for tag in expected}
    assert found == expected
    with pytest.raises(InputError, match="brown, penn, universal, got 'ptb'"):
        probing.coarse_tag("NN", tagset="ptb")


@pytest.mark.parametrize("suffix", [".conllu", ".conllu.xz"])
def test_conllu(tmp_path, suffix):
    content = _CONLLU.encode()
    path = tmp_path / f"en{suffix}"
    path.write_bytes(lzma.compress(content) if suffix.endswith("xz") else content)
    labelled = probing.read_conllu(tmp_path)
    assert labelled.document_names == ("first", "second")
    assert _spans(labelled) == [
        *(("I", "PRON"), ("do", "AUX"), ("n't", "PART"), ("go", "VERB")),
        *(("(", "PUNCT"), ("home", "ADV"), (")", "PUNCT"), (".", "PUNCT")),
    ]
    # "Au" is neither "à" nor "le", and nothing is looked for behind what is missing.
    assert labelled.n_not_found == 3
    assert probing.read_conllu(path, label="lemma").labels[1] == "do"
    with pytest.raises(InputError, match="lemma, upos, xpos, deprel as label, got 'p'"):
        probing.read_conllu(path, label="p")
    path.with_suffix("").with_suffix(".conllu").write_text("1\tI\tPRON\n")
    with pytest.raises(
        InputError, match=r"^Line 1 of .*/en.conllu .* 10 columns .* got 3"
    ):
        probing.read_conllu(tmp_path / "en.conllu")


def test_senses_of_a_word(tmp_path):
    (tmp_path / "hard.pos").write_text(_SENSEVAL)
    labelled = probing.read_senseval(tmp_path, "hard")
    assert labelled.texts == ('it " hard &', "harder work")
    assert labelled.document_names == ("sjm-274",)
    assert _spans(labelled) == [("hard", "HARD1"), ("harder", "HARD2")]
    with pytest.raises(InputError, match="got 'left'; it has hard"):
        probing.read_senseval(tmp_path, "left")


def test_json_lines(tmp_path):
    path = tmp_path / "mine.jsonl"
    records = [
        {"text": "a b", "span": [0, 1], "label": "x", "document": "d"},
        {"text": "a b", "span": [2, 3], "label": "y", "document": "d"},
        {"text": "c", "span": [0, 1], "label": 3},
    ]
    path.write_text("\n".join(map(json.dumps, records)) + "\n\n")
    labelled = probing.read_json_lines(path)
    assert labelled.texts == ("a b", "c") and labelled.document_names == ("d", "c")
    assert _spans(labelled) == [("a", "x"), ("b", "y"), ("c", "3")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "it is not JSON"),
        ("[]", "Expected `object`, got `array`"),
        ('{"text": "a", "span": [0, 2], "label": "x"}', "within the 1 characters"),
        ('{"text": "a", "span": [1, 1], "label": "x"}', "within the 1 characters"),
        ('{"text": "a", "span": [0, true], "label": "x"}', "`int`, got `bool`"),
        (
            '{"text": "a", "span": [-1, 1], "label": "x"}',
            r">= 0 at `span\[0\]`, got -1",
        ),
        ('{"text": "a", "span": [0], "label": "x"}', "length 2"),
        ('{"text": "a", "span": [0, 1], "label": ""}', "labels of 1 to 1,000"),
        ('{"text": "a", "label": "x"}', "missing required field `span`"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "a", "span": [0, 1], "label": "x"}\n' + line)
    with pytest.raises(InputError, match=message) as caught:
        probing.read_json_lines(path)
    assert "labels of" in message or f"Line 2 of {path}" in str(caught.value)


def test_what_is_missing_is_named(tmp_path):
    missing = tmp_path / "nowhere"
    with pytest.raises(InputError, match=r"Brown corpus .*brown.zip.* at .*nowhere"):
        probing.read_word_tags(missing)
    with pytest.raises(InputError, match=r"UD English GUM at .*nowhere"):
        probing.read_conllu(missing)
    with pytest.raises(InputError, match=r"senseval.zip .*nowhere"):
        probing.read_senseval(missing, "hard")
    with pytest.raises(InputError, match=r"JSON lines .*nowhere"):
        probing.read_json_lines(missing)
    with pytest.raises(InputError, match=r"word/TAG in .*found none"):
        probing.read_word_tags(tmp_path)
    with pytest.raises(InputError, match=r"\.conllu\.xz files in .*found none"):
        probing.read_conllu(tmp_path)
    (tmp_path / "ca01").write_text("He/pps left/vbd\nfor home/nn\n")
    with pytest.raises(InputError, match=r"^Line 2 of ca01 in .*word/TAG, got 'for'"):
        probing.read_word_tags(tmp_path)
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"broken\.zip is damaged"):
        probing.read_word_tags(tmp_path / "broken.zip")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_SENSEVAL.replace("</context>", "", 1), "got 2 instances and 1 whole ones"),
        (_SENSEVAL.replace('senseid="HARD1"', ""), "in the instance hard-a.sjm-274_1"),
        (_SENSEVAL.replace(">harder<", "><"), "got no word"),
    ],
)
def test_damaged_senses_are_not_left_out_in_silence(tmp_path, content, message):
    (tmp_path / "hard.pos").write_text(content)
    with pytest.raises(InputError, match=message):
        probing.read_senseval(tmp_path, "hard")


def test_damaged_and_huge_archives_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "en.conllu.xz"
    path.write_bytes(lzma.compress(_CONLLU.encode())[:-20])
    with pytest.raises(InputError, match=r"en\.conllu\.xz is damaged .*get it again"):
        probing.read_conllu(path)
    monkeypatch.setattr(corpora, "_MAX_BYTES", 2**20)
    path.write_bytes(lzma.compress(b"\n" * 2**24))
    with pytest.raises(InputError, match=r"at most 1 MiB .*en\.conllu\.xz; divide"):
        probing.read_conllu(path)
    path = tmp_path / "corpus.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ca01", b"\n" * 2**24)
    with pytest.raises(InputError, match=r"at most 1 MiB .*16 MiB in .*corpus\.zip"):
        probing.read_word_tags(path)


def test_absent_words_and_labels_are_told_with_what_there_is(tmp_path):
    (tmp_path / "ca01").write_text("He/pps left/vbd ,/, leftist/nn\n")
    labelled = probing.read_word_tags(tmp_path)
    with pytest.raises(InputError, match=r"got 'lefft'.* 4 others, such as left"):
        labelled.occurrences("lefft")
    with pytest.raises(InputError, match="got vbx; it has nn, pps, vbd, ,"):
        labelled.relabelled({"verb": ["vbd", "vbx"]})


def test_labels_are_joined_replaced_and_sampled(tmp_path):
    (tmp_path / "ca01").write_text("a/x b/y\nc/z\nd/x\n")
    labelled = probing.read_word_tags(tmp_path)
    joined = labelled.relabelled({"1": ["x", "z"]})
    assert _spans(joined) == [("a", "1"), ("c", "1"), ("d", "1")]
    rest = labelled.relabelled({"1": ["x"]}, other="rest")
    assert rest.labels.tolist() == ["1", "rest", "rest", "1"]
    assert labelled.mapped(str.upper).labels.tolist() == ["X", "Y", "Z", "X"]
    one = labelled.sample(2, seed=1)
    assert _spans(one) == _spans(labelled.sample(2, seed=1))
    assert len(one.spans) == 2 and labelled.sample(9) is labelled
    texts = labelled.sample_texts(2, seed=0)
    assert len(texts.texts) == 2
    assert set(_spans(texts)) < set(_spans(labelled))


def test_the_brown_corpus_has_its_published_counts(shared_data):
    labelled = probing.read_word_tags(shared_data / "brown")
    assert len(labelled.spans) == 1_161_192 and labelled.n_documents == 500
    labels, counts = np.unique(labelled.occurrences("left").labels, return_counts=True)
    assert dict(zip(labels.tolist(), counts.tolist(), strict=True)) == {
        **{"vbn": 181, "vbd": 157, "jj": 68, "nr": 67, "nn-tl": 5, "nn": 2}
    }


def test_gum_and_senseval_have_their_published_counts(shared_data):
    gum = probing.read_conllu(shared_data / "ud" / "gum")
    files = (shared_data / "ud" / "gum").glob("*.xz")
    n_sentences = sum(
        lzma.decompress(file.read_bytes()).count(b"# sent_id") for file in files
    )
    assert gum.n_documents == 238 and len(gum.texts) == n_sentences
    counts = {
        word: len(probing.read_senseval(shared_data / "senseval2", word).spans)
        for word in ("hard", "interest", "line", "serve")
    }
    # Leacock et al. (1998); Bruce and Wiebe (1994).
    assert counts == {"hard": 4333, "interest": 2368, "line": 4146, "serve": 4378}
