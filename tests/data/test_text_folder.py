"""Folders of texts as people have them: parts, empty files, other encodings."""

from __future__ import annotations

import pytest

from paceline.core.errors import DataError


def _fill(folder, **classes):
    for name, texts in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for at, text in enumerate(texts):
            content = text if isinstance(text, bytes) else text.encode()
            (folder / name / f"{at}.txt").write_bytes(content)
    return folder


@pytest.fixture
def place(tmp_path):
    return tmp_path / "reviews"


def test_a_folder_is_a_class_and_a_file_a_text(opened, place):
    train = opened(_fill(place, good=["Fine.\r\n", "so good"], bad=[" poor "])).train
    assert train.inputs.tolist() == ["poor", "Fine.", "so good"]
    assert train.targets.tolist() == ["bad", "good", "good"]


def test_parts_are_found_by_their_names(opened, place):
    for part in ("train", "dev", "test"):
        _fill(place / part, good=["yes"], bad=["no", "never"])
    (place / "unsorted").mkdir()
    corpus = opened(place)
    assert [len(each) for each in (corpus.train, corpus.validation, corpus.test)] == [3, 3, 3]
    assert corpus.notes == (f"not read, as they have no classes within: unsorted in {place}",)


def test_the_test_part_is_what_is_predicted(inputs_of, place):
    _fill(place / "train", good=["yes"], bad=["no"])
    _fill(place / "test", good=["surely"], bad=["never"])
    assert inputs_of(place).inputs.tolist() == ["never", "surely"]


def test_empty_texts_are_left_out_and_this_is_said(opened, inputs_of, place):
    corpus = opened(_fill(place, good=["", "fine"], bad=["poor", " \n"]))
    assert len(corpus.train) == 2
    assert "2 of 4 texts are empty and were left out" in corpus.notes[0]
    assert len(inputs_of(place)) == 2


def test_windows_text_is_read(opened, place):
    assert opened(_fill(place, good=["élan".encode("cp1252")], bad=["x"])).train.inputs[1] == "élan"


@pytest.mark.parametrize("content", [b"a\x81\xff", b"a\0b"])
def test_what_is_no_text_is_refused_or_left_out(opened, place, content):
    _fill(place, good=["fine", content], bad=["poor"])
    with pytest.raises(DataError, match="skip-bad"):
        opened(place)
    corpus = opened(place, skip_bad=True)
    assert len(corpus.train) == 2
    assert "1 of 3 texts cannot be read" in corpus.notes[0]


def test_parts_that_do_not_fit_are_refused(opened, place):
    _fill(place / "train", good=["yes"], bad=["no"])
    _fill(place / "test", good=["yes"], worse=["no"])
    with pytest.raises(DataError, match=r"test part of .* has a class 'worse'"):
        opened(place)


def test_a_test_part_alone_is_refused(opened, place):
    _fill(place / "test", good=["yes"], bad=["no"])
    with pytest.raises(DataError, match="a folder test but no train"):
        opened(place)


def test_two_folders_for_one_part_are_refused(opened, place):
    for part in ("train", "dev", "valid"):
        _fill(place / part, good=["yes"], bad=["no"])
    with pytest.raises(DataError, match="both are the validation part"):
        opened(place)


def test_one_class_with_words_is_not_enough(opened, place):
    _fill(place, good=["yes"], bad=[""])
    with pytest.raises(DataError, match="found only 'good'"):
        opened(place)


def test_nothing_but_empty_files_is_refused(opened, place):
    _fill(place, good=[""], bad=[""])
    with pytest.raises(DataError, match="all 2 files are empty or bad"):
        opened(place)


def test_folders_of_other_files_are_not_ours(place):
    from paceline.data.text_folder import TextFolder

    (place / "a").mkdir(parents=True)
    (place / "b").mkdir()
    (place / "a" / "x.png").touch()
    (place / "b" / ".hidden.txt").touch()
    assert TextFolder.recognises(place) is False
