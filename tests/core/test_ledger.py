"""A ledger keeps its rows through resumes, readers, full disks and damage."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from paceline.core.errors import RunError, StorageError
from paceline.core.ledger import Ledger, read_ledger


def _row(ledger: Ledger, step: int, **more) -> int:
    return ledger.write(
        "reading", step=step, seconds=0.5 * step, source="loop", name="loss", value=1 / step, **more
    )


def _steps(path) -> list[int]:
    return [entry.step for entry in read_ledger(path)]


def test_rows_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.write(
            "decision", step=3, seconds=1.5, source="linear", name="rate", detail={"why": ["ä", 1]}
        )
    (entry,) = read_ledger(path)
    assert (entry.kind, entry.step, entry.elapsed_seconds) == ("decision", 3, 1.5)
    assert (entry.source, entry.name, entry.value) == ("linear", "rate", None)
    assert entry.detail == {"why": ["ä", 1]}


def test_rows_are_found_by_kind_and_by_name(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        _row(ledger, 1)
        ledger.write("event", step=1, seconds=1.0, source="loop", name="saved")
        assert [entry.name for entry in ledger.read(kind="event")] == ["saved"]
        assert [entry.kind for entry in ledger.read(name="loss")] == ["reading"]
        assert list(ledger.read(kind="event", name="loss")) == []
    assert len(read_ledger(tmp_path / "ledger.db", kind="event", name="saved")) == 1


def test_what_came_of_a_decision_is_added_to_it(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        id_ = _row(ledger, 1, detail={"chosen": 2})
        ledger.settle(id_, loss=0.5)
        (entry,) = ledger.read()
    assert entry.detail == {"chosen": 2, "outcome": {"loss": 0.5}}


@pytest.mark.parametrize("committed", [True, False])
def test_rewinding_forgets_what_came_after_and_ids_go_on_from_there(tmp_path, committed):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        _row(ledger, 1)
        _row(ledger, 2)
        ledger.flush()
        cursor = ledger.cursor()
        _row(ledger, 3)
        if committed:
            ledger.flush()
        ledger.rewind(cursor)
        assert _row(ledger, 4) == cursor + 1
    assert _steps(path) == [1, 2, 4]


def test_a_ledger_goes_on_where_it_ended(tmp_path):
    path = tmp_path / "ledger.db"
    for step in (1, 2):
        with Ledger(path) as ledger:
            _row(ledger, step)
    assert [entry.id for entry in read_ledger(path)] == [1, 2]


def test_a_reader_sees_whole_commits_while_rows_are_written(tmp_path):
    path = tmp_path / "ledger.db"
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(len(read_ledger(path)))

    with Ledger(path) as ledger:
        reader = threading.Thread(target=read)
        reader.start()
        for step in range(1, 301):
            _row(ledger, step)
            if step % 10 == 0:
                ledger.flush()
        done.set()
        reader.join()
    assert seen == sorted(seen)
    assert all(count % 10 == 0 for count in seen)
    assert len(read_ledger(path)) == 300


def test_rows_held_back_are_not_seen_before_they_are_flushed(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        _row(ledger, 1)
        assert _steps(path) == []
        ledger.flush()
        assert _steps(path) == [1]


class _FullDisk:
    """A connection whose next commits fail."""

    def __init__(self, file: sqlite3.Connection) -> None:
        self._file, self.full = file, True

    def execute(self, text: str, *rest):
        if self.full and text == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._file.execute(text, *rest)

    def __getattr__(self, name: str):
        return getattr(self._file, name)


def test_a_full_disk_keeps_the_rows_for_the_next_try(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        disk = ledger._file = _FullDisk(ledger._file)
        _row(ledger, 1)
        for _ in range(2):
            with pytest.raises(StorageError, match=r"cannot write the ledger .*disk is full"):
                ledger.flush()
            assert _steps(path) == []
        _row(ledger, 2)
        disk.full = False
        ledger.flush()
        assert _steps(path) == [1, 2]


def test_closing_on_a_full_disk_closes_all_the_same(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger._file = _FullDisk(ledger._file)
    _row(ledger, 1)
    with pytest.raises(StorageError):
        ledger.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        ledger._file.execute("SELECT 1")


def test_a_ledger_that_cannot_be_opened_is_a_mistake_of_one_line(tmp_path):
    with pytest.raises(StorageError, match="cannot open the ledger"):
        Ledger(tmp_path / "missing" / "ledger.db")


def test_a_file_that_is_no_ledger_cannot_be_opened(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(StorageError, match="not a database"):
        Ledger(path)
    with pytest.raises(RunError, match=r"the ledger .* cannot be read: .*not a database"):
        read_ledger(path)


def test_a_missing_ledger_is_named(tmp_path):
    with pytest.raises(RunError, match=r"there is no ledger at .*ledger\.db"):
        read_ledger(tmp_path / "ledger.db")


def test_a_damaged_ledger_is_named(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        for step in range(1, 500):
            _row(ledger, step)
    content = path.read_bytes()
    path.write_bytes(content[:5000] + b"\xff" * 8000 + content[13000:])
    with pytest.raises(RunError, match="cannot be read"):
        read_ledger(path)


def test_a_row_whose_detail_is_damaged_is_named(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        _row(ledger, 1)
    with sqlite3.connect(path) as file:
        file.execute("UPDATE entries SET detail = '{'")
    file.close()
    with pytest.raises(RunError, match="cannot be read"):
        read_ledger(path)


def test_an_empty_file_has_no_rows_to_give_and_says_so(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"")
    with pytest.raises(RunError, match="no such table"):
        read_ledger(path)


def test_values_of_other_types_are_kept_as_text(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        _row(ledger, 1, detail={"where": tmp_path})
        assert next(ledger.read()).detail == {"where": str(tmp_path)}
