import pytest

from paceline.core.errors import DataError
from paceline.data.base.memory import available_bytes, readable, refuse_too_large


def test_a_container_has_no_more_than_its_limit(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 8 kB\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 8192
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 8192


def test_without_proc_half_of_the_memory_is_taken_for_free(tmp_path):
    assert available_bytes(tmp_path / "none", tmp_path) > 0


def test_what_does_not_fit_is_refused():
    refuse_too_large("it", 1)
    with pytest.raises(DataError, match=r"it would take 1024\.0 TB of memory"):
        refuse_too_large("it", 1 << 50)


def test_sizes_are_readable():
    assert readable(1023) == "1023 bytes"
