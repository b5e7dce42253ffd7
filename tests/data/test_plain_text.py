"""Claims of the source for plain text."""

from __future__ import annotations

import pytest

from paceline.core.errors import DataError
from paceline.data.plain_text import PlainText

SPEECH = "To be, or not to be: that is the question:\nWhether 'tis nobler in the mind\n"


def write(path, content=SPEECH):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_is_one_text_and_its_own_target(opened, tmp_path):
    corpus = opened(write(tmp_path / "speech.txt"))
    assert corpus.kind == "language" and corpus.name == "speech"
    assert corpus.train.inputs.tolist() == corpus.train.targets.tolist() == [SPEECH]


def test_files_of_a_folder_are_texts_in_the_order_of_their_names(opened, tmp_path):
    write(tmp_path / "book" / "b.txt", "second\n")
    write(tmp_path / "book" / "a.txt", "first\n")
    corpus = opened(tmp_path / "book")
    assert corpus.train.inputs.tolist() == ["first\n", "second\n"]
    assert corpus.test is None


def test_files_called_after_parts_are_parts(opened, tmp_path):
    for name in ("train", "valid", "test"):
        write(tmp_path / "wiki" / f"{name}.txt", f"{name} text\n")
    corpus = opened(tmp_path / "wiki")
    assert corpus.train.inputs.tolist() == ["train text\n"]
    assert corpus.validation.inputs.tolist() == ["valid text\n"]
    assert corpus.test.inputs.tolist() == ["test text\n"]


def test_a_file_called_input_is_named_after_its_folder(opened, tmp_path):
    assert opened(write(tmp_path / "hamlet" / "input.txt")).name == "hamlet"


def test_lines_end_in_one_character_and_a_byte_order_mark_is_no_text(opened, tmp_path):
    corpus = opened(write(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\ntwo\r\n"))
    assert corpus.train.inputs.tolist() == ["one\ntwo\n"]


@pytest.mark.parametrize(
    "content", ["a,b\n1,2\n3,4\n", "Ada B-PER\nlives O\nin O\nLondon B-LOC\n\n"]
)
def test_tables_and_tagged_words_are_left_to_others(tmp_path, content):
    assert not PlainText.recognises(write(tmp_path / "some.txt", content))


def test_folders_with_other_files_are_left_to_others(tmp_path):
    write(tmp_path / "mixed" / "a.txt")
    write(tmp_path / "mixed" / "table.csv", "a,b\n1,2\n")
    assert not PlainText.recognises(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"fine\nM\xfcnchen\n", r"line 2: byte 7 is not UTF-8; save the file as UTF-8"),
        (b"\n \n", "is empty"),
        (b"ab\0cd\n", "bytes of zero"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(opened, tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        opened(write(tmp_path / "bad.txt", content))


def test_a_bad_file_among_others_is_left_out_when_that_is_asked_for(opened, tmp_path):
    write(tmp_path / "book" / "a.txt")
    write(tmp_path / "book" / "b.txt", b"\xff\xfe\xfd")
    with pytest.raises(DataError, match="not UTF-8"):
        opened(tmp_path / "book")
    corpus = opened(tmp_path / "book", skip_bad=True)
    assert len(corpus.train) == 1 and "left out" in corpus.notes[0]


def test_a_folder_of_unusable_files_is_refused(opened, tmp_path):
    write(tmp_path / "book" / "a.txt", b"\xff")
    write(tmp_path / "book" / "b.txt", b"\xff")
    with pytest.raises(DataError, match="none of the 2 files"):
        opened(tmp_path / "book", skip_bad=True)


def test_a_text_to_predict_is_its_own_target(inputs_of, tmp_path):
    examples = inputs_of(write(tmp_path / "speech.txt"))
    assert examples.inputs.tolist() == [SPEECH] == examples.targets.tolist()
