from __future__ import annotations

import math
import re
import sqlite3
from html.parser import HTMLParser

import pytest

from paceline.core.errors import RunError
from paceline.core.ledger import Ledger
from paceline.report.page import write_page

HOSTILE = "<script>alert(1)</script>\"'&"


class Reader(HTMLParser):
    """Collects tags, attributes and text; notes tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.crossed: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def page_of(path):
    text = write_page(path).read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.crossed == [] and reader.open == []
    return text, reader


def add(path, name, values, source="loop"):
    with Ledger(path / "ledger.db") as ledger:
        for step, value in enumerate(values, start=1):
            ledger.write("reading", step=step, seconds=0.0, source=source, name=name, value=value)


def test_the_page_asks_nothing_of_the_network(made, tmp_path):
    text, reader = page_of(made.make_run(tmp_path / "digits-1"))
    assert any(str(value).startswith("default-src 'none'") for _, value in reader.attributes)
    assert not {"link", "img", "iframe", "object", "form"} & set(reader.tags)
    assert not {"src", "href", "style", "onclick", "onload"} & {n for n, _ in reader.attributes}
    assert "http://" not in text and "https://" not in text and "@import" not in text


def test_the_policy_lets_only_our_own_style_and_script_run(made, tmp_path):
    text, _ = page_of(made.make_run(tmp_path / "digits-1"))
    assert len(re.findall(r"(?:style|script)-src &#x27;sha256-[\w+/=]{44}&#x27;", text)) == 2
    assert "unsafe" not in text


def test_the_page_holds_result_baselines_decisions_warnings_and_settings(made, tmp_path):
    _, reader = page_of(made.make_run(tmp_path / "digits-1"))
    said = " ".join(reader.words)
    for words in (
        "0.9917",
        "gradient boosting",
        "73% fewer mistakes",
        "stopped before it converged",
        "the loss fell no further",
        "the column 'id' is constant",
        "loop.clip",
        "2.13.0",
        "Validation accuracy",
        "best 0.9995",
    ):
        assert words in said, words


def test_every_picture_has_a_title_and_its_numbers_as_a_table(made, tmp_path):
    text, reader = page_of(made.make_run(tmp_path / "digits-1"))
    charts = text.count('class="chart"')
    assert charts == 5
    assert text.count("<desc") == charts == reader.tags.count("details")
    assert reader.tags.count("svg") == len(re.findall("<svg[^>]*><title", text))
    assert reader.tags.count("caption") == reader.tags.count("table")


def test_whatever_a_person_named_is_escaped(made, tmp_path):
    path = made.make_run(
        tmp_path / "run",
        readings=3,
        name=HOSTILE,
        place=HOSTILE,
        data={"source": HOSTILE, HOSTILE: HOSTILE, "notes": [HOSTILE]},
        recipe={HOSTILE: {"a": HOSTILE}},
        state=HOSTILE,
        result={
            "test": {HOSTILE: 0.5},
            "baselines": {HOSTILE: {HOSTILE: 0.4}},
            "baseline_notes": {HOSTILE: HOSTILE},
            "stopped": HOSTILE,
        },
    )
    with Ledger(path / "ledger.db") as ledger:
        detail = {"chosen": HOSTILE, "seen": {HOSTILE: HOSTILE}, "reason": HOSTILE}
        for kind in ("decision", "warning"):
            ledger.write(kind, step=1, seconds=1.0, source=HOSTILE, name=HOSTILE, detail=detail)
    text, reader = page_of(path)
    assert reader.tags.count("script") == 1
    assert "<script>alert" not in text


@pytest.mark.parametrize("readings", [0, 1, 2, 5])
def test_few_readings_make_a_page_too(made, tmp_path, readings):
    path = made.make_run(tmp_path / "run", readings=readings)
    text, _ = page_of(path)
    assert ("The ledger holds no readings yet" in text) is (readings == 0)


def test_readings_that_are_not_finite_are_marked_and_counted(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=0)
    add(path, "loss", [1.0, math.nan, math.inf, 0.5])
    add(path, "learning_rate", [math.nan, math.nan])
    text, _ = page_of(path)
    assert 'class="bad"' in text
    assert "readings were not finite" in text
    assert "No readings yet." in text
    assert not re.search(r'(?:d|cx|cy|x1|y1)="[^"]*(?:nan|inf)', text)


def test_a_hundred_thousand_readings_stay_under_a_megabyte_and_keep_the_spike(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=0)
    for name in ("loss", "gradient_norm"):
        add(path, name, [1 + (at % 97) / 97 + 50 * (at == 33_333) for at in range(50_000)])
    text, _ = page_of(path)
    assert len(text.encode()) < 1_000_000
    assert "highest 51.64" in text


def test_a_run_that_is_still_training_has_a_page(made, tmp_path):
    path = made.make_run(tmp_path / "run", state="training", result=None)
    text, _ = page_of(path)
    assert "No result yet" in text


def test_a_run_that_was_killed_before_its_first_row_has_a_page(tmp_path):
    (tmp_path / "run.json").write_text('{"format": 1, "state": "training"}')
    text, _ = page_of(tmp_path)
    assert "No decision was written down." in text


def test_results_that_are_not_finite_are_shown_as_they_are(made, tmp_path):
    result = {"test": {"accuracy": math.nan}, "baselines": {"majority": {"accuracy": 0.1}}}
    text, _ = page_of(made.make_run(tmp_path / "run", readings=1, result=result))
    assert ">nan<" in text


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (0.9, "The same as logistic"),
        (0.8, "0.1000 worse than logistic"),
        (0.95, "50% fewer mistakes"),
    ],
)
def test_the_result_is_compared_with_the_best_baseline(made, tmp_path, own, told):
    result = {"test": {"accuracy": own}, "baselines": {"logistic": {"accuracy": 0.9}}}
    text, _ = page_of(made.make_run(tmp_path / "run", readings=1, result=result))
    assert told in text


def test_a_regression_has_shorter_bars_where_it_is_better(made, tmp_path):
    result = {"test": {"rmse": 0.4}, "baselines": {"mean": {"rmse": 1.2}}}
    task = {"name": "tabular", "goal": {"name": "regression"}}
    text, _ = page_of(made.make_run(tmp_path / "run", readings=1, result=result, task=task))
    assert 'width="33.33"' in text and "shorter is better" in text


def test_of_many_decisions_the_middle_is_left_out_and_said(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    with Ledger(path / "ledger.db") as ledger:
        for step in range(500):
            ledger.write("decision", step=step, seconds=0.0, source="loop", name="x", value=1.0)
            ledger.write("warning", step=step, seconds=0.0, source="loop", name="x")
    text, _ = page_of(path)
    assert "302 decisions in the middle are left out." in text
    assert "and 401 more" in text


def test_a_damaged_ledger_is_refused_in_one_line_and_the_old_page_stays(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    before = write_page(path).read_bytes()
    (path / "ledger.db").write_bytes(b"not a database, at all" * 100)
    with pytest.raises(RunError, match="cannot be read"):
        write_page(path)
    assert (path / "report.html").read_bytes() == before


def test_a_ledger_with_a_torn_row_is_refused(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    with sqlite3.connect(path / "ledger.db") as file:
        file.execute("UPDATE entries SET detail = '{'")
    file.close()
    with pytest.raises(RunError, match="cannot be read"):
        write_page(path)
