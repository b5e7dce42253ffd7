from __future__ import annotations

import sqlite3

from paceline.report.integrity import check_run


def broken(path) -> list[str]:
    return [found.why for found in check_run(path) if not found.passed]


def test_a_whole_run_passes(made, tmp_path):
    assert broken(made.make_run(tmp_path / "run", readings=3)) == []


def test_a_changed_model_is_seen(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=3)
    (path / "model.safetensors").write_bytes(b"other")
    assert "was changed or damaged" in broken(path)[0]


def test_a_missing_model_is_seen(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=3)
    (path / "model.safetensors").unlink()
    assert "cannot read" in broken(path)[0]


def test_a_missing_checksum_is_forgiven_only_while_training(made, tmp_path):
    assert broken(made.make_run(tmp_path / "a", readings=1, sha256={}, state="training")) == []
    done = made.make_run(tmp_path / "b", readings=1, sha256={})
    assert broken(done) == ["run.json names no checksum"]


def test_a_damaged_or_missing_ledger_is_seen(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=3)
    (path / "ledger.db").write_bytes(b"not a database, at all" * 100)
    assert len(broken(path)) == 2
    (path / "ledger.db").unlink()
    assert all("there is no ledger" in why for why in broken(path))


def test_a_torn_row_is_seen(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=3)
    file = sqlite3.connect(path / "ledger.db")
    with file:
        file.execute("UPDATE entries SET detail = '{' WHERE id = 2")
    file.close()
    assert len(broken(path)) == 1


def test_a_damaged_run_json_ends_the_search(tmp_path):
    (tmp_path / "run.json").write_text("{")
    assert ["is damaged" in why for why in broken(tmp_path)] == [True]
