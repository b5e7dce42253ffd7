import gzip

import pytest

from paceline.data.base.looks import looks_delimited, looks_tagged

TAGGED = "EU\tB-ORG\nrejects\tO\n\nPeter\tB-PER\nBlackburn\tI-PER\n"


@pytest.mark.parametrize(
    ("text", "tagged", "delimited"),
    [
        (TAGGED, True, False),
        (TAGGED.replace("\t", " NNP "), True, False),
        ("a O\nb O\nc O\n", False, True),
        ("a,b\n1,2\n3,4\n", False, True),
        ('a;b\n"x;y";2\n', False, True),
        ("1 2 3\n4 5 6\n7 8 9\n", False, True),
        ("First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\n", False, False),
        ("", False, False),
        ("one", False, False),
    ],
)
def test_texts_are_told_apart(tmp_path, text, tagged, delimited):
    file = tmp_path / "some.txt"
    file.write_text(text)
    assert looks_tagged(file) is tagged
    if not tagged:
        assert looks_delimited(file) is delimited


def test_a_packed_text_is_looked_into_and_what_is_no_text_is_nothing(tmp_path):
    packed = tmp_path / "some.gz"
    packed.write_bytes(gzip.compress(TAGGED.encode()))
    assert looks_tagged(packed)
    for content in (b"\0\1", gzip.compress(TAGGED.encode())[:-9], b"\xff\xfe"):
        packed.write_bytes(content)
        assert not looks_tagged(packed)
