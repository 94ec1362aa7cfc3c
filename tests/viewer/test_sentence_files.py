"""Files of sentences to record are read as text, or refused with the reason."""

import pytest

from tfvis_jax.errors import InputError
from tfvis_jax.viewer import sentences

_TEXT = "He left the bank.\n\n  Caf\u00e9 \u6771\u4eac \U0001f600.\r\nThe left.\n"
_READ = ["He left the bank.", "Caf\u00e9 \u6771\u4eac \U0001f600.", "The left."]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_sentences_are_lines(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(_TEXT.encode(encoding))
    assert sentences.read_texts(tmp_path / "a.txt") == _READ


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read .*one sentence a line"),
        (b"caf\xe9", "sentences in UTF-8, got other bytes"),
        ("He left.".encode("utf-16-le"), "NUL characters"),
        (b"\n \n", "a sentence a line in .*, got none"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        sentences.read_texts(path)
    assert str(path) in str(caught.value)


@pytest.mark.fuzz
def test_damaged_sentences(fuzz):
    def read(folder, changed, rng):
        for name in changed:
            for text in sentences.read_texts(folder / name):
                assert text.strip() == text != "" and "\n" not in text
                text.encode()

    fuzz.run(
        {"a.txt": _TEXT.encode(), "b.txt": _TEXT.encode("utf-16")}, read, inputs=2000
    )
