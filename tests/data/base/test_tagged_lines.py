"""Lines of columns: what is no sentence is refused in one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from paceline.core.errors import DataError
from paceline.data.base import packed
from paceline.data.base.tagged_lines import read_sentences


def read(folder: Path, text: str | bytes, *, name: str = "some.txt", need_tags: bool = True):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sentences(path, need_tags=need_tags, skip_bad=False)


@pytest.mark.parametrize("text", ["", "\n\n \n", "-DOCSTART- -X- O\n\n"])
def test_a_file_without_sentences_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="has no sentences; lines of a word and its tag"):
        read(tmp_path, text)


def test_a_file_without_tags_is_refused_for_learning_and_read_for_answers(tmp_path):
    with pytest.raises(DataError, match="its last column must hold tags such as B-PER and O"):
        read(tmp_path, "Ada\nlives\n\nRome\n")
    found = read(tmp_path, "Ada\nlives\n\nRome\n", need_tags=False)
    assert found.words == [["Ada", "lives"], ["Rome"]] and not found.tagged


def test_other_columns_are_not_taken_for_tags(tmp_path):
    text = "".join(f"w{at}\tvalue{at}\n" for at in range(30))
    assert not read(tmp_path, text, need_tags=False).tagged
    types = "".join(f"w{at}\t{'PER' if at % 7 == 0 else 'O'}\n" for at in range(60))
    assert read(tmp_path, types).tags[0][:2] == ["PER", "O"]


def test_marks_of_byte_order_are_understood(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        found = read(tmp_path, "Zoë\tB-PER\nist\tO\n".encode(encoding))
        assert found.words == [["Zoë", "ist"]]


def test_a_package_larger_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "available_bytes", lambda: 800)
    content = gzip.compress(b"Ada\tB-PER\n" * 100)
    with pytest.raises(DataError, match="unpacks to more than 100 bytes"):
        read(tmp_path, content, name="some.txt.gz")


def test_a_line_that_ends_before_its_tag_is_refused(tmp_path):
    with pytest.raises(DataError, match="line 2 has 1 columns where 2 are needed: 'lives"):
        read(tmp_path, "Ada\tB-PER\nlives\t\n.\tO\nRome\tB-LOC\n")
