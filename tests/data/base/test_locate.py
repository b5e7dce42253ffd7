import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from paceline.core import catalog
from paceline.core.errors import DataError
from paceline.core.progress import Silence
from paceline.data.base import Opening, open_source

SAID = Opening(target=None, skip_bad=False, progress=Silence())


@pytest.fixture
def places(tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").touch()
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "pets" / name / "1.png")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "train.csv").write_text("a,b\n1,2\n")
    (tmp_path / "one.csv").touch()
    np.savez(tmp_path / "one.npz", x=[1])
    return tmp_path


def test_every_place_is_recognised_by_exactly_one_part(places):
    expected = {
        "digits": "digits",
        places / "mnist": "idx",
        places / "pets": "image_folder",
        places / "pets" / "cats" / "1.png": "image_folder",
        places / "tables": "table",
        places / "one.csv": "table",
        places / "one.npz": "npz",
    }
    for place, name in expected.items():
        knowing = [part for part, kind in catalog.parts("data") if kind.recognises(place)]
        assert knowing == [name]
        assert open_source(str(place), SAID)[0] == name
    assert open_source(pd.DataFrame({"a": [1]}), SAID)[0] == "table"
    assert open_source((np.zeros(3), np.zeros(3)), SAID)[0] == "arrays"


def test_an_archive_is_entered(places):
    shutil.make_archive(str(places / "packed"), "gztar", places / "pets")
    name, _, folder = open_source(places / "packed.tar.gz", SAID)
    assert name == "image_folder" and {entry.name for entry in folder.iterdir()} == {"cats", "dogs"}


def test_a_word_goes_before_a_folder_of_that_name(places, monkeypatch):
    monkeypatch.chdir(places)
    (places / "pets").rename("digits")
    assert open_source("digits", SAID)[0] == "digits"
    assert open_source("./digits", SAID)[0] == "image_folder"


def test_what_is_missing_is_answered_with_the_nearest(places, monkeypatch):
    monkeypatch.chdir(places)
    for place, said in (
        ("digts", "did you mean 'digits'"),
        ("one.csw", "did you mean 'one.csv'"),
        ("nowhere/a.csv", "nor a folder nowhere"),
        ("a\0b", "there is no"),
        ("a great film. I saw it twice", r"go in a list: \['a great film"),
    ):
        with pytest.raises(DataError, match=said):
            open_source(place, SAID)


def test_what_nothing_reads_is_answered_with_what_is_read(places):
    (places / "empty").mkdir()
    (places / "empty" / ".hidden").touch()
    (places / "x.xyz").touch()
    (places / "plain").touch()
    (places / "odd").mkdir()
    (places / "odd" / "x.xyz").touch()
    for place, said in (
        (places / "empty", "is empty; known are"),
        (places / "x.xyz", r"ending in '\.xyz'; known are: .*one folder of images per class"),
        (places / "plain", "without ending"),
        (places / "odd", r"nothing known lies in the folder .* \(x.xyz\); looked for: .*idx"),
        (7, "cannot learn from a int"),
    ):
        with pytest.raises(DataError, match=said):
            open_source(place, SAID)


def test_a_place_of_two_kinds_is_refused(places):
    (places / "pets" / "train.csv").touch()
    with pytest.raises(DataError, match=r"could be read as .* or .*; name one"):
        open_source(places / "pets", SAID)


def test_a_place_that_may_not_be_read_is_named(places, monkeypatch):
    def unwilling(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", unwilling)
        with pytest.raises(DataError, match=r"not allowed to read .*pets"):
            open_source(places / "pets", SAID)
    monkeypatch.setattr(Path, "iterdir", unwilling)
    with pytest.raises(DataError, match=r"not allowed to read .*pets"):
        open_source(places / "pets", SAID)
