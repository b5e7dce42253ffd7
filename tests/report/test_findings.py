from paceline.core.findings import Finding
from paceline.report.findings import findings_section
from paceline.report.summary import summary_of

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def shown(finding: Finding) -> str:
    return str(findings_section([finding]))


def test_no_findings_are_no_section():
    assert findings_section(()) is None


def test_a_table_shows_its_cells_escaped_and_numbers_to_the_right():
    page = shown(Finding(title="T", columns=("a<b", "n"), rows=(("<x>", 0.5), ("y", None))))
    assert "a&lt;b" in page and "&lt;x&gt;" in page and 'class="number">0.5' in page


def test_a_matrix_is_the_darker_the_more_of_a_row_is_there():
    rows = (("cat", 9, 1), ("dog", 0, 4))
    page = shown(Finding(title="M", kind="matrix", columns=("is", "cat", "dog"), rows=rows))
    assert (
        'right depth-8">4<' in page and 'wrong depth-1">1<' in page and 'wrong depth-0">·<' in page
    )


def test_only_pictures_that_are_pngs_in_the_page_itself_are_shown():
    rows = ((PIXEL, "5, taken for 3"), ("https://example.org/x.png", "elsewhere"))
    page = shown(Finding(title="P", kind="pictures", rows=rows))
    assert page.count("<img") == 1 and "example.org" not in page


def test_a_damaged_finding_takes_nothing_with_it(tmp_path):
    good = Finding(title="T", columns=("a",), rows=((1,),)).to_json()
    wrong = [{"kind": "table"}, 3, good | {"rows": [[1, 2]]}, good | {"kind": "film"}]
    facts = {"format": 1, "result": {"findings": [*wrong, good]}}
    assert [each.title for each in summary_of(facts, tmp_path).outcome.findings] == ["T"]
