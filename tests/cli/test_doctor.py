from __future__ import annotations

import errno
import importlib.metadata
import json
import sys

import pytest

from paceline.cli import _install, _machine, doctor, main
from paceline.cli._install import EXTRAS, Finding, Torch

WELL = Torch(version="2.13.0+cpu", facts={"threads": "2", "cuda_works": "False", "mps": "False"})


def absent(package: str) -> str:
    raise importlib.metadata.PackageNotFoundError(package)


def present(package: str) -> str:
    return "0.20.0"


def worked(code: str) -> tuple[bool, str]:
    return True, "cuda 12.6\ncuda_works True\nthreads 4\n"


def failed(code: str) -> tuple[bool, str]:
    return False, "RuntimeError: operator torchvision::nms does not exist"


def problem(finding: Finding) -> bool:
    return finding.level == "problem" and bool(finding.mend)


def test_an_old_python_is_a_problem():
    assert problem(_install.check_python((3, 10, 4)))
    assert _install.check_python((3, 13, 0)).level == "ok"


def test_a_missing_torch_is_a_problem():
    assert problem(_install.check_torch(_install.look_at_torch(absent, worked)))


def test_a_torch_that_cannot_be_imported_is_a_problem():
    torch = _install.look_at_torch(lambda name: "2.13.0", failed)
    assert "nms" in torch.trouble
    assert problem(_install.check_torch(torch))


@pytest.mark.parametrize(
    ("version", "level"),
    [("2.5.1", "problem"), ("2.6.0", "ok"), ("2.13.0a0+git", "ok"), ("3.0", "ok")],
)
def test_an_old_torch_is_a_problem(version, level):
    assert _install.check_torch(Torch(version=version)).level == level


def test_a_working_torch_tells_its_facts():
    torch = _install.look_at_torch(present, worked)
    assert torch.facts == {"cuda": "12.6", "cuda_works": "True", "threads": "4"}


def test_a_torchvision_that_does_not_match_is_a_problem():
    found = _install.check_companion("torchvision", WELL, present, failed)
    assert problem(found) and "does not match torch 2.13.0+cpu" in found.found


def test_a_companion_that_matches_or_is_absent_is_well():
    assert _install.check_companion("torchaudio", WELL, present, worked).level == "ok"
    assert _install.check_companion("torchaudio", WELL, absent, failed).level == "ok"


def test_a_companion_cannot_be_judged_without_torch():
    assert _install.check_companion("torchvision", Torch(), present, worked).level == "warning"


def test_a_missing_extra_is_a_warning_that_names_what_brings_it():
    found = _install.check_extra("images", EXTRAS["images"], absent)
    assert found.level == "warning"
    assert found.mend == 'pip install "paceline[images]"'
    assert _install.check_extra("images", EXTRAS["images"], present).level == "ok"


def test_the_extras_are_those_that_the_package_declares():
    declared = importlib.metadata.metadata("paceline").get_all("Provides-Extra") or []
    assert set(EXTRAS) <= set(declared)
    required = importlib.metadata.requires("paceline") or []
    for extra, packages in EXTRAS.items():
        mine = [line for line in required if f"extra == '{extra}'" in line]
        for package in packages:
            wanted = package.replace("_", "-")
            assert any(line.replace("_", "-").startswith(wanted) for line in mine), package


def test_another_interpreter_answers_or_says_why_not(monkeypatch):
    assert _install.ask("print('well')") == (True, "well\n")
    assert _install.ask("import nothing_like_that")[1].startswith("ModuleNotFoundError")
    assert _install.ask("import os; os._exit(3)") == (False, "the interpreter ended with 3")
    assert "no answer" in _install.ask("import time; time.sleep(60)", seconds=0.2)[1]
    monkeypatch.setattr(sys, "executable", "nowhere/python")
    assert "cannot start" in _install.ask("pass")[1]


@pytest.mark.parametrize(
    ("facts", "nvidia", "level", "told"),
    [
        ({}, True, "warning", "built for the CPU"),
        ({"cuda": "12.6", "cuda_works": "False"}, True, "problem", "driver cannot be used"),
        ({"cuda": "12.6", "cuda_works": "True"}, True, "ok", "CUDA 12.6"),
        ({"mps": "True"}, False, "ok", "MPS"),
        ({"cuda": "12.6"}, False, "ok", "none"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_seen(facts, nvidia, level, told):
    found = _machine.check_gpu(Torch(version="2.13.0", facts=facts), nvidia)
    assert found.level == level and told in found.found


def test_a_gpu_is_not_looked_at_without_torch():
    assert "not looked at" in _machine.check_gpu(Torch(), True).found


def test_a_gpu_is_known_by_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not _machine.has_nvidia((tmp_path / "none",))
    assert _machine.has_nvidia((tmp_path,))


@pytest.mark.parametrize(
    ("quota", "level"),
    [("100000 100000", "warning"), ("max 100000", "ok"), ("150000 100000", "ok"), ("?", "ok")],
)
def test_more_threads_than_a_container_lends_is_a_warning(tmp_path, quota, level):
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    found = _machine.check_cores(WELL, available=4, quota=file)
    assert found.level == level
    assert ("OMP_NUM_THREADS=1" in found.mend) is (level == "warning")


def test_cores_are_told_without_a_quota_and_without_torch(tmp_path):
    found = _machine.check_cores(Torch(), quota=tmp_path / "none")
    assert found.level == "ok" and "threads" not in found.found


def test_bf16_instructions_are_read_off_the_cpu(tmp_path):
    file = tmp_path / "cpuinfo"
    assert "not known" in _machine.check_bf16(file, "arm64").found
    file.write_text("flags : sse avx2")
    assert "no bf16" in _machine.check_bf16(file).found
    file.write_text("flags : sse amx_bf16")
    assert "has bf16" in _machine.check_bf16(file).found


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    assert _machine.check_writable("folder", tmp_path).level == "ok"
    assert problem(_machine.check_writable("folder", tmp_path / "none"))

    def refuse(**given):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(_machine.tempfile, "NamedTemporaryFile", refuse)
    found = _machine.check_writable("temporary folder", tmp_path)
    assert problem(found) and "Read-only" in found.found and "TMPDIR" in found.mend


@pytest.mark.parametrize(
    ("free", "level"), [(10**6, "problem"), (10**9, "warning"), (10**11, "ok")]
)
def test_a_full_disk_is_a_problem(tmp_path, free, level):
    assert _machine.check_space("disk", tmp_path, lambda folder: free).level == level


def test_a_disk_that_cannot_be_asked_is_a_warning(tmp_path):
    assert _machine.check_space("disk", tmp_path / "none").level == "warning"
    assert _machine.check_space("disk", tmp_path).found.endswith(str(tmp_path))


SICK = Finding(name="torch", level="problem", found="not installed", mend="pip install torch")
FINE = Finding(name="python", level="ok", found="3.13")


@pytest.mark.parametrize(("findings", "code"), [([FINE], 0), ([FINE, SICK], 1)])
def test_the_exit_code_tells_whether_there_is_a_problem(monkeypatch, capsys, findings, code):
    monkeypatch.setattr(doctor, "examine", lambda folder: findings)
    assert main.run(["doctor"]) == code
    assert findings[-1].found in capsys.readouterr().out
    assert main.run(["doctor", "--json"]) == code
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["healthy"] is (code == 0)
    assert told["findings"][0]["name"] == "python"


def test_all_is_examined(monkeypatch, tmp_path):
    monkeypatch.setattr(_install, "look_at_torch", lambda: WELL)
    monkeypatch.setattr(_install, "check_companion", lambda name, torch: FINE)
    names = {finding.name for finding in doctor.examine(tmp_path)}
    assert {"torch", "gpu", "cores", "bf16", "folder", "disk", "extra tables"} <= names
