import gzip
import struct

import numpy as np
import pytest

from paceline.core.errors import DataError


def packed(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 | array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("t10k", 3)):
        images = random.integers(0, 256, (count, 5, 4), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(packed(images))
        with gzip.open(tmp_path / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(packed(labels))
    return tmp_path


def test_images_and_labels_of_both_parts_are_read(opened, folder):
    corpus = opened(folder)
    assert corpus.train.inputs.shape == (6, 1, 5, 4)
    assert corpus.test.targets.tolist() == [0, 1, 2]


def test_one_file_of_images_and_a_folder_can_be_predicted(inputs_of, folder):
    assert len(inputs_of(folder)) == 3
    alone = inputs_of(folder / "train-images-idx3-ubyte")
    assert len(alone) == 6 and alone.targets is None


def test_one_file_cannot_be_learnt_from(opened, folder):
    with pytest.raises(DataError, match="no labels; name the folder"):
        opened(folder / "train-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x00\x00", "ends within its first 16 bytes"),
        (struct.pack(">4I", 0x801, 6, 5, 4), "begins with 0x00000801"),
        (struct.pack(">4I", 0x803, 6, 5, 4) + bytes(100), "holds only 100"),
        (struct.pack(">4I", 0x803, 6, 5, 4) + bytes(200), "holds more"),
        (struct.pack(">4I", 0x803, 0, 5, 4), "is empty"),
        (struct.pack(">4I", 0x803, 5, 5, 4) + bytes(100), "5 images, but"),
        (struct.pack(">4I", 0x803, 1 << 20, 1 << 20, 1 << 10), "would take"),
    ],
)
def test_damaged_files_are_refused_in_one_line(opened, folder, content, said):
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=said):
        opened(folder)


def test_a_gzip_that_was_cut_is_damaged(opened, folder):
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(DataError, match="damaged"):
        opened(folder)


def test_missing_companions_are_named(opened, inputs_of, folder):
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="train-labels is missing"):
        opened(folder)
    (folder / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="no training images"):
        opened(folder)
    (folder / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="labels but no images"):
        inputs_of(folder)


def test_the_published_files_are_read(opened, shared):
    corpus = opened(shared("fashion-mnist"))
    assert corpus.train.inputs.shape == (60000, 1, 28, 28)
    assert np.bincount(corpus.test.targets).tolist() == [1000] * 10
