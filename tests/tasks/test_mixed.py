"""Claims of the task for several kinds together."""

from __future__ import annotations

import numpy as np
import pytest

import paceline
from paceline.core.errors import DataError

pandas = pytest.importorskip("pandas")
pillow = pytest.importorskip("PIL.Image")


@pytest.fixture
def table(tmp_path):
    """Brightness, a word and a number each tell a bit; together they tell the class."""
    random = np.random.default_rng(0)
    rows = []
    for at in range(160):
        bits = random.integers(0, 2, 3)
        pixels = random.integers(0, 100, (8, 8)) + 120 * bits[0]
        pillow.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{at}.png")
        said = f"it was {('bad', 'good')[bits[1]]} to see number {at}"
        label = ("low", "high")[int(bits.sum() >= 2)]
        rows.append((f"{at}.png", said, float(bits[2]) + random.normal() * 0.1, label))
    frame = pandas.DataFrame(rows, columns=["file", "said", "size", "label"])
    frame.to_csv(tmp_path / "all.csv", index=False)
    return tmp_path / "all.csv"


def test_a_table_of_pictures_texts_and_numbers_is_learnt_from_all_of_them(table, tmp_path):
    run = paceline.fit(
        table, target="label", epochs=25, out=tmp_path / "run", settings={"data.test": 0.25}
    )
    assert run.facts["task"]["name"] == "mixed"
    assert [part["name"] for part in run.facts["task"]["state"]["parts"]] == [
        "image",
        "text",
        "tabular",
    ]
    assert run.test["accuracy"] > 0.85  # any two of the three reach three in four
    again = paceline.load(run.path)
    assert again.predict(table).tolist() == run.predict(table).tolist()


def test_what_is_no_table_is_refused(table, tmp_path):
    run = paceline.fit(table, target="label", steps=1, out=tmp_path / "run", baselines=False)
    with pytest.raises(DataError, match="table is needed"):
        run.predict("digits")
