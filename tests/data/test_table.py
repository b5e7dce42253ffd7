import codecs
import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from paceline.core.errors import DataError
from paceline.data.base.delimited import read_delimited
from paceline.tasks.base import Task

PLAIN = "name,age,paid\nann,31,yes\nbob,?,no\ncy,7,yes\n"


@pytest.fixture
def saved(tmp_path):
    def save(content, name="some.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return save


def test_a_table_has_inputs_and_a_target(opened, saved):
    corpus = opened(saved(PLAIN), "paid")
    assert list(corpus.train.inputs.columns) == ["name", "age"]
    assert corpus.train.inputs["age"].isna().tolist() == [False, True, False]
    assert corpus.train.targets.tolist() == ["yes", "no", "yes"]
    assert corpus.facts["target"] == "paid" and corpus.notes == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
def test_delimiters_are_found(opened, saved, delimiter):
    corpus = opened(saved(PLAIN.replace(",", delimiter), "some.data"), "paid")
    assert corpus.train.inputs["name"].tolist() == ["ann", "bob", "cy"]


def test_spaces_after_a_delimiter_do_not_count(opened, saved):
    corpus = opened(saved(PLAIN.replace(",", ", ")), "paid")
    assert corpus.train.targets.tolist() == ["yes", "no", "yes"]
    assert corpus.train.inputs["age"].dtype == np.float64


def test_lines_that_hold_nothing_are_no_rows(opened, saved):
    for blank in ("\n", '""\n', "  \n", "\r"):
        corpus = opened(saved(f"a,b\n1,2\n{blank}3,4\n"), "b")
        assert corpus.train.targets.tolist() == [2, 4]


def test_decimal_commas_are_numbers_where_semicolons_delimit(opened, saved):
    corpus = opened(saved("a;b\n1,5;x\n-2,25;y\n"), "b")
    assert corpus.train.inputs["a"].tolist() == [1.5, -2.25]


def test_quotes_enclose_fields_unless_they_would_swallow_rows(opened, saved):
    enclosed = opened(saved('a,b\n"x, y",1\n"two\nlines",2\n'), "b")
    assert enclosed.train.inputs["a"].tolist() == ["x, y", "two\nlines"]
    loose = opened(saved('"\tO\nword\tO\n"\tB\nmore\tB\n"open\tB\n', "some.tsv"), "2")
    assert loose.train.inputs["column_1"].tolist() == ['"', "word", '"', "more", '"open']


@pytest.mark.parametrize("target", ["column_3", "3", "-1", "last"])
def test_without_a_header_columns_are_numbered(opened, saved, target):
    corpus = opened(saved("a,1,x\nb,2,y\n"), target)
    assert list(corpus.train.inputs.columns) == ["column_1", "column_2"]
    assert corpus.facts["target"] == "column_3" and "no header" in corpus.notes[0]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a,b\nx,y\nz,y\n", True),
        ("x,y\nx,z\nz,y\n", False),
        ("2011-01-01,y\n2011-01-02,z\n", False),
        ("?,y\nu,z\n", False),
        (",a\n0,1\n1,2\n", True),
    ],
)
def test_a_header_is_told_from_data(saved, text, header):
    assert read_delimited(saved(text)).layout.header is header


def test_a_target_in_the_first_row_makes_it_a_header(saved):
    assert read_delimited(saved("1,2\n3,4\n"), target="2").layout.columns == ("1", "2")


def test_a_column_without_a_name_gets_one(saved):
    assert read_delimited(saved(",a\n0,1\n1,2\n")).layout.columns == ("column_1", "a")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("n,é\n1,ü\n".encode(), "utf-8"),
        ("n,é\n1,ü\n".encode("utf-8-sig"), "utf-8-sig"),
        ("n,é\n1,ü\n".encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + "n,é\n1,ü\n".encode("utf-16-be"), "utf-16"),
        ("n,é\n1,ü\n".encode("utf-32"), "utf-32"),
        ("n,é\n1,ü\n".encode("cp1252"), "cp1252"),
    ],
)
def test_encodings_are_found(opened, saved, content, encoding):
    corpus = opened(saved(content), "é")
    assert corpus.train.targets.tolist() == ["ü"] and corpus.facts["encoding"] == encoding
    assert bool(corpus.notes) == (encoding == "cp1252")


def test_a_gzipped_table_is_read(opened, saved):
    assert len(opened(saved(gzip.compress(PLAIN.encode()), "some.csv.gz"), "paid").train) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (" \n\n", "is empty"),
        ("a,b\n", "header but no rows"),
        ("a,b,a\n1,2,3\n", "name.* twice: 'a'"),
        ("a,b\n1,2\n3\n4,5\n6,7,8\n", r"line 3 has 1 fields where 2 are needed \(2 such rows\)"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields"),
        ("a,b\n1,\0\n", "NUL byte in line 2"),
        (b"a,b\n1,\x81\n", "byte 0x81 in line 2 is neither"),
        (codecs.BOM_UTF8 + b"a,\xff\n", "begins like utf-8-sig but is not"),
        ('a,b\n"' + "x" * 140_000 + ",1\n2,3,4\n", "quote never closed"),
        ('a,b\n1,2\n3,"x', "cannot be read as a table: .*EOF inside string"),
        ("b\n1\n2\n", "no column but 'b'"),
        ("a,b\n1,\n2,\n3,4\n", "2 of 3 rows have no b, the first is line 2"),
        ("a,c\n1,2\n", "has no column 'b'"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(opened, saved, content, said):
    with pytest.raises(DataError, match=said) as error:
        opened(saved(content), "b")
    assert "\n" not in str(error.value)


def test_a_target_must_be_named_and_the_nearest_is_offered(opened, saved):
    corpus = opened(saved(PLAIN))
    assert corpus.train.targets is None and list(corpus.train.inputs) == ["name", "age", "paid"]
    with pytest.raises(DataError, match=r"say with --target .* there are: age, name, paid"):
        Task.find_goal(corpus, None, {})
    with pytest.raises(DataError, match="did you mean 'paid'"):
        opened(saved(PLAIN), "payed")
    with pytest.raises(DataError, match="no column '3'"):
        opened(saved(PLAIN), "3")


def test_bad_rows_are_left_out_where_that_is_wished(opened, saved):
    text = 'a,b\nx,1\n"y\ny",2\nz\nw,\nv,4\n'
    corpus = opened(saved(text), "b", skip_bad=True)
    assert corpus.train.inputs["a"].tolist() == ["x", "y\ny", "v"]
    assert corpus.train.targets.tolist() == [1, 2, 4]
    assert corpus.train.targets.dtype == np.int64
    assert "line 5 has 1 fields" in corpus.notes[0] and "1 of 4 rows have no b" in corpus.notes[1]
    with pytest.raises(DataError, match="the column b is empty"):
        opened(saved("a,b\n1,\n2,\n"), "b", skip_bad=True)


def test_a_damaged_gzip_is_refused(opened, saved):
    packed = gzip.compress(PLAIN.encode())
    with pytest.raises(DataError, match="is damaged"):
        opened(saved(packed[:-5], "some.csv.gz"), "paid")


def test_a_gzip_bomb_is_refused(opened, saved, monkeypatch):
    monkeypatch.setattr("paceline.data.base.packed.available_bytes", lambda: 80)
    with pytest.raises(DataError, match="unpacks to more than 10 bytes"):
        opened(saved(gzip.compress(PLAIN.encode()), "some.csv.gz"), "paid")


def test_parquet_and_feather_keep_their_types(opened, inputs_of, tmp_path):
    frame = pd.DataFrame({"a": [1.5, None], "b": [True, False], "c": pd.Categorical([3, 4])})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_feather(tmp_path / "t.feather")
    for name in ("t.parquet", "t.feather"):
        assert opened(tmp_path / name, "b").train.targets.tolist() == ["True", "False"]
        assert opened(tmp_path / name, "c").train.targets.tolist() == [3, 4]
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(DataError, match="cannot be read as"):
            opened(tmp_path / name, "b")


def test_a_table_in_memory_is_a_place(opened, inputs_of):
    frame = pd.DataFrame({"a": list("xyz"), 1: [0.5, 1.5, 2]}, index=[4, 5, 6])
    corpus = opened(frame, "1")
    assert corpus.train.targets.tolist() == [0.5, 1.5, 2.0]
    assert corpus.train.inputs.index.tolist() == [0, 1, 2]
    assert corpus.fingerprint == opened(frame.copy(), "1").fingerprint
    assert corpus.fingerprint != opened(frame.replace("x", "u"), "1").fingerprint
    assert inputs_of(frame, "other").targets is None
    with pytest.raises(DataError, match="the column name '1' twice"):
        opened(frame.set_axis(["1", 1], axis=1), "1")
    with pytest.raises(DataError, match="no rows"):
        opened(frame.iloc[:0], "1")
    with pytest.raises(DataError, match="1 of 3 rows have no a, the first is row 2"):
        opened(frame.assign(a=["x", None, "z"]), "a")


def test_inputs_have_targets_where_the_column_is_there(inputs_of, saved):
    assert inputs_of(saved(PLAIN), "paid").targets.tolist() == ["yes", "no", "yes"]
    without = inputs_of(saved("name,age\nann,3\n"), "paid")
    assert without.targets is None and list(without.inputs.columns) == ["name", "age"]
    gaps = inputs_of(saved("name,paid\nann,yes\nbob,\n"), "paid")
    assert gaps.targets is None and list(gaps.inputs.columns) == ["name"]


def test_notes_on_inputs_are_told(inputs_of, saved, said):
    class Listener:
        def __init__(self):
            self.lines = []

        def warn(self, line):
            self.lines.append(line)

    listener = Listener()
    inputs_of(saved("a,é\nb,ü\n".encode("cp1252")), progress=listener)
    assert "Windows-1252" in listener.lines[0]


def test_a_folder_brings_its_parts(opened, inputs_of, saved):
    folder = saved("x, 1, <=50K\ny, 2, >50K\n", "a-train.csv").parent
    saved("u, 3, <=50K.\n7, 4, >50K.\n", "a-test.csv")
    saved("u, 3, other\n", "a-dev.csv")
    corpus = opened(folder, "3")
    assert corpus.test.targets.tolist() == ["<=50K", ">50K"]
    assert corpus.test.inputs["column_1"].tolist() == ["u", "7"]
    assert corpus.validation.targets.tolist() == ["other"]
    assert "2 labels of the test part" in corpus.notes[-1]
    assert len(inputs_of(folder, "column_3")) == 2
    saved("u, 3, other\n", "b-dev.csv")
    with pytest.raises(DataError, match=r"several validation tables \(a-dev.csv, b-dev.csv\)"):
        opened(folder, "3")


def test_a_test_table_without_the_target_is_not_used(opened, saved):
    folder = saved(PLAIN, "train.csv").parent
    saved("name,age\nann,3\n", "test.csv")
    corpus = opened(folder, "paid")
    assert corpus.test is None and "has no column 'paid'" in corpus.notes[0]
    saved("name,size,paid\nann,3,yes\n", "test.csv")
    with pytest.raises(DataError, match="only one has 'age'"):
        opened(folder, "paid")


def test_numbers_as_labels_stay_numbers_in_every_part(opened, saved):
    folder = saved("a,b\n1,0\n2,1\n", "train.csv").parent
    saved("a,b\n1,1\n", "test.csv")
    assert opened(folder, "b").test.targets.tolist() == [1]


def test_a_folder_with_one_table_is_that_table(opened, saved):
    folder = saved(PLAIN).parent
    assert len(opened(folder, "paid").train) == 3
    saved(PLAIN, "other.csv")
    with pytest.raises(DataError, match=r"2 tables, none called train \(other.csv, some.csv\)"):
        opened(folder, "paid")


@given(
    some.lists(
        some.tuples(
            some.text(
                some.characters(categories=["L", "P"], exclude_characters="\ufeff"), min_size=1
            ),
            some.integers(-1000, 1000),
        ),
        min_size=2,
        max_size=20,
    ),
    some.sampled_from(",;\t|"),
)
def test_what_pandas_writes_is_read_back(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame = pd.DataFrame([(f"w{word}", n, n / 7) for word, n in rows], columns=["a", "b", "c"])
    frame.to_csv(path, sep=delimiter, index=False)
    read = read_delimited(path, target="c").frame
    assert read["a"].tolist() == frame["a"].tolist()
    assert read["b"].tolist() == frame["b"].tolist()
    assert np.allclose(read["c"], frame["c"])


def test_the_published_adult_table_is_read(opened, shared):
    corpus = opened(shared("adult"), "15")
    assert (len(corpus.train), len(corpus.test)) == (32561, 16281)
    assert int((corpus.train.targets == ">50K").sum()) == 7841
    assert int((corpus.test.targets == ">50K").sum()) == 3846
    assert corpus.train.inputs["column_2"].isna().sum() == 1836


def test_json_lines_are_a_table(opened, tmp_path):
    file = tmp_path / "some.jsonl"
    file.write_text('{"a": 1, "b": "x"}\n\n{"a": 2, "b": "y"}\n')
    corpus = opened(file, "b")
    assert corpus.train.inputs["a"].tolist() == [1, 2]
    assert corpus.train.targets.tolist() == ["x", "y"]


@pytest.mark.parametrize("line", ["[1]", '{"a": ', "7"])
def test_a_broken_line_of_json_is_named(opened, tmp_path, line):
    file = tmp_path / "some.jsonl"
    file.write_text('{"a": 1, "b": "x"}\n' + line + "\n")
    with pytest.raises(DataError, match="line 2"):
        opened(file, "b")


def test_a_column_of_groups_goes_along_and_is_no_input(opened, saved):
    text = "a,who,b\n1,x,1\n2,y,\n3,y,3\n"
    corpus = opened(saved(text), "b", group="who", skip_bad=True)
    assert corpus.groups.tolist() == ["x", "y"] and list(corpus.train.inputs) == ["a"]
    with pytest.raises(DataError, match="no column 'whom'"):
        opened(saved(text), "b", group="whom", skip_bad=True)
