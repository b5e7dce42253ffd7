import io
import zipfile

import numpy as np
import pytest

from paceline.core.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 7, 3), dtype=np.uint8)
LABELS = np.arange(6) % 2


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "some.npz", **arrays)
        return tmp_path / "some.npz"

    return save


def test_channels_are_brought_to_the_first_axis(opened, saved):
    last = opened(saved(x=IMAGES, y=LABELS)).train.inputs
    first = opened(saved(images=np.moveaxis(IMAGES, -1, 1), labels=LABELS)).train.inputs
    assert last.shape == (6, 3, 9, 7)
    assert np.array_equal(last, first)


def test_parts_keep_their_names(opened, saved):
    arrays = {
        f"{a}_{part}": v
        for part in ("train", "val", "test")
        for a, v in (("x", IMAGES), ("y", LABELS[:, None]))
    }
    corpus = opened(saved(**arrays))
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (6, 6, 6)


def test_fractions_up_to_one_become_pixels_and_this_is_said(opened, saved):
    corpus = opened(saved(x=IMAGES / 255.0, y=LABELS))
    assert np.array_equal(corpus.train.inputs, np.moveaxis(IMAGES, -1, 1))
    assert "from 0 to 1" in corpus.notes[0]


def test_integers_up_to_255_become_pixels_and_this_is_said(opened, saved):
    corpus = opened(saved(x=IMAGES.astype(np.int32), y=LABELS))
    assert corpus.kind == "image" and "int32" in corpus.notes[0]


@pytest.mark.parametrize(
    "x",
    [
        IMAGES[..., 0] - 300.0,
        IMAGES[..., 0] / 100.0,
        np.zeros((6, 5, 5, 5), np.uint8),
        np.zeros((6, 1, 2, 3, 4)),
    ],
)
def test_what_is_no_picture_is_a_tensor(opened, saved, x):
    corpus = opened(saved(x=x, y=LABELS))
    assert corpus.kind == "tensors" and np.array_equal(corpus.train.inputs[0], x)


def test_two_axes_are_a_table(opened, saved):
    corpus = opened(saved(x=np.ones((6, 2)), y=LABELS / 3, x_unused=LABELS))
    assert corpus.kind == "table"
    assert list(corpus.train.inputs.columns) == ["x0", "x1"]
    assert corpus.train.targets.dtype == np.float64


def test_text_labels_become_strings(opened, saved):
    names = np.array(["cat", "dog"])[LABELS]
    for labels in (names, np.char.encode(names), LABELS.astype(bool)):
        assert isinstance(opened(saved(x=IMAGES, y=labels)).train.targets[0], str)


def test_inputs_to_predict_need_no_labels(inputs_of, saved):
    assert inputs_of(saved(x=IMAGES)).targets is None
    assert inputs_of(saved(x=IMAGES, y=LABELS)).targets.tolist() == LABELS.tolist()
    with pytest.raises(DataError, match="has no inputs; name them x; there are: z"):
        inputs_of(saved(z=IMAGES))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.array([{}, 1], object), "y": LABELS[:2]}, "Python objects"),
        ({"x": IMAGES, "y": np.array([None] * 6)}, "Python objects"),
        ({"x": IMAGES}, "has no targets; name them y; there are: x"),
        ({"x_train": IMAGES, "y": LABELS}, "name them y_train"),
        ({"a": IMAGES}, "has no inputs; name them x or x_train; there are: a"),
        ({"x": IMAGES, "y": LABELS[:4]}, "6 inputs but 4 targets"),
        ({"x": IMAGES, "y": IMAGES}, "must be one column"),
        ({"x": np.float64(3), "y": LABELS}, "single value"),
        ({"x": IMAGES.astype(complex), "y": LABELS}, "complex128"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(opened, saved, arrays, said):
    with pytest.raises(DataError, match=said):
        opened(saved(**arrays))


def test_a_file_that_is_no_archive_is_refused(opened, tmp_path):
    (tmp_path / "some.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"damaged or no \.npz"):
        opened(tmp_path / "some.npz")


def rewritten(path, change):
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, change(data) if name == "x.npy" else data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-1], "announces 1134 bytes but holds 1133"),
        (lambda data: b"broken" + data[6:], "the array x is damaged"),
        (lambda data: data[:6] + b"\x03" + data[7:], "version"),
        (lambda data: data.replace(b"(6, 9, 7, 3), }", b"(9999999999999,"[:15]), "damaged"),
    ],
)
def test_damaged_arrays_are_refused(opened, saved, change, said):
    path = saved(x=IMAGES, y=LABELS)
    rewritten(path, change)
    with pytest.raises(DataError, match=said):
        opened(path)


def test_an_array_that_announces_more_than_fits_is_not_allocated(opened, saved):
    path = saved(x=IMAGES, y=LABELS)
    head = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (1 << 45,)}
    np.lib.format.write_array_header_1_0(head, shape)
    rewritten(path, lambda _: head.getvalue())
    with pytest.raises(DataError, match=r"would take 32\.0 TB"):
        opened(path)
