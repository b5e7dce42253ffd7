import pickle

import numpy as np
import pytest
from PIL import Image

from paceline.core.errors import DataError
from paceline.data import image_folder
from paceline.data.base import LazyImages, class_folders, picture_files


def image(path, size=(6, 5), mode="RGB", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, *map(ord, path.name)])
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture
def pets(tmp_path):
    for name in ("cat", "dog"):
        for number in range(3):
            image(tmp_path / "pets" / name / f"{number}.png", seed=len(name))
    return tmp_path / "pets"


class Listener:
    def __init__(self):
        self.lines, self.shares = [], []

    def say(self, line):
        self.lines.append(line)

    warn = say

    def advance(self, what, done, note=""):
        self.shares.append((what, done))


def test_a_folder_is_a_class(opened, pets):
    listener = Listener()
    corpus = opened(pets, progress=listener)
    assert corpus.train.inputs.shape == (6, 3, 5, 6)
    assert corpus.train.targets.tolist() == ["cat"] * 3 + ["dog"] * 3
    assert corpus.facts["classes"] == {"cat": 3, "dog": 3} and corpus.notes == ()
    assert ("decoding images", 1.0) in listener.shares
    with Image.open(pets / "cat" / "0.png") as first:
        assert np.array_equal(corpus.train.inputs[0], np.asarray(first).transpose(2, 0, 1))


def test_grey_images_have_one_channel(opened, tmp_path):
    for name in "abcd":
        image(tmp_path / name[0] / "x.png", mode="L")
        image(tmp_path / name[0] / "y.bmp", mode="L")
    assert opened(tmp_path).train.inputs.shape == (8, 1, 5, 6)
    image(tmp_path / "a" / "z.webp")
    assert opened(tmp_path).train.inputs.shape == (9, 3, 5, 6)


def test_different_sizes_become_the_median_and_this_is_said(opened, pets):
    image(pets / "cat" / "wide.jpg", size=(60, 5))
    corpus = opened(pets)
    assert corpus.train.inputs.shape == (7, 3, 5, 6)
    assert "2 sizes; all are brought to 5 x 6 pixels" in corpus.notes[0]


@pytest.mark.parametrize(
    ("size", "shape"), [((256, 128), (128, 256)), ((300, 100), (32, 96)), ((100, 257), (96, 37))]
)
def test_large_images_are_made_smaller(opened, tmp_path, size, shape):
    for name in ("a/1.gif", "a/2.gif", "b/1.gif"):
        image(tmp_path / name, size=size)
    assert opened(tmp_path).train.inputs.shape[2:] == shape


def test_a_wanted_shape_is_obeyed(opened, inputs_of, pets):
    assert opened(pets, image_shape=(1, 8, 9)).train.inputs.shape == (6, 1, 8, 9)
    assert inputs_of(pets, image_shape=(1, 8, 9)).inputs.shape == (6, 1, 8, 9)


def test_parts_have_folders_of_their_own(opened, inputs_of, pets, tmp_path):
    root = tmp_path / "root"
    for part in ("train", "test", "valid"):
        for name in ("cat", "dog"):
            image(root / part / name / "1.png")
            image(root / part / name / "inner" / "2.png")
    image(root / "extra" / "1.png")
    corpus = opened(root)
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (4, 4, 4)
    assert "no classes within: extra" in corpus.notes[0]
    assert len(inputs_of(root)) == 4
    image(root / "test" / "bird" / "1.png")
    with pytest.raises(DataError, match=r"test part of .* has a class 'bird' that is not in train"):
        opened(root)
    (root / "train").rename(root / "rest")
    with pytest.raises(DataError, match="has a folder test but no train"):
        opened(root)
    image(root / "validation" / "cat" / "1.png")
    with pytest.raises(DataError, match="both are the validation part"):
        opened(root)


def test_what_is_hidden_or_no_image_is_left_aside(opened, pets):
    image(pets / ".cache" / "1.png")
    image(pets / "cat" / ".1.png")
    (pets / "cat" / "notes.txt").touch()
    (pets / "empty").mkdir()
    assert len(opened(pets).train) == 6


def test_a_corrupt_image_is_named_or_left_out(opened, pets):
    (pets / "cat" / "0.png").write_bytes(b"broken")
    said = r"cat.0\.png cannot be read as an image.*; 1 of 6 images are bad; .*--skip-bad"
    with pytest.raises(DataError, match=said):
        opened(pets)
    corpus = opened(pets, skip_bad=True)
    assert len(corpus.train) == 5 and "1 of 6 images were left out" in corpus.notes[0]


def test_an_image_that_was_cut_is_found_when_it_is_decoded(opened, pets):
    path = image(pets / "dog" / "cut.png", size=(60, 50))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.png cannot be read"):
        opened(pets)
    corpus = opened(pets, skip_bad=True)
    assert len(corpus.train) == len(corpus.train.targets) == 6


def test_nothing_but_corrupt_images_is_refused(opened, pets):
    for path in pets.rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="none of the images can be read"):
        opened(pets, skip_bad=True)


def test_a_decompression_bomb_is_named(opened, pets, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match=r"0\.png has more than 20 pixels"):
        opened(pets)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.raises(DataError, match=r"0\.png has more than 4 pixels"):
        opened(pets)


def test_what_does_not_fit_is_decoded_when_it_is_needed(opened, pets, monkeypatch):
    eager = opened(pets)
    monkeypatch.setattr(picture_files, "available_bytes", lambda: 100)
    lazy = opened(pets)
    assert isinstance(lazy.train.inputs, LazyImages)
    assert np.array_equal(lazy.train.inputs.load(), eager.train.inputs)
    assert lazy.fingerprint == eager.fingerprint
    again = pickle.loads(pickle.dumps(lazy.train.inputs))  # noqa: S301 - as worker processes do
    assert np.array_equal(again[3], eager.train.inputs[3])
    path = image(pets / "dog" / "cut.png", size=(60, 50))
    path.write_bytes(path.read_bytes()[:3000])
    assert len(opened(pets, skip_bad=True, image_shape=(3, 5, 6)).train) == 6


def test_a_fingerprint_follows_names_and_content(opened, pets):
    before = opened(pets).fingerprint
    assert opened(pets).fingerprint == before
    image(pets / "cat" / "0.png", seed=99)
    after = opened(pets).fingerprint
    (pets / "cat" / "0.png").rename(pets / "cat" / "9.png")
    assert len({before, after, opened(pets).fingerprint}) == 3


def test_classes_must_be_several_and_have_images(opened, pets, tmp_path):
    image(tmp_path / "flat" / "1.png")
    with pytest.raises(DataError, match="at least two classes; found none"):
        opened(tmp_path / "flat")
    image(tmp_path / "one" / "cat" / "1.png")
    with pytest.raises(DataError, match="found only 'cat'"):
        opened(tmp_path / "one")
    image(tmp_path / "one" / "dog" / "1.png")
    with pytest.raises(DataError, match=r"every class in .* has a single image"):
        opened(tmp_path / "one")
    image(pets / "bird" / "1.png")
    assert "classes with a single image: bird" in opened(pets).notes[0]
    with pytest.raises(DataError, match="is one image"):
        opened(pets / "cat" / "0.png")


def test_one_image_a_flat_folder_or_classes_can_be_predicted(inputs_of, pets):
    assert inputs_of(pets / "cat" / "0.png").inputs.shape == (1, 3, 5, 6)
    flat = inputs_of(pets / "cat")
    assert len(flat) == 3 and flat.targets is None
    assert inputs_of(pets).targets.tolist() == ["cat"] * 3 + ["dog"] * 3
    image(pets / "cat" / "tall.png", size=(6, 60))
    listener = Listener()
    assert len(inputs_of(pets / "cat", progress=listener)) == 4
    assert "2 sizes" in listener.lines[0]


def test_looking_for_images_gives_up_in_a_very_large_folder(pets, monkeypatch):
    monkeypatch.setattr(class_folders, "_MOST_ENTRIES_LOOKED_AT", 1)
    assert not image_folder.ImageFolder.recognises(pets)


def test_the_published_cifar_images_are_read_from_their_archive(opened, inputs_of, shared):
    place = shared("cifar10/cifar10-test-jpg.tar.xz")
    found = inputs_of(place, image_shape=(3, 8, 8))
    assert np.unique(found.targets, return_counts=True)[1].tolist() == [1000] * 10
    with pytest.raises(DataError, match="has a folder test but no train"):
        opened(place)
