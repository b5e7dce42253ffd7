"""Stories at the command line: one person, one temporary directory, real processes' exit codes."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
import zipfile

import numpy as np
import pytest

from paceline.cli.main import run as command

FAST = ["--no-baselines", "--set", "model.width=4"]


def fit(*words, capsys):
    code = command(["fit", *map(str, words)])
    caught = capsys.readouterr()
    return code, caught.out, caught.err


def last_object(out):
    return json.loads(out.splitlines()[-1])


def test_fit_says_everything_in_its_last_line(capsys, tmp_path):
    code, out, err = fit(
        "digits", "--steps", 30, "--out", "run", "--json", "--set", "model.width=4", capsys=capsys
    )
    found = last_object(out)
    assert code == 0
    assert len(out.splitlines()) == 1
    assert found["run"] == "run"
    assert found["task"] == "image"
    assert found["steps"] == 30
    assert found["stopped"] == "budget"
    assert 0 <= found["test"]["accuracy"] <= 1
    assert found["baselines"]["majority"]["accuracy"] < 0.2
    assert "report.html" in err
    for file in ("model.safetensors", "ledger.db", "run.json", "report.html"):
        assert (tmp_path / "run" / file).stat().st_size > 0


def test_a_table_is_fitted_predicted_and_explained(capsys, tmp_path):
    rows = np.random.default_rng(0).normal(size=(300, 3))
    lines = ["a,b,colour,price"]
    for a, b, c in rows:
        lines.append(f"{a},{b},{'red' if c > 0 else 'blue'},{3 * a - b + (c > 0)}")
    (tmp_path / "houses.csv").write_text("\n".join(lines))
    code, out, _ = fit(
        "houses.csv", "--target", "price", "--epochs", 30, "--out", "run", "--json", capsys=capsys
    )
    assert code == 0
    found = last_object(out)
    assert found["goal"] == "regression"
    assert found["test"]["rmse"] < found["baselines"]["mean"]["rmse"] / 3
    (tmp_path / "new.csv").write_text("a,b,colour\n1,0,red\n0,1,green\n")
    assert command(["predict", "run", "new.csv", "--json"]) == 0
    assert len(last_object(capsys.readouterr().out)["prediction"]) == 2
    assert command(["predict", "run", "new.csv", "--out", "answers.csv"]) == 0
    assert (tmp_path / "answers.csv").read_text().startswith("prediction\n")
    assert command(["predict", "run", "new.csv", "--out", "answers.csv"]) == 2
    assert "exists already" in capsys.readouterr().err
    for words in (["why", "run"], ["report", "run"], ["check", "run"], ["runs", "."]):
        assert command([*words, "--json"]) == 0
        json.loads(capsys.readouterr().out.splitlines()[-1])


def test_ctrl_c_saves_and_resume_goes_on(tmp_path):
    words = [
        sys.executable, "-m", "paceline", "fit", "digits", "--steps", "3000", *FAST, "--out", "run",
    ]  # fmt: skip
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "ledger.db").exists() and time.monotonic() < deadline:
        os.sched_yield()
    for line in process.stderr:
        if line.startswith("training"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert last_object(out)["stopped"] == "interrupted"
    assert "--resume" in err
    code = subprocess.run(
        [*words, "--resume", "--quiet"], env=quiet, capture_output=True, text=True
    )
    assert code.returncode == 0, code.stderr
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["state"] == "finished"
    assert facts["result"]["steps"] == 3000


def image_bytes(size=(8, 8), colour=0):
    from PIL import Image

    held = io.BytesIO()
    Image.new("L", size, colour).save(held, "PNG")
    return held.getvalue()


def photos(folder, count=6):
    for number, name in enumerate(("cats", "dogs")):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            file = folder / name / f"{index}.png"
            file.write_bytes(image_bytes(colour=number * 120 + index))


def bad_csv(folder):
    (folder / "ragged.csv").write_text("a,b,y\n1,2,0\n1,2,3,4\n")
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("a,b,y\n")
    (folder / "good.csv").write_text("a,price\n" + "\n".join(f"{i},{i * 2}" for i in range(50)))
    (folder / "one.csv").write_text("a,y\n" + "\n".join(f"{i},cat" for i in range(50)))
    (folder / "nan.csv").write_text("a,y\n" + "\n".join(f"{i},{i}.5" for i in range(50)) + "\n7,\n")
    (folder / "inf.csv").write_text(
        "a,y\n" + "\n".join(f"{i},{i}.5" for i in range(50)) + "\n7,inf\n"
    )
    (folder / "names.csv").write_text("a,y\n" + "\n".join(f"{i},id{i}" for i in range(500)))
    (folder / "bytes.csv").write_bytes(b"a,y\n\x00\x81\xfe,1\n")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            with archive.open(f"{number}.csv", "w", force_zip64=True) as file:
                for _ in range(300):
                    file.write(bytes(1_000_000))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.csv"], "there is no"),
        (["empty.csv", "--target", "y"], "empty"),
        (["header.csv", "--target", "y"], "header.csv"),
        (["ragged.csv", "--target", "y"], "line 3"),
        (["good.csv"], "--target"),
        (["good.csv", "--target", "prise"], "did you mean 'price'"),
        (["one.csv", "--target", "y"], "at least two classes"),
        (["nan.csv", "--target", "y"], "nan.csv"),
        (["inf.csv", "--target", "y"], "infinite"),
        (["names.csv", "--target", "y"], "different values"),
        (["bytes.csv", "--target", "y"], "bytes.csv"),
        (["nothing"], "nothing"),
        (["letters"], "letters"),
        (["good.csv", "--target", "price", "--steps", "-5"], "steps"),
        (["good.csv", "--target", "price", "--time", "-1m"], "time"),
        (["good.csv", "--target", "price", "--set", "loop.acumulate=2"], "'accumulate'"),
        (["good.csv", "--target", "price", "--task", "image"], "--task image"),
        (["good.csv", "--target", "price", "--out", "good.csv"], "good.csv"),
        (["good.csv", "--target", "price", "--resum"], "--resume"),
        (["escape.tar", "--target", "y"], "escape"),
        (["bomb.zip"], "bomb.zip"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_bad_input_is_one_line_and_changes_nothing(capsys, tmp_path, words, message):
    bad_csv(tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.docx").write_text("…")
    with tarfile.open(tmp_path / "escape.tar", "w") as archive:
        entry = tarfile.TarInfo("../escape.csv")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"a,y\n"))
    if words == ["bomb.zip"]:
        bomb(tmp_path / "bomb.zip")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    code, out, err = fit(*words, *FAST, capsys=capsys)
    assert code == 2
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err.splitlines()[-1]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_a_corrupt_image_is_named_and_can_be_left_out(capsys, tmp_path):
    photos(tmp_path / "photos")
    (tmp_path / "photos" / "cats" / "3.png").write_bytes(image_bytes()[:40])
    code, _, err = fit("photos", "--steps", 4, "--out", "run", *FAST, capsys=capsys)
    assert code == 2
    assert "3.png" in err.splitlines()[-1]
    assert "--skip-bad" in err.splitlines()[-1]
    code, _, err = fit("photos", "--steps", 4, "--out", "run", "--skip-bad", *FAST, capsys=capsys)
    assert code == 0
    assert "3.png" in err


def test_a_truncated_idx_file_is_named(capsys, tmp_path):
    (tmp_path / "idx").mkdir()
    labels = struct.pack(">II", 2049, 10) + bytes(range(10))
    images = struct.pack(">IIII", 2051, 10, 8, 8) + bytes(100)
    (tmp_path / "idx" / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    (tmp_path / "idx" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    code, _, err = fit("idx", "--steps", 4, *FAST, capsys=capsys)
    assert code == 2
    assert "train-images-idx3-ubyte.gz" in err.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said(capsys, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    code, _, err = fit("digits", "--steps", 4, "--out", "locked/run", *FAST, capsys=capsys)
    assert code == 2
    assert "locked/run" in err.splitlines()[-1]
