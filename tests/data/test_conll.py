"""Lines of words and tags are read as people write them; what is wrong is named with its line."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from paceline.core.errors import DataError

ADA = [("Ada", "B-PER"), ("Lovelace", "I-PER"), ("lives", "O"), (".", "O")]
ROME = [("Rome", "B-LOC"), ("is", "O"), ("old", "O")]


def lines(*sentences: list[tuple[str, ...]], separator: str = "\t") -> str:
    return "\n\n".join("\n".join(separator.join(row) for row in each) for each in sentences) + "\n"


@pytest.fixture
def file(tmp_path: Path):
    def _write(text: str, name: str = "some.txt") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text.encode())
        return path

    return _write


@pytest.mark.parametrize("separator", ["\t", " ", "   ", " \t "])
def test_any_separator_parts_the_columns(opened, file, separator):
    corpus = opened(file(lines(ADA, ROME, separator=separator)))
    assert corpus.kind == "tagging" and corpus.facts["scheme"] == "BIO" and not corpus.notes
    assert corpus.train.inputs.tolist() == [[row[0] for row in each] for each in (ADA, ROME)]
    assert corpus.train.targets.tolist() == [[row[1] for row in each] for each in (ADA, ROME)]


def test_the_first_column_is_the_word_and_the_last_the_tag(opened, file):
    rows = [(word, "NN", "I-NP", tag) for word, tag in ADA]
    train = opened(file(lines(rows))).train
    assert train.inputs[0][0] == "Ada" and train.targets[0][0] == "B-PER"


def test_a_first_column_that_counts_is_no_word(opened, file):
    rows = [(str(at), word, tag) for at, (word, tag) in enumerate(ADA, 1)]
    assert opened(file(lines(rows, rows[:2]))).train.inputs[0][:2] == ["Ada", "Lovelace"]


def test_a_word_may_hold_a_space_where_tabs_part(opened, file):
    train = opened(file(lines([("New York", "B-LOC"), ("is", "O")], ADA))).train
    assert train.inputs[0] == ["New York", "is"]


def test_lines_end_as_they_like_and_blank_ones_may_hold_spaces(opened, file):
    text = lines(ADA, ROME).replace("\n\n", "\n \t \n\n\n").replace("\n", "\r\n")
    assert [len(words) for words in opened(file(text)).train.inputs] == [4, 3]


def test_rare_line_ends_of_unicode_stay_within_a_word(opened, file):
    train = opened(file(lines([("a\u2028b", "B-LOC"), ("c\x85", "O")], *[ADA] * 9))).train
    assert train.inputs[0] == ["a\u2028b", "c\x85"]


def test_what_begins_every_word_is_taken_off_and_said(opened, file):
    prefixed = [[(f"en:{word}", tag) for word, tag in each] for each in (ADA, ROME)]
    corpus = opened(file(lines(*prefixed)))
    assert corpus.train.inputs[1] == ["Rome", "is", "old"] and "'en:'" in corpus.notes[0]
    some = [*prefixed[0], ("Rome", "B-LOC")]
    assert opened(file(lines(some))).train.inputs[0][0] == "en:Ada"


def test_comments_are_left_out_and_a_hash_may_be_a_word(opened, file):
    text = "# sent_id 1 of this\n" + lines([("#", "O"), ("#ner", "B-LOC")], ADA)
    train = opened(file(text + "\n" + lines(ROME))).train
    assert train.inputs[0] == ["#", "#ner"] and len(train) == 3


def test_documents_are_not_divided(opened, file):
    start = "-DOCSTART- -X- O\n\n"
    text = start + f"\n{start}".join([lines(ADA, ROME, separator=" ")] * 10)
    assert opened(file(text)).groups.tolist() == [1 + at // 2 for at in range(20)]
    assert opened(file(lines(ADA, ROME))).groups is None


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "dev.txt", "test.txt"),
        ("train.tsv", "devel.tsv", "test.tsv"),
        ("eng.train", "eng.testa", "eng.testb"),
    ],
)
def test_a_folder_has_its_parts_by_their_names(opened, file, tmp_path, names):
    for name, sentences in zip(names, ([ADA, ROME], [ROME], [ADA]), strict=True):
        file(lines(*sentences), f"set/{name}")
    file("Read me: this is a text.\n", "set/readme.txt")
    corpus = opened(tmp_path / "set")
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (2, 1, 1)
    assert corpus.validation.inputs[0][0] == "Rome"


def test_sentences_in_memory_are_taken(opened, inputs_of):
    pairs = [(["Ada", "lives"], ["B-PER", "O"]), (["Goa"], ["B-LOC"])]
    corpus = opened(pairs)
    assert corpus.train.targets.tolist() == [["B-PER", "O"], ["B-LOC"]]
    assert inputs_of(pairs).targets is not None
    words = inputs_of([["Ada", "lives"], ["Goa", "is"], []])
    assert words.targets is None and words.inputs.tolist()[1:] == [["Goa", "is"], []]


def test_packed_files_are_read(opened, tmp_path):
    (tmp_path / "some.conll.gz").write_bytes(gzip.compress(lines(ADA).encode()))
    assert len(opened(tmp_path / "some.conll.gz").train) == 1


def test_inputs_to_predict_are_those_of_the_test_part(inputs_of, file, tmp_path):
    file(lines(ADA, ROME), "set/train.txt")
    file(lines(ROME), "set/test.txt")
    examples = inputs_of(tmp_path / "set")
    assert examples.inputs.tolist() == [["Rome", "is", "old"]] and examples.targets is not None


# --- what is wrong


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (["O", "I-PER", "B-LOC"], "1 tags .* BIO .*from O to I-PER in line 6 of some.txt"),
        (["I-PER", "O", "I-LOC"], "2 tags .*from the beginning to I-PER in line 5"),
    ],
)
def test_tags_in_a_wrong_order_are_counted_and_the_first_is_named(opened, file, tags, said):
    odd = [(f"w{at}", tag) for at, tag in enumerate(tags)]
    corpus = opened(file(lines(ROME, odd)))
    (note,) = corpus.notes
    assert re.search(said, note), note
    assert corpus.facts["wrong_transitions"] == int(said[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ada\tB-PER\nis\there\tO\nRome\tB-LOC\n", "line 2 has 3 columns where 2 are needed"),
        ("Ada\tB-PER\nis\n" + lines(*[ADA] * 9), "line 2 has 1 columns where 2 are needed"),
        (lines(ADA * 5, [("x", "PER")]), "the tag 'PER' in line 22 has no mark of place"),
        (lines(ADA).replace("B-", "U-") + "\n" + lines([("x", "S-PER")]), "mix schemes"),
        (lines(*[ADA] * 900) + "\nx\0\tO\n", "NUL byte in line 4501"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(opened, file, text, said):
    with pytest.raises(DataError, match=said) as told:
        opened(file(text))
    assert "\n" not in str(told.value)


def test_bad_sentences_are_left_out_where_that_was_asked_for(opened, file):
    text = lines(ADA, [*ROME, ("too", "many", "O")], ROME)
    corpus = opened(file(text), skip_bad=True)
    assert len(corpus.train) == 2
    assert "the first such line: 9 (1 in all)" in corpus.notes[0]


def test_mixed_tabs_and_spaces_are_cut_at_both_and_said(opened, file):
    corpus = opened(file(lines(ADA, ROME) + "\n" + lines(ROME, separator=" ")))
    assert len(corpus.train) == 3
    assert "3 lines part their columns by spaces" in corpus.notes[0]
    assert "line 10" in corpus.notes[0]


def test_another_encoding_is_refused_with_its_line(opened, file):
    path = file(lines(ADA))
    path.write_bytes(path.read_bytes() + "\nJosé\tB-PER\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 6 is not UTF-8; save it as UTF-8"):
        opened(path)


def test_a_cut_off_package_is_refused(opened, tmp_path):
    packed = gzip.compress(lines(*[ADA] * 9000).encode(), 1)
    (tmp_path / "some.gz").write_bytes(packed[: len(packed) - 9])
    with pytest.raises(DataError, match="is damaged"):
        opened(tmp_path / "some.gz")


def test_a_folder_without_a_training_part_is_refused(opened, file, tmp_path):
    for name in ("one.txt", "two.txt"):
        file(lines(ADA), f"set/{name}")
    with pytest.raises(DataError, match=r"no training part among one\.txt, two\.txt"):
        opened(tmp_path / "set")
    for name in ("train.txt", "training.txt"):
        file(lines(ADA), f"set/{name}")
    with pytest.raises(DataError, match="both are the train part"):
        opened(tmp_path / "set")


def test_sentences_of_another_length_than_their_tags_are_refused(opened):
    with pytest.raises(DataError, match="sentence 1 has 2 words but 1 tags"):
        opened([(["a"], ["B-X"]), (["a", "b"], ["O"])])
    with pytest.raises(DataError, match="sentences alone cannot be learnt from"):
        opened([["a", "b"]])


def test_real_files_are_read_whole(opened, shared):
    corpus = opened(shared("ncbi-disease"))
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (5424, 923, 940)
    assert corpus.facts["scheme"] == "BIO" and corpus.facts["wrong_transitions"] == 0
